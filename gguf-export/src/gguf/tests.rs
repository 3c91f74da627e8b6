//! Round trips, one test per rejection, and arbitrary bytes, which must not panic.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Array, Header, Metadata, Value};
use crate::ggml::GgmlType;

fn read(bytes: &[u8]) -> crate::Result<Header> {
    Header::read(Path::new("t.gguf"), &bytes.to_vec())
}

/// Reads a header that may be invalid; must neither panic nor hang.
fn attempt(bytes: &[u8]) {
    drop(read(bytes));
}

fn file(header: &Header) -> Vec<u8> {
    let mut bytes = header.encode();
    bytes.resize(usize::try_from(header.file_len()).unwrap(), 0);
    bytes
}

fn sample() -> Header {
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", "qwen3next");
    metadata.push("n", 7u32);
    metadata.push("flags", vec![true, false]);
    metadata.push("words", vec!["a".to_owned(), String::new(), "Ġb".to_owned()]);
    let tensors = vec![
        ("x".to_owned(), vec![64, 2], GgmlType::Q4_0),
        ("y".to_owned(), vec![3], GgmlType::F32),
        ("z".to_owned(), vec![256, 1, 2], GgmlType::Q6_K),
    ];
    Header::layout(metadata, tensors).unwrap()
}

/// The sample with the first occurrence of `from` replaced by `to`, of the same length.
fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = file(&sample());
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    let error = read(bytes).unwrap_err();
    let is_refusal = matches!(
        error,
        crate::Error::Malformed { .. } | crate::Error::Truncated { .. } | crate::Error::OtherFormat { .. }
    );
    assert!(is_refusal, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// A descriptor of `x`, without the length of its name.
fn descriptor(dims: [u64; 2], ty: u32, offset: u64) -> Vec<u8> {
    let mut out = vec![b'x', 2, 0, 0, 0];
    out.extend(dims.iter().flat_map(|d| d.to_le_bytes()));
    out.extend(ty.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

fn with_descriptor(dims: [u64; 2], ty: u32, offset: u64) -> Vec<u8> {
    patched(&descriptor([64, 2], 2, 0), &descriptor(dims, ty, offset))
}

#[test]
fn tensors_are_placed_in_order_and_aligned() {
    let header = sample();
    let places: Vec<_> = header.tensors.iter().map(|t| (t.offset, t.bytes())).collect();
    assert_eq!(places, [(0, 72), (96, 12), (128, 420)]);
    assert_eq!(header.data_offset % 32, 0);
    assert_eq!(header.file_len(), header.data_offset + 576);
    assert_eq!(read(&file(&header)).unwrap(), header);
}

#[test]
fn padding_after_the_last_tensor_may_be_missing() {
    let header = sample();
    let mut bytes = file(&header);
    bytes.truncate(bytes.len() - 28);
    assert_eq!(read(&bytes).unwrap(), header);
    bytes.pop();
    refused(&bytes, "`t.gguf` is truncated: tensor `z` ends at byte 548, the data has 547");
}

#[test]
fn another_implementation_reads_what_is_written() {
    let bytes = file(&sample());
    let theirs = gguf_rs_lib::prelude::GGUFFileReader::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(theirs.metadata().get_string("general.architecture"), Some("qwen3next"));
    assert_eq!(theirs.tensor_count(), 3);
}

#[test]
fn a_file_by_gguf_py_reads_equal() {
    let bytes = include_bytes!("../../tests/golden/tiny.gguf");
    let header = read(bytes).unwrap();
    let mut expected = Metadata::new();
    expected.push("general.architecture", "toy");
    expected.push("general.alignment", 64u32);
    expected.push("toy.u8", 200u8);
    expected.push("toy.i8", -3i8);
    expected.push("toy.u16", 60_000u16);
    expected.push("toy.i16", -300i16);
    expected.push("toy.u32", 4_000_000_000u32);
    expected.push("toy.i32", -5i32);
    expected.push("toy.u64", 1u64 << 60);
    expected.push("toy.i64", -(1i64 << 60));
    expected.push("toy.f32", 0.5f32);
    expected.push("toy.f64", 0.25f64);
    expected.push("toy.bool", true);
    expected.push("toy.str", "Größe");
    expected.push("toy.ints", vec![1i32, -2, 3]);
    expected.push("toy.floats", vec![1.5f32, -2.0]);
    expected.push("toy.bools", vec![true, false]);
    expected.push("toy.strs", vec!["a".to_owned(), "Ġb".to_owned()]);
    assert_eq!(header.metadata, expected);
    let tensors: Vec<_> =
        header.tensors.iter().map(|t| (t.name.as_str(), t.dims.as_slice(), t.ty, t.offset)).collect();
    assert_eq!(
        tensors,
        [
            ("w", [4u64, 2].as_slice(), GgmlType::F32, 0),
            ("h", &[3], GgmlType::F16, 64),
            ("q", &[32, 2], GgmlType::Q8_0, 128)
        ]
    );
    assert_eq!(header.file_len(), bytes.len() as u64);
    assert_eq!(header.encode(), bytes[..usize::try_from(header.data_offset).unwrap()]);
}

#[test]
fn magic_and_version_are_checked() {
    refused(&patched(b"GGUF", b"GGML"), "first bytes `GGML`");
    refused(&patched(&[3, 0, 0, 0], &[1, 0, 0, 0]), "version 1");
    refused(&patched(&[3, 0, 0, 0], &[0, 0, 0, 3]), "big-endian");
    refused(b"GG", "is text that begins with `GG`, expected a GGUF file");
    assert_eq!(read(&patched(&[3, 0, 0, 0], &[2, 0, 0, 0])).unwrap().version, 2);
}

#[test]
fn absurd_counts_are_refused_before_allocating() {
    let mut bytes = file(&sample());
    bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&bytes, "18446744073709551615 tensors, expected at most 1000000");
    bytes[8..16].copy_from_slice(&900_000u64.to_le_bytes());
    refused(&bytes, "900000 tensors, expected at most");
    let mut bytes = file(&sample());
    bytes[16..24].copy_from_slice(&90_000u64.to_le_bytes());
    refused(&bytes, "90000 keys, expected at most");
}

#[test]
fn lengths_of_strings_and_arrays_are_checked() {
    let from = [9, 0, 0, 0, 0, 0, 0, 0, b'q'];
    refused(
        &patched(&from, &[9, 0, 0, 0, 0, 0, 0, 1, b'q']),
        "bytes left for the value of `general.architecture`",
    );
    refused(
        &patched(b"\x01\0\0\0\0\0\0\0n", b"\xff\xff\xff\0\0\0\0\0n"),
        "length 16777215 of the name of key 1",
    );
    refused(&patched(b"\x01\0\0\0\0\0\0\0n", b"\0\0\0\0\0\0\0\0n"), "length 0 of the name of key 1");
    let flags = [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    refused(&patched(&flags, &[7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 255]), "elements in the value of `flags`");
    refused(&patched(&flags, &[9, 0, 0, 0]), "an array of arrays in the value of `flags`");
    refused(&patched(&flags, &[13, 0, 0, 0]), "type 13 in the value of `flags`");
    refused(&patched(b"\x01\0\0\0\0\0\0\0x", b"\x80\0\0\0\0\0\0\0x"), "length 128 of the name of tensor 0");
}

#[test]
fn invalid_values_are_refused() {
    refused(
        &patched(b"\x02\0\0\0\0\0\0\0\x01\0", b"\x02\0\0\0\0\0\0\0\x05\0"),
        "bool 5 in the value of `flags`",
    );
    refused(&patched(b"qwen3next", b"qwen3nex\xff"), "not UTF-8");
    refused(&patched(b"general.arch", b"general.arc\xff"), "invalid bytes in the name of key 0");
}

#[test]
fn keys_and_tensors_occur_once() {
    refused(&patched(b"flags", b"words"), "key `words` twice");
    refused(&patched(b"\x01\0\0\0\0\0\0\0x", b"\x01\0\0\0\0\0\0\0y"), "tensor `y` twice");
}

#[test]
fn alignment_is_a_power_of_two() {
    for n in [0u32, 3, 1 << 21] {
        let mut metadata = Metadata::new();
        metadata.push("general.alignment", n);
        let error = Header::layout(metadata, vec![]).unwrap_err().to_string();
        assert!(error.contains(&format!("`general.alignment` of {n}")), "{error}");
    }
    let mut metadata = Metadata::new();
    metadata.push("general.alignment", 32u64);
    let mut header = sample();
    header.metadata = metadata;
    refused(&file(&header), "`general.alignment` of type u64");
}

#[test]
fn shapes_types_and_offsets_are_checked() {
    refused(&with_descriptor([64, 2], 4, 0), "tensor `x` of type 4");
    refused(
        &with_descriptor([63, 2], 2, 0),
        "tensor `x` of type Q4_0 with rows of 63, expected a multiple of 32",
    );
    refused(&with_descriptor([64, 0], 2, 0), "tensor `x` of shape [64, 0]");
    refused(&with_descriptor([1 << 40, 1 << 40], 2, 0), "an end below 2^63 bytes");
    refused(&with_descriptor([64, 2], 2, 16), "tensor `x` at offset 16, expected a multiple of 32");
    refused(&with_descriptor([64, 2], 2, 64), "overlapping tensors `x` and `y`");
    refused(&with_descriptor([64, 2], 2, 1 << 40), "is truncated: tensor `x` ends at byte");
    refused(&with_descriptor([64, 2], 2, u64::MAX - 31), "an end below 2^63 bytes");
    refused(&patched(b"x\x02\0\0\0", b"x\x05\0\0\0"), "tensor `x` with 5 dimensions");
    refused(&patched(b"x\x02\0\0\0", b"x\0\0\0\0"), "tensor `x` with 0 dimensions");
}

#[test]
fn headers_that_readers_reject_are_not_laid_out() {
    let one = |name: &str, dims: &[u64]| {
        let tensors = vec![(name.to_owned(), dims.to_vec(), GgmlType::Q8_0)];
        Header::layout(Metadata::new(), tensors).unwrap_err().to_string()
    };
    assert!(one(&"x".repeat(64), &[32]).contains("64 bytes"));
    assert!(one("", &[32]).contains("without a name"));
    assert!(one("x", &[]).contains("0 dimensions"));
    assert!(one("x", &[31]).contains("multiple of 32"));
}

fn value() -> impl Strategy<Value = Value> {
    let text = "[a-zĠ§\u{0}]{0,9}";
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text.prop_map(Value::from),
        vec(any::<u8>(), 0..5).prop_map(Value::from),
        vec(any::<i8>(), 0..5).prop_map(Value::from),
        vec(any::<u16>(), 0..5).prop_map(Value::from),
        vec(any::<i16>(), 0..5).prop_map(Value::from),
        vec(any::<u32>(), 0..5).prop_map(Value::from),
        vec(any::<i32>(), 0..5).prop_map(Value::from),
        vec(any::<u64>(), 0..5).prop_map(Value::from),
        vec(any::<i64>(), 0..5).prop_map(Value::from),
        vec(any::<f32>(), 0..5).prop_map(Value::from),
        vec(any::<f64>(), 0..5).prop_map(Value::from),
        vec(any::<bool>(), 0..5).prop_map(Value::from),
        vec(text, 0..5).prop_map(|v| Value::from(Array::Str(v))),
    ]
}

proptest! {
    #[test]
    fn reading_what_was_written_is_the_identity(
        values in vec(value(), 0..12),
        shapes in vec((1u64..5, vec(1u64..4, 0..3), 0usize..35), 0..6),
    ) {
        let mut metadata = Metadata::new();
        for (i, value) in values.into_iter().enumerate() {
            metadata.push(format!("key.{i}"), value);
        }
        let types: Vec<_> = GgmlType::all().collect();
        let tensors = shapes.into_iter().enumerate().map(|(i, (blocks, rest, ty))| {
            let mut dims = vec![blocks * types[ty].block_len()];
            dims.extend(rest);
            (format!("tensor.{i}"), dims, types[ty])
        });
        let header = Header::layout(metadata, tensors.collect()).unwrap();
        prop_assert_eq!(header.encode().len() as u64, header.data_offset);
        prop_assert_eq!(read(&file(&header)).unwrap(), header);
    }

    #[test]
    fn any_change_of_a_valid_file_is_read_or_refused(at in 0usize..400, byte: u8, cut in 0usize..900) {
        let mut bytes = file(&sample());
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes.truncate(cut.max(n / 4));
        attempt(&bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        attempt(&bytes);
        let mut framed = b"GGUF\x03\0\0\0".to_vec();
        framed.extend(bytes);
        attempt(&framed);
    }
}

#[test]
fn every_truncation_and_every_flipped_byte_is_read_or_refused() {
    let bytes = file(&sample());
    for cut in 0..bytes.len() {
        attempt(&bytes[..cut]);
    }
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            attempt(&bytes);
        }
    }
}
