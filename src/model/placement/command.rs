//! The llama.cpp command that is equivalent to a placement.

use super::types::Placement;
use crate::llama::{CacheType, Flash, LoadMode, MetadataOverride, Rope, RopeScaling, SplitMode};
use crate::model::LoadOptions;

/// llama-server's default for `--cache-ram`, in MiB. Source: `common/common.h` of llama.cpp b11434.
const DEFAULT_CACHE_RAM: u64 = 8192;

impl Placement {
    /// The command line of llama-server that places the model in the same way.
    #[must_use]
    pub fn command(&self, options: &LoadOptions) -> String {
        let mut line = format!("llama-server -m {}", quote(&options.path.display().to_string()));
        let mut add = |text: String| {
            line.push(' ');
            line += &text;
        };
        if !self.devices.is_empty() && !options.rpc.is_empty() {
            let workers: Vec<String> = options.rpc.iter().map(ToString::to_string).collect();
            add(format!("--rpc {}", workers.join(",")));
        }
        if self.devices.is_empty() {
            add("-dev none".to_owned());
        } else {
            add(format!("-dev {} -ngl {}", self.devices.join(","), self.gpu_layers));
        }
        match self.overrides.len() - options.overrides.len() {
            0 => {}
            1 if self.cpu_experts > 1 => add("-cmoe".to_owned()),
            layers => add(format!("-ncmoe {layers}")),
        }
        for wanted in &options.overrides {
            add(format!("-ot {}", quote(&format!("{}={}", wanted.pattern, wanted.buffer))));
        }
        if !self.tensor_split.is_empty() {
            let shares: Vec<String> = self.tensor_split.iter().map(f32::to_string).collect();
            add(format!("-ts {}", shares.join(",")));
        }
        if self.split_mode != SplitMode::Layer {
            add(format!("-sm {}", split_mode(self.split_mode)));
        }
        if self.main_gpu != 0 {
            add(format!("-mg {}", self.main_gpu));
        }
        let slots = options.parallel.max(1);
        add(format!("-c {} -np {slots}", u64::from(self.context) * u64::from(slots)));
        add(format!("-b {} -ub {} -t {}", self.batch, self.ubatch, options.threads));
        if let Some(threads) = options.threads_batch {
            add(format!("-tb {threads}"));
        }
        let load = if self.load == LoadMode::Stream { LoadMode::Map } else { self.load };
        add(format!("-lm {}", load_mode_name(load)));
        if !self.repack {
            add("-nr".to_owned());
        }
        if !options.kv_offload {
            add("-nkvo".to_owned());
        }
        if self.prefill.as_ref().is_some_and(|prefill| prefill.copies_from.is_none()) {
            add("--no-op-offload".to_owned());
        }
        match options.flash {
            Flash::Auto => {}
            Flash::On => add("-fa on".to_owned()),
            Flash::Off => add("-fa off".to_owned()),
        }
        for (flag, ty) in [("-ctk", options.cache_k), ("-ctv", options.cache_v)] {
            if ty != CacheType::F16 {
                add(format!("{flag} {}", format!("{ty:?}").to_lowercase()));
            }
        }
        for (flag, value) in rope(&options.rope) {
            add(format!("{flag} {value}"));
        }
        for MetadataOverride { key, value } in &options.metadata {
            add(format!("--override-kv {}", quote(&format!("{key}={}:{value}", value.kind()))));
        }
        if options.check_tensors {
            add("--check-tensors".to_owned());
        }
        // llama.cpp counts in MiB, and its default may not fit.
        let cache = options.state_cache >> 20;
        if cache != DEFAULT_CACHE_RAM {
            add(format!("-cram {cache}"));
        }
        add("-fit off".to_owned());
        line
    }
}

/// The name of a mode for `--load-mode`; llama.cpp has the same, except for `stream`.
#[must_use]
pub fn load_mode_name(mode: LoadMode) -> &'static str {
    match mode {
        LoadMode::Auto => "auto",
        LoadMode::Read => "none",
        LoadMode::Map => "mmap",
        LoadMode::Lock => "mlock",
        LoadMode::MapLock => "mmap+mlock",
        LoadMode::Direct => "dio",
        LoadMode::Stream => "stream",
    }
}

fn split_mode(mode: SplitMode) -> &'static str {
    match mode {
        SplitMode::None => "none",
        SplitMode::Layer => "layer",
        SplitMode::Row => "row",
        SplitMode::Tensor => "tensor",
    }
}

/// Quotes a text for a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=,:+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("'");
    for c in text.chars() {
        if c == '\'' {
            quoted += r"'\''";
        } else {
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

/// The options of a scaling that is set.
fn rope(rope: &Rope) -> Vec<(&'static str, String)> {
    let scaling = rope.scaling.map(|scaling| match scaling {
        RopeScaling::None => "none".to_owned(),
        RopeScaling::Linear => "linear".to_owned(),
        RopeScaling::Yarn => "yarn".to_owned(),
    });
    let text = |value: Option<f32>| value.map(|value| value.to_string());
    let options = [
        ("--rope-scaling", scaling),
        ("--rope-freq-base", text(rope.freq_base)),
        ("--rope-freq-scale", text(rope.freq_scale)),
        ("--yarn-orig-ctx", rope.yarn_orig_ctx.map(|tokens| tokens.to_string())),
        ("--yarn-ext-factor", text(rope.yarn_ext_factor)),
        ("--yarn-attn-factor", text(rope.yarn_attn_factor)),
        ("--yarn-beta-fast", text(rope.yarn_beta_fast)),
        ("--yarn-beta-slow", text(rope.yarn_beta_slow)),
    ];
    options.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect()
}
