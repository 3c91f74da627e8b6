//! Reads the header of an untrusted file.

use std::path::Path;

use gguf_rs_lib::format::GGUFValueType as Kind;

use super::header::{MAX_DIMS, MAX_NAME, alignment};
use super::input::Input;
use super::{Array, Header, Metadata, TensorInfo, Value};
use crate::format::{Format, HEAD};
use crate::ggml::GgmlType;
use crate::io::ByteSource;
use crate::{Error, Result};

const MAX_KEY: u64 = 65_535;
const MAX_KEYS: u64 = 100_000;
const MAX_TENSORS: u64 = 1_000_000;

impl Header {
    /// Reads and checks a header; `path` is for error messages.
    ///
    /// Supports little-endian files of versions 2 and 3. Tensor data is not read.
    ///
    /// # Errors
    /// [`crate::Error::OtherFormat`] and [`crate::Error::Joined`] if the file is something else,
    /// [`crate::Error::Malformed`] if the header violates the format, [`crate::Error::Truncated`] if the file ends
    /// before the data of a tensor, [`crate::Error::Io`] if the file cannot be read.
    pub fn read(path: &Path, source: &dyn ByteSource) -> Result<Self> {
        let mut input = Input::new(path, source);
        magic(&mut input)?;
        let version = input.u32()?;
        if !matches!(version, 2 | 3) {
            let swapped = matches!(version.swap_bytes(), 1..=3);
            let found =
                if swapped { "big-endian byte order".to_owned() } else { format!("version {version}") };
            return Err(input.malformed(found, "version 2 or 3 in little-endian byte order"));
        }
        let tensor_count = capped(&mut input, MAX_TENSORS, "tensors")?;
        let key_count = capped(&mut input, MAX_KEYS, "keys")?;
        // A descriptor takes at least a name length and a byte, a rank, a dimension, a type and an offset; a key at
        // least a name length and a byte, a type and a bool.
        input.count(tensor_count, 8 + 1 + 4 + 8 + 4 + 8, "tensors")?;
        input.count(key_count, 8 + 1 + 4 + 1, "keys")?;

        let mut metadata = Metadata::new();
        for i in 0..key_count {
            let (key, value) = entry(&mut input, i)?;
            metadata.push(key, value);
        }
        let alignment = alignment(path, &metadata)?;
        let mut tensors = Vec::new();
        for i in 0..tensor_count {
            tensors.push(tensor(&mut input, i)?);
        }
        let data_offset = input.position().next_multiple_of(alignment);
        let header = Self { version, metadata, tensors, alignment, data_offset };
        header.check(path, Some(source.len()))?;
        alone(path, source, &header)?;
        Ok(header)
    }
}

/// Reads the first bytes. A file of another format is named.
fn magic(input: &mut Input) -> Result<()> {
    const MAGIC: &[u8] = b"GGUF";
    let head = input.peek(HEAD as u64)?;
    if head.starts_with(MAGIC) {
        input.bytes(MAGIC.len() as u64)?;
        return Ok(());
    }
    if let Some(found) = Format::of(head) {
        return Err(Error::OtherFormat { path: input.path.to_owned(), found, expected: "a GGUF file" });
    }
    let found = format!("first bytes `{}`", head[..head.len().min(MAGIC.len())].escape_ascii());
    Err(input.malformed(found, "`GGUF`"))
}

/// Refuses a file after whose data another GGUF begins, as after joining files with `cat`.
fn alone(path: &Path, source: &dyn ByteSource, header: &Header) -> Result<()> {
    let data =
        header.tensors.iter().map(|tensor| tensor.offset.saturating_add(tensor.bytes())).max().unwrap_or(0);
    for at in [header.file_len(), header.data_offset.saturating_add(data)] {
        let mut next = [0; 4];
        let inside = at.checked_add(4).is_some_and(|end| end <= source.len());
        // Of a file that is still being fetched, only the start can be read.
        if inside && source.read_at(at, &mut next).is_ok() && next == *b"GGUF" {
            return Err(Error::Joined { path: path.to_owned(), at });
        }
    }
    Ok(())
}

fn capped(input: &mut Input, max: u64, what: &str) -> Result<u64> {
    input.place = format!("the number of {what}");
    match input.u64()? {
        n if n <= max => Ok(n),
        n => Err(input.malformed(format!("{n} {what}"), &format!("at most {max}"))),
    }
}

