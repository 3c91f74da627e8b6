//! The two kernels and their naive versions, at the shapes of the 80B model. Rates count source bytes: words and scales.
//! Each case asserts equal results once, before the measurement.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use gguf_export::transcode::kernels::{self, BadScale, Strip, naive};

type Kernel = fn(&Strip<'_>, &mut [u8]) -> Result<(), BadScale>;

fn main() {
    divan::main();
}

/// Outputs and columns of an expert's gate or up projection, its down projection, and `in_proj_qkvz`.
const SHAPES: [(usize, usize); 3] = [(512, 2048), (2048, 512), (12288, 2048)];
const GROUP: usize = 128;

#[divan::bench(args = SHAPES)]
fn gptq4_to_q4_0(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    bench(bencher, kernels::gptq4_to_q4_0, naive::gptq4_to_q4_0, 4, shape);
}

#[divan::bench(args = SHAPES)]
fn gptq4_to_q4_0_naive(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    bench(bencher, naive::gptq4_to_q4_0, kernels::gptq4_to_q4_0, 4, shape);
}

#[divan::bench(args = SHAPES)]
fn gptq8_to_q8_0(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    bench(bencher, kernels::gptq8_to_q8_0, naive::gptq8_to_q8_0, 8, shape);
}

#[divan::bench(args = SHAPES)]
fn gptq8_to_q8_0_naive(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    bench(bencher, naive::gptq8_to_q8_0, kernels::gptq8_to_q8_0, 8, shape);
}

/// A plain copy of the same words and scales: the limit set by memory bandwidth.
#[divan::bench(args = SHAPES)]
fn int4_memcpy(bencher: Bencher<'_, '_>, (outputs, columns): (usize, usize)) {
    let from = random(outputs * columns / 2 + outputs * columns / GROUP * 2);
    let mut to = from.clone();
    let bencher = bencher.counter(BytesCount::new(from.len()));
    bencher.bench_local(|| to.copy_from_slice(black_box(&from)));
}

fn bench(
    bencher: Bencher<'_, '_>,
    kernel: Kernel,
    other: Kernel,
    bits: usize,
    (outputs, columns): (usize, usize),
) {
    let words = random(outputs * columns * bits / 8);
    let mut scales = random(outputs * columns / GROUP * 2);
    // Clear the top exponent bit so that all scales are finite.
    scales.as_chunks_mut::<2>().0.iter_mut().for_each(|b| b[1] &= 0xBF);
    let strip = Strip { words: &words, scales: &scales, outputs, columns, group: GROUP };
    let mut out = vec![0; outputs * columns / 32 * (2 + 4 * bits)];
    let mut expected = out.clone();
    other(&strip, &mut expected).expect("all scales are finite");
    kernel(&strip, &mut out).expect("all scales are finite");
    assert!(out == expected, "the kernel differs from its naive version");
    let bencher = bencher.counter(BytesCount::new(words.len() + scales.len()));
    bencher.bench_local(|| kernel(black_box(&strip), &mut out));
}

fn random(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}
