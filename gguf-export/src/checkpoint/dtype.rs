//! Dtypes of safetensors files.

use safetensors::Dtype as Raw;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

/// Dtype of a stored tensor, named as in the safetensors header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of safetensors")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    F8E5M2,
    F8E4M3,
    F8E8M0,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
}

impl Dtype {
    /// Bytes per element.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E5M2 | Self::F8E4M3 | Self::F8E8M0 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// The name in safetensors headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::F8E5M2 => "F8_E5M2",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E8M0 => "F8_E8M0",
            Self::I16 => "I16",
            Self::U16 => "U16",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I32 => "I32",
            Self::U32 => "U32",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::I64 => "I64",
            Self::U64 => "U64",
        }
    }

    /// The dtype with a name; `None` for unknown names, packed sub-byte types and complex types.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        Self::lower(Raw::deserialize(name).ok()?)
    }

    /// `None` for packed sub-byte and complex types.
    fn lower(raw: Raw) -> Option<Self> {
        Some(match raw {
            Raw::BOOL => Self::Bool,
            Raw::U8 => Self::U8,
            Raw::I8 => Self::I8,
            Raw::F8_E5M2 => Self::F8E5M2,
            Raw::F8_E4M3 => Self::F8E4M3,
            Raw::F8_E8M0 => Self::F8E8M0,
            Raw::I16 => Self::I16,
            Raw::U16 => Self::U16,
            Raw::F16 => Self::F16,
            Raw::BF16 => Self::BF16,
            Raw::I32 => Self::I32,
            Raw::U32 => Self::U32,
            Raw::F32 => Self::F32,
            Raw::F64 => Self::F64,
            Raw::I64 => Self::I64,
            Raw::U64 => Self::U64,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
