//! The tables, one file for each family of architectures.

mod deepseek2;
#[cfg(test)]
mod factors;
mod gemma4;
mod glm4moe;
mod gpt_oss;
mod llama;
mod minimax_m2;
mod qwen3;
mod qwen35;
mod qwen3next;
#[cfg(test)]
mod running;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;

use super::slot::Table;

/// The architectures whose tensors are checked by name, shape and type. Of others, only names and types are.
const TABLES: [&Table; 12] = [
    &qwen3next::TABLE,
    &qwen35::DENSE,
    &qwen35::EXPERT,
    &qwen3::DENSE,
    &qwen3::EXPERT,
    &llama::LLAMA,
    &llama::MISTRAL,
    &glm4moe::TABLE,
    &deepseek2::TABLE,
    &gpt_oss::TABLE,
    &minimax_m2::TABLE,
    &gemma4::TABLE,
];

/// The table of an architecture.
pub(super) fn table(architecture: &str) -> Option<&'static Table> {
    TABLES.into_iter().find(|table| table.name == architecture)
}
