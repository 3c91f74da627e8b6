//! Every tensor of every safetensors file of a checkpoint is a source, or is named with the reason for leaving it out.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests damage temporary files and rely on panics"
)]

mod common;

use std::path::Path;

use common::{Place, bytes, configure, plan, story};
use gguf_export::arch::OtherPart;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{Header, keys};
use gguf_export::plan::{OutType, Plan, Reason};
use gguf_export::{Error, PlanOptions};
use serde_json::Value;
use testkit::checkpoint::{EXTRA_FILE, write_json};
use testkit::{Dtype, Encoding, Fp8, Fp8Scale, Gptq, Model, Mtp, Tensor, family, safetensors};

const INDEX: &str = "model.safetensors.index.json";
const HEAD: &str = "lm_head.weight";

/// A tied model that stores a head as well, with the data that `edit` makes of the embedding's.
fn tied(place: &Place, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut built = Model { tied: true, ..Model::tiny() }.build();
    let mut head = built.tensor("model.embed_tokens.weight").clone();
    HEAD.clone_into(&mut head.name);
    edit(&mut head.data);
    built.tensors.push(head);
    built.write(&place.source());
}

fn tensor(place: &Place, name: &str) -> Option<Vec<u8>> {
    let header = place.header();
    let info = header.tensors.iter().find(|tensor| tensor.name == name)?;
    let start = usize::try_from(header.data_offset + info.offset).unwrap();
    Some(bytes(&place.out())[start..][..usize::try_from(info.bytes()).unwrap()].to_vec())
}

/// Names and reasons of the tensors that a plan leaves out.
fn left_out(plan: &Plan) -> Vec<(&str, &Reason)> {
    plan.left_out.iter().map(|item| (item.at.tensor.as_str(), &item.reason)).collect()
}

#[test]
fn a_tied_head_that_differs_from_the_embedding_is_kept() {
    let place = Place::new();
    let mut stored = Vec::new();
    tied(&place, |data| {
        *data.last_mut().unwrap() ^= 0x40;
        stored.clone_from(data);
    });
    assert_eq!(left_out(&plan(&place.open())), []);
    place.export().unwrap();
    assert_eq!(tensor(&place, "output.weight"), Some(stored));
    let report = place.verify().unwrap();
    assert!(report.equal(), "{:?}", report.differences);
}

#[test]
fn a_tied_head_of_another_encoding_is_kept() {
    let place = Place::new();
    let head = Encoding::Gptq(Gptq::sym(8, 32));
    let untied = Model { head, ..Model::tiny() };
    let mut built = untied.build();
    built.config["tie_word_embeddings"] = true.into();
    built.write(&place.source());
    place.export().unwrap();
    assert!(tensor(&place, "output.weight").is_some());
    assert!(place.verify().unwrap().equal());
}

#[test]
fn a_tied_head_that_equals_the_embedding_is_left_out_with_the_reason() {
    let place = Place::new();
    tied(&place, |_| {});
    let checkpoint = place.open();
    let plan = plan(&checkpoint);
    assert_eq!(left_out(&plan), [(HEAD, &Reason::TiedHead)]);
    assert!(plan.notes.iter().any(|note| note.contains(HEAD) && note.contains("tied")), "{:?}", plan.notes);
    // Without the weights the larger file is foreseen.
    let foreseen = Plan::draft_from_headers(&checkpoint, &PlanOptions::default()).unwrap();
    assert_eq!(foreseen.tensors.len(), plan.tensors.len() + 1);
    place.export().unwrap();
    assert_eq!(tensor(&place, "output.weight"), None);
    assert!(place.verify().unwrap().equal());
    // The same GGUF beside a head that differs.
    tied(&place, |data| data[0] ^= 1);
    let report = place.verify().unwrap();
    assert!(report.differences.iter().any(|d| d.place() == "output.weight"), "{:?}", report.differences);
}

/// Removes the entries of a file from the index.
fn unlist(dir: &Path, file: &str) {
    let mut index: Value = serde_json::from_slice(&bytes(&dir.join(INDEX))).unwrap();
    let map = index["weight_map"].as_object_mut().unwrap();
    let before = map.len();
    map.retain(|_, holder| holder != file);
    assert!(map.len() < before);
    write_json(&dir.join(INDEX), &index);
}

