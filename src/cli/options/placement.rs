//! Flags of every command that loads a model: size, threads, placement. llama.cpp's names and meaning.

use std::str::FromStr;

use clap::ValueEnum;
use ggrun::model::rpc::Endpoint;
use ggrun::model::{
    CacheType, ContextSize, Flash, GpuLayers, LoadMode, LoadOptions, Numa, Override, SplitMode,
};

use super::values::{memory, truth};

/// Flags of every command that loads a model.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Size and placement")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[expect(clippy::doc_markdown, reason = "shown as help, where types have no quotes")]
pub(crate) struct PlacementArgs {
    /// Tokens the context holds, shared by all slots; 0 takes what the model was trained on [default: that, up to
    /// 8192]
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_CTX_SIZE")]
    ctx_size: Option<u32>,
    /// Rows of one step
    #[arg(short, long, value_name = "N", default_value_t = 512, env = "LLAMA_ARG_BATCH",
        value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch_size: u32,
    /// Rows computed together (also -ub)
    #[arg(long, value_name = "N", default_value_t = 512, env = "LLAMA_ARG_UBATCH",
        value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    ubatch_size: u32,
    /// Requests answered at once, each with its part of the context [default: 1; batch: what fits] (also -np)
    #[arg(long, value_name = "N", env = "LLAMA_ARG_N_PARALLEL",
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) parallel: Option<u32>,
    /// Threads that compute [default: physical cores]
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_THREADS", allow_negative_numbers = true)]
    threads: Option<i32>,
    /// Threads that read prompts [default: those of -t] (also -tb)
    #[arg(long, value_name = "N", env = "LLAMA_ARG_THREADS_BATCH", allow_negative_numbers = true)]
    threads_batch: Option<i32>,
    /// Attention in one fused operation: on, off or auto (also -fa)
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "LLAMA_ARG_FLASH_ATTN", value_parser = flash)]
    flash_attn: Flash,
    /// Type of the KV cache's keys: f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1 (also -ctk)
    #[arg(long, value_name = "TYPE", default_value = "f16", env = "LLAMA_ARG_CACHE_TYPE_K", value_parser = cache_type)]
    cache_type_k: CacheType,
    /// Type of its values (also -ctv)
    #[arg(long, value_name = "TYPE", default_value = "f16", env = "LLAMA_ARG_CACHE_TYPE_V", value_parser = cache_type)]
    cache_type_v: CacheType,
    /// MiB of main memory for states of a conversation that its next turn goes on from, where the model cannot go
    /// back without; 0 keeps none (also -cram)
    #[arg(long, value_name = "MiB", default_value_t = 512, env = "LLAMA_ARG_CACHE_RAM")]
    cache_ram: u32,
    /// Layers on GPUs, the head as one: a number, auto or all (also -ngl)
    #[arg(long, alias = "gpu-layers", value_name = "N", default_value = "auto", allow_negative_numbers = true,
        env = "LLAMA_ARG_N_GPU_LAYERS", value_parser = gpu_layers)]
    n_gpu_layers: GpuLayers,
    /// Tensors whose name an expression matches go to a buffer type: REGEX=BUFFER,... (also -ot)
    #[arg(long, value_name = "REGEX=BUFFER", value_delimiter = ',', env = "LLAMA_ARG_OVERRIDE_TENSOR",
        value_parser = override_tensor)]
    override_tensor: Vec<Override>,
    /// All experts stay in main memory (also -cmoe)
    #[arg(long, env = "LLAMA_ARG_CPU_MOE", action = clap::ArgAction::SetTrue, value_parser = truth)]
    cpu_moe: bool,
    /// Experts of the first N layers stay in main memory (also -ncmoe)
    #[arg(long, value_name = "N", env = "LLAMA_ARG_N_CPU_MOE", conflicts_with = "cpu_moe")]
    n_cpu_moe: Option<u32>,
    /// Devices to use, comma-separated; none is the CPU alone (also -dev)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "LLAMA_ARG_DEVICE")]
    device: Option<Vec<String>>,
    /// Print the devices there are and end
    #[arg(long)]
    pub(crate) list_devices: bool,
    /// How several GPUs share a model (also -sm)
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Split::Layer, env = "LLAMA_ARG_SPLIT_MODE")]
    split_mode: Split,
    /// Shares of the GPUs, such as 3,1 (also -ts)
    #[arg(long, value_name = "N,...", value_delimiter = ',', env = "LLAMA_ARG_TENSOR_SPLIT")]
    tensor_split: Vec<f32>,
    /// The GPU that has everything with --split-mode none (also -mg)
    #[arg(long, value_name = "INDEX", default_value_t = 0, env = "LLAMA_ARG_MAIN_GPU")]
    main_gpu: u32,
    /// The KV cache stays in main memory (also -nkvo)
    #[arg(long, env = "LLAMA_ARG_NO_KV_OFFLOAD", action = clap::ArgAction::SetTrue, value_parser = truth)]
    no_kv_offload: bool,
    /// The KV cache is where its layer is, which is the default (also -kvo)
    #[arg(long, num_args = 0, default_missing_value = "true", env = "LLAMA_ARG_KV_OFFLOAD", value_parser = truth,
        conflicts_with = "no_kv_offload")]
    kv_offload: Option<bool>,
    /// How the file is read [default: what holds the weights once] (also -lm)
    #[arg(long, value_enum, value_name = "MODE", env = "LLAMA_ARG_LOAD_MODE")]
    load_mode: Option<Load>,
    /// Weights are kept from being swapped out: --load-mode mmap+mlock
    #[arg(long, conflicts_with = "load_mode")]
    mlock: bool,
    /// The file is read instead of mapped: --load-mode none
    #[arg(long, conflicts_with = "load_mode")]
    no_mmap: bool,
    /// Weights for the CPU are not reordered for speed (also -nr)
    #[arg(long, env = "LLAMA_ARG_NO_REPACK", action = clap::ArgAction::SetTrue, value_parser = truth)]
    no_repack: bool,
    /// Weights for the CPU are reordered for speed
    #[arg(long, num_args = 0, default_missing_value = "true", env = "LLAMA_ARG_REPACK", value_parser = truth,
        conflicts_with = "no_repack")]
    repack: Option<bool>,
    /// How threads and memory are shared out between nodes
    #[arg(long, value_enum, value_name = "HOW", env = "LLAMA_ARG_NUMA")]
    numa: Option<Nodes>,
    /// Workers on other machines whose memory is used as a GPU's: HOST:PORT,... One that does not answer for 600
    /// seconds is given up; GGRUN_RPC_TIMEOUT is another number, 0 waits for ever
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', env = "LLAMA_ARG_RPC")]
    pub(crate) rpc: Vec<Endpoint>,
    /// Whether what is not given is made to fit, and what cannot fit is refused: on or off (also -fit)
    #[arg(long, value_name = "WHETHER", default_value = "on", env = "LLAMA_ARG_FIT", action = clap::ArgAction::Set,
        value_parser = truth)]
    fit: bool,
    /// MiB left free on each GPU (also -fitt)
    #[arg(
        long,
        value_name = "MiB,...",
        value_delimiter = ',',
        default_value = "1024",
        env = "LLAMA_ARG_FIT_TARGET"
    )]
    fit_target: Vec<u32>,
    /// The smallest context that fitting may choose (also -fitc)
    #[arg(long, value_name = "N", default_value_t = 4096, env = "LLAMA_ARG_FIT_CTX")]
    fit_ctx: u32,
    /// The most that is used of each GPU's memory, in GiB or with a unit
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    gpu_memory: Option<u64>,
    /// The most that is used of main memory, in GiB or with a unit
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    cpu_memory: Option<u64>,
    /// The CPU alone: --device none
    #[arg(long, conflicts_with = "device")]
    cpu: bool,
}

