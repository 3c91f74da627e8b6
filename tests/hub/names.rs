//! Repositories in place of paths, and `-hf`, as a process.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;

use super::server::{COMMIT, Fault};
use super::{Site, process::said};
use crate::support::{data, tiny_gguf};

/// The bundled model's GGUF.
fn gguf() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(tiny_gguf()).unwrap()).clone()
}

/// Three files named by encodings. Only one is a model, so the others cannot be loaded.
fn site() -> Site {
    Site::new(&[
        ("README.md", b"# A model".to_vec()),
        ("tiny-Q8_0.gguf", b"GGUF, but invalid".to_vec()),
        ("tiny-Q4_0.gguf", gguf()),
        ("mmproj-tiny-Q4_0.gguf", b"invalid".to_vec()),
        ("sub/tiny-F16.gguf", b"invalid".to_vec()),
    ])
}

/// Runs a question with these arguments for the model.
fn ask(site: &Site, model: &[&str]) -> Output {
    let words = [&["run"], model, &["-p", "7+5=", "--temp", "0", "-n", "8", "--json", "--cpu"]].concat();
    site.run(&words)
}

#[track_caller]
fn answers(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer.is_object(), "{answer}");
}

/// Asserts the exit code, and that standard error has each of these words.
#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(said(output).contains(word), "`{word}` is not in: {}", said(output));
    }
}

#[test]
fn a_gguf_of_the_hub_is_fetched_once_and_then_works_offline() {
    let site = site();
    answers(&ask(&site, &["-hf", "org/name"]));
    assert_eq!(site.server.sent("tiny-Q4_0.gguf"), gguf().len(), "one file, once");
    assert_eq!(site.server.sent("tiny-Q8_0.gguf") + site.server.sent("sub/tiny-F16.gguf"), 0);
    let asked = site.server.asked().len();
    answers(&ask(&site, &["-hf", "org/name:q4_0", "--offline"]));
    answers(&ask(&site, &["-m", "org/name", "--offline"]));
    let set =
        site.command(&["plan", "-hf", "org/name", "--cpu", "--json"]).env("HF_HUB_OFFLINE", "1").output();
    assert!(set.unwrap().status.success());
    assert_eq!(site.server.asked().len(), asked, "offline mode sends no request");
    let lacking = ask(&site, &["-hf", "org/name:Q8_0", "--offline"]);
    let words = [
        "error: of `org/name` the cache has only tiny-Q4_0.gguf\n",
        "`org/name:Q8_0` is not in the cache, and nothing is downloaded in offline mode",
        "hint: fetch it once without `--offline`",
    ];
    fails(&lacking, 1, &words);
    let typed = ask(&site, &["-m", "org/name:Q8_0", "--offline"]);
    fails(&typed, 1, &words);
    assert!(!said(&typed).contains("no such path"), "{}", said(&typed));
    answers(&ask(&site, &["-m", "org/name@main"]));
    assert_eq!(site.server.sent("tiny-Q4_0.gguf"), gguf().len(), "a file in the cache is not fetched again");
    let other = ask(&site, &["-hf", "org/other", "--offline"]);
    fails(&other, 1, &["`org/other` is not in the cache", "hint: fetch it once without `--offline`"]);
}

#[test]
fn an_encoding_a_file_or_an_address_picks_one_of_several() {
    let site = site();
    answers(&ask(&site, &["-hf", "org/name:Q4_0"]));
    answers(&ask(&site, &["--hf-repo", "org/name:F16", "-hff", "tiny-Q4_0.gguf"]));
    let page = "https://huggingface.co/org/name";
    answers(&ask(&site, &["-hf", page]));
    answers(&ask(&site, &["-m", &format!("{page}/resolve/main/tiny-Q4_0.gguf?download=true")]));
    answers(&ask(&site, &["-hf", &format!("{}/org/name/tree/main:Q4_0", site.server.endpoint())]));
    let two = ask(&site, &["-hf", &format!("{page}/blob/main/tiny-Q4_0.gguf"), "-hff", "b.gguf"]);
    fails(&two, 2, &["`--hf-file` and the address in `--hf-repo` both name a file"]);
    // The error shows which file was picked: these are not models.
    fails(&ask(&site, &["-hfr", "org/name:q8_0"]), 1, &["tiny-Q8_0.gguf"]);
    fails(&ask(&site, &["-hf", "org/name", "-hff", "sub/tiny-F16.gguf"]), 1, &["tiny-F16.gguf"]);
    let missing = ask(&site, &["-hf", "org/name:Q5_K_M"]);
    let there = "it has sub/tiny-F16.gguf, tiny-Q4_0.gguf, tiny-Q8_0.gguf";
    fails(&missing, 1, &["no `Q5_K_M` model", there, "hint: select an encoding with `-hf ORG/NAME:QUANT`"]);
    fails(&ask(&site, &["-hf", "org/name", "-hff", "nothing.gguf"]), 1, &["no `nothing.gguf`", there]);
}