#[test]
fn a_file_that_the_index_does_not_name_is_a_source() {
    let model = Model { mtp: Mtp::Bf16, shards: 2, ..Model::tiny() };
    let (whole, place) = (Place::with(&model), Place::with(&model));
    unlist(&place.source(), EXTRA_FILE);
    for place in [&whole, &place] {
        place.export().unwrap();
        assert!(place.verify().unwrap().equal());
    }
    assert!(bytes(&whole.out()) == bytes(&place.out()));
    assert_eq!(plan(&place.open()).mtp_layers, 1);
    // A GGUF that was made without the file differs.
    std::fs::rename(place.source().join(EXTRA_FILE), place.path().join("aside")).unwrap();
    std::fs::remove_file(place.out()).unwrap();
    place.export().unwrap();
    assert!(place.verify().unwrap().equal());
    std::fs::rename(place.path().join("aside"), place.source().join(EXTRA_FILE)).unwrap();
    let report = place.verify().unwrap();
    assert!(report.differences.iter().any(|d| d.place().starts_with("blk.2.")), "{:?}", report.differences);
}

#[test]
fn an_unknown_tensor_outside_the_index_is_refused_and_a_difference() {
    let place = Place::with(&Model { shards: 2, ..Model::tiny() });
    place.export().unwrap();
    let adapter = Tensor::new("model.layers.0.mlp.gate.lora_A.weight", Dtype::Bf16, &[1, 128], vec![0; 256]);
    safetensors::write(&place.source().join("adapter_model.safetensors"), &[&adapter]);
    let report = place.verify().unwrap();
    assert_eq!(report.count, 1, "{:?}", report.differences);
    let text = report.differences[0].to_string();
    assert!(text.contains(&adapter.name) && text.contains("adapter_model.safetensors"), "{text}");
    std::fs::remove_file(place.out()).unwrap();
    let error = story(&place.export().unwrap_err());
    assert!(error.contains(&adapter.name) && error.contains("adapter_model.safetensors"), "{error}");
}

#[test]
fn of_two_tensors_of_one_name_the_index_decides_and_the_other_is_named() {
    let place = Place::with(&Model { shards: 2, ..Model::tiny() });
    place.export().unwrap();
    let expected = bytes(&place.out());
    std::fs::remove_file(place.out()).unwrap();
    let norm = Tensor::new("model.norm.weight", Dtype::Bf16, &[128], vec![0x3F; 256]);
    let other = place.source().join("old.safetensors");
    safetensors::write(&other, &[&norm]);
    let checkpoint = place.open();
    let plan = plan(&checkpoint);
    let [(name, Reason::Superseded { by })] = left_out(&plan)[..] else { panic!("{:?}", plan.left_out) };
    assert_eq!((name, plan.left_out[0].at.file.as_path()), ("model.norm.weight", other.as_path()));
    assert_eq!(by.file_name().unwrap(), "model-00002-of-00002.safetensors");
    assert!(plan.notes[0].contains("old.safetensors"), "{:?}", plan.notes);
    place.export().unwrap();
    assert!(bytes(&place.out()) == expected && place.verify().unwrap().equal());
    // Without an index nothing decides.
    std::fs::remove_file(place.source().join(INDEX)).unwrap();
    let error = Checkpoint::open(&place.source()).unwrap_err().to_string();
    assert!(error.contains("old.safetensors") || error.contains("contains it too"), "{error}");
}

#[test]
fn an_incomplete_mtp_layer_is_listed_in_the_gguf_and_unlisted_tensors_are_differences() {
    let place = Place::with(&Model { mtp: Mtp::Partial, ..Model::tiny() });
    let plan = plan(&place.open());
    assert!(plan.left_out.len() > 3 && plan.left_out.iter().all(|item| item.reason == Reason::IncompleteMtp));
    assert!(plan.notes[0].contains("the MTP layer is incomplete"), "{:?}", plan.notes);
    place.export().unwrap();
    let header = place.header();
    let listed = header.metadata.strings(keys::LEFT_OUT).unwrap();
    assert_eq!(listed.len(), plan.left_out.len());
    let report = place.verify().unwrap();
    assert!(report.equal() && report.left_out == listed.len(), "{report:?}");
    // The same file without the list.
    let mut metadata = gguf_export::gguf::Metadata::new();
    for (key, value) in header.metadata.iter().filter(|(key, _)| *key != keys::LEFT_OUT) {
        metadata.push(key, value.clone());
    }
    let tensors = header.tensors.iter().map(|t| (t.name.clone(), t.dims.clone(), t.ty)).collect();
    let mut file = Header::layout(metadata, tensors).unwrap().encode();
    file.extend_from_slice(&bytes(&place.out())[usize::try_from(header.data_offset).unwrap()..]);
    std::fs::write(place.out(), file).unwrap();
    let report = place.verify().unwrap();
    assert_eq!(report.count, plan.left_out.len() as u64, "{:?}", report.differences);
    assert!(report.differences.iter().all(|d| d.place().starts_with("mtp.")), "{:?}", report.differences);
}

