//! Gated delta nets, for any number of threads and however tokens are divided.
#![expect(unsafe_code, reason = "makes nodes of a graph of ggml")]

use llama_cpp_sys_2 as sys;

use super::random::Random;
use super::run::{Input, Op, run};

#[test]
fn a_delta_net_equals_its_definition() {
    let shape =
        Shape { size: 32, key_heads: 2, heads: 4, tokens: 7, sequences: 1, states: 1, per_channel: false };
    let mut shapes: Vec<Shape> = (1..=70).map(|tokens| Shape { tokens, ..shape }).collect();
    for per_channel in [false, true] {
        for size in [16, 32, 40, 48, 64, 128] {
            shapes.push(Shape { size, per_channel, ..shape });
        }
        for tokens in [1, 2, 65] {
            for states in [1, 2, 4] {
                for sequences in [1, 3] {
                    shapes.push(Shape { tokens, sequences, states, per_channel, ..shape });
                }
            }
        }
        for heads in [16, 32] {
            shapes.push(Shape { size: 128, key_heads: 16, heads, tokens: 3, per_channel, ..shape });
        }
    }
    for shape in shapes {
        let inputs = Inputs::random(shape);
        let expected = inputs.definition();
        let values = run(&inputs.op(), 2);
        assert_eq!(values.len(), expected.len());
        // States that are further back than the tokens are not written.
        let written = shape.outputs() + shape.states.min(shape.tokens) * shape.state();
        let (mut error, mut size) = (0.0, 0.0);
        for (&value, &expected) in values.iter().zip(&expected).take(written) {
            error += (f64::from(value) - expected).powi(2);
            size += expected.powi(2);
        }
        let error = (error / size).sqrt();
        assert!(error < 2e-6, "{shape:?}: {error}");
        for threads in [1, 3, 8] {
            assert_eq!(bits(&run(&inputs.op(), threads)[..written]), bits(&values[..written]), "{shape:?}");
        }
    }
}

