//! CSV input, the default output, and the system prompt.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use super::{Ran, Work, code, content, id, sum};

const TABLE: &str = "\u{feff}id,a,question\r\n\
    first,17,\"What is 17 + 25?\"\r\n\
    second,30,\"What is\r\n30 + 12, \"\"please\"\"?\"\r\n\
    first,1,What is 1 + 1?\r\n\
    empty,1,\" \"\r\n";

#[test]
fn a_table_is_answered_like_json_lines_and_resumed() {
    let work = Work::new(&[]);
    fs::write(work.path("prompts.csv"), TABLE).unwrap();
    let arguments = ["prompts.csv", "--prompt-column", "question", "--id-column", "id", "-n", "200"];
    let run = |more: &[&str]| Ran::of(&mut work.command(&[&arguments, more].concat()));
    let ran = run(&["--temp", "0"]);
    ran.ended(5, "2 answered, 2 failed (1 duplicate_custom_id, 1 empty_prompt)");
    for says in [
        "answers are written to `prompts.csv.answers.jsonl`",
        "failed rows are in `prompts.csv.answers.jsonl`",
        "duplicate_custom_id, line 5, `line-5`: an earlier line has the id `first`",
        "empty_prompt, line 6, `empty`: column `question` is empty",
    ] {
        assert!(ran.err.contains(says), "{says}: {ran:?}");
    }
    let rows = work.by_id("prompts.csv.answers.jsonl");
    assert_eq!(content(&rows["first"]), "17 + 25 = 42");
    assert_eq!((code(&rows["second"]), code(&rows["empty"])), ("none", "empty_prompt"));
    run(&["--temp", "0"]).ended(5, "0 answered, 2 kept from an earlier run, 2 failed in an earlier run");

    // The same requests in JSON lines, with the quotes and the newline.
    let line =
        |id: &str, text: &str| json!({"id": id, "messages": [{"role": "user", "content": text}]}).to_string();
    work.input(&[line("first", "What is 17 + 25?"), line("second", "What is\r\n30 + 12, \"please\"?")]);
    fs::copy(work.path("prompts.csv.answers.jsonl"), work.path("out.jsonl")).unwrap();
    work.run(&["-n", "200", "--temp", "0"]).ended(0, "0 answered, 2 kept from an earlier run");
}

#[test]
fn a_template_inserts_columns_and_rows_without_an_id_are_numbered() {
    let work = Work::new(&[]);
    fs::write(work.path("sums.tsv"), "a\tb\n17\t25\n30\t12\n").unwrap();
    let arguments = ["-o", "out.jsonl", "-n", "200", "--temp", "0", "--template", "What is {a} + {b}?"];
    Ran::of(&mut work.command(&[&["sums.tsv"], &arguments[..]].concat())).ended(0, "2 answered");
    let rows = work.by_id("out.jsonl");
    assert_eq!((content(&rows["row-1"]), content(&rows["row-2"])), ("17 + 25 = 42", "30 + 12 = 42"));
    // From a pipe, compressed, with another delimiter.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"a;b\n17;25\n30;12\n").unwrap();
    let mut command = work.command(&[&["-", "--delimiter", ";"], &arguments[..]].concat());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&gz.finish().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("0 answered, 2 kept from an earlier run"), "{err}");
}