#[test]
fn scales_of_caches_and_activations_are_named_with_their_reasons() {
    let mut built = Model::tiny().build();
    let scale = |name: &str| Tensor::new(name, Dtype::F32, &[1], vec![0; 4]);
    for name in ["k_proj.k_scale", "v_proj.v_scale", "q_proj.input_scale"] {
        built.tensors.push(scale(&format!("model.layers.1.self_attn.{name}")));
    }
    let place = Place::new();
    built.write(&place.source());
    let plan = plan(&place.open());
    assert_eq!(plan.left_out.len(), 3);
    let notes = plan.notes.join("\n");
    assert!(
        notes.contains(
            "2 tensors, `model.layers.1.self_attn.k_proj.k_scale` and others: scales of a quantized KV cache"
        ) && notes.contains("q_proj.input_scale")
            && notes.contains("scales of quantized activations"),
        "{notes}"
    );
    place.export().unwrap();
    assert!(place.verify().unwrap().equal());
}

#[test]
fn the_part_of_a_tensor_is_that_of_its_prefix() {
    let place = Place::new();
    family::copy("qwen3_5-int4", &place.source());
    let path = place.source().join("model.safetensors");
    let mut all = safetensors::read(&path);
    let name = "model.visual.audio_position.weight";
    all.push(Tensor::new(name, Dtype::Bf16, &[1], vec![0; 2]));
    safetensors::write(&path, &all);
    let plan = plan(&place.open());
    let vision = Reason::OtherPart { part: OtherPart::Vision };
    assert!(left_out(&plan).contains(&(name, &vision)), "{:?}", plan.left_out);
    place.export().unwrap();
    let report = place.verify().unwrap();
    assert!(report.equal() && report.other_parts == plan.left_out.len(), "{report:?}");
}

#[test]
fn tensors_of_a_part_that_the_configuration_lacks_are_refused() {
    let place = Place::new();
    family::copy("qwen3_5-int4", &place.source());
    configure(&place.source(), |config| {
        config.as_object_mut().unwrap().remove("vision_config").unwrap();
    });
    let error = place.export().unwrap_err();
    assert!(
        matches!(&error, Error::SurplusTensor { at } if at.tensor.starts_with("model.visual.")),
        "{error}"
    );
}

#[test]
fn quantized_weights_that_become_f32_are_counted_and_in_the_file_name() {
    let fp8 = Encoding::Fp8(Fp8::scaled(Fp8Scale::Block(64, 64)));
    let name_of = |model: &Model, options: &PlanOptions| {
        let place = Place::with(model);
        let checkpoint = place.open();
        let plan = gguf_export::survey(&checkpoint, options, 2, &common::GO, &|_| {}).unwrap();
        let grown =
            plan.expanded().map(|grown| (grown.source.to_owned(), grown.tensors, grown.from, grown.to));
        (grown, plan.file_name(&checkpoint).unwrap())
    };
    let values = 2 * 3 * 4 * 128 * 128 + 180_224 + 180_224;
    let grown = Some(("FP8 E4M3 block 64x64".to_owned(), 19, values, 4 * values));
    let free = PlanOptions::default();
    assert_eq!(name_of(&Model::uniform(fp8), &free), (grown, "source-F32.gguf".to_owned()));
    let wide = Model { vocab: 8192, experts: fp8, ..Model::tiny() };
    assert_eq!(name_of(&wide, &free).1, "source-BF16-F32.gguf");
    // Types that the caller chose are not named.
    for options in [
        PlanOptions { fp8: Some(GgmlType::F32), ..PlanOptions::default() },
        PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() },
    ] {
        assert_eq!(name_of(&Model::uniform(fp8), &options), (None, "source-F32.gguf".to_owned()));
    }
}
