//! Metadata values and their encoding.

use gguf_rs_lib::format::GGUFValueType as Kind;

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are named after their Rust types")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Str(String),
    Array(Array),
}

/// An array of values of one type. Arrays of arrays are not supported; llama.cpp does not use them.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are named after their Rust types")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Str(Vec<String>),
}

impl Value {
    /// Name of the type as in the GGUF specification.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    /// The value as u64, if it is a non-negative integer of any type.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(v) => Some(v.into()),
            Self::U16(v) => Some(v.into()),
            Self::U32(v) => Some(v.into()),
            Self::U64(v) => Some(v),
            Self::I8(v) => v.try_into().ok(),
            Self::I16(v) => v.try_into().ok(),
            Self::I32(v) => v.try_into().ok(),
            Self::I64(v) => v.try_into().ok(),
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::U8(_) => Kind::U8,
            Self::I8(_) => Kind::I8,
            Self::U16(_) => Kind::U16,
            Self::I16(_) => Kind::I16,
            Self::U32(_) => Kind::U32,
            Self::I32(_) => Kind::I32,
            Self::U64(_) => Kind::U64,
            Self::I64(_) => Kind::I64,
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
            Self::Bool(_) => Kind::Bool,
            Self::Str(_) => Kind::String,
            Self::Array(_) => Kind::Array,
        }
    }

    /// Appends the type identifier and the value.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.kind() as u32).to_le_bytes());
        match self {
            Self::U8(v) => out.push(*v),
            Self::I8(v) => out.extend(v.to_le_bytes()),
            Self::U16(v) => out.extend(v.to_le_bytes()),
            Self::I16(v) => out.extend(v.to_le_bytes()),
            Self::U32(v) => out.extend(v.to_le_bytes()),
            Self::I32(v) => out.extend(v.to_le_bytes()),
            Self::U64(v) => out.extend(v.to_le_bytes()),
            Self::I64(v) => out.extend(v.to_le_bytes()),
            Self::F32(v) => out.extend(v.to_le_bytes()),
            Self::F64(v) => out.extend(v.to_le_bytes()),
            Self::Bool(v) => out.push(u8::from(*v)),
            Self::Str(v) => encode_str(v, out),
            Self::Array(v) => v.encode(out),
        }
    }
}

impl Array {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Str(v) => v.len(),
        }
    }

    /// Returns true if there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i` as a [`Value`]; `None` past the end.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Value> {
        Some(match self {
            Self::U8(v) => (*v.get(i)?).into(),
            Self::I8(v) => (*v.get(i)?).into(),
            Self::U16(v) => (*v.get(i)?).into(),
            Self::I16(v) => (*v.get(i)?).into(),
            Self::U32(v) => (*v.get(i)?).into(),
            Self::I32(v) => (*v.get(i)?).into(),
            Self::U64(v) => (*v.get(i)?).into(),
            Self::I64(v) => (*v.get(i)?).into(),
            Self::F32(v) => (*v.get(i)?).into(),
            Self::F64(v) => (*v.get(i)?).into(),
            Self::Bool(v) => (*v.get(i)?).into(),
            Self::Str(v) => v.get(i)?.as_str().into(),
        })
    }

    /// Name of the element type as in the GGUF specification.
    #[must_use]
    pub fn element_type_name(&self) -> &'static str {
        self.kind().name()
    }

    fn kind(&self) -> Kind {
        match self {
            Self::U8(_) => Kind::U8,
            Self::I8(_) => Kind::I8,
            Self::U16(_) => Kind::U16,
            Self::I16(_) => Kind::I16,
            Self::U32(_) => Kind::U32,
            Self::I32(_) => Kind::I32,
            Self::U64(_) => Kind::U64,
            Self::I64(_) => Kind::I64,
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
            Self::Bool(_) => Kind::Bool,
            Self::Str(_) => Kind::String,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.kind() as u32).to_le_bytes());
        out.extend((self.len() as u64).to_le_bytes());
        match self {
            Self::U8(v) => out.extend(v),
            Self::I8(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::U16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::I16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::U32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::I32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::U64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::I64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::F64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            Self::Bool(v) => out.extend(v.iter().map(|x| u8::from(*x))),
            Self::Str(v) => v.iter().for_each(|x| encode_str(x, out)),
        }
    }
}

/// Appends the length and the bytes of a string.
pub(super) fn encode_str(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

macro_rules! from {
    ($($ty:ty => $variant:ident),*) => {$(
        impl From<$ty> for Value {
            fn from(v: $ty) -> Self {
                Self::$variant(v)
            }
        }
        impl From<Vec<$ty>> for Value {
            fn from(v: Vec<$ty>) -> Self {
                Self::Array(Array::$variant(v))
            }
        }
    )*};
}

from! {
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64, bool => Bool, String => Str
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Str(v.to_owned())
    }
}

impl From<Array> for Value {
    fn from(v: Array) -> Self {
        Self::Array(v)
    }
}
