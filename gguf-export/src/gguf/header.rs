//! The header of a GGUF file: everything before the tensor data.

use std::path::Path;

use gguf_rs_lib::format::constants::{GGUF_DEFAULT_ALIGNMENT, GGUF_MAGIC, GGUF_VERSION};

use super::value::encode_str;
use super::{Metadata, Value, keys};
use crate::ggml::GgmlType;
use crate::{Error, Result};

/// Length limit of a tensor name in bytes: `GGML_MAX_NAME - 1`.
pub(super) const MAX_NAME: usize = 63;
/// Limit of a tensor's dimensions: `GGML_MAX_DIMS`.
pub(super) const MAX_DIMS: usize = 4;
/// Largest alignment that is accepted, in bytes.
const MAX_ALIGNMENT: u64 = 1 << 20;

/// A tensor descriptor: name, shape, type and offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, at most 63 bytes.
    pub name: String,
    /// One to four dimensions, fastest first.
    pub dims: Vec<u64>,
    /// Type of the elements.
    pub ty: GgmlType,
    /// Offset of the data in bytes, from the start of the data section.
    pub offset: u64,
}

impl TensorInfo {
    /// Length of the data in bytes.
    ///
    /// `u64::MAX` for an invalid shape, which a [`Header`] that was read or laid out does not contain.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        data_bytes(&self.dims, self.ty).unwrap_or(u64::MAX)
    }

    /// Number of elements; `u64::MAX` on overflow.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).unwrap_or(u64::MAX)
    }
}

/// The header of a GGUF file, with the position of the data section.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Metadata keys and values.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorInfo>,
    /// Alignment of the data section and of each tensor in it, in bytes.
    pub alignment: u64,
    /// Offset of the data section in bytes, from the start of the file.
    pub data_offset: u64,
}

impl Header {
    /// Lays out the tensors one after the other, each at the next aligned offset.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a tensor or key that readers reject: a name that is empty, too long or duplicate, a
    /// shape that does not fit its type, an alignment that is not a power of two.
    pub fn layout(metadata: Metadata, tensors: Vec<(String, Vec<u64>, GgmlType)>) -> Result<Self> {
        let path = Path::new("the new file");
        let alignment = alignment(path, &metadata)?;
        let mut offset = 0u64;
        let mut placed = Vec::with_capacity(tensors.len());
        for (name, dims, ty) in tensors {
            if name.len() > MAX_NAME {
                return Err(malformed(
                    path,
                    format!("tensor name `{name}` of {} bytes", name.len()),
                    "at most 63",
                ));
            }
            let info = TensorInfo { name, dims, ty, offset };
            let end = checked_end(path, &info)?;
            offset = end.checked_next_multiple_of(alignment).ok_or_else(|| {
                malformed(path, format!("tensor `{}` past 2^64 bytes", info.name), "less data")
            })?;
            placed.push(info);
        }
        let mut header = Self { version: GGUF_VERSION, metadata, tensors: placed, alignment, data_offset: 0 };
        header.data_offset = header.encode().len() as u64;
        header.check(path, None)?;
        Ok(header)
    }

    /// All bytes before the data section, padding included: little-endian, in the version of this header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(GGUF_MAGIC.to_le_bytes());
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in self.metadata.iter() {
            encode_str(key, &mut out);
            value.encode(&mut out);
        }
        for tensor in &self.tensors {
            encode_str(&tensor.name, &mut out);
            out.extend((u32::try_from(tensor.dims.len()).unwrap_or(u32::MAX)).to_le_bytes());
            tensor.dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(tensor.ty.id().to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        let alignment = usize::try_from(self.alignment.max(1)).unwrap_or(1);
        out.resize(out.len().next_multiple_of(alignment), 0);
        out
    }

    /// Length in bytes of a file with this header, padding after the last tensor included.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let data = self.tensors.iter().map(|t| t.offset.saturating_add(t.bytes())).max().unwrap_or(0);
        let padded = data.checked_next_multiple_of(self.alignment).unwrap_or(u64::MAX);
        self.data_offset.saturating_add(padded)
    }

