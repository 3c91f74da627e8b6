//! The memory that a placement needs: as planned, and with exit code 4 where there is less.

use std::sync::{Arc, Mutex};

use ggrun::model::{Abort, LoadMode, LoadOptions, Model};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

use super::{Gpu, ggrun, output, said, to_run};
use crate::layouts::LAYOUTS;

/// Collects the messages of llama.cpp.
#[derive(Debug, Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

impl Subscriber for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "llama-cpp-2"
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// MiB of the buffers that llama.cpp allocated for some purposes, on a device or elsewhere.
fn allocated(messages: &[String], device: &str, is_there: bool, purposes: &[&str]) -> f64 {
    let size = |line: &String| {
        let (left, size) = line.split_once(" buffer size = ")?;
        let mut words = left.trim_matches('"').split_whitespace().rev();
        let (purpose, name) = (words.next()?, words.next()?.trim_matches('"'));
        let size = size.split_whitespace().next()?.parse::<f64>().ok()?;
        ((name == device) == is_there && purposes.contains(&purpose)).then_some(size)
    };
    messages.iter().filter_map(size).sum()
}

#[expect(clippy::cast_precision_loss, reason = "compared with two digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[test]
fn a_placement_allocates_what_was_planned() {
    let Some(gpu) = Gpu::find() else { return };
    for layout in &LAYOUTS {
        let mut options = LoadOptions { load: Some(LoadMode::Read), ..gpu.options() };
        (layout.set)(&mut options, &gpu.device.buffer);
        let messages = Messages::default();
        let bill = subscriber::with_default(messages.clone(), || {
            let model = Model::load(options, |_| true).unwrap();
            drop(model.decoder(Abort::default()).unwrap());
            model.placement().bill.clone()
        });
        let messages = messages.0.lock().unwrap();
        let device = gpu.device.buffer.as_str();
        for (line, is_there) in bill.lines.iter().zip([false, true]) {
            let planned = mib(line.dense + line.experts + line.kv + line.recurrent);
            let found = allocated(&messages, device, is_there, &["model", "KV", "RS"]);
            // Sizes are printed with two digits.
            let allowed = (0.05 * planned).max(0.03);
            assert!(
                (planned - found).abs() < allowed,
                "{}, {}: {planned} MiB, not {found}",
                layout.flags,
                line.device
            );
            let (planned, found) = (mib(line.compute), allocated(&messages, device, is_there, &["compute"]));
            assert!(
                found <= planned || line.compute == 0,
                "{}, {}: {planned} MiB, not {found}",
                layout.flags,
                line.device
            );
        }
        assert!(allocated(&messages, device, false, &["model"]) > 0.0, "{messages:?}");
    }
}

/// llama.cpp asks whether the device multiplies by a weight for 512 tokens: the logits of as many are 1.3 MB, and no other
/// product of the bundled model is larger than 1.1 MB.
#[test]
fn weights_that_the_device_refuses_are_planned_and_noted_in_main_memory() {
    let Some(gpu) = Gpu::find() else { return };
    let name = &gpu.device.name;
    let with_limit = |command: &str, options: &str| {
        let mut command = to_run(command, &format!("-dev {name} -ngl all -lm none {options}"));
        command.env("GGML_VK_FORCE_MAX_BUFFER_SIZE", "1200000");
        // Several weights share a buffer, which must not be larger either.
        let ran = output(command.env("GGML_VK_SUBALLOCATION_BLOCK_SIZE", "1100000"));
        assert!(ran.status.success(), "{}", said(&ran));
        ran
    };
    let plan: serde_json::Value = serde_json::from_slice(&with_limit("plan", "--json").stdout).unwrap();
    let planned = |index: usize| {
        let device = &plan["devices"][index];
        mib(device["dense_bytes"].as_u64().unwrap() + device["expert_bytes"].as_u64().unwrap())
    };
    let ran = with_limit("run", "-n 1 -v");
    let text = said(&ran);
    assert!(text.contains(&format!("{name} cannot compute with `output.weight` (BF16, ")), "{text}");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (index, is_there) in [(0, false), (1, true)] {
        let (planned, found) = (planned(index), allocated(&lines, &gpu.device.buffer, is_there, &["model"]));
        assert!(found > 0.0 && (planned - found).abs() < 0.03, "{planned} MiB, not {found}: {text}");
    }
    let right = with_limit("run", "");
    assert_eq!(String::from_utf8_lossy(&right.stdout).trim(), crate::run::QUESTIONS[0].1, "{}", said(&right));
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_what_would() {
    let Some(gpu) = Gpu::find() else { return };
    let name = &gpu.device.name;
    let ran = ggrun("run", "-ngl all --gpu-memory 1M");
    let text = said(&ran);
    assert_eq!(ran.status.code(), Some(4), "{text}");
    assert!(text.contains(&format!("not enough memory: {name} needs ")), "{text}");
    assert!(text.contains("hint: it fits with ") && text.contains("-ngl"), "{text}");
}