#[test]
fn two_models_or_none_are_refused_and_options_take_precedence_over_variables() {
    let site = site();
    fails(
        &ask(&site, &["-m", "a.gguf", "-hf", "org/name"]),
        2,
        &["--model", "cannot be used with", "--hf-repo"],
    );
    fails(&ask(&site, &["-m", "a.gguf", "-hff", "b.gguf"]), 2, &["cannot be used with '--hf-file"]);
    fails(&ask(&site, &[]), 2, &["no model, expected MODEL, `-m` or `-hf`"]);
    fails(&ask(&site, &["-hf", "org/name:"]), 2, &["expected an encoding"]);
    fails(&ask(&site, &["-hf", "./here"]), 2, &["`./here` is not a repository name (expected ORG/NAME"]);
    let dataset = "https://huggingface.co/datasets/org/name";
    fails(&ask(&site, &["-hf", dataset]), 2, &["is a dataset, not a model"]);
    fails(&ask(&site, &["-m", dataset]), 1, &["is a dataset, not a model"]);
    fails(&ask(&site, &["-m", "https://example.com/a/b.gguf"]), 1, &["is not an address of the hub"]);
    assert_eq!(site.server.asked(), []);
    let plan = |words: &[&str], set: &[(&str, &str)]| {
        let words = [&["plan", "--cpu"], words].concat();
        site.command(&words).envs(set.iter().copied()).output().unwrap()
    };
    let nothing = ("LLAMA_ARG_MODEL", "nothing.gguf");
    assert!(plan(&["-hf", "org/name"], &[nothing]).status.success());
    assert!(plan(&[], &[("LLAMA_ARG_HF_REPO", "org/name:Q4_0")]).status.success());
    let address = ("LLAMA_ARG_HF_REPO", "https://huggingface.co/org/name:Q4_0");
    fails(&plan(&["-m", "nothing.gguf"], &[address]), 1, &["nothing.gguf"]);
    let file = ("LLAMA_ARG_HF_FILE", "tiny-Q4_0.gguf");
    assert!(plan(&["-hf", "org/name:Q8_0"], &[file, ("LLAMA_ARG_OFFLINE", "1")]).status.success());
    fails(
        &plan(&[], &[nothing, ("LLAMA_ARG_HF_REPO", "org/name")]),
        2,
        &["LLAMA_ARG_MODEL and LLAMA_ARG_HF_REPO cannot be used together"],
    );
}

