//! What a family wants in its GGUF: tensors made of rows of the checkpoint's modules.

/// A tensor of the GGUF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its GGUF name.
    pub name: String,
    /// Its sizes, fastest first.
    pub dims: Vec<u64>,
    /// Where its rows come from, in order.
    pub parts: Vec<Part>,
    /// What may happen to its values.
    pub rule: Rule,
}

/// Rows of one module of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Module name without `.weight`, or a parameter's full name.
    pub module: String,
    /// Outputs of the whole module.
    pub rows: u64,
    /// Inputs of the module.
    pub columns: u64,
    /// First row and number of rows of each run, in the order the GGUF wants them.
    pub runs: Vec<(u64, u64)>,
}

impl Part {
    /// All rows of a module.
    #[must_use]
    pub fn whole(module: String, rows: u64, columns: u64) -> Self {
        Self { module, rows, columns, runs: vec![(0, rows)] }
    }
}

/// What may happen to the values of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A matrix whose codes travel; any type that its graph node can read.
    Matrix {
        /// Which option of the caller chooses its type.
        role: Role,
        /// Whether the graph multiplies the product by `<name>.scale`.
        scaled: bool,
    },
    /// F32 always, after a function of each value.
    F32(Map),
}

/// Which option of the caller chooses the type of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The token embedding.
    TokenEmbedding,
    /// The language-model head.
    Head,
    /// The experts of one projection, stacked.
    Experts,
    /// Any other.
    Linear,
}

/// A function of each value, in F32 arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The value itself.
    Identity,
    /// `1 + x`: the family's norms multiply by one plus their weight.
    AddOne,
    /// `-exp(x)`: the decay of the delta net.
    NegExp,
}

impl Map {
    /// The function.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the result is defined as the nearest F32")]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::AddOne => x + 1.0,
            Self::NegExp => -(f64::from(x).exp() as f32),
        }
    }
}