#[test]
fn a_table_that_cannot_be_used_is_refused_before_the_model_is_loaded() {
    let work = Work::new(&[]);
    let refused = |text: &[u8], arguments: &[&str], exit_code: i32, says: &[&str]| {
        fs::write(work.path("p.csv"), text).unwrap();
        let ran = Ran::of(&mut work.command(&[&["p.csv"], arguments].concat()));
        for says in says {
            ran.ended(exit_code, says);
        }
        assert!(!work.path("p.csv.answers.jsonl").exists());
    };
    let (prompt, table) = (["--prompt-column", "text"], b"id,text\na,b\n");
    refused(
        table,
        &[],
        2,
        &["`p.csv` is a table, expected `--prompt-column`", "its columns are `id`, `text`"],
    );
    refused(table, &["--prompt-column", "q"], 2, &["no column `q`, expected `id`, `text`"]);
    refused(
        table,
        &["--template", "{\"a\": {text}"],
        2,
        &["no column `\"a\": {text`", "write `{{` and `}}`"],
    );
    refused(table, &["--template", "{text"], 2, &["`{` without `}`", "write `{{` and `}}`"]);
    refused(b"id;text\na;b\n", &prompt, 2, &["no column `text`", "pass `--delimiter ';'`"]);
    for (table, delimiter) in [(&b"\"id\";\"text\"\na;b\n"[..], ";"), (b"\"id\"\t\"text\"\n", "\\t")] {
        let hint = format!("pass `--delimiter '{delimiter}'`");
        refused(table, &prompt, 1, &["text after the closing quote of a field in line 1", &hint]);
    }
    refused(b"id,text\n1,\"a \"b\" c\"\n", &prompt, 1, &["write a quote inside of quotes twice"]);
    refused(b"id,text\na\n", &prompt, 1, &["line 2: the number of fields is 1, expected 2", "in quotes"]);
    refused(b"id,text\n1,\"b\n2,c\n", &prompt, 1, &["the quote that opens in line 2 is not closed"]);
    refused(b"id,text\n1,\xe9\n", &prompt, 1, &["line 2 is not UTF-8 in column `text`", "iconv"]);
    refused(b"PK\x03\x04", &prompt, 1, &["`p.csv` is a zip archive", "save a spreadsheet as CSV in UTF-8"]);
    Ran::of(&mut work.command(&["in.jsonl", "--prompt-column", "text"]))
        .ended(2, "`--prompt-column` is for tables, `in.jsonl` has JSON lines");
}

#[test]
fn two_names_of_one_new_file_are_refused() {
    let work = Work::new(&[sum("a", 1, 2, json!({}))]);
    let mut command = work.command(&["in.jsonl", "-o", "new.jsonl", "--errors", "./new.jsonl"]);
    Ran::of(&mut command).ended(1, "`new.jsonl` cannot be both `-o` and `--errors`");
}

#[test]
fn the_system_prompt_changes_rows_without_one_and_only_them() {
    let own = json!({"messages": [
        {"role": "system", "content": "Add."}, {"role": "user", "content": "What is 1 + 2?"},
    ]});
    let text = json!({"id": "text", "prompt": "x", "max_tokens": 2});
    let work = Work::new(&[sum("plain", 1, 2, json!({})), sum("own", 1, 2, own), text.to_string()]);
    work.run(&[]).ended(0, "3 answered");
    let before = work.by_id("out.jsonl");
    let ran = work.run(&["--system-prompt", "Be short.", "--rerun-changed"]);
    ran.ended(0, "1 answered, 2 kept from an earlier run, 1 request changed");
    let prompt = |row: &serde_json::Value| row["response"]["body"]["usage"]["prompt_tokens"].as_u64();
    let after = work.by_id("out.jsonl");
    assert!(prompt(&after["plain"]) > prompt(&before["plain"]));
    assert_eq!((&after["own"], &after["text"]), (&before["own"], &before["text"]));
    fs::remove_file(work.path("out.jsonl")).unwrap();
    let ran = work.run(&["--system-prompt", "Be short."]);
    ran.ended(0, "warning: a row with `prompt` takes no system prompt; ignored there");
    fs::remove_file(work.path("out.jsonl")).unwrap();
    work.run(&["--system-prompt", "Be short.", "--strict"]).ended(5, "1 failed (1 invalid_request)");
    assert_eq!(
        work.rows("out.jsonl").iter().filter(|row| id(row) == "text").map(code).next(),
        Some("invalid_request")
    );
}
