//! Everything of a GGUF file that stands before the tensors' data.

use std::path::Path;

use gguf_rs_lib::format::constants::{GGUF_DEFAULT_ALIGNMENT, GGUF_MAGIC, GGUF_VERSION};

use super::value::encode_str;
use super::{Metadata, Value, keys};
use crate::ggml::GgmlType;
use crate::{Error, Result};

/// Longest name that llama.cpp takes, in bytes.
pub(super) const MAX_NAME: usize = 63;
/// Most dimensions of a tensor.
pub(super) const MAX_DIMS: usize = 4;
/// Largest alignment that is believed.
const MAX_ALIGNMENT: u64 = 1 << 20;

/// Name, shape, type and place of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, at most 63 bytes.
    pub name: String,
    /// One to four extents, the fastest running first.
    pub dims: Vec<u64>,
    /// Type of the elements.
    pub ty: GgmlType,
    /// First byte, counted from the start of the data section.
    pub offset: u64,
}

impl TensorInfo {
    /// Length of the data in bytes.
    ///
    /// `u64::MAX` for a shape that cannot be; a [`Header`] that was read or laid out has none.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        data_bytes(&self.dims, self.ty).unwrap_or(u64::MAX)
    }

    /// Number of elements, under the same condition.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).unwrap_or(u64::MAX)
    }
}

/// What stands before the data, and where the data is.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Keys and values.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorInfo>,
    /// Alignment of the data section and of each tensor in it, in bytes.
    pub alignment: u64,
    /// First byte of the data section.
    pub data_offset: u64,
}

impl Header {
    /// Places tensors one after the other, each aligned.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the tensor or key that no reader would take: a name that is empty, too
    /// long or used twice, a shape that does not fit its type, an alignment that is no power of two.
    pub fn layout(metadata: Metadata, tensors: Vec<(String, Vec<u64>, GgmlType)>) -> Result<Self> {
        let path = Path::new("the file to be written");
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
                malformed(path, format!("tensor `{}` past 2^64 bytes", info.name), "a file that fits")
            })?;
            placed.push(info);
        }
        let mut header = Self { version: GGUF_VERSION, metadata, tensors: placed, alignment, data_offset: 0 };
        header.data_offset = header.encode().len() as u64;
        header.check(path, None)?;
        Ok(header)
    }

    /// All bytes before the data section, padding included; little endian, in this header's version.
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

    /// Length of a file with this header, padding after the last tensor included.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let data = self.tensors.iter().map(|t| t.offset.saturating_add(t.bytes())).max().unwrap_or(0);
        let padded = data.checked_next_multiple_of(self.alignment).unwrap_or(u64::MAX);
        self.data_offset.saturating_add(padded)
    }

    /// The tensor of a name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// Refuses what no file may have. `file_len` is the length of the file, if there is one already.
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
            let file_end = self.data_offset.checked_add(end);
            if file_end.is_none_or(|end| file_len.is_some_and(|len| end > len)) {
                let found = format!("tensor `{name}` that ends at byte {end} of the data");
                let room = file_len.map_or(u64::MAX, |len| len.saturating_sub(self.data_offset));
                return Err(malformed(path, found, &format!("at most {room}")));
            }
            spans.push((tensor.offset, end, name));
        }
        spans.sort_unstable();
        for pair in spans.windows(2) {
            if pair[0].1 > pair[1].0 {
                let found = format!("tensors `{}` and `{}` in the same bytes", pair[0].2, pair[1].2);
                return Err(malformed(path, found, "tensors apart"));
            }
        }
        Ok(())
    }
}

/// The alignment that metadata asks for, 32 if it says nothing.
pub(super) fn alignment(path: &Path, metadata: &Metadata) -> Result<u64> {
    let expected = "a power of two up to 2^20 as u32";
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

/// Bytes of a tensor, if the shape is possible: one to four extents, none zero, whole blocks, and no more
/// elements or bytes than a signed 64-bit number counts, which is llama.cpp's limit.
fn data_bytes(dims: &[u64], ty: GgmlType) -> Option<u64> {
    let limit = i64::MAX.unsigned_abs();
    if dims.is_empty() || dims.len() > MAX_DIMS || dims.contains(&0) {
        return None;
    }
    dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| n <= limit)?;
    let row = ty.row_bytes(dims[0])?;
    dims[1..].iter().try_fold(row, |n, &d| n.checked_mul(d)).filter(|&n| n <= limit)
}

/// End of a tensor in the data section, or why its shape cannot be.
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
        return wrong(format!("tensor `{name}` of shape {dims:?}"), "no zero");
    }
    if !dims[0].is_multiple_of(ty.block_len()) {
        let found = format!("tensor `{name}` of type {ty} with rows of {}", dims[0]);
        return wrong(found, &format!("a multiple of {}", ty.block_len()));
    }
    match data_bytes(dims, *ty).and_then(|n| offset.checked_add(n)) {
        Some(end) => Ok(end),
        None => wrong(
            format!("tensor `{name}` of shape {dims:?} and type {ty} at {offset}"),
            "an end below 2^63 bytes",
        ),
    }
}

fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