#[test]
fn a_delta_net_is_the_same_in_parts() {
    let shape =
        Shape { size: 64, key_heads: 2, heads: 2, tokens: 150, sequences: 1, states: 1, per_channel: false };
    for per_channel in [false, true] {
        let whole = Inputs::random(Shape { per_channel, ..shape });
        let values = run(&whole.op(), 2);
        let mut state = whole.state.clone();
        let mut outputs = Vec::new();
        let mut done = 0;
        for tokens in [1, 1, 64, 3, 65, 16] {
            let mut part = whole.part(done, tokens);
            part.state = state;
            let values = run(&part.op(), 2);
            outputs.extend_from_slice(&values[..part.shape.outputs()]);
            state = values[part.shape.outputs()..].to_vec();
            done += tokens;
        }
        assert_eq!(done, shape.tokens);
        outputs.extend(state);
        assert_eq!(bits(&outputs), bits(&values));
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The channels of a head, and the rows of its state.
    pub(super) size: usize,
    pub(super) key_heads: usize,
    pub(super) heads: usize,
    pub(super) tokens: usize,
    pub(super) sequences: usize,
    /// How many of the last states are written.
    pub(super) states: usize,
    /// Whether each channel has a decay of its own.
    pub(super) per_channel: bool,
}

impl Shape {
    /// The numbers of all outputs.
    pub(super) fn outputs(self) -> usize {
        self.size * self.heads * self.tokens * self.sequences
    }

    /// The numbers of the states of all sequences.
    pub(super) fn state(self) -> usize {
        self.size * self.size * self.heads * self.sequences
    }

    fn decays(self) -> usize {
        if self.per_channel { self.size } else { 1 }
    }
}

pub(super) struct Inputs {
    shape: Shape,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// The logarithms of the decays.
    g: Vec<f32>,
    beta: Vec<f32>,
    pub(super) state: Vec<f32>,
}

impl Inputs {
    pub(super) fn random(shape: Shape) -> Self {
        let mut random = Random(shape.tokens as u64);
        let mut values = |count: usize, low: f32, high: f32| -> Vec<f32> {
            (0..count).map(|_| low + (high - low) * (random.value() * 0.5 + 0.5)).collect()
        };
        let tokens = shape.tokens * shape.sequences;
        let keys = shape.size * shape.key_heads * tokens;
        let mut inputs = Self {
            shape,
            q: values(keys, -1.0, 1.0),
            k: values(keys, -1.0, 1.0),
            v: values(shape.size * shape.heads * tokens, -0.3, 5.0),
            g: values(shape.decays() * shape.heads * tokens, -1.0, -1e-4),
            beta: values(shape.heads * tokens, 0.0, 1.0),
            state: values(shape.state(), -1.0, 1.0),
        };
        for vector in [&mut inputs.q, &mut inputs.k].into_iter().flat_map(|x| x.chunks_mut(shape.size)) {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            for x in vector.iter_mut() {
                *x /= length;
            }
        }
        inputs
    }

    /// Some tokens of a single sequence, with the same state.
    fn part(&self, from: usize, tokens: usize) -> Self {
        assert_eq!(self.shape.sequences, 1);
        let cut = |all: &[f32]| {
            let row = all.len() / self.shape.tokens;
            all[from * row..(from + tokens) * row].to_vec()
        };
        Self {
            shape: Shape { tokens, ..self.shape },
            q: cut(&self.q),
            k: cut(&self.k),
            v: cut(&self.v),
            g: cut(&self.g),
            beta: cut(&self.beta),
            state: self.state.clone(),
        }
    }

    pub(super) fn op(&self) -> Op<'static> {
        let Shape { size, key_heads, heads, tokens, sequences, states, .. } = self.shape;
        let build: super::run::Build<'static> = match states {
            1 => &|context, t| node(context, t, 1),
            2 => &|context, t| node(context, t, 2),
            _ => &|context, t| node(context, t, 4),
        };
        Op {
            inputs: vec![
                Input::f32([size, key_heads, tokens, sequences], &self.q),
                Input::f32([size, key_heads, tokens, sequences], &self.k),
                Input::f32([size, heads, tokens, sequences], &self.v),
                Input::f32([self.shape.decays(), heads, tokens, sequences], &self.g),
                Input::f32([1, heads, tokens, sequences], &self.beta),
                Input::f32([size, size, heads, sequences], &self.state),
            ],
            build,
        }
    }

    /// The outputs, then the last states, the newest first. A state is decayed, corrected by what it lacks to give the
    /// value for the key, and read with the query.
    fn definition(&self) -> Vec<f64> {
        let Shape { size, key_heads, heads, tokens, sequences, states, .. } = self.shape;
        let mut result = vec![0.0; self.shape.outputs() + states * self.shape.state()];
        for sequence in 0..sequences {
            for head in 0..heads {
                let place = (sequence * heads + head) * size * size;
                let mut state: Vec<f64> =
                    self.state[place..place + size * size].iter().map(|&x| f64::from(x)).collect();
                for token in 0..tokens {
                    let index = (sequence * tokens + token) * heads + head;
                    let key = ((sequence * tokens + token) * key_heads + head % key_heads) * size;
                    let k = |i: usize| f64::from(self.k[key + i]);
                    let q = |i: usize| f64::from(self.q[key + i]);
                    for row in 0..size {
                        let state = &mut state[row * size..][..size];
                        for (i, x) in state.iter_mut().enumerate() {
                            let decay =
                                index * self.shape.decays() + if self.shape.per_channel { i } else { 0 };
                            *x *= f64::from(self.g[decay]).exp();
                        }
                        let found: f64 = state.iter().enumerate().map(|(i, x)| x * k(i)).sum();
                        let lacks = f64::from(self.v[index * size + row]) - found;
                        for (i, x) in state.iter_mut().enumerate() {
                            *x += lacks * f64::from(self.beta[index]) * k(i);
                        }
                        let output: f64 = state.iter().enumerate().map(|(i, x)| x * q(i)).sum();
                        result[index * size + row] = output / f64::from(small(size)).sqrt();
                    }
                    let back = tokens - 1 - token;
                    if back < states {
                        let start = self.shape.outputs() + back * self.shape.state() + place;
                        result[start..start + size * size].copy_from_slice(&state);
                    }
                }
            }
        }
        result
    }
}

/// The bits of values, to compare them exactly.
pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The operation, which keeps this number of states.
fn node(context: *mut sys::ggml_context, t: &[*mut sys::ggml_tensor], states: i64) -> *mut sys::ggml_tensor {
    // SAFETY: the tensors have the shapes that the operation expects.
    unsafe { sys::ggml_gated_delta_net(context, t[0], t[1], t[2], t[3], t[4], t[5], states) }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a small number")
}