#[test]
fn all_parts_of_a_split_model_are_fetched() {
    let home = tempfile::tempdir().unwrap();
    let whole = Site::new(&[]);
    let (source, out) = (data("tiny-thinker"), home.path().join("tiny-Q4_0.gguf"));
    let words =
        ["convert", source.to_str().unwrap(), "-o", out.to_str().unwrap(), "--split-max-size", "300K"];
    let made = whole.run(&words);
    assert!(made.status.success(), "{}", said(&made));
    let parts: Vec<(String, Vec<u8>)> = String::from_utf8(made.stdout)
        .unwrap()
        .lines()
        .map(|path| {
            (Path::new(path).file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    assert!(parts.len() > 1, "the model is split");
    let files: Vec<(&str, Vec<u8>)> =
        parts.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let site = Site::new(&files);
    answers(&ask(&site, &["-hf", "org/name"]));
    for (name, bytes) in &files {
        assert_eq!(site.server.sent(name), bytes.len(), "{name}");
    }
    // The repository has all parts, even where the cache lacks one.
    for missing in [0, parts.len() - 1] {
        fs::remove_file(site.repo().join("snapshots").join(COMMIT).join(files[missing].0)).unwrap();
        let lacking = ask(&site, &["-m", "org/name", "--offline"]);
        let what = format!("`org/name/{}` is not in the cache, and", files[missing].0);
        fails(&lacking, 1, &["error: the cache has only some parts of a model of `org/name`\n", &what]);
        answers(&ask(&site, &["-m", "org/name"]));
    }
    for (name, _) in &files {
        fs::remove_file(site.repo().join("snapshots").join(COMMIT).join(name)).unwrap();
    }
    fs::write(site.repo().join("snapshots").join(COMMIT).join("README.md"), "").unwrap();
    let none = ask(&site, &["-m", "org/name", "--offline"]);
    let words = ["error: the cache has no GGUF model of `org/name`\n", "`org/name` is not in the cache, and"];
    fails(&none, 1, &words);
    // Here the repository itself lacks it.
    fails(&ask(&site, &["-m", "org/name:Q8_0"]), 1, &["error: cannot choose a file of `org/name`\n"]);
}

/// The bundled checkpoint, with a GGUF.
fn checkpoint() -> Site {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(data("tiny-thinker"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    files.push(("tiny-Q4_0.gguf".to_owned(), gguf()));
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    Site::new(&files)
}

#[test]
fn a_repository_is_inspected_and_verified_like_its_folder() {
    let site = checkpoint();
    let shown = |words: &[&str]| {
        let output = site.run(words);
        assert!(output.status.success(), "{}", said(&output));
        let mut shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        shown["files"] = Value::Null;
        shown
    };
    let folder = data("tiny-thinker");
    let mut named = shown(&["inspect", "org/name", "--json"]);
    assert_eq!(named["kind"], "checkpoint");
    let mut here = shown(&["inspect", folder.to_str().unwrap(), "--json"]);
    // The metadata of a snapshot include the repository.
    for shown in [&mut here, &mut named] {
        shown["metadata"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("general."));
    }
    assert_eq!(named, here);
    assert_eq!(site.server.sent("tiny-Q4_0.gguf"), 0, "the GGUF is not a file of the checkpoint");
    // A repository's checkpoint and the GGUF converted from it have the same metadata.
    let out = site.home.path().join("made.gguf");
    let made = site.run(&["convert", "org/name", "-o", out.to_str().unwrap()]);
    assert!(made.status.success(), "{}", said(&made));
    let proven = site.run(&["verify", out.to_str().unwrap(), "org/name"]);
    assert!(proven.status.success(), "{proven:?}");
    let other = site.run(&["verify", tiny_gguf().to_str().unwrap(), "org/name"]);
    assert!(other.status.success(), "a GGUF of a folder has no metadata about a repository: {other:?}");
    let site = self::site();
    let output = site.run(&["inspect", "org/name", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["kind"], "gguf");
    let lacking = site.run(&["verify", tiny_gguf().to_str().unwrap(), "org/name"]);
    fails(&lacking, 1, &["`org/name` has no safetensors files"]);
}

#[test]
fn nothing_is_fetched_for_a_missing_gguf() {
    let site = checkpoint();
    fails(&site.run(&["verify", "nothing.gguf", "org/name"]), 1, &["cannot verify `nothing.gguf`"]);
    assert_eq!(site.server.asked(), []);
}

#[test]
fn an_existing_path_takes_precedence_over_a_repository() {
    let site = site();
    let here = site.home.path().join("org");
    fs::create_dir(&here).unwrap();
    fs::copy(tiny_gguf(), here.join("name")).unwrap();
    for words in [&["inspect", "org/name"][..], &["plan", "--cpu", "-m", "org/name"]] {
        let output = site.command(words).current_dir(site.home.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(site.server.asked(), []);
}

#[test]
fn the_error_for_a_missing_model_names_the_path_and_the_repository() {
    let site = site();
    let both = ["no such path or repository: `no/such`", "`no/such` not found (`127.0.0.1:", "hint: "];
    fails(&site.run(&["inspect", "no/such"]), 1, &both);
    fails(&ask(&site, &["-m", "no/such"]), 1, &both);
    fails(&ask(&site, &["-hf", "no/such"]), 1, &both[1..]);
    site.server.fail_always(&format!("/resolve/{COMMIT}/tiny-Q4_0.gguf"), Fault::Status(404, ""));
    fails(&ask(&site, &["-hf", "org/name"]), 1, &["tiny-Q4_0.gguf` not found", "returned 404)", "hint: "]);
    let asked = site.server.asked().len();
    for path in ["./no/such", "no/such.gguf", "~/none"] {
        let output = site.run(&["inspect", path]);
        fails(&output, 1, &[path]);
        assert!(!said(&output).contains("repository:"), "{}", said(&output));
    }
    assert_eq!(site.server.asked().len(), asked);
}
