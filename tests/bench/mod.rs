//! `ggrun bench` as a process, its numbers compared with ones computed independently.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ggrun::engine::{Markup, Vocab as _};
use ggrun::model::{LoadOptions, Model};
use serde_json::Value;

use crate::deadline::output;
use crate::support::{data, tiny_gguf};

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("bench").arg("-m").arg(tiny_gguf()).args(["-t", "1"]).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LLAMA_ARG_"))
    {
        command.env_remove(name);
    }
    output(&mut command)
}

/// Standard output of a successful run.
fn printed(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = bench(arguments);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn refused(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = bench(arguments);
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_table_has_the_columns_of_llama_bench_and_a_row_for_each_test() {
    let out = printed(&["-p", "16,32", "-n", "4", "-d", "0,8", "-r", "2"]);
    let mut lines = out.lines();
    let head: Vec<&str> = lines.next().unwrap().trim_matches('|').split('|').map(str::trim).collect();
    let columns = ["model", "size", "params", "backend", "ngl", "threads", "test", "t/s", "peak RAM"];
    assert_eq!(head, columns);
    assert!(lines.next().unwrap().starts_with("| ---"));
    let rows: Vec<Vec<&str>> =
        lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let tests: Vec<&str> = rows.iter().map(|row| row[6]).collect();
    assert_eq!(tests, ["pp16", "pp32", "tg4", "pp16 @ d8", "pp32 @ d8", "tg4 @ d8"]);
    for row in rows {
        assert_eq!((row[3], row[4], row[5]), ("CPU", "0", "1"));
        assert!(row[7].contains(" ± ") && row[8].contains("iB"), "{row:?}");
    }
}

#[test]
fn json_and_csv_have_every_sample_and_the_number_of_decoded_tokens() {
    let arguments = ["-p", "600", "-n", "5", "-pg", "20,3", "-r", "3"];
    let rows: Vec<Value> = serde_json::from_str(&printed(&[&arguments[..], &["--json"]].concat())).unwrap();
    let field = |row: &Value, name: &str| row[name].as_u64().unwrap();
    assert_eq!(rows.len(), 3);
    for (row, (prompt, answer)) in rows.iter().zip([(600, 0), (0, 5), (20, 3)]) {
        assert_eq!((field(row, "n_prompt"), field(row, "n_gen")), (prompt, answer));
        let samples = row["samples_ts"].as_array().unwrap();
        assert_eq!((samples.len(), row["samples_ns"].as_array().unwrap().len()), (3, 3));
        let mean = samples.iter().map(|s| s.as_f64().unwrap()).sum::<f64>() / 3.0;
        assert!((mean / row["avg_ts"].as_f64().unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(field(row, "tokens_read"), 3 * (prompt + answer), "every token of every run was decoded");
        assert!(field(row, "peak_ram_bytes") > field(row, "model_size"));
        assert!(row["first_token_seconds"].as_f64() > row["load_seconds"].as_f64());
    }
    let csv = printed(&[&arguments[..], &["-o", "csv"]].concat());
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("build,model_filename,model_type,"), "{}", lines[0]);
    assert!(lines[3].contains("\"pp20+tg3\""), "{}", lines[3]);
}

#[test]
fn slots_are_measured_together_and_all_their_tokens_count() {
    let arguments = ["-p", "16", "-n", "5", "-pg", "20,3", "-d", "0,8", "-np", "3", "-r", "2", "--json"];
    let rows: Vec<Value> = serde_json::from_str(&printed(&arguments)).unwrap();
    let tests: Vec<&str> = rows.iter().map(|row| row["test"].as_str().unwrap()).collect();
    let names = [
        "pp16 @ np3",
        "tg5 @ np3",
        "pp20+tg3 @ np3",
        "pp16 @ d8 @ np3",
        "tg5 @ d8 @ np3",
        "pp20+tg3 @ d8 @ np3",
    ];
    assert_eq!(tests, names);
    for (row, tokens) in rows.iter().zip([16, 5, 23, 16, 5, 23]) {
        assert_eq!((&row["n_slots"], &row["tokens_read"]), (&Value::from(3), &Value::from(2 * 3 * tokens)));
        let (rate, time) = (&row["samples_ts"][0], &row["samples_ns"][0]);
        let counted = rate.as_f64().unwrap() * time.as_f64().unwrap() / 1e9;
        assert!((counted - 3.0 * f64::from(tokens)).abs() < 1e-6, "{row}");
    }
}

#[test]
fn invalid_bench_options_are_refused() {
    assert_eq!(refused(&["-p", "x"]).0, 2);
    assert_eq!(refused(&["-r", "0"]).0, 2);
    assert_eq!(refused(&["--kl", "x"]).0, 2, "`--kl` needs `--quality`");
    let (code, words) = refused(&["-p", "0", "-n", "0"]);
    assert!(code == 1 && words.contains("nothing to measure"), "{words}");
    let (code, words) = refused(&["-pg", "1"]);
    assert!(code == 1 && words.contains("two numbers"), "{words}");
}

#[test]
fn perplexity_equals_the_one_computed_from_logits() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    let words = "What is 17 + 25? The capital of Kenya is Nairobi. ".repeat(12);
    std::fs::write(&text, &words).unwrap();
    let model = Model::load(LoadOptions { threads: 1, ..LoadOptions::new(tiny_gguf()) }, |_| true).unwrap();
    let tokens = model.vocab().tokenize(&words, Markup::Plain);
    let (mut sum, mut count) = (0.0, 0u32);
    for chunk in tokens.chunks_exact(64) {
        let logits = &model.logits(&[chunk]).unwrap()[0];
        for place in 32..63 {
            let row: Vec<f64> = logits[place].iter().map(|l| f64::from(*l)).collect();
            let total: f64 = row.iter().map(|l| l.exp()).sum();
            sum += total.ln() - row[usize::try_from(chunk[place + 1].0).unwrap()];
            count += 1;
        }
    }
    let expected = (sum / f64::from(count)).exp();
    let text = text.to_str().unwrap();
    let found: Value = serde_json::from_str(&printed(&["--quality", text, "-c", "64", "--json"])).unwrap();
    assert_eq!(found["predictions"].as_f64(), Some(f64::from(count)));
    // `bench` has an F16 KV cache, `logits` an F32 one.
    let ratio = found["perplexity"].as_f64().unwrap() / expected;
    assert!((ratio - 1.0).abs() < 0.01, "{found} {expected}");
    assert!(count > 60, "{count}");
}

#[test]
fn a_model_has_no_divergence_from_itself_and_a_foreign_reference_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (text, other, reference) = (path("text"), path("other"), path("reference"));
    std::fs::write(&text, "What is 17 + 25? ".repeat(40)).unwrap();
    std::fs::write(&other, "The capital of Kenya? ".repeat(40)).unwrap();
    printed(&["--quality", &text, "-c", "64", "--chunks", "2", "--save-logits", &reference]);
    let compare = |text: &str, reference: &str, context: &str| {
        let form = ["-c", context, "--chunks", "2", "--json"];
        bench(&[&["--quality", text, "--kl", reference], &form[..]].concat())
    };
    let same = compare(&text, &reference, "64");
    let found: Value = serde_json::from_slice(&same.stdout).unwrap();
    let value = |name: &str| found[name].as_f64().unwrap();
    assert!(value("kl_max") < 1e-6 && (value("perplexity_ratio") - 1.0).abs() < 1e-6, "{found}");
    assert!((value("same_top") - 1.0).abs() < 1e-12);

    let cut = path("cut");
    let whole = std::fs::read(&reference).unwrap();
    std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    let garbage = data("tiny-thinker").join("config.json");
    for (text, reference, context, words) in [
        (&other, Path::new(&reference), "64", "another token"),
        (&text, Path::new(&reference), "32", "another context"),
        (&text, Path::new(&cut), "64", "expected"),
        (&text, &garbage, "64", "not a reference file"),
        (&text, Path::new("missing"), "64", "cannot use the reference `missing`"),
    ] {
        let Output { status, stdout, stderr } = compare(text, reference.to_str().unwrap(), context);
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.is_empty()), (Some(1), true), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
    let (code, words) = refused(&["--quality", &text, "-c", "4096"]);
    assert!(code == 1 && words.contains("expected at least 4096"), "{words}");
}
