//! Ways to place a model on the CPU and one more device, and its logits there. Shared by workers and GPUs.

use std::error::Error;
use std::path::Path;

use ggrun::engine::{BatchToken, Markup, Pos, SeqId, Vocab as _};
use ggrun::model::{Abort, CacheType, ContextSize, Flash, GpuLayers, LoadOptions, Model, Override};

use crate::support::tiny_gguf;

/// More than 20 tokens.
const TEXT: &str = "What is 17 + 25? 17 + 25 is 10 + 20 plus 7 + 5, which is 30 + 12. The answer is 42.";

/// Tokens of [`TEXT`] that are decoded one by one, as answers are.
const ONE_BY_ONE: usize = 8;

/// Sums are in another order, because weights on a device are not repacked.
pub(crate) const TOLERANCE: f32 = 2e-3;

/// A way to place a model.
pub(crate) struct Layout {
    /// The options, as typed; `DEVICE` is the buffer of the device.
    pub(crate) flags: &'static str,
    /// Sets them; gets the name of the device's buffer.
    pub(crate) set: fn(&mut LoadOptions, &str),
    /// Whether the device holds a part of the model.
    pub(crate) is_used: bool,
}

pub(crate) const LAYOUTS: [Layout; 13] = [
    Layout { flags: "-ngl 0", set: |o, _| o.gpu_layers = GpuLayers::Last(0), is_used: false },
    Layout { flags: "-ngl 2", set: |o, _| o.gpu_layers = GpuLayers::Last(2), is_used: true },
    Layout { flags: "-ngl all", set: |o, _| o.gpu_layers = GpuLayers::All, is_used: true },
    Layout { flags: "-ngl all -cmoe", set: |o, _| all_but(o, Some(u32::MAX)), is_used: true },
    Layout { flags: "-ngl all -ncmoe 2", set: |o, _| all_but(o, Some(2)), is_used: true },
    Layout {
        flags: "-ngl all -ot exps=CPU",
        set: |o, _| {
            o.gpu_layers = GpuLayers::All;
            o.overrides = vec![over(EXPERTS, "CPU")];
        },
        is_used: true,
    },
    Layout {
        flags: "-ngl 0 -ot exps=DEVICE",
        set: |o, device| {
            o.gpu_layers = GpuLayers::Last(0);
            o.overrides = vec![over(EXPERTS, device)];
        },
        is_used: true,
    },
    Layout {
        flags: "-ngl all -ot attn|ssm=CPU,blk.0=DEVICE",
        set: |o, device| {
            o.gpu_layers = GpuLayers::All;
            o.overrides = vec![over("attn|ssm", "CPU"), over(r"blk\.0", device)];
        },
        is_used: true,
    },
    Layout {
        flags: "-ngl all -nkvo",
        set: |o, _| {
            o.gpu_layers = GpuLayers::All;
            o.kv_offload = false;
        },
        is_used: true,
    },
    Layout { flags: "-ngl all -fa on", set: |o, _| with_cache(o, Flash::On, CacheType::F16), is_used: true },
    Layout {
        flags: "-ngl all -fa off",
        set: |o, _| with_cache(o, Flash::Off, CacheType::F16),
        is_used: true,
    },
    Layout {
        flags: "-ngl all -ctk f32 -ctv f32",
        set: |o, _| with_cache(o, Flash::Auto, CacheType::F32),
        is_used: true,
    },
    Layout {
        flags: "-ngl all -ctk q8_0 -ctv q8_0 -fa on",
        set: |o, _| with_cache(o, Flash::On, CacheType::Q8_0),
        is_used: true,
    },
];

const EXPERTS: &str = r"\.ffn_(up|down|gate)_exps";

fn over(pattern: &str, buffer: &str) -> Override {
    Override { pattern: pattern.to_owned(), buffer: buffer.to_owned() }
}

fn all_but(options: &mut LoadOptions, cpu_experts: Option<u32>) {
    options.gpu_layers = GpuLayers::All;
    options.cpu_experts = cpu_experts;
}

fn with_cache(options: &mut LoadOptions, flash: Flash, ty: CacheType) {
    options.gpu_layers = GpuLayers::All;
    options.flash = flash;
    options.cache_k = ty;
    options.cache_v = ty;
}

/// The bundled model on the CPU alone, with one thread, because tests run in parallel.
pub(crate) fn on_cpu() -> LoadOptions {
    let context = ContextSize::Tokens(256);
    LoadOptions { threads: 1, devices: Some(Vec::new()), context, ..LoadOptions::new(tiny_gguf()) }
}

impl Layout {
    /// The logits on the CPU alone, with the same options that change results.
    fn expected(&self, path: &Path) -> Vec<f32> {
        let mut options = on_cpu();
        (self.set)(&mut options, "CPU");
        let LoadOptions { flash, cache_k, cache_v, .. } = options;
        let options = LoadOptions { flash, cache_k, cache_v, path: path.to_owned(), ..on_cpu() };
        logits(&Model::load(options, |_| true).expect("it fits")).expect("logits")
    }
}

/// The logits after every token of a text, of which the last are decoded one by one.
pub(crate) fn logits(model: &Model) -> Result<Vec<f32>, Box<dyn Error>> {
    let tokens = model.vocab().tokenize(TEXT, Markup::Plain);
    assert!(tokens.len() > 20);
    let tokens: Vec<BatchToken> = (0..)
        .zip(tokens)
        .map(|(pos, token)| BatchToken { seq: SeqId(0), pos: Pos(pos), token, sample: true })
        .collect();
    let mut decoder = model.decoder(Abort::default())?;
    let (together, rest) = tokens.split_at(tokens.len() - ONE_BY_ONE);
    let mut logits = Vec::new();
    for step in std::iter::once(together).chain(rest.chunks(1)) {
        decoder.read_logits(step, |_, found| logits.extend_from_slice(found))?;
    }
    assert!(logits.iter().any(|logit| *logit > 1.0), "these are logits");
    Ok(logits)
}

/// The largest difference to the CPU alone after each token, of a model in a layout.
pub(crate) fn differences(layout: &Layout, model: &Model) -> Vec<f32> {
    let (expected, found) = (layout.expected(model.path()), logits(model).expect("logits"));
    assert_eq!(expected.len(), found.len());
    let on_device = model.placement().bill.lines.iter().skip(1).any(|line| line.dense + line.experts > 0);
    assert_eq!(on_device, layout.is_used, "{}", layout.flags);
    // `max` passes over values that are not numbers.
    assert!(found.iter().all(|logit| logit.is_finite()), "{}", layout.flags);
    let size = model.vocab().size() as usize;
    let largest = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    expected.chunks(size).zip(found.chunks(size)).map(largest).collect()
}

/// The largest of some differences.
pub(crate) fn largest(differences: &[f32]) -> f32 {
    differences.iter().copied().fold(0.0, f32::max)
}
