//! Reads and checks the header of one safetensors file.
//!
//! The format: an eight-byte little-endian length, a JSON object of that length, then the data. Offsets are relative
//! to the end of the header; tensors are contiguous (safetensors README, "Format").

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Dtype, json};
use crate::format::{Format, HEAD};
use crate::io::ByteSource;
use crate::{Error, Result, TensorRef};

/// Size limit of a header in bytes, as in the safetensors crate.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Limit of a tensor's dimensions.
const MAX_DIMS: usize = 8;
const FORMAT: &str = "safetensors";
/// What is expected of a file that is shorter than its header says.
const COMPLETE: &str = "a complete file; download it again";

/// A tensor as described by the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, slowest first.
    pub shape: Vec<u64>,
    /// Index of the shard that holds it.
    pub shard: u32,
    /// Offset of the data in bytes, from the start of the file.
    pub start: u64,
    /// Length of the data in bytes.
    pub bytes: u64,
}

/// Reads and checks the header of one shard. `shard` becomes [`TensorInfo::shard`]; `path` is for error messages.
/// Returns the tensors sorted by name.
///
/// # Errors
/// [`Error::Json`] if the header is not JSON, [`Error::Malformed`] or [`Error::Tensor`] if it contradicts itself or the
/// length of the file, [`Error::Io`] if it cannot be read.
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
        return Err(at(path, &a.name, "it is listed twice", "unique names"));
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
    let begins = begins(source);
    if let Some(found) = begins.clone().filter(|begins| *begins != Format::Safetensors) {
        let (path, expected) = (path.to_owned(), "a safetensors file");
        return Err(Error::OtherFormat { path, found, expected });
    }
    let Some(rest) = source.len().checked_sub(8) else {
        return Err(malformed(format!("it has {} bytes", source.len()), "at least 8, the header length"));
    };
    let mut length = [0; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > rest {
        let found = format!("its header claims {length} bytes, {rest} follow");
        let expected =
            if begins == Some(Format::Safetensors) { COMPLETE } else { "a header within the file" };
        return Err(malformed(found, expected));
    }
    let size = usize::try_from(length.min(MAX_HEADER_BYTES + 1)).unwrap_or(usize::MAX);
    if length > MAX_HEADER_BYTES {
        return Err(malformed(format!("its header claims {length} bytes"), "at most 100000000"));
    }
    let mut json = Vec::new();
    // A file decides how much: short memory is an error and must not end the process.
    json.try_reserve_exact(size)
        .map_err(|_| Error::io("read", path)(std::io::ErrorKind::OutOfMemory.into()))?;
    json.resize(size, 0);
    source.read_at(8, &mut json)?;
    Ok(json)
}

/// The format by the first bytes.
fn begins(source: &dyn ByteSource) -> Option<Format> {
    let mut head = [0; HEAD];
    let head = &mut head[..usize::try_from(source.len()).unwrap_or(HEAD).min(HEAD)];
    // Of a file that is still being fetched, only the header can be read.
    source.read_at(0, head).ok().and_then(|()| Format::of(head))
}

fn lower(path: &Path, shard: u32, name: String, raw: RawInfo, data: u64) -> Result<TensorInfo> {
    let Some(dtype) = Dtype::parse(&raw.dtype) else {
        return Err(at(path, &name, format!("its dtype is `{}`", raw.dtype), "a dtype of whole bytes"));
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
        return Err(at(path, &name, format!("its data ends at byte {end}, the file has {data}"), COMPLETE));
    }
    if end.checked_sub(start) != Some(size) {
        return Err(at(
            path,
            &name,
            format!("its data spans bytes {start} to {end}"),
            format!("{size} bytes for {shape:?} of {dtype}"),
        ));
    }
    Ok(TensorInfo { name, dtype, shape, shard, start, bytes: size })
}

/// Checks that the tensors cover the data without overlaps or gaps.
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
                format!("{end}, the end of the previous tensor"),
            ));
        }
        end = t.start + t.bytes;
    }
    if end != data {
        return Err(Error::Malformed {
            path: path.to_owned(),
            format: FORMAT,
            found: format!("{data} bytes of data"),
            expected: format!("{end}, the end of the last tensor"),
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

/// The first dimensions of a shape, up to one more than a tensor may have; the rest would only take memory.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dimensions")
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

/// The header's entries in file order; a map would hide duplicate names.
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
    fn a_valid_header_gives_sorted_tensors_with_absolute_offsets() {
        let tensors = read_header(Path::new("m"), 3, &file(TWO, 12)).unwrap();
        let start = 8 + TWO.len() as u64;
        assert_eq!(
            tensors.iter().map(|t| (t.name.as_str(), t.start, t.bytes, t.shard)).collect::<Vec<_>>(),
            [("a", start, 8, 3), ("b", start + 8, 4, 3)]
        );
    }

    #[test]
    fn each_contradiction_is_refused() {
        let one = |shape: &str, offsets: &str| {
            file(&format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#), 8)
        };
        for (bytes, expected) in [
            (vec![1, 2, 3], "it has 3 bytes"),
            (u64::MAX.to_le_bytes().to_vec(), "claims 18446744073709551615 bytes"),
            ((1u64 << 40).to_le_bytes().to_vec(), "claims 1099511627776 bytes"),
            (file(TWO, 11), "tensor `b` in `m.safetensors`: its data ends at byte 12, the file has 11"),
            (file(TWO, 13), "13 bytes of data, expected 12"),
            (one("[2]", "[0,9]"), "ends at byte 9"),
            (one("[1]", "[0,8]"), "expected 4 bytes for [1] of F32"),
            (one("[2]", "[8,0]"), "bytes 8 to 0"),
            (one("[4294967296,4294967296]", "[0,8]"), "a size that fits 63 bits"),
            (file(&TWO.replace("[8,12]", "[4,8]"), 12), "starts at byte 4, expected 8"),
            (file(&TWO.replace("\"b\"", "\"a\""), 12), "tensor `a` in `m.safetensors`: it is listed twice"),
            (file(&"[".repeat(10_000), 0), "cannot parse"),
            (file(&TWO.replace("F16", "F17"), 12), "tensor `b` in `m.safetensors`: its dtype is `F17`"),
            (
                one("[1,1,1,1,1,1,1,1,2]", "[0,8]"),
                "tensor `a` in `m.safetensors`: it has too many dimensions",
            ),
            (one("[18446744073709551616]", "[0,8]"), "cannot parse"),
        ] {
            let reason = reason(&bytes);
            assert!(reason.contains(expected), "{reason}\ndoes not contain\n{expected}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(read_header(Path::new("m"), 0, &bytes));
        }

        #[test]
        fn no_damage_to_a_valid_file_makes_it_panic(at in 0..TWO.len() + 20, byte: u8, cut in 0..TWO.len() + 20) {
            let mut bytes = file(TWO, 12);
            bytes[at] = byte;
            bytes.truncate(cut.max(at));
            drop(read_header(Path::new("m"), 0, &bytes));
        }
    }
}
