//! Single operations of llama.cpp's CPU backend, held to their definitions. `run` computes one; each family of
//! operations has a file with its definition in plain Rust and its tests.

mod convolution;
mod delta_net;
mod expert_sum;
mod matrix_products;
mod products;
mod random;
mod run;
mod states;
mod version;

pub(crate) use version::default_version;