impl PlacementArgs {
    /// The tokens of a context, if somebody said.
    pub(crate) fn context_tokens(&self) -> Option<u32> {
        self.ctx_size.filter(|tokens| *tokens > 0)
    }

    /// The options for a file.
    pub(crate) fn options(&self, model: &std::path::Path) -> LoadOptions {
        self.options_with(model, self.parallel.unwrap_or(1))
    }

    /// The options for a file, with so many slots.
    pub(crate) fn options_with(&self, model: &std::path::Path, slots: u32) -> LoadOptions {
        let mut options = LoadOptions::new(model);
        options.context = match (self.ctx_size, options.context) {
            (Some(0), _) => ContextSize::Trained,
            (Some(tokens), _) => ContextSize::Tokens((tokens / slots).max(1)),
            (None, context) => context,
        };
        let positive = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        options.threads = positive(self.threads).unwrap_or(options.threads);
        options.threads_batch = positive(self.threads_batch);
        options.parallel = slots;
        options.batch = self.batch_size;
        options.ubatch = self.ubatch_size;
        options.flash = self.flash_attn;
        options.cache_k = self.cache_type_k;
        options.cache_v = self.cache_type_v;
        options.state_cache = u64::from(self.cache_ram) << 20;
        options.kv_offload = !self.no_kv_offload && self.kv_offload.unwrap_or(true);
        options.devices = match &self.device {
            _ if self.cpu => Some(Vec::new()),
            Some(names) if names.iter().all(|name| name == "none") => Some(Vec::new()),
            names => names.clone(),
        };
        options.gpu_layers = self.n_gpu_layers;
        options.cpu_experts = if self.cpu_moe { Some(u32::MAX) } else { self.n_cpu_moe };
        options.overrides.clone_from(&self.override_tensor);
        options.split_mode = self.split_mode.into();
        options.tensor_split.clone_from(&self.tensor_split);
        options.main_gpu = self.main_gpu;
        options.load = match (self.load_mode, self.mlock, self.no_mmap) {
            (Some(Load::Auto), ..) | (None, false, false) => None,
            (Some(mode), ..) => Some(mode.into()),
            (None, true, true) => Some(LoadMode::Lock),
            (None, true, false) => Some(LoadMode::MapLock),
            (None, false, true) => Some(LoadMode::Read),
        };
        options.repack = if self.no_repack { Some(false) } else { self.repack };
        options.numa = self.numa.map(Into::into);
        options.rpc.clone_from(&self.rpc);
        options.fit = self.fit;
        options.margins = self.fit_target.iter().map(|mib| u64::from(*mib) << 20).collect();
        options.least_context = self.fit_ctx.max(1);
        options.gpu_memory = self.gpu_memory;
        options.cpu_memory = self.cpu_memory;
        options
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Split {
    /// One GPU has everything
    None,
    /// By layers
    Layer,
    /// By rows of matrices
    Row,
    /// By rows, the KV cache too; experimental
    Tensor,
}

impl From<Split> for SplitMode {
    fn from(split: Split) -> Self {
        match split {
            Split::None => Self::None,
            Split::Layer => Self::Layer,
            Split::Row => Self::Row,
            Split::Tensor => Self::Tensor,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Load {
    /// What holds the weights once
    Auto,
    /// Read
    None,
    /// Mapped
    Mmap,
    /// Read, and kept from being swapped out
    Mlock,
    /// Mapped, and kept from being swapped out
    #[value(name = "mmap+mlock")]
    MmapMlock,
    /// Read past the page cache
    Dio,
}

impl From<Load> for LoadMode {
    fn from(load: Load) -> Self {
        match load {
            Load::Auto => Self::Auto,
            Load::None => Self::Read,
            Load::Mmap => Self::Map,
            Load::Mlock => Self::Lock,
            Load::MmapMlock => Self::MapLock,
            Load::Dio => Self::Direct,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Nodes {
    /// Threads on all nodes
    Distribute,
    /// Threads on the node where the process began
    Isolate,
    /// As the numactl program says
    Numactl,
}

impl From<Nodes> for Numa {
    fn from(nodes: Nodes) -> Self {
        match nodes {
            Nodes::Distribute => Self::Distribute,
            Nodes::Isolate => Self::Isolate,
            Nodes::Numactl => Self::Numactl,
        }
    }
}

fn flash(text: &str) -> Result<Flash, String> {
    match (text, truth(text)) {
        ("auto" | "-1", _) => Ok(Flash::Auto),
        (_, Ok(true)) => Ok(Flash::On),
        (_, Ok(false)) => Ok(Flash::Off),
        (_, Err(_)) => Err("expected on, off or auto".to_owned()),
    }
}

const CACHE_TYPES: [(&str, CacheType); 9] = [
    ("f32", CacheType::F32),
    ("f16", CacheType::F16),
    ("bf16", CacheType::BF16),
    ("q8_0", CacheType::Q8_0),
    ("q4_0", CacheType::Q4_0),
    ("q4_1", CacheType::Q4_1),
    ("iq4_nl", CacheType::IQ4_NL),
    ("q5_0", CacheType::Q5_0),
    ("q5_1", CacheType::Q5_1),
];

fn cache_type(text: &str) -> Result<CacheType, String> {
    let known = || CACHE_TYPES.map(|(name, _)| name).join(", ");
    let found = CACHE_TYPES.iter().find(|(name, _)| *name == text);
    found.map(|(_, ty)| *ty).ok_or_else(|| format!("expected one of {}", known()))
}

fn gpu_layers(text: &str) -> Result<GpuLayers, String> {
    match text {
        "auto" | "-1" => Ok(GpuLayers::Auto),
        "all" | "-2" => Ok(GpuLayers::All),
        _ => {
            u32::from_str(text).map(GpuLayers::Last).map_err(|_| "expected a number, auto or all".to_owned())
        }
    }
}

fn override_tensor(text: &str) -> Result<Override, String> {
    match text.split_once('=') {
        Some((pattern, buffer)) if !pattern.is_empty() && !buffer.is_empty() => {
            Ok(Override { pattern: pattern.to_owned(), buffer: buffer.to_owned() })
        }
        _ => Err("expected an expression, = and a buffer type, such as exps=CPU".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        placement: PlacementArgs,
    }

    fn options(line: &str) -> LoadOptions {
        let typed = std::iter::once("x").chain(line.split_whitespace()).map(std::ffi::OsString::from);
        let line = Line::try_parse_from(crate::cli::compat::rewrite(typed)).unwrap();
        line.placement.options("m.gguf".as_ref())
    }

    fn refused(line: &str) -> String {
        let typed = std::iter::once("x").chain(line.split_whitespace()).map(std::ffi::OsString::from);
        Line::try_parse_from(crate::cli::compat::rewrite(typed)).err().unwrap().to_string()
    }

    #[test]
    fn llama_cpp_spellings_reach_the_options() {
        let o = options(
            "-ngl 7 -ot exps=CPU,attn=CUDA0 -ncmoe 3 -dev CUDA0,CUDA1 -ts 3,1 -sm row -mg 1 -nkvo -c 4096 -np 4 -b 64 \
             -ub 32 -t 3 -tb 5 -fa off -ctk q8_0 -ctv iq4_nl -lm mmap+mlock -nr --numa isolate -fit off -fitt 512,256 \
             -fitc 1000 --gpu-memory 7.5 --cpu-memory 800M --rpc host:50052",
        );
        assert_eq!(o.gpu_layers, GpuLayers::Last(7));
        let over = |pattern: &str, buffer: &str| Override { pattern: pattern.into(), buffer: buffer.into() };
        assert_eq!(o.overrides, [over("exps", "CPU"), over("attn", "CUDA0")]);
        assert_eq!((o.cpu_experts, o.split_mode, o.main_gpu), (Some(3), SplitMode::Row, 1));
        assert_eq!(o.devices, Some(vec!["CUDA0".to_owned(), "CUDA1".to_owned()]));
        assert_eq!((o.tensor_split, o.kv_offload), (vec![3.0, 1.0], false));
        assert_eq!((o.context, o.parallel), (ContextSize::Tokens(1024), 4));
        assert_eq!((o.batch, o.ubatch, o.threads, o.threads_batch), (64, 32, 3, Some(5)));
        assert_eq!((o.flash, o.cache_k, o.cache_v), (Flash::Off, CacheType::Q8_0, CacheType::IQ4_NL));
        assert_eq!((o.load, o.repack, o.numa), (Some(LoadMode::MapLock), Some(false), Some(Numa::Isolate)));
        assert_eq!((o.fit, o.margins, o.least_context), (false, vec![512 << 20, 256 << 20], 1000));
        assert_eq!((o.gpu_memory, o.cpu_memory), (Some(15 << 29), Some(800 << 20)));
        assert_eq!(o.rpc, [Endpoint { host: "host".into(), port: 50052 }]);
    }

    #[test]
    fn other_spellings_mean_the_same() {
        assert_eq!(options("--cpu").devices, Some(Vec::new()));
        assert_eq!(options("-dev none").devices, Some(Vec::new()));
        assert_eq!(options("-cmoe").cpu_experts, Some(u32::MAX));
        assert_eq!(options("-ngl all").gpu_layers, GpuLayers::All);
        assert_eq!(options("-ngl -1").gpu_layers, GpuLayers::Auto);
        assert_eq!(options("--mlock").load, Some(LoadMode::MapLock));
        assert_eq!(options("--no-mmap").load, Some(LoadMode::Read));
        assert_eq!(options("--mlock --no-mmap").load, Some(LoadMode::Lock));
        assert_eq!(options("-lm auto").load, None);
        assert_eq!((options("--repack").repack, options("").repack), (Some(true), None));
        assert_eq!(options("-c 0").context, ContextSize::Trained);
    }

    #[test]
    fn wrong_values_are_told_what_there_is() {
        assert!(refused("-ctk q9").contains("iq4_nl"));
        assert!(refused("-fa perhaps").contains("on, off or auto"));
        assert!(refused("-ot nothing").contains("exps=CPU"));
        assert!(refused("-lm swiftly").contains("mmap+mlock"));
        assert!(refused("-ngl many").contains("auto or all"));
        assert!(refused("--rpc nowhere").contains("HOST:PORT"));
        assert!(refused("--cpu-memory much").contains("7.5G"));
        assert!(refused("-cmoe -ncmoe 3").contains("cannot be used with"));
    }
}
