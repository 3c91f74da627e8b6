//! The definition of a matrix product with quantized activations, and the operations that compute it.
#![expect(unsafe_code, reason = "adds operations to graphs of ggml, which the binding does not export")]

use std::ops::Range;

use gguf_export::ggml::{GgmlType, decode_row};
use half::{bf16, f16};
use llama_cpp_sys_2 as sys;

use super::run::{Build, Input, Op};
use super::version::is_patched;

/// Our patch computes matrices of whole panels of this many rows, and whole slabs of this many columns.
const PANEL: usize = 16;
const SLAB: usize = 256;

/// Elements of a block of quantized activations.
const BLOCK: usize = 32;

/// How activations are rounded before they are multiplied by weights of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// To `Q8_0`, but to the codes that belong to the scale before that is rounded to F16.
    Q8_0,
    Bf16,
    F16,
    None,
    /// To 8 bits in another way.
    Other,
}

/// A matrix of weights: `rows` of `columns`, and as many of them as there are experts.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub(super) ty: GgmlType,
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) bytes: Vec<u8>,
}

/// Whether our patch has kernels for a type. They add every sum in one order; upstream's depends on the number of columns.
pub(super) fn is_ours(ty: GgmlType) -> bool {
    matches!(ty, GgmlType::Q4_0 | GgmlType::Q4_1 | GgmlType::Q5_0 | GgmlType::Q8_0)
}

/// A value of the definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exact {
    /// The sum of all terms, without rounding.
    pub(super) sum: f64,
    /// The same of activations that are not rounded, which our patch multiplies by F16 and BF16.
    pub(super) unrounded: f64,
    /// The sum of their absolute values.
    pub(super) terms: f64,
    /// The standard deviation of 256 activations rounded to 8 bits.
    pub(super) noise: f64,
    /// The value that our patch computes in every version that computes this product.
    pub(super) patched: Option<f32>,
}

/// The definition of a product with a matrix of weights.
pub(super) struct Definition {
    rounding: Rounding,
    columns: usize,
    /// The weights as numbers, row after row.
    weights: Vec<f32>,
    /// Their codes, if a version of our patch computes this product.
    pub(super) blocks: Option<Codes>,
}

impl Definition {
    pub(super) fn new(weights: &Weights, rounding: Rounding) -> Self {
        let &Weights { columns, rows, .. } = weights;
        let patched = is_patched() && is_ours(weights.ty) && columns % SLAB == 0 && rows % PANEL == 0;
        let blocks = patched.then(|| Codes::new(weights));
        Self { rounding, columns, weights: weights.decode(), blocks }
    }

    /// These rows of the weights, each times a row of activations.
    pub(super) fn product(&self, rows: Range<usize>, activations: &[f32]) -> Vec<Exact> {
        let rounded = rounded(activations, self.rounding);
        let quantized: Vec<(Vec<f32>, f32)> = match &self.blocks {
            Some(_) => activations.chunks_exact(BLOCK).map(codes).collect(),
            None => Vec::new(),
        };
        let max = |block: &[f64]| block.iter().fold(0f64, |max, x| max.max(x.abs()));
        let steps: Vec<f64> = rounded.chunks(256).map(|block| max(block) / 127.0).collect();
        let value = |row: usize| {
            let mut value = Exact { sum: 0.0, unrounded: 0.0, terms: 0.0, noise: 0.0, patched: None };
            let start = row * self.columns;
            for (index, &weight) in self.weights[start..start + self.columns].iter().enumerate() {
                let (weight, activation) = (f64::from(weight), rounded[index]);
                value.sum += weight * activation;
                value.unrounded += weight * f64::from(activations[index]);
                value.terms += (weight * activation).abs();
                if self.rounding == Rounding::Other {
                    value.noise += (weight * steps[index / 256]).powi(2) / 12.0;
                }
            }
            value.noise = value.noise.sqrt();
            value.patched = self.blocks.as_ref().map(|codes| codes.product(start, &quantized));
            value
        };
        rows.map(value).collect()
    }

