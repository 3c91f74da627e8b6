//! Files that people pass by mistake, and files that are not files: the message says what each is and what to pass instead.

use std::process::Command;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{Header, Metadata, Value};

use super::Sandbox;

/// A part of a split GGUF.
fn part(no: u16, count: u16) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", Value::Str("llama".into()));
    metadata.push("split.no", no);
    metadata.push("split.count", count);
    metadata.push("split.tensors.count", i32::from(count));
    let header =
        Header::layout(metadata, vec![(format!("t{no}.weight"), vec![32, 4], GgmlType::F32)]).unwrap();
    let mut bytes = header.encode();
    bytes.resize(usize::try_from(header.file_len()).unwrap(), 0);
    bytes
}

fn put(sandbox: &Sandbox, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(sandbox.path(name), bytes).unwrap();
}

/// Commands that read a GGUF before anything else.
const READERS: [&[&str]; 4] = [&["run", "-p", "x", "-m"], &["plan"], &["bench"], &["inspect"]];

#[test]
fn a_file_of_another_format_is_named_with_what_to_do() {
    let sandbox = Sandbox::new();
    let cases: [(&[u8], &str, &str); 10] = [
        (b"<!DOCTYPE html><html>", "is an HTML page", "download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "is a git LFS pointer",
            "git lfs pull",
        ),
        (b"Entry not found", "is text that begins with `Entry not found`", "error message"),
        (b"{\"error\":\"no\"}", "is a JSON file", "error message"),
        (b"PK\x03\x04\x14\0\0\0archive/data.pkl", "is a PyTorch checkpoint", "safetensors"),
        (b"PK\x03\x04\x14\0\0\0model.gguf", "is a zip archive", "unpack it first"),
        (b"\x1f\x8b\x08\0", "is a gzip archive", "unpack it first"),
        (b"\x10\0\0\0\0\0\0\0{\"a\":1}", "is a safetensors file", "`ggrun convert`"),
        (b"tjgg\x03\0\0\0", "is a GGML file from before GGUF", "to GGUF again"),
        (b"", "is an empty file", "download it again"),
    ];
    for (bytes, is, hint) in cases {
        put(&sandbox, "m.gguf", bytes);
        for command in READERS {
            let is = format!("`m.gguf` {is}");
            sandbox.run(&[command, &["m.gguf"]].concat()).refused(1, &[&is, "expected a GGUF file", hint]);
        }
    }
}

#[test]
fn a_later_part_and_joined_parts_are_named() {
    let sandbox = Sandbox::new();
    for no in 0..3 {
        put(&sandbox, &format!("m-0000{}-of-00003.gguf", no + 1), part(no, 3));
    }
    put(&sandbox, "joined.gguf", [part(0, 3), part(1, 3), part(2, 3)].concat());
    put(&sandbox, "twice.gguf", [part(0, 1), part(0, 1)].concat());
    let cut = part(0, 1);
    put(&sandbox, "cut.gguf", &cut[..cut.len() - 100]);
    put(&sandbox, "m.gguf.part1of2", &cut[..cut.len() - 100]);
    for command in READERS {
        let run = |file: &str| sandbox.run(&[command, &[file]].concat());
        run("m-00002-of-00003.gguf")
            .refused(1, &["is part 2 of 3; pass the first part (`m-00001-of-00003.gguf`)"]);
        for joined in ["joined.gguf", "twice.gguf"] {
            run(joined).refused(1, &["holds several GGUF files", "pass the first of the separate files"]);
        }
        run("cut.gguf").refused(1, &["is truncated: tensor `t0.weight`", "compare its size"]);
        run("m.gguf.part1of2").refused(1, &["is truncated", "join all pieces of the file with `cat`"]);
    }
    // Nothing proves that a file with a wrong header is cut.
    let mut wrong = part(0, 1);
    wrong[4] = 9;
    put(&sandbox, "wrong.gguf", wrong);
    let said = sandbox.run(&["plan", "wrong.gguf"]).err;
    assert!(said.contains("version 9") && !said.contains("hint"), "{said}");
}

