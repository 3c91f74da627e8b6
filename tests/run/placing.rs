//! Placement options on a real file: each changes no answer or is refused by name.

use std::process::{Command, Output, Stdio};

use ggrun::engine::FinishReason;
use ggrun::session::ChatEvent;
use gguf_export::ggml::GgmlType;

use super::{QUESTIONS, ask, bench_with, collect, options, tiny_gguf};
use crate::deadline::output;
use crate::dense::zeros;

fn ggrun(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg(arguments[0]).arg("-m").arg(tiny_gguf()).args(["-t", "1"]).args(&arguments[1..]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    output(command.stdin(Stdio::null()))
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn answers_are_right_however_the_model_is_placed() {
    let (question, answer) = QUESTIONS[0];
    for flags in [
        "-nr",
        "-lm mmap",
        "-lm mmap --repack",
        "-lm mlock",
        "-lm dio",
        "-ctk q8_0 -ctv q8_0 -fa on",
        "-ctk f32 -ctv f32 -fa off",
        "-ot exps=CPU",
        "-ncmoe 2 -ngl all",
        "-nkvo -np 2 -c 512",
        "-b 32 -ub 16 -tb 2",
        "--cpu -fit off --numa distribute",
    ] {
        let mut arguments = vec!["run", "-p", question, "--temp", "0"];
        arguments.extend(flags.split(' '));
        let output = ggrun(&arguments);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{flags}: {}", said(&output));
    }
}

#[test]
fn missing_devices_and_buffers_are_refused_with_the_existing_ones() {
    for (flags, code, reason) in [
        ("-dev CUDA9", 2, "unknown device `CUDA9`"),
        ("-ot exps=CUDA9", 2, "unknown buffer type `CUDA9`, expected `CPU`"),
        ("-ot (=CPU", 2, "`(` is not a regular expression"),
        ("-ctk q9", 2, "iq4_nl"),
        ("--rpc 127.0.0.1:1", 1, "127.0.0.1:1"),
        ("--cpu-memory 1M", 4, "not enough memory: CPU needs"),
    ] {
        for command in ["run", "plan"] {
            let mut arguments = vec![command];
            if command == "run" {
                arguments.extend(["-p", "Hi"]);
            }
            arguments.extend(flags.split(' '));
            let output = ggrun(&arguments);
            assert_eq!(output.status.code(), Some(code), "{flags}: {}", said(&output));
            assert!(said(&output).contains(reason), "{flags}: {}", said(&output));
            let is_table = command == "plan" && code == 4;
            assert_eq!(!output.stdout.is_empty(), is_table, "{flags}");
        }
    }
}

#[test]
fn a_plan_prints_a_table_or_an_object() {
    let table = ggrun(&["plan", "-c", "1000"]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains("llama-server -m ") && text.contains("-c 1000 -np 1"), "{text}");
    assert!(text.contains("tokens/s expected"), "{text}");
    let object = ggrun(&["plan", "--json", "-c", "1000", "--assume-gpu", "8G,8G", "--assume-ram", "16G"]);
    let value: serde_json::Value = serde_json::from_slice(&object.stdout).unwrap();
    assert_eq!(value["schema_version"], 1);
    assert_eq!(value["devices"].as_array().unwrap().len(), 3);
    assert_eq!(value["gpu_layers"], 6);
    assert_eq!(value["context"], 1000);
    // 1024 cells, one layer, two heads, keys and values of 64 elements of two bytes each.
    let kv: u64 = value["devices"].as_array().unwrap().iter().map(|d| d["kv_bytes"].as_u64().unwrap()).sum();
    assert_eq!(kv, 1024 * 2 * 64 * 2 * 2);
    let sum: u64 = ["dense_bytes", "expert_bytes"]
        .iter()
        .map(|part| {
            let devices = value["devices"].as_array().unwrap();
            devices.iter().map(|device| device[*part].as_u64().unwrap()).sum::<u64>()
        })
        .sum();
    assert!(sum > 2_000_000 && sum < std::fs::metadata(tiny_gguf()).unwrap().len(), "{sum}");
}

#[test]
fn a_plan_compares_the_layouts_of_a_type_that_has_kernels_for_both() {
    let has_kernels = ggrun::model::caps().kernels.is_some();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let ty = |name: &str| if name.contains("norm") { GgmlType::F32 } else { GgmlType::Q4_0 };
    std::fs::write(&path, zeros(&[], &ty)).unwrap();
    let plan = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        let output = output(command.arg("plan").arg("-m").arg(&path).args(["-t", "1"]).args(flags));
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let value = |text: String| -> serde_json::Value { serde_json::from_str(&text).unwrap() };
    for flags in [&["--cpu"][..], &["--cpu", "--repack"]] {
        let text = plan(flags);
        assert_eq!(text.contains("\nlayout     Q4_0 as in the file is "), has_kernels, "{text}");
        let value = value(plan(&[flags, &["--json"]].concat()));
        let compared = &value["mapped_over_repacked"];
        assert_eq!(compared["type"].as_str(), has_kernels.then_some("Q4_0"), "{value}");
        assert_eq!(compared["one_token"].as_f64().is_some_and(|ratio| ratio > 0.0), has_kernels);
    }
    // A GPU reads weights on the CPU from a buffer in which they are not repacked.
    let value = value(plan(&["--json", "--assume-gpu", "1M", "-fit", "off", "-ngl", "0"]));
    assert_eq!(value["mapped_over_repacked"], serde_json::Value::Null);
}

#[test]
fn devices_are_listed_without_a_model() {
    for command in ["run", "plan"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_ggrun")).args([command, "--list-devices"]).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("CPU"));
    }
}

#[test]
fn a_long_prefill_is_aborted_when_its_request_is_cancelled() {
    let bench = bench_with(options(tiny_gguf()));
    let (question, answer) = QUESTIONS[0];
    let chat = bench.session.chat(ask(&"a long question ".repeat(300))).unwrap();
    chat.canceller().cancel();
    let (_, content, end) = collect(chat);
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
    assert!(content.is_empty());
    assert_eq!(collect(bench.session.chat(ask(question)).unwrap()).1, answer, "the engine still works");
}