fn entry(input: &mut Input, i: u64) -> Result<(String, Value)> {
    input.place = format!("the name of key {i}");
    let key = name(input, MAX_KEY)?;
    input.place = format!("the value of `{key}`");
    let value = match kind(input)? {
        Kind::U8 => Value::U8(input.array::<1>()?[0]),
        Kind::I8 => Value::I8(input.array().map(i8::from_le_bytes)?),
        Kind::U16 => Value::U16(input.array().map(u16::from_le_bytes)?),
        Kind::I16 => Value::I16(input.array().map(i16::from_le_bytes)?),
        Kind::U32 => Value::U32(input.u32()?),
        Kind::I32 => Value::I32(input.array().map(i32::from_le_bytes)?),
        Kind::U64 => Value::U64(input.u64()?),
        Kind::I64 => Value::I64(input.array().map(i64::from_le_bytes)?),
        Kind::F32 => Value::F32(input.array().map(f32::from_le_bytes)?),
        Kind::F64 => Value::F64(input.array().map(f64::from_le_bytes)?),
        Kind::Bool => Value::Bool(boolean(input)?),
        Kind::String => Value::Str(input.string()?),
        Kind::Array => Value::Array(array(input)?),
    };
    Ok((key, value))
}

fn kind(input: &mut Input) -> Result<Kind> {
    let id = input.u32()?;
    Kind::from_u32(id)
        .map_err(|_| input.malformed(format!("type {id} in {}", input.place), "a type from 0 to 12"))
}

fn array(input: &mut Input) -> Result<Array> {
    let kind = kind(input)?;
    let n = input.u64()?;
    let least = match kind {
        Kind::String => 8,
        Kind::Array => {
            return Err(input.malformed(format!("an array of arrays in {}", input.place), "plain elements"));
        }
        other => other.size_in_bytes().unwrap_or(8) as u64,
    };
    let what = format!("elements in {}", input.place);
    input.count(n, least, &what)?;
    Ok(match kind {
        Kind::U8 => Array::U8(input.bytes(n)?.to_vec()),
        Kind::I8 => Array::I8(numbers(input, n, i8::from_le_bytes)?),
        Kind::U16 => Array::U16(numbers(input, n, u16::from_le_bytes)?),
        Kind::I16 => Array::I16(numbers(input, n, i16::from_le_bytes)?),
        Kind::U32 => Array::U32(numbers(input, n, u32::from_le_bytes)?),
        Kind::I32 => Array::I32(numbers(input, n, i32::from_le_bytes)?),
        Kind::U64 => Array::U64(numbers(input, n, u64::from_le_bytes)?),
        Kind::I64 => Array::I64(numbers(input, n, i64::from_le_bytes)?),
        Kind::F32 => Array::F32(numbers(input, n, f32::from_le_bytes)?),
        Kind::F64 => Array::F64(numbers(input, n, f64::from_le_bytes)?),
        Kind::Bool => Array::Bool((0..n).map(|_| boolean(input)).collect::<Result<_>>()?),
        Kind::String | Kind::Array => Array::Str((0..n).map(|_| input.string()).collect::<Result<_>>()?),
    })
}

fn numbers<const N: usize, T>(input: &mut Input, n: u64, get: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let bytes = input.bytes(n.saturating_mul(N as u64))?;
    Ok(bytes.as_chunks::<N>().0.iter().map(|b| get(*b)).collect())
}

fn boolean(input: &mut Input) -> Result<bool> {
    match input.array::<1>()?[0] {
        0 => Ok(false),
        1 => Ok(true),
        n => Err(input.malformed(format!("bool {n} in {}", input.place), "0 or 1")),
    }
}

fn name(input: &mut Input, max: u64) -> Result<String> {
    let n = input.u64()?;
    if n == 0 || n > max {
        return Err(input.malformed(format!("length {n} of {}", input.place), &format!("1 to {max}")));
    }
    let bytes = input.bytes(n)?.to_vec();
    String::from_utf8(bytes)
        .map_err(|_| input.malformed(format!("invalid bytes in {}", input.place), "UTF-8"))
}

fn tensor(input: &mut Input, i: u64) -> Result<TensorInfo> {
    input.place = format!("the name of tensor {i}");
    let name = name(input, MAX_NAME as u64)?;
    input.place = format!("tensor `{name}`");
    let rank = input.u32()? as usize;
    if rank == 0 || rank > MAX_DIMS {
        return Err(input.malformed(format!("tensor `{name}` with {rank} dimensions"), "1 to 4"));
    }
    let dims = (0..rank).map(|_| input.u64()).collect::<Result<Vec<_>>>()?;
    let id = input.u32()?;
    let ty = GgmlType::from_id(id).ok_or_else(|| {
        input.malformed(format!("tensor `{name}` of type {id}"), "a type of llama.cpp b11434")
    })?;
    let offset = input.u64()?;
    Ok(TensorInfo { name, dims, ty, offset })
}
