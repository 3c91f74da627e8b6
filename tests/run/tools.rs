//! Tools and template variables of `ggrun run`, as a process.

use std::fs;
use std::process::{Command, Output};

use super::{command::ggrun, tiny_gguf};
use crate::deadline::output;

fn run(arguments: &[&str]) -> Output {
    let mut command: Command = ggrun(&tiny_gguf(), &["-p", "What is 17 + 25?", "--temp", "0", "--json"]);
    output(command.args(arguments))
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn tools_become_part_of_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tools.json");
    fs::write(&path, r#"[{"name": "add", "parameters": {"type": "object"}}]"#).unwrap();
    let without = json(&run(&["-n", "1"]));
    let with = json(&run(&["-n", "1", "--tools", path.to_str().unwrap()]));
    let read = |answer: &serde_json::Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(read(&with) > read(&without) + 20, "{with} {without}");
}

#[test]
fn an_answer_has_its_reasoning_and_its_tool_calls() {
    let output = run(&["--chat-template-kwargs", r#"{"unused": 1}"#]);
    let warning = "warning: `unused` has no effect: the chat template does not read it";
    assert!(String::from_utf8_lossy(&output.stderr).contains(warning), "{output:?}");
    let answer = json(&output);
    assert!(answer["reasoning_content"].as_str().unwrap().contains("carry 1"), "{answer}");
    assert_eq!((&answer["content"], &answer["tool_calls"]), (&"17 + 25 = 42".into(), &serde_json::json!([])));
}

#[test]
fn an_answer_without_reasoning_begins_with_its_content() {
    let answer = json(&run(&["-rea", "off"]));
    assert_eq!((&answer["reasoning_content"], &answer["usage"]["reasoning_tokens"]), (&"".into(), &0.into()));
    assert!(!answer["content"].as_str().unwrap().is_empty(), "{answer}");
}

#[test]
fn invalid_tools_and_variables_are_errors() {
    for (arguments, code, reason) in [
        (&["--tools", "no/such.json"][..], 1, "cannot read tools from `no/such.json`"),
        (&["--chat-template-kwargs", "[1]"], 2, "expected a JSON object"),
        (&["--chat-template-kwargs", r#"{"messages": []}"#], 2, "template variable `messages` is reserved"),
    ] {
        let output = run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(reason), "{stderr}");
    }
}