    /// The tensor with this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// Checks names, shapes and offsets, and with `file_len`, the length of the file in bytes, that it is complete.
    pub(super) fn check(&self, path: &Path, file_len: Option<u64>) -> Result<()> {
        if let Some(key) = duplicate(self.metadata.iter().map(|(key, _)| key)) {
            return Err(malformed(path, format!("key `{key}` twice"), "every key once"));
        }
        if let Some(name) = duplicate(self.tensors.iter().map(|t| t.name.as_str())) {
            return Err(malformed(path, format!("tensor `{name}` twice"), "every tensor once"));
        }
        let mut spans = Vec::with_capacity(self.tensors.len());
        for tensor in &self.tensors {
            let end = checked_end(path, tensor)?;
            let name = &tensor.name;
            if !tensor.offset.is_multiple_of(self.alignment) {
                let found = format!("tensor `{name}` at offset {}", tensor.offset);
                return Err(malformed(path, found, &format!("a multiple of {}", self.alignment)));
            }
            let Some(file_end) = self.data_offset.checked_add(end) else {
                let found = format!("tensor `{name}` past 2^64 bytes");
                return Err(malformed(path, found, "less data"));
            };
            if let Some(len) = file_len.filter(|&len| file_end > len) {
                return Err(Error::Truncated {
                    path: path.to_owned(),
                    tensor: name.clone(),
                    end,
                    len: len.saturating_sub(self.data_offset),
                });
            }
            spans.push((tensor.offset, end, name));
        }
        spans.sort_unstable();
        for pair in spans.windows(2) {
            if pair[0].1 > pair[1].0 {
                let found = format!("overlapping tensors `{}` and `{}`", pair[0].2, pair[1].2);
                return Err(malformed(path, found, "separate tensors"));
            }
        }
        Ok(())
    }
}

/// The alignment by `general.alignment`, 32 if the key is absent.
pub(super) fn alignment(path: &Path, metadata: &Metadata) -> Result<u64> {
    let expected = "a u32 power of two up to 2^20";
    match metadata.get(keys::ALIGNMENT) {
        None => Ok(GGUF_DEFAULT_ALIGNMENT as u64),
        Some(Value::U32(n)) if n.is_power_of_two() && u64::from(*n) <= MAX_ALIGNMENT => Ok(u64::from(*n)),
        Some(Value::U32(n)) => Err(malformed(path, format!("`{}` of {n}", keys::ALIGNMENT), expected)),
        Some(v) => Err(malformed(path, format!("`{}` of type {}", keys::ALIGNMENT, v.type_name()), expected)),
    }
}

pub(super) fn malformed(path: &Path, found: impl Into<String>, expected: &str) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        format: "GGUF",
        found: found.into(),
        expected: expected.to_owned(),
    }
}

/// Bytes of a tensor, or `None` for an invalid shape. Valid are one to four nonzero dimensions, rows of whole blocks,
/// and at most `i64::MAX` elements and bytes, the limit of llama.cpp.
fn data_bytes(dims: &[u64], ty: GgmlType) -> Option<u64> {
    let limit = i64::MAX.unsigned_abs();
    if dims.is_empty() || dims.len() > MAX_DIMS || dims.contains(&0) {
        return None;
    }
    dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| n <= limit)?;
    let row = ty.row_bytes(dims[0])?;
    dims[1..].iter().try_fold(row, |n, &d| n.checked_mul(d)).filter(|&n| n <= limit)
}

/// End of a tensor in bytes from the start of the data section; an error for an invalid name or shape.
fn checked_end(path: &Path, tensor: &TensorInfo) -> Result<u64> {
    let TensorInfo { name, dims, ty, offset } = tensor;
    let wrong = |found: String, expected: &str| Err(malformed(path, found, expected));
    if name.is_empty() {
        return wrong("a tensor without a name".to_owned(), "a name");
    }
    if dims.is_empty() || dims.len() > MAX_DIMS {
        return wrong(format!("tensor `{name}` with {} dimensions", dims.len()), "1 to 4");
    }
    if dims.contains(&0) {
        return wrong(format!("tensor `{name}` of shape {dims:?}"), "nonzero dimensions");
    }
    if !dims[0].is_multiple_of(ty.block_len()) {
        let found = format!("tensor `{name}` of type {ty} with rows of {}", dims[0]);
        return wrong(found, &format!("a multiple of {}", ty.block_len()));
    }
    match data_bytes(dims, *ty).and_then(|n| offset.checked_add(n)) {
        Some(end) => Ok(end),
        None => wrong(
            format!("tensor `{name}` of shape {dims:?} and type {ty} at offset {offset}"),
            "an end below 2^63 bytes",
        ),
    }
}

fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
