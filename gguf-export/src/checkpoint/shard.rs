//! One safetensors file: its header, checked before anything is believed.
//!
//! The format: an eight-byte little-endian length, a JSON object of that length, then the data. Offsets count
//! from the end of the header; tensors follow each other without holes (safetensors README, "Format").

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Dtype, json};
use crate::io::ByteSource;
use crate::{Error, Result, TensorRef};

/// Longest header that is read, in bytes; the limit of the safetensors crate.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Most dimensions of a tensor.
const MAX_DIMS: usize = 8;
const FORMAT: &str = "safetensors";

/// A tensor as its header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes, slowest first.
    pub shape: Vec<u64>,
    /// Index of the shard that holds it.
    pub shard: u32,
    /// First byte, counted from the start of the file.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Reads and checks the header of one shard.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::Tensor`] when the header contradicts itself or the file's length.
pub fn read_header(path: &Path, shard: u32, source: &dyn ByteSource) -> Result<Vec<TensorInfo>> {
    let json = read_json(path, source)?;
    let data = source.len() - 8 - json.len() as u64;
    let Entries(raw) =
        serde_json::from_slice(&json).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let mut tensors = Vec::with_capacity(raw.len());
    for (name, info) in raw {
        tensors.push(lower(path, shard, name, info, data)?);
    }
    check_offsets(path, &tensors, data)?;
    for t in &mut tensors {
        t.start += 8 + json.len() as u64;
    }
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some([a, _]) = tensors.array_windows().find(|[a, b]| a.name == b.name) {
        return Err(at(path, &a.name, "it is listed twice", "one entry a name"));
    }
    Ok(tensors)
}

fn read_json(path: &Path, source: &dyn ByteSource) -> Result<Vec<u8>> {
    let malformed = |found: String, expected: &str| Error::Malformed {
        path: path.to_owned(),
        format: FORMAT,
        found,
        expected: expected.to_owned(),
    };
    let Some(rest) = source.len().checked_sub(8) else {
        return Err(malformed(
            format!("it has {} bytes", source.len()),
            "at least 8, the length of its header",
        ));
    };
    let mut length = [0; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > rest {
        return Err(malformed(
            format!("its header claims {length} bytes and {rest} follow"),
            "a whole file; it may be truncated, download it again",
        ));
    }
    let size = usize::try_from(length.min(MAX_HEADER_BYTES + 1)).unwrap_or(usize::MAX);
    if length > MAX_HEADER_BYTES {
        return Err(malformed(format!("its header claims {length} bytes"), "at most 100000000"));
    }
    let mut json = vec![0; size];
    source.read_at(8, &mut json)?;
    Ok(json)
}

fn lower(path: &Path, shard: u32, name: String, raw: RawInfo, data: u64) -> Result<TensorInfo> {
    let Some(dtype) = Dtype::parse(&raw.dtype) else {
        return Err(at(path, &name, format!("its type is `{}`", raw.dtype), "a type of whole bytes"));
    };
    let shape = raw.shape.0;
    if shape.len() > MAX_DIMS {
        return Err(at(path, &name, "it has too many dimensions", format!("at most {MAX_DIMS}")));
    }
    let (start, end) = raw.data_offsets;
    let size = shape.iter().try_fold(dtype.bytes(), |n, &d| n.checked_mul(d));
    let Some(size) = size.filter(|&n| i64::try_from(n).is_ok()) else {
        return Err(at(path, &name, format!("its shape is {shape:?}"), "a size that fits 63 bits"));
    };
    if end > data {
        return Err(at(
            path,
            &name,
            format!("its data ends at byte {end} and the file holds {data}"),
            "a whole file; it may be truncated, download it again",
        ));
    }
    if end.checked_sub(start) != Some(size) {
        return Err(at(
            path,
            &name,
            format!("its data is bytes {start} to {end}"),
            format!("{size} bytes for {shape:?} of {dtype}"),
        ));
    }
    Ok(TensorInfo { name, dtype, shape, shard, start, bytes: size })
}

/// Tensors must cover the data without overlaps or holes.
fn check_offsets(path: &Path, tensors: &[TensorInfo], data: u64) -> Result<()> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_unstable_by_key(|t| (t.start, t.bytes));
    let mut end = 0;
    for t in order {
        if t.start != end {
            return Err(at(
                path,
                &t.name,
                format!("its data starts at byte {}", t.start),
                format!("{end}, where the tensor before it ends"),
            ));
        }
        end = t.start + t.bytes;
    }
    if end != data {
        return Err(Error::Malformed {
            path: path.to_owned(),
            format: FORMAT,
            found: format!("{data} bytes of data"),
            expected: format!("{end}, the end of its last tensor"),
        });
    }
    Ok(())
}

