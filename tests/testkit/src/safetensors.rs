//! Writes safetensors files: an 8-byte length, a JSON header, and the data.

use std::borrow::Borrow;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// A dtype, named as in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of safetensors")]
pub enum Dtype {
    F64,
    I64,
    F32,
    I32,
    U32,
    Bf16,
    F16,
    I16,
    U8,
    I8,
    F8E4m3,
    F8E5m2,
    F8E8m0,
    Bool,
}

impl Dtype {
    const ALL: [Self; 14] = [
        Self::F64,
        Self::I64,
        Self::F32,
        Self::I32,
        Self::U32,
        Self::Bf16,
        Self::F16,
        Self::I16,
        Self::U8,
        Self::I8,
        Self::F8E4m3,
        Self::F8E5m2,
        Self::F8E8m0,
        Self::Bool,
    ];

    /// The name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::I64 => "I64",
            Self::F32 => "F32",
            Self::I32 => "I32",
            Self::U32 => "U32",
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
            Self::I16 => "I16",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::F8E4m3 => "F8_E4M3",
            Self::F8E5m2 => "F8_E5M2",
            Self::F8E8m0 => "F8_E8M0",
            Self::Bool => "BOOL",
        }
    }

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::Bf16 | Self::F16 | Self::I16 => 2,
            Self::U8 | Self::I8 | Self::F8E4m3 | Self::F8E5m2 | Self::F8E8m0 | Self::Bool => 1,
        }
    }
}

/// A stored tensor. `data` may contradict `shape`, so that tests can write invalid files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its full name in the file.
    pub name: String,
    /// Dtype of the elements.
    pub dtype: Dtype,
    /// Row-major shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// The elements, little-endian.
    pub data: Vec<u8>,
}

impl Tensor {
    /// A tensor; checks the length of `data`.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Self {
        let name = name.into();
        assert_eq!(data.len(), shape.iter().product::<usize>() * dtype.size(), "length of `{name}`");
        Self { name, dtype, shape: shape.to_vec(), data }
    }
}

/// Reads all tensors of a file, in the order of its header.
pub fn read(path: &Path) -> Vec<Tensor> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Map<String, Value> = serde_json::from_slice(header).expect("a header in JSON");
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    let tensor = |(name, entry): (&String, &Value)| {
        let dtype = Dtype::ALL.into_iter().find(|dtype| entry["dtype"] == dtype.name()).expect("a dtype");
        let shape: Vec<usize> = entry["shape"].as_array().expect("a shape").iter().map(number).collect();
        let [from, to] = [0, 1].map(|i| number(&entry["data_offsets"][i]));
        Tensor::new(name, dtype, &shape, data[from..to].to_vec())
    };
    header.iter().filter(|(name, _)| *name != "__metadata__").map(tensor).collect()
}

/// The header of contiguous tensors in the given order, padded to a multiple of 8 bytes.
///
/// `tensors` are names, dtypes, shapes and lengths in bytes.
pub fn header<'a>(tensors: impl IntoIterator<Item = (&'a str, Dtype, &'a [usize], u64)>) -> String {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut offset = 0;
    for (name, dtype, shape, len) in tensors {
        let entry = json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [offset, offset + len]});
        assert!(entries.insert(name.into(), entry).is_none(), "`{name}` twice");
        offset += len;
    }
    let mut text = Value::Object(entries).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    text
}

/// Writes a file with the tensors in the given order.
pub fn write<T: Borrow<Tensor>>(path: &Path, tensors: &[T]) {
    let tensors = tensors.iter().map(Borrow::borrow);
    let header = header(tensors.clone().map(|t| (&*t.name, t.dtype, &*t.shape, t.data.len() as u64)));
    let data: Vec<&[u8]> = tensors.map(|t| &*t.data).collect();
    write_raw(path, &header, &data.concat());
}

/// Writes a file with an unchecked header.
pub fn write_raw(path: &Path, header: &str, data: &[u8]) {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    fs::write(path, file).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_contiguous_ranges_and_is_padded() {
        let shape = [3usize];
        let text = header([("a", Dtype::F16, &shape[..], 6), ("b", Dtype::U8, &shape[..], 3)]);
        assert_eq!(text.len() % 8, 0);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["b"], json!({"dtype": "U8", "shape": [3], "data_offsets": [6, 9]}));
    }
}
