//! `ggrun verify`: its output for equal files and for files that differ.

use gguf_export::gguf::Header;
use gguf_export::io::FileSource;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Sandbox, data};

/// The bundled checkpoint as `out.gguf`.
fn converted() -> (Sandbox, String) {
    let (sandbox, source) = (Sandbox::new(), data("tiny-thinker"));
    sandbox.run(&["convert", &source, "-o", "out.gguf"]).said(0, "out.gguf\n");
    (sandbox, source)
}

/// Flips one bit of a byte of the file.
fn flip(sandbox: &Sandbox, offset: u64, bit: u8) {
    let mut bytes = sandbox.read("out.gguf");
    bytes[usize::try_from(offset).unwrap()] ^= 1 << bit;
    std::fs::write(sandbox.path("out.gguf"), bytes).unwrap();
}

/// Offset of a tensor's data in the file.
fn start(sandbox: &Sandbox, tensor: &str) -> u64 {
    let path = sandbox.path("out.gguf");
    let header = Header::read(&path, &FileSource::open(&path).unwrap()).unwrap();
    header.data_offset + header.tensors.iter().find(|t| t.name == tensor).unwrap().offset
}

const EQUAL: &str = "equal: 93 tensors, 5,052,248 values, 41 metadata keys\n";

#[test]
fn equal_files_print_one_line() {
    let (sandbox, source) = converted();
    let ran = sandbox.run(&["verify", "out.gguf", &source]);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), EQUAL, ""));
    let json = sandbox.run(&["verify", "out.gguf", &source, "--json"]).json();
    assert_eq!(
        (&json["equal"], &json["tensors"], &json["values"]),
        (&true.into(), &93.into(), &5_052_248.into())
    );
    assert_eq!((&json["differences"], json["first_differences"].as_array().unwrap().len()), (&0.into(), 0));
}

#[test]
fn a_flipped_bit_is_found_with_its_place_and_both_values() {
    let (sandbox, source) = converted();
    // Row 3 has 128 weights in four blocks, each a scale and 16 bytes of codes. Byte 10 of the second block's codes
    // holds its elements 10 and 26; the highest bit belongs to element 26 and is worth 8 steps of the scale.
    let at = start(&sandbox, "blk.0.ffn_up_exps.weight") + 3 * 72 + 18;
    let bytes = sandbox.read("out.gguf");
    let byte = |offset: u64| bytes[usize::try_from(offset).unwrap()];
    let scale = half::f16::from_le_bytes([byte(at), byte(at + 1)]).to_f32();
    let code = byte(at + 2 + 10) >> 4;
    let value = |code: u8| (f32::from(code) - 8.0) * scale;
    flip(&sandbox, at + 2 + 10, 7);

    let ran = sandbox.run(&["verify", "out.gguf", &source]);
    let differs =
        "differs: 1 difference in 93 tensors, 5,052,248 values, 41 metadata keys; the first ones:\n";
    let place = "tensor `blk.0.ffn_up_exps.weight`, row 3, column 58";
    let values = format!("checkpoint {:e}, GGUF {:e}", f64::from(value(code)), f64::from(value(code ^ 8)));
    ran.said(3, &format!("{differs}  {place}: {values}\n"));
    assert_eq!(ran.err, "");

    let ran = sandbox.run(&["verify", "out.gguf", &source, "--json"]);
    assert_eq!((ran.code, &*ran.err), (Some(3), ""));
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["equal"], &json["differences"]), (&false.into(), &1.into()));
    assert_eq!(json["first_differences"][0], format!("{place}: {values}"));
    flip(&sandbox, at + 2 + 10, 7);
    sandbox.run(&["verify", "out.gguf", &source]).said(0, EQUAL);
}

