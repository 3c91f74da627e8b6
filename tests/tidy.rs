//! The house rules that can be checked on the text of the repository. Each failure names file, line and rule; the reasons
//! are in ARCHITECTURE.md and STYLE.md. Uses only the standard library, so that `make tidy` compiles it in seconds.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/floor.rs"]
mod floor;
#[path = "tidy/patches.rs"]
mod patches;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/steps.rs"]
mod steps;
#[path = "tidy/words.rs"]
mod words;

use std::path::Path;
use std::process::Command;

use circles::Graph;
use floor::Crate;
use source::{File, has_ending, mark_tests, paths, tokens};

/// Above this a file needs a reason in [`LONG`].
const SOFT_LINES: usize = 400;
/// Above this no reason is good enough.
const HARD_LINES: usize = 800;
/// Files between the two limits, and why.
const LONG: &[(&str, &str)] = &[];

/// Limit of the total size of committed files.
const MOST_BYTES: u64 = 32 << 20;

const CRATES: [Crate; 2] = [
    Crate { src: "gguf-export/src", own: &[&["crate"], &["gguf_export"]], others: &[] },
    Crate { src: "src", own: &[&["crate"], &["ggrun"]], others: &["gguf_export"] },
];

/// A folder with a floor plan of its own.
const COMMAND_LINE: Crate = Crate { src: "src/cli", own: &[&["crate", "cli"]], others: &[] };

/// A name, the source where the rule holds, the parts of it that may use the name, and why.
const HOMES: &[(&str, &str, &str, &str)] = &[
    ("llama_cpp_2", "src/", "src/llama/", "the binding has one adapter"),
    ("llama_cpp_2", "gguf-export/", "", "an export needs no engine"),
    ("llama_cpp_sys_2", "src/", "src/llama/", "the binding has one adapter"),
    ("axum", "src/", "src/serve/", "only the edge speaks the protocol"),
    ("reqwest", "src/", "src/hub/", "one module connects outward"),
    ("clap", "src/", "src/cli/", "only the command line reads arguments"),
    ("indicatif", "src/", "src/cli/", "only the command line draws"),
    ("io::stderr", "src/", "src/cli/ui/", "one writer survives a closed standard error"),
    (
        "io::stdout",
        "src/cli/",
        "src/cli/ui/",
        "one writer tells a closed standard output from other failures",
    ),
    ("tracing_subscriber", "src/", "src/cli/", "libraries do not choose where logs go"),
    ("std::fs", "gguf-export/src/", "gguf-export/src/io/", "errors of `io` name the path"),
    ("std::env", "gguf-export/src/", "", "a library takes its options as values"),
    ("std::net", "gguf-export/src/", "", "an export touches no network"),
    ("Instant", "gguf-export/src/", "", "an export depends on no clock"),
    ("SystemTime::now", "gguf-export/src/", "", "an export depends on no clock"),
    ("HashMap", "gguf-export/src/", "", "iteration order must never reach a file"),
    ("HashSet", "gguf-export/src/", "", "iteration order must never reach a file"),
    ("Instant", "src/engine/scheduler/", "", "time enters the scheduler as a value"),
    ("SystemTime", "src/engine/scheduler/", "", "time enters the scheduler as a value"),
    ("std::io", "src/engine/", "", "the engine reads and writes nothing"),
    ("std::fs", "src/engine/", "", "the engine reads and writes nothing"),
    ("std::fs", "src/chat/", "", "text in, deltas out"),
    (
        "Saved::vouched",
        "src/",
        "src/llama/saving.rs src/engine/scripted.rs src/state/mod.rs",
        "only a decoder that saved a state, or `state` that verified it, vouches for it",
    ),
];

