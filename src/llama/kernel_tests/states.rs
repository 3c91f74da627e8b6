//! Delta nets whose states are rows of a cache, as in the graphs of llama.cpp: gathered by number, and copied back.
#![expect(unsafe_code, reason = "makes nodes of a graph of ggml")]

use std::cell::Cell;
use std::ptr;

use llama_cpp_sys_2 as sys;

use super::delta_net::{Inputs, Shape, bits};
use super::random::Random;
use super::run::{Input, Op, run, run_in_place, run_with_node};
use crate::llama::caps;

/// Cells of the cache. Each may have as many rows, in groups, as states are kept.
const CELLS: usize = 4;

#[test]
fn states_in_a_cache_are_those_of_a_separate_delta_net() {
    for per_channel in [false, true] {
        for states in [1, 3] {
            for tokens in [1, 2, 5, 66] {
                let shape =
                    Shape { size: 16, key_heads: 2, heads: 2, tokens, sequences: 1, states, per_channel };
                // The first cell that is written, and the rows that are read.
                let mut cases: Vec<(usize, Vec<usize>)> = vec![
                    (1, vec![1]),
                    (1, vec![3]),
                    (1, vec![1, 2]),
                    (1, vec![2, 1]),
                    (1, vec![1, 1]),
                    (1, vec![0, 0]),
                    (0, vec![0, 3, 2]),
                    (0, vec![1, 3, 2]),
                ];
                if states > 1 {
                    let rolled_back = [vec![1 + CELLS], vec![1 + 2 * CELLS], vec![1 + CELLS, 2 + 2 * CELLS]];
                    cases.extend(rolled_back.into_iter().map(|rows| (1, rows)));
                    cases.push((1, vec![2 + CELLS, 1]));
                }
                for (first, rows) in cases {
                    computes_in_cache(Shape { sequences: rows.len(), ..shape }, first, &rows);
                }
            }
        }
    }
}

#[test]
fn rows_that_their_own_sequences_replace_are_not_gathered() {
    let shape =
        Shape { size: 16, key_heads: 2, heads: 2, tokens: 2, sequences: 2, states: 1, per_channel: false };
    let gathered = Cell::new(ptr::null_mut());
    let build = |context, t: &[_]| graph(context, t, shape, 1, &gathered);
    for (rows, skipped) in [([1, 2], true), ([2, 1], false)] {
        let mut op = Inputs::random(shape).op();
        op.inputs[5] = cache(shape);
        op.inputs.push(Input::i32([2, 1, 1, 1], &rows));
        let op = Op { inputs: op.inputs, build: &build };
        for threads in [1, 3] {
            let (_, bytes) = run_with_node(&op, threads, &gathered);
            // Where the rows would be, there are at most their numbers.
            let is_untouched = bytes[bytes.len() / 2..].iter().all(|&byte| byte == 0xff);
            let is_patched = caps().patches.iter().any(|name| name == "0007-states-in-place");
            assert_eq!(is_untouched, skipped && is_patched, "{rows:?}, {threads} threads");
        }
    }
}

/// A cache with random states.
fn cache(shape: Shape) -> Input {
    let row = shape.state() / shape.sequences;
    Input::f32([row, CELLS * shape.states, 1, 1], &Random(7).values(row * CELLS * shape.states))
}

fn computes_in_cache(shape: Shape, first: usize, rows: &[usize]) {
    let row = shape.state() / shape.sequences;
    let cache = Random(7).values(row * CELLS * shape.states);
    let mut inputs = Inputs::random(shape);
    inputs.state = rows.iter().flat_map(|&id| cache[id * row..(id + 1) * row].to_vec()).collect();
    let expected = run(&inputs.op(), 2);
    let (outputs, new_states) = expected.split_at(shape.outputs());
    let written = shape.states.min(shape.tokens);
    let mut expected_cache = cache.clone();
    for (back, new) in new_states.chunks_exact(shape.state()).take(written).enumerate() {
        expected_cache[(back * CELLS + first) * row..][..shape.state()].copy_from_slice(new);
    }

    let gathered = Cell::new(ptr::null_mut());
    let build = |context, t: &[_]| graph(context, t, shape, first, &gathered);
    let mut op = inputs.op();
    let numbers: Vec<i32> = rows.iter().map(|&id| i32::try_from(id).expect("a small number")).collect();
    op.inputs[5] = self::cache(shape);
    op.inputs.push(Input::i32([rows.len(), 1, 1, 1], &numbers));
    let op = Op { inputs: op.inputs, build: &build };
    for threads in [1, 2, 3] {
        let (values, tensors) = run_in_place(&op, threads);
        let name = format!("{shape:?} from {rows:?} to {first}, {threads} threads");
        assert_eq!(bits(&values[..outputs.len()]), bits(outputs), "{name}");
        assert_eq!(bits(&values[outputs.len()..]), bits(&new_states[..written * shape.state()]), "{name}");
        assert_eq!(tensors[5], Input::f32([0; 4], &expected_cache).bytes, "{name}");
    }
}

/// The nodes with which a layer of llama.cpp computes. The result is the outputs, then the new states.
fn graph(
    context: *mut sys::ggml_context,
    t: &[*mut sys::ggml_tensor],
    shape: Shape,
    first: usize,
    cell: &Cell<*mut sys::ggml_tensor>,
) -> *mut sys::ggml_tensor {
    let number = |n: usize| i64::try_from(n).expect("a small number");
    let (size, heads, sequences) = (number(shape.size), number(shape.heads), number(shape.sequences));
    let row = shape.state() / shape.sequences;
    let written = shape.states.min(shape.tokens);
    // SAFETY: the context has room for these tensors, and each view lies within its tensor.
    unsafe {
        let gathered = sys::ggml_get_rows(context, t[5], t[6]);
        cell.set(gathered);
        let state = sys::ggml_view_2d(context, gathered, number(row), sequences, row * 4, 0);
        let state = sys::ggml_reshape_4d(context, state, size, size, heads, sequences);
        let net =
            sys::ggml_gated_delta_net(context, t[0], t[1], t[2], t[3], t[4], state, number(shape.states));
        let new = sys::ggml_view_3d(
            context,
            net,
            number(row),
            sequences,
            number(written),
            row * 4,
            shape.state() * 4,
            shape.outputs() * 4,
        );
        let cells = sys::ggml_view_3d(
            context,
            t[5],
            number(row),
            sequences,
            number(written),
            row * 4,
            CELLS * row * 4,
            first * row * 4,
        );
        let outputs = sys::ggml_view_1d(context, net, number(shape.outputs()), 0);
        let copied = sys::ggml_cont(context, sys::ggml_cpy(context, new, cells));
        let copied = sys::ggml_reshape_1d(context, copied, number(written * shape.state()));
        sys::ggml_concat(context, outputs, copied, 0)
    }
}
