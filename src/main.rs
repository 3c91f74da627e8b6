//! The `ggrun` command.

fn main() {}