#[test]
fn a_shard_of_another_format_is_named_in_a_checkpoint() {
    let sandbox = Sandbox::with(&testkit::Model::tiny());
    let shard = sandbox.path("source/model.safetensors");
    let whole = std::fs::read(&shard).unwrap();
    let inspect = || sandbox.run(&["inspect", "source"]);
    std::fs::write(&shard, "version https://git-lfs.github.com/spec/v1\n").unwrap();
    inspect().refused(1, &["is a git LFS pointer", "expected a safetensors file", "git lfs pull"]);
    std::fs::write(&shard, "<html></html>").unwrap();
    inspect().refused(1, &["`source/model.safetensors` is an HTML page, expected a safetensors file"]);
    std::fs::write(&shard, &whole[..whole.len() / 2]).unwrap();
    inspect().refused(1, &["a complete file; download it again"]);
    std::fs::write(&shard, whole).unwrap();
    let config = sandbox.path("source/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("\u{feff}{text}")).unwrap();
    assert_eq!(inspect().code, Some(0), "a byte-order mark is no error: {:?}", inspect());
    let wide: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(&config, wide).unwrap();
    inspect().refused(1, &["`source/config.json` is text in UTF-16, expected JSON", "iconv"]);
}

#[test]
fn a_name_where_text_is_expected_gets_the_option_for_files() {
    let sandbox = Sandbox::new();
    put(&sandbox, "schema.json", "{\"type\": \"object\"}");
    put(&sandbox, "rules.gbnf", "root ::= \"a\"");
    let refused = |options: &[&str], says: &str| {
        let ran = sandbox.run(&[&["run", "-p", "x", "-m", "no/such.gguf"], options].concat());
        ran.refused(1, &[says]);
        assert!(!ran.err.contains("no/such.gguf"), "{}", ran.err);
    };
    refused(&["--json-schema", "schema.json"], "pass it with `--json-schema-file`");
    refused(&["-j", "no/such.json"], "pass it with `--json-schema-file`");
    refused(&["--grammar", "rules.gbnf"], "pass it with `--grammar-file`");
    refused(&["--grammar-file", "schema.json"], "pass a schema with `--json-schema-file`");
    refused(&["--json-schema-file", "rules.gbnf"], "pass it with `--grammar-file`");
    refused(&["--json-schema-file", "{\"type\": \"object\"}"], "pass it with `--json-schema`");
    refused(&["--chat-template", "chat.jinja"], "`--chat-template-file`");
    refused(&["--tools", "[{\"name\": \"f\"}]"], "write it to a file first");
}

#[test]
fn special_files_are_refused_as_models() {
    let sandbox = Sandbox::with(&testkit::Model::tiny());
    let made = Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap();
    assert!(made.success());
    for model in ["pipe", "/dev/zero", "/dev/null"] {
        for command in READERS {
            sandbox.run(&[command, &[model]].concat()).refused(1, &[model, "it is not a regular file"]);
        }
        sandbox.run(&["verify", model, "source"]).refused(1, &[model, "it is not a regular file"]);
    }
    let shard = sandbox.path("source/model.safetensors");
    std::fs::remove_file(&shard).unwrap();
    std::fs::rename(sandbox.path("pipe"), &shard).unwrap();
    sandbox.run(&["inspect", "source"]).refused(1, &["model.safetensors", "it is not a regular file"]);
}

#[test]
fn text_is_read_from_files_and_pipes_up_to_a_limit() {
    let sandbox = Sandbox::new();
    let run = |options: &[&str]| sandbox.run(&[&["run", "-m", "no/such.gguf"], options].concat());
    for (option, what) in [
        ("--grammar-file", "the grammar"),
        ("--json-schema-file", "the JSON schema"),
        ("--chat-template-file", "the chat template"),
        ("--system-prompt-file", "the system prompt"),
        ("--tools", "tools"),
    ] {
        let says = format!("cannot read {what} from `/dev/zero`");
        run(&["-p", "x", option, "/dev/zero"]).refused(1, &[&says, "it is a device"]);
    }
    run(&["-f", "/dev/zero"]).refused(1, &["cannot read the prompt from `/dev/zero`", "it is a device"]);
    put(&sandbox, "large.gbnf", vec![b' '; (1 << 20) + 1]);
    run(&["-p", "x", "--grammar-file", "large.gbnf"]).refused(1, &["it has more than 1.00 MiB"]);
    let batch = ["batch", "/dev/zero", "-o", "out", "-m", "no/such.gguf"];
    sandbox.run(&batch).refused(1, &["`/dev/zero` is a device, expected a file or a pipe"]);

    // Read and accepted, so that only the model is missing.
    put(&sandbox, "mark.gbnf", "\u{feff}root ::= \"a\"");
    run(&["-p", "x", "--grammar-file", "mark.gbnf"]).refused(1, &["cannot read `no/such.gguf`"]);
    let script = "mkfifo pipe; (printf 'root ::= \"a\"' > pipe) & \
                  \"$0\" run -m no/such.gguf -p x --grammar-file pipe";
    super::sandbox::Ran::of(&mut sandbox.shell(script)).refused(1, &["cannot read `no/such.gguf`"]);
    let wide: Vec<u8> = "root ::= \"a\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(&sandbox, "wide.gbnf", [vec![0xff, 0xfe], wide].concat());
    run(&["-p", "x", "--grammar-file", "wide.gbnf"]).refused(1, &["text in UTF-16", "iconv"]);
}
