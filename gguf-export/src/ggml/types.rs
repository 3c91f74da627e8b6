//! The tensor types of a GGUF file: identifiers, block sizes, file types.
//!
//! Source: `ggml.h`, `ggml-common.h` and `llama.h` of llama.cpp b11434.

/// Type of a tensor's elements.
///
/// A row of a tensor is a whole number of blocks; plain types such as `F32` have blocks of one element.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[expect(non_camel_case_types, reason = "ggml's own names")]
#[expect(missing_docs, reason = "the names are ggml's; the table below has the sizes")]
pub enum GgmlType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

/// One type: variant, identifier, name, elements per block, bytes per block, `general.file_type`.
type Row = (GgmlType, u32, &'static str, u64, u64, Option<u32>);

/// In the order of the enum.
#[rustfmt::skip]
const TABLE: [Row; 35] = [
    (GgmlType::F32,      0, "F32",       1,   4, Some(0)),
    (GgmlType::F16,      1, "F16",       1,   2, Some(1)),
    (GgmlType::Q4_0,     2, "Q4_0",     32,  18, Some(2)),
    (GgmlType::Q4_1,     3, "Q4_1",     32,  20, Some(3)),
    (GgmlType::Q5_0,     6, "Q5_0",     32,  22, Some(8)),
    (GgmlType::Q5_1,     7, "Q5_1",     32,  24, Some(9)),
    (GgmlType::Q8_0,     8, "Q8_0",     32,  34, Some(7)),
    (GgmlType::Q8_1,     9, "Q8_1",     32,  36, None),
    (GgmlType::Q2_K,    10, "Q2_K",    256,  84, Some(10)),
    (GgmlType::Q3_K,    11, "Q3_K",    256, 110, Some(11)),
    (GgmlType::Q4_K,    12, "Q4_K",    256, 144, Some(14)),
    (GgmlType::Q5_K,    13, "Q5_K",    256, 176, Some(16)),
    (GgmlType::Q6_K,    14, "Q6_K",    256, 210, Some(18)),
    (GgmlType::Q8_K,    15, "Q8_K",    256, 292, None),
    (GgmlType::IQ2_XXS, 16, "IQ2_XXS", 256,  66, Some(19)),
    (GgmlType::IQ2_XS,  17, "IQ2_XS",  256,  74, Some(20)),
    (GgmlType::IQ3_XXS, 18, "IQ3_XXS", 256,  98, Some(23)),
    (GgmlType::IQ1_S,   19, "IQ1_S",   256,  50, Some(24)),
    (GgmlType::IQ4_NL,  20, "IQ4_NL",   32,  18, Some(25)),
    (GgmlType::IQ3_S,   21, "IQ3_S",   256, 110, Some(26)),
    (GgmlType::IQ2_S,   22, "IQ2_S",   256,  82, Some(28)),
    (GgmlType::IQ4_XS,  23, "IQ4_XS",  256, 136, Some(30)),
    (GgmlType::I8,      24, "I8",        1,   1, None),
    (GgmlType::I16,     25, "I16",       1,   2, None),
    (GgmlType::I32,     26, "I32",       1,   4, None),
    (GgmlType::I64,     27, "I64",       1,   8, None),
    (GgmlType::F64,     28, "F64",       1,   8, None),
    (GgmlType::IQ1_M,   29, "IQ1_M",   256,  56, Some(31)),
    (GgmlType::BF16,    30, "BF16",      1,   2, Some(32)),
    (GgmlType::TQ1_0,   34, "TQ1_0",   256,  54, Some(36)),
    (GgmlType::TQ2_0,   35, "TQ2_0",   256,  66, Some(37)),
    (GgmlType::MXFP4,   39, "MXFP4",    32,  17, Some(38)),
    (GgmlType::NVFP4,   40, "NVFP4",    64,  36, Some(39)),
    (GgmlType::Q1_0,    41, "Q1_0",    128,  18, Some(40)),
    (GgmlType::Q2_0,    42, "Q2_0",     64,  18, Some(41)),
];

// The table is indexed by the enum.
const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        assert!(TABLE[i].0 as usize == i);
        i += 1;
    }
};

impl GgmlType {
    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Every type.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The identifier in a GGUF file.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.row().1
    }

    /// The type with an identifier; `None` for removed and unknown identifiers.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// ggml's name, `Q4_0`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().2
    }

    /// Elements per block.
    #[must_use]
    pub const fn block_len(self) -> u64 {
        self.row().3
    }

    /// Bytes per block.
    #[must_use]
    pub const fn block_bytes(self) -> u64 {
        self.row().4
    }

    /// Bytes of a row of `columns` elements; `None` if they are not a whole number of blocks or the result overflows.
    #[must_use]
    pub const fn row_bytes(self, columns: u64) -> Option<u64> {
        if columns.is_multiple_of(self.block_len()) {
            (columns / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// The `general.file_type` of a file whose weights mostly have this type.
    ///
    /// For K types this is the `_S` recipe, which uses a single type; `None` for types without a recipe of their
    /// name.
    #[must_use]
    pub const fn file_type(self) -> Option<u32> {
        self.row().5
    }
}

impl std::fmt::Display for GgmlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_sizes_are_those_of_the_gguf_crate() {
        for ty in GgmlType::all() {
            let theirs = gguf_rs_lib::format::GGUFTensorType::from_u32(ty.id()).unwrap();
            assert_eq!(GgmlType::from_id(ty.id()), Some(ty));
            assert_eq!(theirs.block_size() as u64, ty.block_len(), "{ty}");
            assert_eq!(theirs.checked_calculate_size(ty.block_len()), Some(ty.block_bytes()), "{ty}");
        }
    }

    #[test]
    fn removed_and_unknown_identifiers_have_no_type() {
        for id in [4, 5, 31, 32, 33, 36, 37, 38, 43, u32::MAX] {
            assert_eq!(GgmlType::from_id(id), None);
        }
    }

    #[test]
    fn a_row_is_a_whole_number_of_blocks() {
        assert_eq!(GgmlType::Q4_0.row_bytes(2048), Some(1152));
        assert_eq!(GgmlType::Q4_0.row_bytes(2047), None);
        assert_eq!(GgmlType::Q2_0.row_bytes(32), None);
        assert_eq!(GgmlType::F64.row_bytes(u64::MAX), None);
        assert_eq!(GgmlType::F32.row_bytes(0), Some(0));
    }
}
