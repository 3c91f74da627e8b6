//! Compares the decoders with values computed by gguf-py; `tests/golden/make_blocks.py` wrote the file.

use super::{GgmlType, decode_row};

const GOLDEN: &str = include_str!("../../tests/golden/blocks.json");

#[derive(serde::Deserialize)]
struct Case {
    id: u32,
    bytes: String,
    /// IEEE single precision, big endian.
    values: String,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn every_decoder_agrees_with_gguf_py() {
    let cases: Vec<Case> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let ty = GgmlType::from_id(case.id).unwrap();
        let expected: Vec<u32> =
            hex(&case.values).chunks(4).map(|c| u32::from_be_bytes(c.try_into().unwrap())).collect();
        let mut out = vec![0.0; expected.len()];
        decode_row(ty, &hex(&case.bytes), &mut out).unwrap();
        for (i, (found, expected)) in out.iter().zip(&expected).enumerate() {
            // gguf-py's code tables are integers, which lose the sign of an FP4 zero.
            let zero_sign = if *found == 0.0 { found.to_bits() & 1 << 31 } else { 0 };
            assert_eq!(found.to_bits(), expected | zero_sign, "{ty} element {i}");
        }
    }
}
