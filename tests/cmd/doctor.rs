//! `ggrun doctor` as a process.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_machine_is_described_as_text_and_as_json_without_any_token() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.arg("doctor").args(arguments).env("HF_HOME", home.path()).env("HF_TOKEN", "hf_secret");
        command.env("HF_ENDPOINT", "https://me:hf_secret@mirror.invalid");
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(!text.contains("hf_secret") && !String::from_utf8_lossy(&out.stderr).contains("hf_secret"));
        text
    };
    let text = run(&[]);
    for word in
        ["processor", "compiled for", "memory", "GiB/s", "disk", "b11434", "0001-", "token from HF_TOKEN"]
    {
        assert!(text.contains(word), "{word} in {text}");
    }
    let value: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(value["hub"]["token"]["variable"], "HF_TOKEN");
    assert!(value["memory"]["total_bytes"].as_u64() > value["memory"]["available_bytes"].as_u64());
    assert!(value["memory"]["bandwidth"].as_f64().unwrap() > 1e8);
    assert!(value["engine"]["backends"].as_array().unwrap().contains(&"CPU".into()));
    assert!(value["advice"].is_array());
    let kernels = ggrun::model::caps().kernels;
    assert_eq!(
        value["engine"]["kernels"]["isa"].as_str(),
        kernels.as_ref().map(|kernels| kernels.isa.as_str())
    );
    let row = kernels.map_or("no kernels for mapped weights".to_owned(), |kernels| {
        format!("{} kernels compute mapped {}", kernels.isa, kernels.type_names().join(", "))
    });
    assert!(text.contains(&row), "{row} in {text}");
    assert_eq!(value["hub"]["endpoint"], "https://mirror.invalid");
    assert_eq!(value["hub"]["reachable"], false, "no such host");
    assert!(value["memory"]["bandwidth_threads"].as_u64() >= Some(1));
    #[cfg(target_arch = "x86_64")]
    for (name, there) in
        [("AVX2", is_x86_feature_detected!("avx2")), ("FMA", is_x86_feature_detected!("fma"))]
    {
        let has = value["processor"]["has"].as_array().unwrap().contains(&name.into());
        let compiled = value["processor"]["compiled"].as_array().unwrap().contains(&name.into());
        // The tests build llama.cpp for the CPU that runs them.
        assert_eq!((has, compiled), (there, there), "{name}");
    }
}

#[test]
fn the_version_names_the_engine_and_its_patches() {
    for flag in ["-V", "--version"] {
        let out = Command::new(env!("CARGO_BIN_EXE_ggrun")).arg(flag).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(out.status.success() && lines.len() == 2, "{text}");
        assert_eq!(lines[0], concat!("ggrun ", env!("CARGO_PKG_VERSION")));
        assert!(lines[1].contains("llama.cpp b11434") && lines[1].contains("0001-"), "{text}");
    }
}
