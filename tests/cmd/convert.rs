//! `ggrun convert`: file names, streams and errors. Options that choose tensor types are in `choices.rs`.

use std::process::Stdio;

use testkit::{Dtype, Encoding, Fp8, Fp8Scale, Gptq, Model, Tensor};

use super::sandbox::Ran;
use super::{Sandbox, data};

/// A model with int4 experts and unquantized other weights.
fn small() -> Sandbox {
    Sandbox::with(&Model { experts: Encoding::Gptq(Gptq::sym(4, 128)), ..Model::tiny() })
}

#[test]
fn stdout_lists_the_files_and_stderr_has_the_rest() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["convert", &data("tiny-thinker"), "-o", "out.gguf"]);
    ran.said(0, "out.gguf\n");
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines[0], "93 tensors: 93 exact by construction; has its MTP layer");
    assert!(lines[1].starts_with("3.41 MiB in ") && lines[1].ends_with(" s"), "{}", lines[1]);
    assert_eq!(lines.len(), 2, "{}", ran.err);
    assert_eq!(sandbox.files(), ["out.gguf"]);
    assert_eq!(sandbox.read("out.gguf")[..4], *b"GGUF");
}

#[test]
fn with_json_one_object_is_the_only_output() {
    let sandbox = small();
    let json = sandbox.run(&["convert", "source", "-o", "out.gguf", "--json"]).json();
    assert_eq!((&json["dry_run"], &json["resumed_bytes"]), (&false.into(), &0.into()));
    assert_eq!(json["files"][0]["path"], "out.gguf");
    assert_eq!(json["files"][0]["bytes"], sandbox.read("out.gguf").len());
    let written = sandbox.types("out.gguf");
    let tensors = json["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), written.len());
    for tensor in tensors {
        assert_eq!(tensor["type"], *written[tensor["name"].as_str().unwrap()], "{tensor}");
        assert_eq!(tensor["fidelity"], "exact");
    }
}

#[test]
fn a_dry_run_prints_what_a_run_writes() {
    let sandbox = small();
    let mut planned = sandbox.run(&["convert", "source", "-o", "out.gguf", "--dry-run", "--json"]).json();
    let words = sandbox.run(&["convert", "source", "-o", "out.gguf", "--dry-run"]);
    assert_eq!((words.code, &*words.err, sandbox.files().len()), (Some(0), "", 0), "{words:?}");
    let mut done = sandbox.run(&["convert", "source", "-o", "out.gguf", "--json"]).json();
    for json in [&mut planned, &mut done] {
        json.as_object_mut().unwrap().remove("dry_run").unwrap();
    }
    assert_eq!(planned, done);
    let line = |name: &str| words.out.lines().find(|line| line.starts_with(name)).unwrap();
    let cells = line("blk.0.ffn_up_exps.weight").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(cells, "blk.0.ffn_up_exps.weight Q4_0 exact [128, 128, 4] 36.00 KiB int4 sym group 128");
    let size = indicatif::BinaryBytes(sandbox.read("out.gguf").len() as u64).to_string();
    assert_eq!(line("out.gguf "), format!("out.gguf  {size}"));
    assert_eq!(words.out.lines().count(), done["tensors"].as_array().unwrap().len() + 2);
}

#[test]
fn fp8_that_grows_to_f32_is_in_the_first_line_and_in_the_file_name() {
    let fp8 = Encoding::Fp8(Fp8::scaled(Fp8Scale::Block(64, 64)));
    let sandbox = Sandbox::with(&Model::uniform(fp8));
    let values = 2 * 3 * 4 * 128 * 128 + 180_224 + 180_224;
    let says = format!(
        "19 tensors of FP8 E4M3 block 64x64 become F32, 4.0 times the size ({} from {}), \
         because no smaller type holds them exactly; `--fp8 bf16` or `--fp8 q8_0` rounds them",
        indicatif::BinaryBytes(4 * values),
        indicatif::BinaryBytes(values),
    );
    let planned = sandbox.run(&["convert", "source", "--dry-run"]);
    assert_eq!(planned.out.lines().next(), Some(&*says), "{planned:?}");
    let ran = sandbox.run(&["convert", "source"]);
    assert_eq!(ran.err.lines().next(), Some(&*format!("note: {says}")), "{ran:?}");
    assert_eq!(ran.out, "source-F32.gguf\n");
    let json = sandbox.run(&["convert", "source", "--dry-run", "--json"]).json();
    assert_eq!((&json["expanded"]["tensors"], &json["expanded"]["type"]), (&19.into(), &"F32".into()));
    // Most of the weights are of another type.
    let wide = Model { vocab: 8192, experts: fp8, ..Model::tiny() };
    Sandbox::with(&wide).run(&["convert", "source"]).said(0, "source-BF16-F32.gguf\n");
    for chosen in [["--fp8", "f32"], ["--outtype", "f32"]] {
        let ran = sandbox.run(&[&["convert", "source", "--force"], &chosen[..]].concat());
        assert!(!ran.err.contains("become F32") && ran.out == "source-F32.gguf\n", "{ran:?}");
    }
    let rounded = sandbox.run(&["convert", "source", "--fp8", "q8_0"]);
    assert!(!rounded.err.contains("become F32") && rounded.out.ends_with("-Q8_0.gguf\n"), "{rounded:?}");
}

#[test]
fn what_a_conversion_leaves_out_is_said_in_words_and_in_json() {
    let mut built = Model::tiny().build();
    for name in ["k_proj.k_scale", "v_proj.v_scale"] {
        let name = format!("model.layers.1.self_attn.{name}");
        built.tensors.push(Tensor::new(name, Dtype::F32, &[1], vec![0; 4]));
    }
    built.json.get_mut("tokenizer_config.json").unwrap().as_object_mut().unwrap().remove("chat_template");
    let sandbox = Sandbox::new();
    built.write(&sandbox.path("source"));
    let notes = [
        "left out 2 tensors, `model.layers.1.self_attn.k_proj.k_scale` and others: scales of a quantized KV cache, \
         which llama.cpp does not use",
        "the checkpoint has no chat template",
    ];
    let planned = sandbox.run(&["convert", "source", "-o", "out.gguf", "--dry-run"]);
    let ran = sandbox.run(&["convert", "source", "-o", "out.gguf"]);
    let json = sandbox.run(&["convert", "source", "-o", "out.gguf", "--dry-run", "--json"]).json();
    for note in notes {
        assert!(planned.out.lines().any(|line| line == note), "{}", planned.out);
        assert!(ran.err.lines().any(|line| line == format!("note: {note}")), "{}", ran.err);
        assert!(json["notes"].as_array().unwrap().iter().any(|found| found == note), "{json:#}");
    }
    let left_out = json["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 2);
    assert_eq!(left_out[1]["name"], "model.layers.1.self_attn.v_proj.v_scale");
    assert_eq!(left_out[1]["file"], "source/model.safetensors");
}

#[test]
fn a_rounded_value_beyond_the_range_of_its_type_names_the_tensor_and_the_way_out() {
    let mut built = Model::tiny().build();
    let weight = built.tensor("model.layers.1.self_attn.o_proj.weight");
    weight.data[..2].copy_from_slice(&half::bf16::from_f32(1e27).to_le_bytes());
    let sandbox = Sandbox::new();
    built.write(&sandbox.path("source"));
    let says = [
        "tensor `model.layers.1.self_attn.o_proj.weight` in `source/model.safetensors`: row 0, column 0: 1.00",
        "e27 is out of the range of Q8_0\n",
        "\nhint: choose BF16 or F32 for this tensor",
    ];
    sandbox.run(&["convert", "source", "-o", "out.gguf", "--outtype", "q8_0"]).refused(1, &says);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn a_tokenizer_in_another_form_is_refused_with_the_way_to_its_json() {
    let checkpoint = Model::tiny().build();
    for (name, hint) in [
        (
            "tekken.json",
            "\nhint: write it with transformers 5.24 or later, in the folder of the checkpoint: `python3 -c",
        ),
        ("tiktoken.model", "\nhint: write it with transformers' `TikTokenConverter`, from this file and"),
    ] {
        let sandbox = Sandbox::new();
        checkpoint.write(&sandbox.path("source"));
        std::fs::rename(sandbox.path("source/tokenizer.json"), sandbox.path(&format!("source/{name}")))
            .unwrap();
        let says = [&format!("`source/{name}` is a "), "expected `tokenizer.json` beside it\n", hint];
        sandbox.run(&["convert", "source", "-o", "out.gguf"]).refused(1, &says);
    }
}

#[test]
fn without_an_output_the_file_is_named_after_the_model() {
    let sandbox = Sandbox::new();
    let source = data("tiny-thinker");
    sandbox.run(&["convert", &source]).said(0, "tiny-thinker-Q4_0.gguf\n");
    sandbox.run(&["convert", &source, "--name", "My Model"]).said(0, "My-Model-Q4_0.gguf\n");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    sandbox.run(&["convert", &source, "-o", "folder"]).said(0, "folder/tiny-thinker-Q4_0.gguf\n");
    assert_eq!(sandbox.files(), ["My-Model-Q4_0.gguf", "folder", "tiny-thinker-Q4_0.gguf"]);
    assert!(sandbox.read("folder/tiny-thinker-Q4_0.gguf") == sandbox.read("tiny-thinker-Q4_0.gguf"));
}

#[test]
fn an_existing_output_is_replaced_only_with_force() {
    let sandbox = small();
    std::fs::write(sandbox.path("out.gguf"), "mine").unwrap();
    let convert = ["convert", "source", "-o", "out.gguf"];
    let says = [
        "error: cannot convert `source`\n",
        "`out.gguf` already exists\n",
        "\nhint: replace it with `--force`",
    ];
    sandbox.run(&convert).refused(1, &says);
    assert_eq!((sandbox.files(), sandbox.read("out.gguf")), (vec!["out.gguf".into()], b"mine".to_vec()));
    sandbox.run(&[&convert[..], &["--force"]].concat()).said(0, "out.gguf\n");
    assert_eq!(sandbox.read("out.gguf")[..4], *b"GGUF");
}

#[test]
fn a_split_output_is_read_from_its_first_file() {
    let sandbox = Sandbox::new();
    let source = data("tiny-thinker");
    sandbox.run(&["convert", &source, "-o", "whole.gguf"]).said(0, "whole.gguf\n");
    let ran = sandbox.run(&["convert", &source, "-o", "out.gguf", "--split-max-size", "500K"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let names: Vec<String> = ran.out.lines().map(str::to_owned).collect();
    let count = names.len();
    assert!(count > 5, "{names:?}");
    let numbered = (1..=count).map(|i| format!("out-{i:05}-of-{count:05}.gguf"));
    assert!(names.iter().cloned().eq(numbered), "{names:?}");
    assert_eq!(sandbox.files()[..count], names);

    assert_eq!(sandbox.types(&names[0]), sandbox.types("whole.gguf"));
    let whole = sandbox.run(&["verify", "whole.gguf", &source]);
    sandbox.run(&["verify", &names[0], &source]).said(0, &whole.out);
    let inspected = sandbox.run(&["inspect", &names[0]]);
    assert!(inspected.out.starts_with(&format!("GGUF: {count} files, ")), "{}", inspected.out);
    let first = format!("is part 2 of {count}; pass the first part (`{}`)\n", names[0]);
    let says = ["`out-00002-of-", &first];
    sandbox.run(&["inspect", &names[1]]).refused(1, &says);
    std::fs::remove_file(sandbox.path(&names[2])).unwrap();
    sandbox.run(&["verify", &names[0], &source]).refused(1, &[&format!("cannot open `{}`", names[2])]);
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let sandbox = small();
    std::fs::write(sandbox.path("file"), "mine").unwrap();
    let convert = |out: &str| sandbox.run(&["convert", "source", "-o", out]);
    let says = [
        "`no/such",
        "No such file or directory",
        "\nhint: the output folder does not exist; create it first\n",
    ];
    convert("no/such/out.gguf").refused(1, &says);
    convert("file/out.gguf").refused(1, &["`file", "Not a directory"]);
    assert_eq!((sandbox.files(), sandbox.read("file")), (vec!["file".into()], b"mine".to_vec()));

    let closed = sandbox.path("closed");
    std::fs::create_dir(&closed).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&closed, mode(0o555)).unwrap();
    // Root may write everywhere.
    if std::fs::write(closed.join("probe"), "").is_err() {
        convert("closed/out.gguf").refused(1, &["cannot create `closed/out.gguf.part`", "Permission denied"]);
        assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0);
    }
    std::fs::set_permissions(&closed, mode(0o755)).unwrap();
}

#[test]
fn a_file_is_refused_as_a_checkpoint() {
    let sandbox = small();
    std::fs::write(sandbox.path("file"), "mine").unwrap();
    sandbox
        .run(&["convert", "source/config.json"])
        .refused(1, &["Not a directory", "\nhint: a checkpoint is a folder"]);
    sandbox.run(&["convert", "file"]).refused(1, &["`file/config.json`", "\nhint: a checkpoint is a folder"]);
}

#[test]
fn a_file_over_the_size_limit_is_an_error_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    let convert = format!("exec \"$0\" convert '{}' -o out.gguf", data("tiny-thinker"));
    // In blocks of 512 bytes.
    let ran = Ran::of(&mut sandbox.shell(&format!("ulimit -f 1000; {convert}")));
    ran.refused(
        4,
        &[
            "cannot extend `out.gguf.part`",
            "File too large",
            "\nhint: the disk or `ulimit -f` does not allow",
        ],
    );
    assert_eq!(sandbox.files(), [""; 0]);
    // The first files fit, a later one does not.
    let ran = Ran::of(&mut sandbox.shell(&format!("ulimit -f 960; {convert} --split-max-size 500K")));
    ran.refused(4, &["File too large"]);
    assert_eq!(sandbox.files(), [""; 0]);
    let ran = Ran::of(&mut sandbox.shell(&format!("ulimit -f 1000; {convert} --split-max-size 400K")));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_full_disk_is_refused_before_anything_is_written() {
    let sandbox = small();
    std::fs::create_dir(sandbox.path("disk")).unwrap();
    let within = |script: &str| {
        let mount = "mount -t tmpfs -o size=200k tmpfs disk";
        Ran::of(&mut sandbox.program(
            "unshare",
            &["-rm", "sh", "-c", &format!("{mount} && {script}"), env!("CARGO_BIN_EXE_ggrun")],
        ))
    };
    if within("exit 77").code != Some(77) {
        println!("skipped: this user cannot mount a tmpfs");
        return;
    }
    let says = [
        "`disk/out.gguf` needs 1.",
        " MiB, the disk has 200.00 KiB free",
        "\nhint: free some space, or write to another disk with `-o`",
    ];
    within("exec \"$0\" convert source -o disk/out.gguf").refused(4, &says);
    within("\"$0\" convert source -o disk/out.gguf 2> /dev/null; ls disk").said(0, "");
}

#[test]
fn a_closed_pipe_is_success() {
    let sandbox = small();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = Ran::of(
        sandbox.command(&["convert", "source", "-o", "out.gguf"]).stdout(writer).stderr(Stdio::piped()),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for arguments in [
        ["convert", "source", "--dry-run"],
        ["inspect", "out.gguf", "--json"],
        ["verify", "out.gguf", "source"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = sandbox.command(&arguments).stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn progress_is_printed_only_when_asked_for() {
    let sandbox = small();
    let convert = |more: &[&str]| {
        sandbox.run(&[&["convert", "source", "-o", "out.gguf", "--force"], more].concat()).err
    };
    assert_eq!(convert(&[]).lines().count(), 2);
    assert_eq!(convert(&["--progress", "never"]).lines().count(), 2);
    let err = convert(&["--progress", "always"]);
    assert!(!err.contains(['\x1b', '\r']), "{err:?}");
    let lines: Vec<&str> = err.lines().filter(|line| line.starts_with("Converting: ")).collect();
    assert!(lines.len() > 3, "{err}");
    let json = sandbox.run(&["convert", "source", "--dry-run", "--json"]).json();
    let bytes = json["tensors"].as_array().unwrap().iter().map(|t| t["bytes"].as_u64().unwrap()).sum();
    let total = indicatif::BinaryBytes(bytes);
    assert_eq!(*lines.last().unwrap(), format!("Converting: 100%, {total} of {total}"));
}
