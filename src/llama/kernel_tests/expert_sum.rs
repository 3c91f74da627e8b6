//! The weighted sum of experts, which our patch computes in one pass.
#![expect(unsafe_code, reason = "adds operations to graphs of ggml, which the binding does not export")]

use std::cell::Cell;
use std::ptr;

use llama_cpp_sys_2 as sys;

use super::random::Random;
use super::run::{Input, Op, run_with_node};

#[test]
fn the_sum_of_experts_is_computed_in_one_pass() {
    for width in [1, 15, 256, 257, 2048] {
        for (experts, added) in [(2, 2), (3, 3), (10, 10), (10, 4)] {
            for tokens in [1, 2, 3, 40] {
                for threads in [1, 2, 3, 8] {
                    let sum = Sum { width, experts, added, tokens, keep: Keep::Nothing };
                    assert_sum(&sum, threads, true);
                }
            }
        }
    }
}

#[test]
fn a_sum_whose_parts_are_used_elsewhere_is_computed_node_by_node() {
    for keep in [Keep::Product, Keep::PartialSum, Keep::TwiceUsed] {
        for tokens in [1, 5] {
            assert_sum(&Sum { width: 300, experts: 4, added: 4, tokens, keep }, 2, false);
        }
    }
}

/// Outputs of experts, with their weights, of which the first are added.
#[derive(Debug, Clone, Copy)]
struct Sum {
    width: usize,
    experts: usize,
    added: usize,
    tokens: usize,
    keep: Keep,
}

/// What is needed beside the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Product,
    PartialSum,
    TwiceUsed,
}

/// Compares bits with the definition, and whether the products were computed as a node of their own.
fn assert_sum(sum: &Sum, threads: usize, in_one_pass: bool) {
    let Sum { width, experts, added, tokens, keep } = *sum;
    let mut random = Random((width * 100 + experts * 10 + tokens) as u64);
    let mut outputs = random.values(width * experts * tokens);
    outputs[0] = 1e-40;
    *outputs.last_mut().unwrap() = f32::INFINITY;
    let weights = random.values(experts * tokens);

    let product = Cell::new(ptr::null_mut());
    let build = |context, inputs: &[*mut sys::ggml_tensor]| build(context, inputs, added, keep, &product);
    let inputs = vec![
        Input::f32([width, experts, tokens, 1], &outputs),
        Input::f32([1, experts, tokens, 1], &weights),
    ];
    let (values, products) = run_with_node(&Op { inputs, build: &build }, threads, &product);

    for token in 0..tokens {
        for column in 0..width {
            let term =
                |e: usize| outputs[(token * experts + e) * width + column] * weights[token * experts + e];
            let again = (keep == Keep::TwiceUsed).then_some(0);
            let expected = (1..added).chain(again).fold(term(0), |sum, expert| sum + term(expert));
            let value = values[token * width + column];
            let same = value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
            assert!(same, "{sum:?}, {threads} threads, {token}, {column}: {value}, not {expected}");
        }
    }
    assert_eq!(products.iter().all(|&byte| byte == 0xff), in_one_pass, "{sum:?}, {threads} threads");
}

/// Adds the nodes as llama.cpp does.
fn build(
    context: *mut sys::ggml_context,
    inputs: &[*mut sys::ggml_tensor],
    added: usize,
    keep: Keep,
    cell: &Cell<*mut sys::ggml_tensor>,
) -> *mut sys::ggml_tensor {
    // SAFETY: all tensors are of the context, the weights can be repeated to the outputs, and the views are of whole
    // rows of the product.
    unsafe {
        let product = sys::ggml_mul(context, inputs[0], inputs[1]);
        cell.set(product);
        let [width, _, tokens, _] = (*product).ne;
        let row = |expert: usize| {
            let offset = expert * (*product).nb[1];
            sys::ggml_view_2d(context, product, width, tokens, (*product).nb[2], offset)
        };
        let mut sum = row(0);
        for expert in 1..added {
            sum = sys::ggml_add(context, sum, row(expert));
            if keep == Keep::PartialSum && expert == 1 {
                sys::ggml_set_output(sum);
            }
        }
        match keep {
            Keep::Product => sys::ggml_set_output(product),
            Keep::TwiceUsed => sum = sys::ggml_add(context, sum, row(0)),
            Keep::Nothing | Keep::PartialSum => {}
        }
        sum
    }
}