#[test]
fn a_receipt_has_the_hashes_of_all_files() {
    let (sandbox, source) = converted();
    let arguments = ["verify", "out.gguf", &source, "--receipt", "receipt.json"];
    sandbox.run(&arguments).said(0, EQUAL);
    let receipt: Value = serde_json::from_slice(&sandbox.read("receipt.json")).unwrap();
    assert_eq!((&receipt["equal"], &receipt["tensors"]), (&true.into(), &93.into()));
    let check = |list: &Value, folder: &str| {
        let files = list.as_array().unwrap();
        for file in files {
            let bytes = std::fs::read(format!("{folder}/{}", file["file"].as_str().unwrap())).unwrap();
            let hex = file["sha256"].as_str().unwrap();
            assert_eq!((hex.len(), &file["bytes"]), (64, &bytes.len().into()), "{file}");
            for (i, byte) in Sha256::digest(&bytes).iter().enumerate() {
                assert_eq!(u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok(), Some(*byte), "{file}");
            }
        }
        files.iter().map(|file| file["file"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(check(&receipt["gguf"], sandbox.path("").to_str().unwrap()), ["out.gguf"]);
    let sources = check(&receipt["source"], &source);
    for name in ["config.json", "tokenizer.json", "model.safetensors", "model_extra_tensors.safetensors"] {
        assert!(sources.iter().any(|s| s == name), "{name} is not in {sources:?}");
    }

    let at = start(&sandbox, "token_embd.weight");
    flip(&sandbox, at, 0);
    assert_eq!(sandbox.run(&arguments).code, Some(3));
    let receipt: Value = serde_json::from_slice(&sandbox.read("receipt.json")).unwrap();
    assert_eq!((&receipt["equal"], &receipt["differences"]), (&false.into(), &1.into()));
    check(&receipt["gguf"], sandbox.path("").to_str().unwrap());
}

#[test]
fn a_receipt_that_cannot_be_written_is_an_error_before_the_work() {
    let (sandbox, source) = converted();
    let ran =
        sandbox.run(&["verify", "out.gguf", &source, "--receipt", "no/receipt.json", "--progress", "always"]);
    ran.refused(1, &["error: cannot write the receipt: `no` is not a folder\n"]);
    assert!(!ran.err.contains("Verifying"), "{}", ran.err);
}

#[test]
fn another_checkpoint_is_a_difference() {
    let (sandbox, _) = converted();
    let other = data("matrix/source-bf16");
    let ran = sandbox.run(&["verify", "out.gguf", &other]);
    assert_eq!((ran.code, &*ran.err), (Some(3), ""));
    assert!(ran.out.starts_with("differs: ") && ran.out.lines().count() == 11, "{}", ran.out);
    let says = "  tensor `blk.0.ffn_gate_inp.weight`: its dimensions are [128, 16], expected [128, 4]\n";
    assert!(ran.out.contains(says), "{}", ran.out);
}

#[test]
fn missing_and_invalid_files_are_errors() {
    let (sandbox, source) = converted();
    std::fs::write(sandbox.path("text.gguf"), "nonsense").unwrap();
    sandbox
        .run(&["verify", "absent.gguf", &source])
        .refused(1, &["cannot open `absent.gguf`", "No such file"]);
    sandbox
        .run(&["verify", "text.gguf", &source])
        .refused(1, &["`text.gguf` is text that begins with `nonsense`, expected a GGUF file"]);
    let says = ["cannot find `absent/config.json`", "\nhint: a checkpoint is a folder with `config.json`"];
    sandbox.run(&["verify", "out.gguf", "absent"]).refused(1, &says);
    sandbox.run(&["verify", "absent.gguf", &source, "--json"]).refused(1, &["cannot open `absent.gguf`"]);
}

#[test]
fn swapped_arguments_are_recognized() {
    let (sandbox, source) = converted();
    let says = [&*format!(
        "error: `out.gguf` is a file, expected a checkpoint; pass the GGUF first: `ggrun verify out.gguf {source}`\n"
    )];
    sandbox.run(&["verify", &source, "out.gguf"]).refused(1, &says);
    let says = [
        "error: `out.gguf` is a file, expected a checkpoint; pass the GGUF first: `ggrun verify out.gguf org/name`\n",
    ];
    sandbox.run(&["verify", "org/name", "out.gguf"]).refused(1, &says);
    let says = ["is a folder, expected a GGUF; pass the GGUF first, then the folder of its checkpoint\n"];
    sandbox.run(&["verify", &source, &source]).refused(1, &says);
    let says = ["error: `out.gguf` is a file, expected a checkpoint: a folder with `config.json`"];
    sandbox.run(&["verify", "out.gguf", "out.gguf"]).refused(1, &says);
}

#[test]
fn declared_rounding_is_one_line_for_each_tensor() {
    let sandbox = Sandbox::with(&testkit::Model::tiny());
    sandbox.run(&["convert", "source", "-o", "out.gguf", "--outtype", "q8_0"]).said(0, "out.gguf\n");
    let ran = sandbox.run(&["verify", "out.gguf", "source"]);
    assert_eq!((ran.code, &*ran.err), (Some(3), ""));
    let first = ran.out.lines().next().unwrap();
    assert!(first.starts_with("differs by rounding: "), "{first}");
    assert!(
        first.ends_with(", as the file declares; `--allow-rounding` accepts them; the first ones:"),
        "{first}"
    );
    let is_tensor = |line: &str| line.ends_with(" rounded to Q8_0, as the GGUF declares");
    assert!(ran.out.lines().count() == 11 && ran.out.lines().skip(1).all(is_tensor), "{}", ran.out);
    let json = sandbox.run(&["verify", "out.gguf", "source", "--json"]).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["rounded_values"].as_u64() > json["differences"].as_u64(), "{json:#}");
    let ran = sandbox.run(&["verify", "out.gguf", "source", "--allow-rounding"]);
    assert!(ran.code == Some(0) && ran.out.starts_with("equal: "), "{ran:?}");
}
