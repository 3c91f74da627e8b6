//! The tensors of a family's GGUF, assembled from rows of the checkpoint's modules.

/// A tensor of the GGUF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its GGUF name.
    pub name: String,
    /// Its dimensions, fastest first.
    pub dims: Vec<u64>,
    /// The sources of its rows, in order.
    pub parts: Vec<Part>,
    /// The order of its columns.
    pub columns: Columns,
    /// How its values are stored.
    pub rule: Rule,
}

impl Target {
    /// Returns true if values are moved one by one, which only floats allow.
    #[must_use]
    pub fn is_by_value(&self) -> bool {
        self.parts.iter().any(|part| part.order.by_value())
    }
}

/// Rows of one module of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Module name without `.weight`, or the full name of a parameter.
    pub module: String,
    /// Outputs of the whole module.
    pub rows: u64,
    /// Inputs of the module.
    pub columns: u64,
    /// First row of each run in the source, and its number of rows in the GGUF, in the order of the GGUF.
    pub runs: Vec<(u64, u64)>,
    /// How the rows of each run are made.
    pub order: Rows,
}

/// How the rows of a run are made from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rows {
    /// That of the source.
    AsStored,
    /// The first and the second half in turn: row `2i` of the GGUF is row `i` of the run, row `2i + 1` is row
    /// `i + rows / 2`. llama.cpp's Llama rotates neighbors, transformers' the halves.
    Interleaved,
    /// Every second row: row `i` of the GGUF is row `2i` from the first of the run.
    Alternate,
    /// Columns become rows: row `i` of the GGUF is column `first + i * step` of as many rows from the first of the run as
    /// the GGUF has columns.
    Transposed {
        /// The first column.
        first: u64,
        /// Distance from each column to the next.
        step: u64,
    },
    /// Every second value of each row.
    Entries {
        /// The first of them.
        first: u64,
    },
}

impl Rows {
    /// Returns true if values are moved one by one, which only floats allow.
    #[must_use]
    pub fn by_value(self) -> bool {
        matches!(self, Self::Transposed { .. } | Self::Entries { .. })
    }
}

impl Part {
    /// All rows of a module.
    #[must_use]
    pub fn whole(module: String, rows: u64, columns: u64) -> Self {
        Self { module, rows, columns, runs: vec![(0, rows)], order: Rows::AsStored }
    }
}

/// The order of the columns of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// That of the source.
    AsStored,
    /// First column and number of columns of each run of the source, in the order of the GGUF. Together the runs are all
    /// columns.
    Runs(Vec<(u64, u64)>),
}

impl Columns {
    /// Columns in the order of runs.
    #[must_use]
    pub fn runs(runs: Vec<(u64, u64)>) -> Self {
        if runs.len() == 1 { Self::AsStored } else { Self::Runs(runs) }
    }

    /// Returns true if no run splits a block of this many columns.
    #[must_use]
    pub fn keep_blocks(&self, block: u64) -> bool {
        let whole = |(start, len): &(u64, u64)| start.is_multiple_of(block) && len.is_multiple_of(block);
        match self {
            Self::AsStored => true,
            Self::Runs(runs) => runs.iter().all(whole),
        }
    }
}

/// How the values of a target are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A matrix of any type, whose integer codes are moved unchanged where possible.
    Matrix {
        /// Selects the option that sets its type.
        role: Role,
        /// True if the graph multiplies the product by `<name>.scale`.
        scaled: bool,
    },
    /// F32, with a function applied to each value.
    F32(Map),
    /// F32, the divisors of the rotary frequencies: [`Rope::factors`](super::Rope::factors). It has no parts.
    RopeFactors,
}

/// Role of a matrix; selects the option that sets its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The token embedding.
    TokenEmbedding,
    /// The language-model head.
    Head,
    /// The experts of one projection, stacked.
    Experts,
    /// The keys' part of latent attention, transposed.
    LatentKeys,
    /// Any other matrix.
    Linear,
}

/// A function applied to each value, in F32 arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The value itself.
    Identity,
    /// `1 + x`: the family's norms multiply by one plus the stored weight.
    AddOne,
    /// `-exp(x)`: decay of the gated delta net.
    NegExp,
}

impl Map {
    /// Applies the function.
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