    /// All rows of the weights, each times every row of activations.
    pub(super) fn products(&self, activations: &[f32]) -> Vec<Exact> {
        let rows = self.weights.len() / self.columns;
        activations.chunks_exact(self.columns).flat_map(|row| self.product(0..rows, row)).collect()
    }
}

/// Weights as our patch multiplies them.
pub(super) struct Codes {
    /// Row after row.
    integers: Vec<f32>,
    /// The scale of each block.
    scales: Vec<f32>,
    /// The minimum of each block, if the type has one.
    mins: Vec<f32>,
}

impl Codes {
    fn new(weights: &Weights) -> Self {
        let bytes = usize::try_from(weights.ty.block_bytes()).expect("a block is small");
        let mut codes = weights.clone();
        let (mut scales, mut mins) = (Vec::new(), Vec::new());
        let half = |bytes: &[u8]| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        for block in codes.bytes.chunks_exact_mut(bytes) {
            scales.push(half(block));
            block[..2].copy_from_slice(&f16::ONE.to_le_bytes());
            if weights.ty == GgmlType::Q4_1 {
                mins.push(half(&block[2..]));
                block[2..4].fill(0);
            }
        }
        Self { integers: codes.decode(), scales, mins }
    }

    /// A sum bit by bit as our patch computes it: for each block in order the sum of products of integers, times the
    /// weights' scale, times the activations' scale, which is added without rounding before; then the minimum.
    fn product(&self, start: usize, activations: &[(Vec<f32>, f32)]) -> f32 {
        let blocks = self.integers[start..].chunks_exact(BLOCK).zip(activations).enumerate();
        blocks.fold(0.0, |sum, (index, (weights, (codes, scale)))| {
            let block = start / BLOCK + index;
            // Every partial sum is an integer below 2^24.
            let dot: f32 = weights.iter().zip(codes).map(|(a, b)| a * b).sum();
            let sum = (dot * self.scales[block]).mul_add(*scale, sum);
            match self.mins.get(block) {
                Some(min) => min.mul_add(scale * codes.iter().sum::<f32>(), sum),
                None => sum,
            }
        })
    }
}

impl Weights {
    pub(super) fn input(&self) -> Input {
        let row = usize::try_from(self.ty.row_bytes(self.columns as u64).expect("whole blocks")).unwrap();
        let experts = self.bytes.len() / row / self.rows;
        Input { ty: self.ty.id(), shape: [self.columns, self.rows, experts, 1], bytes: self.bytes.clone() }
    }

    /// The weights as numbers, row after row.
    fn decode(&self) -> Vec<f32> {
        let elements = self.bytes.len() as u64 / self.ty.block_bytes() * self.ty.block_len();
        let mut values = vec![0.0; usize::try_from(elements).unwrap()];
        decode_row(self.ty, &self.bytes, &mut values).unwrap();
        values
    }
}

/// The codes of a block of activations, as numbers, and its scale.
fn codes(block: &[f32]) -> (Vec<f32>, f32) {
    // The bits of absolute values have the order of the values, with NaN above all.
    let max = block.iter().map(|x| x.abs().to_bits()).max().map_or(0.0, f32::from_bits);
    let inverse = if max == 0.0 { 0.0 } else { 127.0 / max };
    let code = |x: &f32| (x * inverse).round_ties_even().clamp(-128.0, 127.0);
    let codes = block.iter().map(code).map(|code| if code.is_nan() { 0.0 } else { code });
    (codes.collect(), f16::from_f32(max / 127.0).to_f32())
}

