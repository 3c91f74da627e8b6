//! Convolutions over tokens, and the concatenations that make their inputs.
#![expect(unsafe_code, reason = "makes nodes of a graph of ggml")]

use llama_cpp_sys_2 as sys;

use super::random::Random;
use super::run::{Input, Op, run};

#[test]
fn a_convolution_equals_its_definition() {
    for taps in [1, 3, 4, 9] {
        for channels in [1, 5, 16, 31, 130, 300] {
            for tokens in [1, 2, 15, 16, 17, 40] {
                for sequences in [1, 3] {
                    convolves(taps, channels, tokens, sequences);
                }
            }
        }
    }
}

fn convolves(taps: usize, channels: usize, tokens: usize, sequences: usize) {
    let mut random = Random(1);
    let window = taps - 1 + tokens;
    let x = random.values(window * channels * sequences);
    let weights = random.values(taps * channels);
    let op = Op {
        inputs: vec![
            Input::f32([window, channels, sequences, 1], &x),
            Input::f32([taps, channels, 1, 1], &weights),
        ],
        // SAFETY: both tensors have the shapes that the operation expects.
        build: &|context, t| unsafe { sys::ggml_ssm_conv(context, t[0], t[1]) },
    };
    let values = run(&op, 2);
    assert_eq!(values.len(), channels * tokens * sequences);
    for (i, &value) in values.iter().enumerate() {
        let (channel, token, sequence) = (i % channels, i / channels % tokens, i / channels / tokens);
        let start = (sequence * channels + channel) * window + token;
        let products = x[start..start + taps].iter().zip(&weights[channel * taps..]);
        let products: Vec<f64> = products.map(|(&x, &w)| f64::from(x) * f64::from(w)).collect();
        let (sum, size) = (products.iter().sum::<f64>(), products.iter().map(|x| x.abs()).sum::<f64>());
        let error = (f64::from(value) - sum).abs();
        assert!(
            error <= size * 1e-6,
            "{taps} taps, {channels} channels, {tokens} tokens: {value} instead of {sum}"
        );
    }
    for threads in [1, 3, 8] {
        assert_eq!(bits(&run(&op, threads)), bits(&values));
    }
}

#[test]
fn a_concatenation_copies_every_value() {
    for count in [1, 2, 15, 16, 17, 40] {
        for axis in 0..4 {
            concatenates([7, 9, 3, 2], axis, count, false);
            concatenates([3, 300, 1, 1], axis, count, false);
        }
        concatenates([3, 300, 1, 1], 0, count, true);
        concatenates([3, 257, 2, 3], 0, count, true);
        concatenates([3, 1, 1, 1], 0, count, true);
        concatenates([3, 40, 2, 1], 1, count, true);
    }
}

/// Concatenates a tensor of a shape and one that differs in `count` along one axis, which may be stored transposed.
fn concatenates(shape: [usize; 4], axis: usize, count: usize, transposed: bool) {
    let mut random = Random(1);
    let mut other = shape;
    other[axis] = count;
    let a = random.values(shape.iter().product());
    let b = random.values(other.iter().product());
    let stored = if transposed { [other[1], other[0], other[2], other[3]] } else { other };
    // SAFETY: the two tensors differ along this axis only, once the second is transposed back.
    let concat = |context, t: &[_]| unsafe {
        let b = if transposed { sys::ggml_transpose(context, t[1]) } else { t[1] };
        sys::ggml_concat(context, t[0], b, i32::try_from(axis).expect("one of four"))
    };
    let op = Op { inputs: vec![Input::f32(shape, &a), Input::f32(stored, &b)], build: &concat };
    let mut whole = shape;
    whole[axis] += count;
    let values = run(&op, 2);
    assert_eq!(values.len(), whole.iter().product::<usize>());
    for (i, &value) in values.iter().enumerate() {
        let mut place = [i % whole[0], i / whole[0] % whole[1], i / whole[0] / whole[1] % whole[2], 0];
        place[3] = i / whole[0] / whole[1] / whole[2];
        let expected = if place[axis] < shape[axis] {
            a[index(place, shape)]
        } else {
            place[axis] -= shape[axis];
            if transposed {
                place.swap(0, 1);
            }
            b[index(place, stored)]
        };
        assert_eq!(value.to_bits(), expected.to_bits(), "{shape:?} and {count} along axis {axis}, value {i}");
    }
    for threads in [1, 3, 8] {
        assert_eq!(bits(&run(&op, threads)), bits(&values));
    }
}

fn index(place: [usize; 4], shape: [usize; 4]) -> usize {
    ((place[3] * shape[2] + place[2]) * shape[1] + place[1]) * shape[0] + place[0]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
