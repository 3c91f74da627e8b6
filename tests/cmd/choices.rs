//! Options of `ggrun convert` that choose tensor types, checked through `ggrun inspect`.

use std::collections::BTreeMap;

use testkit::{Encoding, Model, NvFp4};

use super::{Sandbox, data};

/// Tensors whose type differs from a conversion without these options.
fn changed(source: &str, choices: &[&str]) -> BTreeMap<String, String> {
    let sandbox = Sandbox::new();
    sandbox.run(&["convert", source, "-o", "plain.gguf"]).said(0, "plain.gguf\n");
    sandbox.run(&[&["convert", source, "-o", "out.gguf"], choices].concat()).said(0, "out.gguf\n");
    let plain = sandbox.types("plain.gguf");
    let types = sandbox.types("out.gguf");
    types.into_iter().filter(|(name, ty)| plain.get(name) != Some(ty)).collect()
}

/// NVFP4 with scales that no GGUF type holds: the matrices of the delta net have no place for the global scale.
fn inexact() -> Sandbox {
    let linears = Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: false });
    Sandbox::with(&Model { linears, ..Model::tiny() })
}

#[test]
fn tensors_without_an_exact_type_are_refused_with_types_and_sizes() {
    let sandbox = inexact();
    let ran = sandbox.run(&["convert", "source", "-o", "out.gguf"]);
    let says = [
        "caused by: no GGUF type holds 3 tensors exactly:\n",
        "  blk.0.ssm_out.weight: ",
        "; Q8_0 34.00 KiB, BF16 64.00 KiB, F16 64.00 KiB, F32 128.00 KiB\n",
        "\nhint: choose a type with `--outtype`, `--fp8`, `--lm-head` or `--token-embd`, or pass `--allow-rounding`\n",
    ];
    ran.refused(1, &says);
    sandbox.run(&["convert", "source", "--dry-run"]).refused(1, &says);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn rounding_needs_allow_rounding_in_convert_and_in_verify() {
    let sandbox = inexact();
    let ran = sandbox.run(&["convert", "source", "-o", "out.gguf", "--allow-rounding"]);
    ran.said(0, "out.gguf\n");
    assert!(ran.err.contains(", 3 rounded\n"), "{}", ran.err);
    let ran = sandbox.run(&["verify", "out.gguf", "source"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("blk.0."), "{}", ran.out);
    let ran = sandbox.run(&["verify", "out.gguf", "source", "--allow-rounding"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("; 3 tensors rounded, as the file declares\n"), "{}", ran.out);
}

/// Whether `--outtype` applies to a tensor.
fn is_matrix(name: &str) -> bool {
    let kept = ["norm", "ssm_conv1d", "ssm_a", "ssm_dt", "ffn_gate_inp", ".scale"];
    !kept.iter().any(|part| name.contains(part))
}

#[test]
fn outtype_applies_to_all_matrices() {
    let sandbox = Sandbox::new();
    for (choice, ty) in [("f32", "F32"), ("f16", "F16"), ("bf16", "BF16"), ("q8_0", "Q8_0")] {
        let out = format!("{choice}.gguf");
        sandbox
            .run(&["convert", &data("matrix/w4-awq-asym"), "-o", &out, "--outtype", choice])
            .said(0, &(out.clone() + "\n"));
        for (name, found) in sandbox.types(&out) {
            let expected = if is_matrix(&name) { ty } else { "F32" };
            assert_eq!(found, expected, "{name} with {choice}");
        }
    }
}

#[test]
fn lm_head_and_token_embd_apply_to_one_tensor_each() {
    let source = data("matrix/source-bf16");
    let only = |name: &str, ty: &str| BTreeMap::from([(name.to_owned(), ty.to_owned())]);
    assert_eq!(changed(&source, &["--lm-head", "q8_0"]), only("output.weight", "Q8_0"));
    assert_eq!(changed(&source, &["--token-embd", "f32"]), only("token_embd.weight", "F32"));
    assert_eq!(changed(&source, &["--lm-head", "bf16"]), BTreeMap::new());
}

#[test]
fn mla_k_applies_to_the_transposed_keys_only() {
    let keys = [0, 1].map(|layer| (format!("blk.{layer}.attn_k_b.weight"), "Q8_0".to_owned()));
    assert_eq!(changed(&data("families/glm4-moe-lite-int4"), &["--mla-k", "q8_0"]), BTreeMap::from(keys));
}

#[test]
fn fp8_applies_to_the_fp8_matrices_only() {
    let sandbox = Sandbox::new();
    let source = data("matrix/fp8-block-native");
    let plan = sandbox.run(&["convert", &source, "--dry-run", "--json"]).json();
    let was_fp8 = |t: &&serde_json::Value| t["source"].as_str().unwrap().starts_with("FP8");
    let names = plan["tensors"].as_array().unwrap().iter().filter(was_fp8);
    let expected = names.map(|t| (t["name"].as_str().unwrap().to_owned(), "Q8_0".to_owned()));
    let expected: BTreeMap<_, _> = expected.collect();
    assert!(expected.len() > 10);
    assert_eq!(changed(&source, &["--fp8", "q8_0"]), expected);
}
