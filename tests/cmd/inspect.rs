//! `ggrun inspect` of GGUFs and checkpoints, and `ggrun demo`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Sandbox, data};

/// Checks that the text output and the JSON output agree.
fn agree(text: &str, json: &Value) {
    let mut blocks = text.split("\n\n");
    let tensors = json["tensors"].as_array().unwrap();
    let values: u64 = tensors
        .iter()
        .map(|t| t["dims"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).product::<u64>())
        .sum();
    let title = blocks.next().unwrap();
    let counts = format!(", {} tensors, {} values", tensors.len(), indicatif::HumanCount(values));
    assert!(title.ends_with(&counts), "{title}: {counts}");
    let listed: Vec<&str> =
        blocks.next().unwrap().lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(listed, json["metadata"].as_object().unwrap().keys().collect::<Vec<_>>());
    for (title, key) in [("by type", "type"), ("by part", "part")] {
        let mut counted: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for tensor in tensors {
            let (n, bytes) = counted.entry(tensor[key].as_str().unwrap()).or_default();
            (*n, *bytes) = (*n + 1, *bytes + tensor["bytes"].as_u64().unwrap());
        }
        let mut rows = blocks.next().unwrap().lines();
        assert!(rows.next().unwrap().starts_with(title));
        let rows: Vec<String> =
            rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows.len(), counted.len(), "{rows:?}");
        for (name, (n, bytes)) in counted {
            let row = format!("{name} {n} {}", indicatif::BinaryBytes(bytes));
            assert!(rows.contains(&row), "`{row}` is not in {rows:?}");
        }
    }
    let Some(listed) = blocks.next() else { return };
    let names: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, tensors.iter().map(|t| t["name"].as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn text_and_json_agree() {
    let (sandbox, source) = (Sandbox::new(), data("tiny-thinker"));
    sandbox.run(&["convert", &source, "-o", "out.gguf"]).said(0, "out.gguf\n");
    for (path, title) in
        [("out.gguf", "GGUF: 1 file, 3.41 MiB, "), (&*source, "checkpoint: 2 files, 3.25 MiB, ")]
    {
        let json = sandbox.run(&["inspect", path, "--json"]).json();
        assert_eq!(json["kind"], if path == source { "checkpoint" } else { "gguf" });
        for (flags, blocks) in [(&[][..], 4), (&["--tensors"], 5)] {
            let ran = sandbox.run(&[&["inspect", path], flags].concat());
            assert_eq!((ran.code, &*ran.err), (Some(0), ""));
            assert!(ran.out.starts_with(title), "{}", ran.out);
            assert_eq!(ran.out.split("\n\n").count(), blocks);
            agree(&ran.out, &json);
        }
    }
    let json = sandbox.run(&["inspect", "out.gguf", "--json"]).json();
    assert_eq!(
        json["files"],
        serde_json::json!([{ "path": "out.gguf", "bytes": sandbox.read("out.gguf").len() }])
    );
    assert_eq!(json["metadata"]["general.architecture"], "qwen3next");
    let tensor = json["tensors"].as_array().unwrap().iter().find(|t| t["name"] == "blk.0.ffn_up_exps.weight");
    let expected = serde_json::json!({
        "name": "blk.0.ffn_up_exps.weight", "type": "Q4_0", "dims": [128, 128, 16], "bytes": 147_456,
        "part": "experts",
    });
    assert_eq!(*tensor.unwrap(), expected);
}

#[test]
fn a_path_that_is_neither_gguf_nor_checkpoint_is_an_error() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("text"), "nonsense").unwrap();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let inspect = |path: &str, flag: &[&str]| sandbox.run(&[&["inspect", path], flag].concat());
    for flag in [&[][..], &["--json"]] {
        inspect("text", flag).refused(
            1,
            &["cannot inspect `text`", "is text that begins with `nonsense`, expected a GGUF file"],
        );
        inspect("empty", flag)
            .refused(1, &["cannot find `empty/config.json`", "hint: a checkpoint is a folder"]);
        inspect("absent", flag).refused(1, &["cannot open `absent`", "No such file"]);
    }
}

#[test]
fn the_demo_converts_verifies_and_answers_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["demo", "--json"]).json();
    assert_eq!(
        (&json["equal"], &json["tensors"], &json["values"]),
        (&true.into(), &93.into(), &5_052_248.into())
    );
    let answers: Vec<&str> =
        json["answers"].as_array().unwrap().iter().map(|a| a["content"].as_str().unwrap()).collect();
    assert_eq!(answers, ["17 + 25 = 42", "The capital of Kenya is Nairobi.", "duolc"]);
    let ran = sandbox.run(&["demo", "--checkpoint", &data("tiny-thinker")]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    for words in answers.iter().chain(&["equal: 93 tensors", "\nNext:\n", " convert "]) {
        assert!(ran.out.contains(words), "`{words}` is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains('\x1b'), "{}", ran.out);
    assert_eq!(sandbox.files(), [""; 0]);
}