/// A row of activations as it is multiplied, but for the order of roundings.
fn rounded(row: &[f32], rounding: Rounding) -> Vec<f64> {
    match rounding {
        Rounding::Q8_0 => row.chunks(BLOCK).flat_map(quantized).collect(),
        Rounding::Bf16 => row.iter().map(|&x| bf16::from_f32(x).to_f64()).collect(),
        Rounding::F16 => row.iter().map(|&x| f16::from_f32(x).to_f64()).collect(),
        Rounding::None | Rounding::Other => row.iter().map(|&x| f64::from(x)).collect(),
    }
}

fn quantized(block: &[f32]) -> Vec<f64> {
    if !block.iter().all(|x| x.is_finite()) {
        return vec![f64::NAN; block.len()];
    }
    let max = block.iter().fold(0f32, |max, x| max.max(x.abs()));
    let scale = f16::from_f32(max / 127.0).to_f64();
    // Of a scale that is zero, codes do not matter; one that is infinite makes every sum infinite or NaN.
    if scale == 0.0 || !scale.is_finite() {
        return vec![if scale == 0.0 { 0.0 } else { f64::NAN }; block.len()];
    }
    block.iter().map(|&x| scale * (f64::from(x) * 127.0 / f64::from(max)).round_ties_even()).collect()
}

/// Replaces activations whose code depends on the last bits of a division.
pub(super) fn without_ties(mut values: Vec<f32>) -> Vec<f32> {
    for block in values.chunks_mut(BLOCK) {
        let max = block.iter().fold(0f32, |max, x| max.max(x.abs()));
        for x in block {
            let code = f64::from(*x) * 127.0 / f64::from(max);
            if ((code - code.floor()) - 0.5).abs() < 1e-3 {
                *x = 0.0;
            }
        }
    }
    values
}

/// `MUL_MAT`: every row of the weights times every row of the activations.
pub(super) fn mul_mat(weights: &Weights, activations: &[f32]) -> Op<'static> {
    let shape = [weights.columns, activations.len() / weights.columns, 1, 1];
    Op { inputs: vec![weights.input(), Input::f32(shape, activations)], build: MUL_MAT }
}

/// `MUL_MAT` of inputs of any shape.
pub(super) const MUL_MAT: Build<'static> = &|context, inputs| {
    // SAFETY: both tensors are of the context, and their inner sizes agree.
    unsafe { sys::ggml_mul_mat(context, inputs[0], inputs[1]) }
};

/// `MUL_MAT_ID`: for each token and each of its experts, the expert's rows times the token's row of activations, of
/// which each expert has its own, or all have the same.
pub(super) fn mul_mat_id(weights: &Weights, activations: &[f32], routes: &[Vec<usize>]) -> Op<'static> {
    let (tokens, used) = (routes.len(), routes[0].len());
    let rows = activations.len() / weights.columns / tokens;
    let ids: Vec<i32> = routes.iter().flatten().map(|&id| i32::try_from(id).unwrap()).collect();
    let inputs = vec![
        weights.input(),
        Input::f32([weights.columns, rows, tokens, 1], activations),
        Input::i32([used, tokens, 1, 1], &ids),
    ];
    let build: Build<'static> = &|context, inputs| {
        // SAFETY: the tensors are of the context, their inner sizes agree, and every id is that of an expert.
        unsafe { sys::ggml_mul_mat_id(context, inputs[0], inputs[1], inputs[2]) }
    };
    Op { inputs, build }
}

/// `MUL_MAT` with the middle third of each row of activations.
pub(super) const MIDDLE: Build<'static> = &|context, inputs| {
    // SAFETY: all tensors are of the context, the view lies within its source, and the inner sizes agree.
    unsafe {
        let [columns, rows] = [(*inputs[0]).ne[0], (*inputs[1]).ne[1]];
        let offset = usize::try_from(columns).expect("it is positive") * size_of::<f32>();
        let middle = sys::ggml_view_2d(context, inputs[1], columns, rows, (*inputs[1]).nb[1], offset);
        sys::ggml_mul_mat(context, inputs[0], middle)
    }
};
