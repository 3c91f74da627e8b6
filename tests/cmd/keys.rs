//! Keys of a quantization configuration that may change the weights, and zero points that it leaves open.

use serde_json::{Value, json};
use testkit::{CtPacked, Edit, Encoding, Gptq, Method, Model, StoredZero};

use super::Sandbox;

const KEY: &str = "quantization_config.transform_config";

/// A checkpoint with a transform of its weights.
fn transformed() -> Sandbox {
    let transform = json!({"config_groups": {"u": {"type": "hadamard"}}});
    let edits = vec![Edit::Set("/quantization_config/transform_config", transform)];
    let experts = Encoding::CtPacked(CtPacked::sym(4, 64));
    Sandbox::with(&Model { experts, edits, ..Model::tiny() })
}

#[test]
fn an_unknown_key_is_refused_by_name_and_can_be_ignored_on_record() {
    let sandbox = transformed();
    let convert = ["convert", "source", "-o", "out.gguf"];
    let says = [&format!("`{KEY}` is "), "hint: if it changes no weights, pass `--ignore-config-key NAME`"];
    sandbox.run(&convert).refused(1, &says);
    let wrong = sandbox.run(&[&convert[..], &["--ignore-config-key", "transform_config"]].concat());
    wrong.refused(1, &[&format!("`{KEY}` is ")]);
    assert_eq!(sandbox.files(), [""; 0]);
    // A description refuses nothing.
    assert_eq!(sandbox.run(&["inspect", "source"]).code, Some(0));

    let ran = sandbox.run(&[&convert[..], &["--ignore-config-key", KEY]].concat());
    ran.said(0, "out.gguf\n");
    assert!(ran.err.contains(&format!("note: `{KEY}` was ignored on request")), "{}", ran.err);
    let shown = sandbox.run(&["inspect", "out.gguf", "--json"]).json();
    assert_eq!(shown["metadata"]["ggrun.ignored_config_keys"], json!([KEY]));
    let ran = sandbox.run(&["verify", "out.gguf", "source", "--receipt", "receipt.json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.ends_with(&format!("; not considered, as the file declares: `{KEY}`\n")), "{}", ran.out);
    let receipt: Value = serde_json::from_slice(&sandbox.read("receipt.json")).unwrap();
    assert_eq!((&receipt["ignored_config_keys"], &receipt["equal"]), (&json!([KEY]), &true.into()));
}

#[test]
fn contradictory_zero_points_are_asked_for_in_convert_and_in_verify() {
    let gptq = Gptq { zero: StoredZero::Direct, ..Gptq::asym(4, 64) };
    let edits = vec![Edit::Set("/quantization_config/checkpoint_format", json!("gptq"))];
    let model =
        Model { experts: Encoding::Gptq(gptq), method: Some(Method::GptqModel), edits, ..Model::tiny() };
    let sandbox = Sandbox::with(&model);
    let convert = ["convert", "source", "-o", "out.gguf"];
    let says = [
        "`source/config.json` does not state how zero points are stored",
        "hint: pass `--zero-points v1` (`gptq`)",
    ];
    sandbox.run(&convert).refused(1, &says);
    sandbox.run(&[&convert[..], &["--zero-points", "v2"]].concat()).said(0, "out.gguf\n");
    sandbox.run(&["verify", "out.gguf", "source"]).refused(1, &says);
    let verify = |version| sandbox.run(&["verify", "out.gguf", "source", "--zero-points", version]);
    assert_eq!((verify("v1").code, verify("v2").code), (Some(3), Some(0)));
}