fn at(path: &Path, tensor: &str, found: impl Into<String>, expected: impl Into<String>) -> Error {
    let at = TensorRef { file: PathBuf::from(path), tensor: tensor.to_owned() };
    Error::Tensor { at, found: found.into(), expected: expected.into() }
}

/// One entry of the header.
#[derive(Deserialize)]
struct RawInfo {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// The first sizes of a shape, one more than a tensor may have at most: the rest would only take memory.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = seq.next_element()? {
                    if sizes.len() <= MAX_DIMS {
                        sizes.push(size);
                    }
                }
                Ok(Shape(sizes))
            }
        }
        deserializer.deserialize_seq(Sizes)
    }
}

/// The header's entries in file order; a plain map would hide duplicate names.
struct Entries(Vec<(String, RawInfo)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::entries(deserializer, "an object of tensors", Some("__metadata__")).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn reason(bytes: &impl ByteSource) -> String {
        read_header(Path::new("m.safetensors"), 0, bytes).unwrap_err().to_string()
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;

    #[test]
    fn a_good_header_gives_sorted_tensors_with_absolute_offsets() {
        let tensors = read_header(Path::new("m"), 3, &file(TWO, 12)).unwrap();
        let start = 8 + TWO.len() as u64;
        assert_eq!(
            tensors.iter().map(|t| (t.name.as_str(), t.start, t.bytes, t.shard)).collect::<Vec<_>>(),
            [("a", start, 8, 3), ("b", start + 8, 4, 3)]
        );
    }

    #[test]
    fn each_lie_is_named() {
        let one = |shape: &str, offsets: &str| {
            file(&format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#), 8)
        };
        for (bytes, expected) in [
            (vec![1, 2, 3], "it has 3 bytes"),
            (u64::MAX.to_le_bytes().to_vec(), "claims 18446744073709551615 bytes"),
            ((1u64 << 40).to_le_bytes().to_vec(), "claims 1099511627776 bytes"),
            (file(TWO, 11), "tensor `b` in `m.safetensors`: its data ends at byte 12 and the file holds 11"),
            (file(TWO, 13), "13 bytes of data, expected 12"),
            (one("[2]", "[0,9]"), "ends at byte 9"),
            (one("[1]", "[0,8]"), "expected 4 bytes for [1] of F32"),
            (one("[2]", "[8,0]"), "bytes 8 to 0"),
            (one("[4294967296,4294967296]", "[0,8]"), "a size that fits 63 bits"),
            (file(&TWO.replace("[8,12]", "[4,8]"), 12), "starts at byte 4, expected 8"),
            (file(&TWO.replace("\"b\"", "\"a\""), 12), "tensor `a` in `m.safetensors`: it is listed twice"),
            (file(&"[".repeat(10_000), 0), "is not the JSON"),
            (file(&TWO.replace("F16", "F17"), 12), "tensor `b` in `m.safetensors`: its type is `F17`"),
            (
                one("[1,1,1,1,1,1,1,1,2]", "[0,8]"),
                "tensor `a` in `m.safetensors`: it has too many dimensions",
            ),
            (one("[18446744073709551616]", "[0,8]"), "is not the JSON"),
        ] {
            let reason = reason(&bytes);
            assert!(reason.contains(expected), "{reason}\ndoes not say\n{expected}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(read_header(Path::new("m"), 0, &bytes));
        }

        #[test]
        fn no_damage_to_a_good_file_makes_it_panic(at in 0..TWO.len() + 20, byte: u8, cut in 0..TWO.len() + 20) {
            let mut bytes = file(TWO, 12);
            bytes[at] = byte;
            bytes.truncate(cut.max(at));
            drop(read_header(Path::new("m"), 0, &bytes));
        }
    }
}