/// All files of the repository, without build output.
fn tree() -> Vec<File> {
    fn visit(root: &Path, dir: &Path, files: &mut Vec<File>) {
        for entry in std::fs::read_dir(dir).expect("the repository can be listed").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && name != ".ci" && name != ".cargo";
            if hidden
                || ["target", "corpus", "artifacts", "node_modules", "__pycache__"].contains(&name.as_str())
            {
                continue;
            }
            if path.is_dir() {
                visit(root, &path, files);
            } else {
                let inside =
                    path.strip_prefix(root).expect("it is inside").to_string_lossy().replace('\\', "/");
                // Binary files have a path and no text.
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                files.push(File::new(&inside, &text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    visit(root, root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    mark_tests(&mut files);
    files
}

fn text_of(files: &[File], path: &str) -> String {
    let file = files.iter().find(|f| f.path == path);
    file.unwrap_or_else(|| panic!("`{path}` is missing")).text.clone()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_import_what_the_floor_plan_allows() {
    let files = tree();
    let document = text_of(&files, "ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for krate in CRATES.into_iter().chain([COMMAND_LINE]) {
        let rooms = floor::rooms(&document, krate.src);
        assert!(!rooms.is_empty(), "ARCHITECTURE.md has no table for `{}`", krate.src);
        wrong.extend(floor::check(krate, &rooms, &files));
    }
    none(&wrong);
}

#[test]
fn no_files_depend_on_each_other_in_a_circle() {
    let files = tree();
    none(
        &CRATES
            .iter()
            .flat_map(|krate| Graph::new(krate.src, krate.own, &files).circles())
            .collect::<Vec<_>>(),
    );
}

fn too_long(file: &File, reasons: &[(&str, &str)]) -> Option<String> {
    let all = file.text.lines().count();
    let tests = file.code.lines().zip(file.product.lines()).filter(|(code, product)| code != product).count();
    let lines = if file.test { all } else { all - tests };
    let reason = reasons.iter().any(|(path, why)| *path == file.path && !why.is_empty());
    let path = &file.path;
    if lines > HARD_LINES {
        Some(format!("{path}:{HARD_LINES}: {lines} lines without tests, at most {HARD_LINES}"))
    } else if lines > SOFT_LINES && !file.test && !reason {
        Some(format!(
            "{path}:{SOFT_LINES}: {lines} lines without tests; split it, or give a reason in `LONG`"
        ))
    } else if lines <= SOFT_LINES && reason {
        Some(format!("{path}:1: is short enough; take it out of `LONG`"))
    } else {
        None
    }
}

#[test]
fn files_stay_small() {
    let files = tree();
    let mut wrong: Vec<String> =
        files.iter().filter(|f| f.is_rust() || f.is_page()).filter_map(|f| too_long(f, LONG)).collect();
    let gone = LONG.iter().filter(|(path, _)| !files.iter().any(|f| f.path == *path));
    wrong.extend(gone.map(|(path, _)| format!("{path}: is in `LONG` and does not exist")));
    none(&wrong);
}

#[test]
fn a_long_file_needs_a_reason_and_a_very_long_one_is_split() {
    let file = |lines: usize, tests: usize| {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn t() {}\n".repeat(tests));
        File::new("src/a.rs", &("fn f() {}\n".repeat(lines) + &tests))
    };
    let reason: &[(&str, &str)] = &[("src/a.rs", "a table")];
    assert_eq!(too_long(&file(400, 900), &[]), None);
    assert!(too_long(&file(401, 0), &[]).unwrap().contains("401 lines"));
    assert!(too_long(&file(401, 0), &[("src/a.rs", "")]).is_some());
    assert_eq!(too_long(&file(401, 0), reason), None);
    assert!(too_long(&file(801, 0), reason).is_some());
    assert!(too_long(&file(10, 0), reason).unwrap().contains("take it out"));
}

fn headless(file: &File) -> Option<String> {
    let begins = |with: &[&str]| with.iter().any(|start| file.text.starts_with(start));
    if file.is_rust() && !begins(&["//! "]) {
        Some(format!("{}:1: does not begin with `//!` and what it is for", file.path))
    } else if file.is_page() && !begins(&["// ", "/* "]) {
        Some(format!("{}:1: does not begin with a comment that says what it is for", file.path))
    } else {
        None
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    none(&tree().iter().filter_map(headless).collect::<Vec<_>>());
    assert!(headless(&File::new("src/a.rs", "use x;\n//! late")).is_some());
    assert!(headless(&File::new("src/a.rs", "//!\n//! empty first")).is_some());
    assert!(headless(&File::new("src/a.rs", "//! Says it.")).is_none());
    assert!(headless(&File::new("web/app/a.js", "import x;\n// late")).is_some());
    assert!(headless(&File::new("web/app/a.js", "// Says it.")).is_none());
    assert!(headless(&File::new("web/vendor/a.js", "import x;")).is_none());
}

/// Macros by name, in code that is not a test.
fn macros(file: &File, names: &[&str], code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let used = tokens.windows(2).filter(|w| w[1].text == "!" && names.contains(&w[0].text));
    used.map(|w| format!("{}:{}: `{}!`", file.path, w[0].line, w[0].text)).collect()
}

fn printed(file: &File) -> Vec<String> {
    // The command line has a writer for each stream, which these macros would pass by.
    if file.test || !file.is_source() {
        Vec::new()
    } else {
        macros(file, &["print", "println", "eprint", "eprintln", "dbg"], &file.product)
    }
}

#[test]
fn only_the_command_line_prints() {
    none(&tree().iter().flat_map(printed).collect::<Vec<_>>());
    assert_eq!(printed(&File::new("src/a.rs", "\nprintln!(\"x\");")), ["src/a.rs:2: `println!`"]);
    assert_eq!(printed(&File::new("src/cli/a.rs", "eprintln!();")), ["src/cli/a.rs:1: `eprintln!`"]);
    assert!(printed(&File::new("src/a.rs", "#[cfg(test)]\nfn t() { dbg!(1); }\nwriteln!(out)?;")).is_empty());
}

fn unfinished(file: &File) -> Vec<String> {
    macros(file, &["todo", "unimplemented"], &file.code)
}

#[test]
fn no_todo_is_left() {
    none(&tree().iter().flat_map(unfinished).collect::<Vec<_>>());
    assert_eq!(unfinished(&File::new("src/a.rs", "fn f() { todo!() }")), ["src/a.rs:1: `todo!`"]);
    assert!(unfinished(&File::new("src/a.rs", "// todo!()\nlet todo = 1;")).is_empty());
}

fn misplaced(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, scope, home, why) in HOMES {
        let inside = file.path.starts_with(scope)
            && !home.split(' ').any(|part| !part.is_empty() && file.path.starts_with(part));
        if !inside || file.test {
            continue;
        }
        let name: Vec<&str> = name.split("::").collect();
        let named = paths(&file.product)
            .into_iter()
            .filter(|p| p.segments.windows(name.len()).any(|w| w.iter().eq(&name)));
        wrong.extend(named.map(|p| format!("{}:{}: names `{}`; {why}", file.path, p.line, name.join("::"))));
    }
    wrong
}

#[test]
fn names_stay_in_their_modules() {
    none(&tree().iter().flat_map(misplaced).collect::<Vec<_>>());
    let bad = |path: &str, text: &str| misplaced(&File::new(path, text)).len();
    assert_eq!(bad("src/model/mod.rs", "use llama_cpp_2::model::LlamaModel;"), 1);
    assert_eq!(bad("src/model/mod.rs", "fn f(x: llama_cpp_2::X) {}"), 1);
    assert_eq!(bad("src/llama/mod.rs", "use llama_cpp_2::model::LlamaModel;"), 0);
    assert_eq!(bad("gguf-export/src/export/mod.rs", "use std::{fs, io};"), 1);
    assert_eq!(bad("gguf-export/src/export/mod.rs", "std::fs::read(p);"), 1);
    assert_eq!(bad("gguf-export/src/io/file.rs", "std::fs::read(p);"), 0);
    assert_eq!(bad("gguf-export/src/plan/mod.rs", "use std::collections::HashMap;"), 1);
    assert_eq!(bad("src/engine/scheduler/mod.rs", "let t = Instant::now();"), 1);
    assert_eq!(bad("src/engine/run.rs", "let t = Instant::now();"), 0);
    assert_eq!(bad("src/cli/x.rs", "Saved::vouched(tokens, state);"), 1);
    assert_eq!(bad("src/state/mod.rs", "Saved::vouched(tokens, state);"), 0);
    assert_eq!(bad("src/model/mod.rs", "#[cfg(test)]\nmod tests { use llama_cpp_2::X; }"), 0);
}

fn unsafe_code(file: &File) -> Vec<String> {
    if file.path.starts_with("src/llama/") {
        return Vec::new();
    }
    let tokens = tokens(&file.code);
    let found = tokens.iter().filter(|t| t.text == "unsafe");
    found.map(|t| format!("{}:{}: `unsafe`, which only src/llama may use", file.path, t.line)).collect()
}

#[test]
fn only_the_adapter_is_unsafe() {
    let files = tree();
    none(&files.iter().flat_map(unsafe_code).collect::<Vec<_>>());
    assert!(text_of(&files, "gguf-export/src/lib.rs").contains("#![forbid(unsafe_code)]"));
    assert_eq!(unsafe_code(&File::new("src/a.rs", "\nunsafe fn f() {}")).len(), 1);
    assert_eq!(unsafe_code(&File::new("src/llama/a.rs", "unsafe {}")).len(), 0);
    assert_eq!(unsafe_code(&File::new("src/a.rs", "#![deny(unsafe_code)] // unsafe")).len(), 0);
}

#[test]
fn every_patch_says_why_it_is_here() {
    let files = tree();
    none(&patches::check(&files, &docs::tests_of(&files)));
}

#[test]
fn a_changed_patch_rebuilds_llama_cpp() {
    let files = tree();
    let series: Vec<&str> =
        files.iter().map(|f| f.path.as_str()).filter(|p| has_ending(p, "patch")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sums = Command::new("cmake").args(["-E", "sha256sum"]).args(&series).current_dir(root).output();
    let sums = sums.expect("cmake is needed to build at all");
    let digest = patches::digest(&String::from_utf8_lossy(&sums.stdout));
    assert_eq!(digest.split(',').count(), series.len());
    let config = text_of(&files, ".cargo/config.toml");
    assert!(config.contains(&format!("GGML_PATCHES = \"{digest}\"")), "expected GGML_PATCHES = \"{digest}\"");
}

#[test]
fn documents_refer_to_what_exists() {
    let files = tree();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = files.iter().filter(|f| has_ending(&f.path, "md"));
    let mut wrong: Vec<String> =
        documents.flat_map(|f| docs::broken(f, |path| root.join(path).exists())).collect();
    wrong.extend(docs::unheld(&text_of(&files, "ARCHITECTURE.md"), &docs::tests_of(&files)));
    none(&wrong);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    // Except the file with this rule.
    let files = tree().into_iter().filter(|f| f.path != "tests/tidy/docs.rs");
    none(&files.flat_map(|f| docs::machine_paths(&f)).collect::<Vec<_>>());
}

#[test]
fn ci_runs_the_steps_that_are_listed() {
    let files = tree();
    let text = |path| text_of(&files, path);
    none(&steps::check(&text(".ci/run"), &text("CONTRIBUTING.md"), &text("Makefile")));
}

#[test]
fn retired_words_stay_retired() {
    none(&tree().iter().flat_map(words::check).collect::<Vec<_>>());
}

fn too_heavy(sizes: &[(String, u64)]) -> Option<String> {
    let total: u64 = sizes.iter().map(|(_, n)| n).sum();
    let (largest, _) = sizes.iter().max_by_key(|(_, n)| *n)?;
    (total > MOST_BYTES)
        .then(|| format!("{total} bytes are committed, at most {MOST_BYTES}; the largest is {largest}"))
}

#[test]
fn the_repository_stays_small() {
    assert!(
        too_heavy(&[("a".to_owned(), MOST_BYTES), ("b".to_owned(), 1)]).unwrap().contains("largest is a")
    );
    assert_eq!(too_heavy(&[("a".to_owned(), MOST_BYTES)]), None);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Without git, as in a downloaded archive, committed files are unknown.
    let Ok(listed) = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output() else { return };
    let names = String::from_utf8_lossy(&listed.stdout);
    let size = |name: &str| Some((name.to_owned(), std::fs::metadata(root.join(name)).ok()?.len()));
    none(&Vec::from_iter(too_heavy(&names.split('\0').filter_map(size).collect::<Vec<_>>())));
}
