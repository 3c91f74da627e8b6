//! Tiny models of every family are loaded and run, and take the memory that was planned.

use std::fmt;
use std::sync::{Arc, Mutex};

use gguf_export::ggml::GgmlType;
use gguf_export::gguf;
use testkit::family::NAMES;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::tiny::{header, write};
use super::{
    Abort, CacheType, ContextSize, Flash, HParams, LlamaDecoder, LoadMode, LoadOptions, Model, Placement,
};
use crate::engine::{BatchToken, Decoder, Pos, SeqId, SeqOp, StateId, Step, Token};
use crate::llama::default_version;

/// What llama.cpp says that it allocated, in bytes.
#[derive(Debug, Default, Clone)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    /// The sum of the sizes in lines with a text.
    fn bytes(&self, text: &str) -> f64 {
        let lines = self.0.lock().unwrap();
        let size = |line: &String| {
            let (_, rest) = line.split_once(text)?;
            rest.split_once(" MiB")?.0.rsplit(' ').next()?.parse::<f64>().ok()
        };
        lines.iter().filter_map(size).sum::<f64>() * f64::from(1 << 20)
    }
}

impl Subscriber for Said {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

/// Loads a model and makes a context; returns what was planned and what was allocated.
fn with<T>(
    header: &gguf::Header,
    change: impl FnOnce(&mut LoadOptions),
    then: impl FnOnce(&mut LlamaDecoder<'_>) -> T,
) -> (Placement, Said, T) {
    let _version = default_version();
    let folder = tempfile::tempdir().unwrap();
    let mut options = LoadOptions {
        threads: 1,
        devices: Some(Vec::new()),
        context: ContextSize::Tokens(4096),
        load: Some(LoadMode::Read),
        repack: Some(false),
        ..LoadOptions::new(write(header, folder.path()))
    };
    change(&mut options);
    let said = Said::default();
    tracing::subscriber::with_default(said.clone(), || {
        let model = Model::load(options, |_| true).unwrap();
        let mut decoder = model.decoder(Abort::default()).unwrap();
        let result = then(&mut decoder);
        (model.placement().clone(), said, result)
    })
}

#[track_caller]
#[expect(clippy::cast_precision_loss, reason = "sizes of tiny models")]
fn near(what: &str, planned: u64, allocated: f64) {
    // llama.cpp says hundredths of a MiB.
    let most = 0.05 * allocated + 0.006 * f64::from(1 << 20);
    let planned = planned as f64;
    assert!((planned - allocated).abs() <= most, "{what}: {planned} planned, {allocated} allocated");
}

fn token(seq: u32, pos: u32) -> BatchToken {
    let token = Token(i32::try_from(20 + pos % 200).unwrap());
    BatchToken { seq: SeqId(seq), pos: Pos(pos), token, sample: true }
}

/// The largest difference.
fn largest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The logits after tokens of one sequence, the last of them read one by one.
fn logits(decoder: &mut LlamaDecoder<'_>, count: u32, alone: u32) -> Vec<f32> {
    let tokens: Vec<BatchToken> = (0..count).map(|pos| token(0, pos)).collect();
    let (together, rest) = tokens.split_at((count - alone) as usize);
    let mut found = Vec::new();
    for step in together.chunks(512).chain(rest.chunks(1)) {
        decoder.read_logits(step, |_, logits| found.extend_from_slice(logits)).unwrap();
    }
    found
}

#[test]
fn every_family_runs_in_the_memory_that_was_planned() {
    for family in NAMES {
        let (placement, said, found) =
            with(&header(family), |options| options.parallel = 2, |decoder| logits(decoder, 8, 4));
        assert_eq!(found.len(), 8 * 320, "{family}");
        assert!(found.iter().all(|logit| logit.is_finite()), "{family}");
        let line = &placement.bill.lines[0];
        assert!(line.kv > 0, "{family}");
        near(&format!("{family}: KV cache"), line.kv, said.bytes("KV buffer size"));
        near(&format!("{family}: states"), line.recurrent, said.bytes("RS buffer size"));
        near(&format!("{family}: weights"), line.dense + line.experts, said.bytes("model buffer size"));
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "sizes of tiny models")]
fn a_head_that_is_the_embedding_takes_memory_only_if_it_is_repacked() {
    for (family, ty, repack) in [
        ("llama3", GgmlType::F32, false),
        ("llama3", GgmlType::Q4_0, false),
        ("llama3", GgmlType::Q4_0, true),
        ("gemma4", GgmlType::Q4_0, false),
        ("gemma4", GgmlType::Q4_0, true),
    ] {
        let header = header(family);
        let kept = header.tensors.iter().filter(|tensor| tensor.name != "output.weight");
        let tensors = kept.map(|tensor| {
            let ty = if tensor.name == "token_embd.weight" { ty } else { tensor.ty };
            (tensor.name.clone(), tensor.dims.clone(), ty)
        });
        let tied = gguf::Header::layout(header.metadata.clone(), tensors.collect()).unwrap();
        let (placement, said, _) =
            with(&tied, |options| options.repack = Some(repack), |decoder| logits(decoder, 8, 4));
        let line = &placement.bill.lines[0];
        let (planned, allocated) = (line.dense + line.experts, said.bytes("model buffer size"));
        // Half of the embedding in Q4_0, and more than llama.cpp rounds its sizes in MiB.
        let is_near = (planned as f64 - allocated).abs() < 11_520.0;
        assert!(is_near, "{family}, {ty}, {repack}: {planned} planned, {allocated} allocated");
    }
}

#[test]
fn caches_of_other_types_and_without_flash_attention_are_planned_too() {
    for family in ["gpt-oss", "gemma4-moe", "glm4-moe-lite", "qwen3_5"] {
        let (q8, off) = (CacheType::Q8_0, Flash::Off);
        for change in [
            &(|options: &mut LoadOptions| (options.cache_k, options.cache_v) = (q8, q8))
                as &dyn Fn(&mut LoadOptions),
            &|options| (options.flash, options.parallel, options.ubatch) = (off, 3, Some(64)),
            &|options| options.context = ContextSize::Tokens(200),
        ] {
            let (placement, said, ()) = with(&header(family), change, |_| ());
            near(family, placement.bill.lines[0].kv, said.bytes("KV buffer size"));
        }
    }
}

#[test]
fn layers_with_a_window_keep_only_that() {
    let header = header("gpt-oss");
    let (short, ..) = with(&header, |options| options.context = ContextSize::Tokens(1024), |_| ());
    let (long, _, found) = with(
        &header,
        |_| (),
        |decoder| {
            assert!(!decoder.caps().can_trim && decoder.caps().can_cache);
            // Beyond the window of 16 tokens and the cells that the cache has for it.
            logits(decoder, 1200, 600)
        },
    );
    assert!(found.iter().all(|logit| logit.is_finite()));
    let kv = |placement: &Placement| placement.bill.lines[0].kv;
    // One layer grows with the context; the other has 16 tokens and a batch of 512, in steps of 256.
    let layer = |cells: u64| cells * 2 * 2 * 64;
    assert_eq!(kv(&short), layer(1024) + layer(768));
    assert_eq!(kv(&long), layer(4096) + layer(768));
}

#[test]
fn a_sequence_goes_back_to_a_cached_state() {
    // Past the window of 16 tokens and, in all, past the cells that the cache has for it.
    let (before, after) = (700, 300);
    // The order of cells changes, and with it that of sums; llama.cpp rounds in GELU, which gemma has.
    for (family, most) in [("gpt-oss", 1e-4), ("gemma4", 5e-3), ("gemma4-moe", 5e-3), ("qwen3_5", 1e-6)] {
        let options = |options: &mut LoadOptions| options.parallel = 2;
        with(&header(family), options, |decoder| {
            let read = |decoder: &mut LlamaDecoder<'_>, seq: u32, range: std::ops::Range<u32>| {
                let mut found = Vec::new();
                let tokens: Vec<BatchToken> = range.map(|pos| token(seq, pos)).collect();
                for step in tokens.chunks(100) {
                    decoder.read_logits(step, |_, logits| found.extend_from_slice(logits)).unwrap();
                }
                found
            };
            let apply = |decoder: &mut LlamaDecoder<'_>, op| {
                decoder.step(&Step { ops: vec![op], tokens: Vec::new() }).unwrap()
            };
            let (seq, state) = (SeqId(0), StateId(1));
            read(decoder, 0, 0..before);
            let outcome = apply(decoder, SeqOp::CacheState { seq, state });
            assert_eq!(outcome.states.len(), 1, "{family}");
            let expected = read(decoder, 0, before..before + after);
            apply(decoder, SeqOp::Rewind { seq, length: before, state: Some(state) });
            let again = read(decoder, 0, before..before + after);
            assert!(largest(&again, &expected) < most, "{family}: after going back");
            let op = SeqOp::Copy { from: seq, to: SeqId(1), length: before, state: Some(state) };
            apply(decoder, op);
            let copied = read(decoder, 1, before..before + after);
            assert!(largest(&copied, &expected) < most, "{family}: in a copy");
            let mut tokens: Vec<BatchToken> = (0..before).map(|pos| token(0, pos)).collect();
            tokens[before as usize - 8].token = Token(19);
            apply(decoder, SeqOp::Clear { seq });
            for step in tokens.chunks(100) {
                decoder.read_logits(step, |_, _| ()).unwrap();
            }
            let other = read(decoder, 0, before..before + after);
            assert!(largest(&other, &expected) > 20.0 * most, "{family}: with another token");
        });
    }
}

#[test]
fn only_models_without_states_and_windows_can_be_cut_anywhere() {
    for (family, can_trim) in
        [("qwen3", true), ("glm4-moe-lite", true), ("qwen3_5", false), ("gemma4", false)]
    {
        let (_, _, caps) = with(&header(family), |_| (), |decoder| decoder.caps());
        assert_eq!((caps.can_trim, caps.can_cache), (can_trim, !can_trim), "{family}");
    }
}

#[test]
fn layers_that_share_keys_have_none_of_their_own() {
    let header = header("gemma4-e2b");
    let hparams = HParams::read(&super::tiny::joined(header)).unwrap();
    assert_eq!((0..4).map(|layer| hparams.has_kv(layer)).collect::<Vec<_>>(), [true, true, false, false]);
}
