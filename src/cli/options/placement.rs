//! Options of every command that loads a model: context, placement, loading. llama.cpp's names and meaning.

use std::str::FromStr;

use clap::ValueEnum;
use ggrun::model::rpc::Endpoint;
use ggrun::model::{
    CacheType, ContextSize, Flash, GpuLayers, LoadMode, LoadOptions, MetadataOverride, Override, SplitMode,
    TensorCheck,
};

use super::rope::RopeArgs;
use super::size::{mebibytes, size};
use super::threads::ThreadArgs;
use super::values::truth;
use super::{metadata, pairs};

/// Options of every command that loads a model.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Context")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[expect(clippy::doc_markdown, reason = "shown as help, where types have no quotes")]
pub(crate) struct PlacementArgs {
    /// Set the size of the context in tokens [default: what memory allows]
    ///
    /// The slots share it. 0 is the whole context that the model was trained on. The default is as many tokens as fit
    /// beside the weights. `batch` uses what its requests need; when `serve` chooses several slots, each has at most 32768
    /// tokens.
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_CTX_SIZE")]
    ctx_size: Option<u32>,
    /// Answer N requests at once [default: 1; batch and serve: as many as fit] (also -np)
    ///
    /// Each slot has an equal share of the context.
    #[arg(long, value_name = "N", env = "LLAMA_ARG_N_PARALLEL", hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) parallel: Option<u32>,
    /// Decode at most N tokens in one step [default: 512, more if experts are read from disk]
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_BATCH", hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch_size: Option<u32>,
    /// Compute at most N tokens of a step together [default: 512, or -b if less] (also -ub)
    #[arg(long, value_name = "N", env = "LLAMA_ARG_UBATCH", hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    ubatch_size: Option<u32>,
    /// Use flash attention: on, off or auto (also -fa)
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "LLAMA_ARG_FLASH_ATTN", value_parser = flash,
        hide_short_help = true)]
    flash_attn: Flash,
    /// Set the type of keys in the KV cache (also -ctk)
    ///
    /// f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0 or q5_1.
    #[arg(long, value_name = "TYPE", default_value = "f16", env = "LLAMA_ARG_CACHE_TYPE_K", value_parser = cache_type,
        hide_short_help = true)]
    cache_type_k: CacheType,
    /// Set the type of values in the KV cache (also -ctv)
    #[arg(long, value_name = "TYPE", default_value = "f16", env = "LLAMA_ARG_CACHE_TYPE_V", value_parser = cache_type,
        hide_short_help = true)]
    cache_type_v: CacheType,
    /// Set the size of the state cache, in MiB or with a unit: 512, 2G (also -cram)
    ///
    /// A model with a recurrent state cannot rewind a sequence, so later prompts start from a saved state. 0 saves
    /// none. A number without a unit is MiB, as in llama.cpp.
    #[arg(long, value_name = "SIZE", default_value = "512", env = "LLAMA_ARG_CACHE_RAM", value_parser = mebibytes,
        hide_short_help = true)]
    cache_ram: u64,
    #[command(flatten)]
    rope: RopeArgs,
    #[command(flatten)]
    pub(crate) threads: ThreadArgs,
    /// Offload N layers to GPUs: a number, auto or all (also -ngl)
    ///
    /// The output head counts as a layer. auto offloads as many as fit.
    #[arg(long, alias = "gpu-layers", value_name = "N", default_value = "auto", allow_negative_numbers = true,
        env = "LLAMA_ARG_N_GPU_LAYERS", value_parser = gpu_layers, help_heading = PLACEMENT)]
    n_gpu_layers: GpuLayers,
    /// Use these devices, separated by commas; none uses only the CPU (also -dev)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "LLAMA_ARG_DEVICE", action = clap::ArgAction::Set,
        help_heading = PLACEMENT, hide_short_help = true)]
    device: Option<Vec<String>>,
    /// Use only the CPU, as --device none does
    #[arg(long, conflicts_with = "device", help_heading = PLACEMENT, hide_short_help = true)]
    cpu: bool,
    /// Print the devices of this machine and exit
    #[arg(long, help_heading = PLACEMENT, hide_short_help = true)]
    pub(crate) list_devices: bool,
    /// Use at most this much memory of each GPU: 7.5G, 800M
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = PLACEMENT)]
    gpu_memory: Option<u64>,
    /// Use at most this much main memory: 48G, 800M
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = PLACEMENT, hide_short_help = true)]
    cpu_memory: Option<u64>,
    /// Place tensors whose name matches a regular expression in a buffer type (also -ot)
    ///
    /// Separate several with commas. The first match counts. Example: exps=CPU.
    #[arg(long, value_name = "REGEX=BUFFER", value_delimiter = ',', env = "LLAMA_ARG_OVERRIDE_TENSOR",
        value_parser = override_tensor, help_heading = PLACEMENT, hide_short_help = true)]
    override_tensor: Vec<Override>,
    /// Keep all experts in main memory (also -cmoe)
    #[arg(long, env = "LLAMA_ARG_CPU_MOE", action = clap::ArgAction::SetTrue, value_parser = truth,
        help_heading = PLACEMENT, hide_short_help = true)]
    cpu_moe: bool,
    /// Keep the experts of the first N layers in main memory (also -ncmoe)
    #[arg(long, value_name = "N", env = "LLAMA_ARG_N_CPU_MOE", conflicts_with = "cpu_moe", help_heading = PLACEMENT,
        hide_short_help = true)]
    n_cpu_moe: Option<u32>,
    /// Split the model between GPUs with this method (also -sm)
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Split::Layer, env = "LLAMA_ARG_SPLIT_MODE",
        help_heading = PLACEMENT, hide_short_help = true)]
    split_mode: Split,
    /// Give GPUs these shares of the model, such as 3,1 (also -ts)
    #[arg(long, value_name = "N,...", value_delimiter = ',', env = "LLAMA_ARG_TENSOR_SPLIT",
        action = clap::ArgAction::Set, help_heading = PLACEMENT, hide_short_help = true)]
    tensor_split: Option<Vec<f32>>,
    /// Use this GPU only, with --split-mode none (also -mg)
    #[arg(long, value_name = "INDEX", default_value_t = 0, env = "LLAMA_ARG_MAIN_GPU", help_heading = PLACEMENT,
        hide_short_help = true)]
    main_gpu: u32,
    /// Keep the KV cache in main memory (also -nkvo)
    #[arg(long, env = "LLAMA_ARG_NO_KV_OFFLOAD", action = clap::ArgAction::SetTrue, value_parser = truth,
        overrides_with = "kv_offload", help_heading = PLACEMENT, hide_short_help = true)]
    no_kv_offload: bool,
    /// Keep the KV cache on the device of its layer, which is the default (also -kvo)
    #[arg(long, num_args = 0, default_missing_value = "true", env = "LLAMA_ARG_KV_OFFLOAD", value_parser = truth,
        overrides_with = "no_kv_offload", conflicts_with = "no_kv_offload", help_heading = PLACEMENT,
        hide_short_help = true)]
    kv_offload: Option<bool>,
    /// Compute prefill with weights in main memory on the CPU (also -nopo)
    ///
    /// By default it is computed where that is faster, as measured: on the CPU, or on a GPU to which weights are copied for
    /// each batch.
    #[arg(long, overrides_with = "op_offload", help_heading = PLACEMENT, hide_short_help = true)]
    no_op_offload: bool,
    /// Copy weights in main memory to a GPU for prefill, from batches of 32 tokens
    #[arg(long, overrides_with = "no_op_offload", help_heading = PLACEMENT, hide_short_help = true)]
    op_offload: bool,
    /// Use the memory of workers on other machines, given as HOST:PORT,... (see ggrun worker)
    ///
    /// A worker that does not respond for 600 seconds is considered lost; GGRUN_RPC_TIMEOUT sets another number of
    /// seconds, or 0 for no limit.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', env = "LLAMA_ARG_RPC", help_heading = PLACEMENT,
        hide_short_help = true)]
    pub(crate) rpc: Vec<Endpoint>,
    /// Choose unset options so that the model fits, and refuse a model that cannot fit: on or off (also -fit)
    #[arg(long, value_name = "on|off", default_value = "on", env = "LLAMA_ARG_FIT", action = clap::ArgAction::Set,
        value_parser = truth, help_heading = PLACEMENT, hide_short_help = true)]
    fit: bool,
    /// Leave this much of each GPU's memory free, in MiB or with a unit (also -fitt)
    ///
    /// One size for each GPU, separated by commas; the last applies to the rest. A number without a unit is MiB, as in
    /// llama.cpp.
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',', default_value = "1024", value_parser = mebibytes,
        env = "LLAMA_ARG_FIT_TARGET", action = clap::ArgAction::Set, help_heading = PLACEMENT, hide_short_help = true)]
    fit_target: Vec<u64>,
    /// Let fitting shorten the context to no fewer than N tokens (also -fitc)
    #[arg(long, value_name = "N", default_value_t = 4096, env = "LLAMA_ARG_FIT_CTX", help_heading = PLACEMENT,
        hide_short_help = true)]
    fit_ctx: u32,
    /// Load the file in this way [default: the way that holds the weights once] (also -lm)
    #[arg(long, value_enum, value_name = "MODE", env = "LLAMA_ARG_LOAD_MODE", help_heading = LOADING,
        hide_short_help = true)]
    load_mode: Option<Load>,
    /// Lock weights in memory, as --load-mode mmap+mlock does
    #[arg(long, conflicts_with = "load_mode", help_heading = LOADING, hide_short_help = true)]
    mlock: bool,
    /// Read the file instead of mapping it, as --load-mode none does
    #[arg(long, conflicts_with = "load_mode", help_heading = LOADING, hide_short_help = true)]
    no_mmap: bool,
    /// Do not repack weights for the CPU (also -nr)
    #[arg(long, env = "LLAMA_ARG_NO_REPACK", action = clap::ArgAction::SetTrue, value_parser = truth,
        overrides_with = "repack", help_heading = LOADING, hide_short_help = true)]
    no_repack: bool,
    /// Repack weights for the CPU, even where that takes a second copy or is slower
    #[arg(long, num_args = 0, default_missing_value = "true", env = "LLAMA_ARG_REPACK", value_parser = truth,
        overrides_with = "no_repack", conflicts_with = "no_repack", help_heading = LOADING, hide_short_help = true)]
    repack: Option<bool>,
    /// Refuse a file whose tensors contain values that are not numbers
    #[arg(long, help_heading = LOADING, hide_short_help = true)]
    check_tensors: bool,
    /// Load architectures and tensors that are not known or not valid
    ///
    /// By default they are refused before loading, because llama.cpp aborts on some of them.
    #[arg(long, help_heading = LOADING, hide_short_help = true)]
    unchecked: bool,
    /// Replace a metadata value: KEY=TYPE:VALUE, where TYPE is int, float, bool or str
    ///
    /// Separate several with commas. A value must have the same type as the one in the file.
    #[arg(long, value_name = "KEY=TYPE:VALUE", value_delimiter = ',', value_parser = metadata::parse,
        help_heading = LOADING, hide_short_help = true)]
    override_kv: Vec<MetadataOverride>,
}

const PLACEMENT: &str = "Placement";
const LOADING: &str = "Loading";

impl PlacementArgs {
    /// The tokens of a context, if they are set.
    pub(crate) fn context_tokens(&self) -> Option<u32> {
        self.ctx_size.filter(|tokens| *tokens > 0)
    }

    /// The options for a file.
    pub(crate) fn options(&self, model: &std::path::Path) -> LoadOptions {
        self.options_with(model, self.parallel.unwrap_or(1))
    }

    /// The options for a file, with this many slots.
    pub(crate) fn options_with(&self, model: &std::path::Path, slots: u32) -> LoadOptions {
        let mut options = LoadOptions::new(model);
        options.context = match (self.ctx_size, options.context) {
            (Some(0), _) => ContextSize::Trained,
            (Some(tokens), _) => ContextSize::Tokens((tokens / slots).max(1)),
            (None, context) => context,
        };
        options.threads = self.threads.threads().unwrap_or(options.threads);
        options.threads_batch = self.threads.threads_batch();
        options.parallel = slots;
        options.batch = self.batch_size;
        options.ubatch = self.ubatch_size;
        options.flash = self.flash_attn;
        options.cache_k = self.cache_type_k;
        options.cache_v = self.cache_type_v;
        options.state_cache = self.cache_ram;
        options.kv_offload = !self.no_kv_offload && self.kv_offload.unwrap_or(true);
        options.op_offload = (self.op_offload || self.no_op_offload).then_some(self.op_offload);
        options.devices = match &self.device {
            _ if self.cpu => Some(Vec::new()),
            Some(names) if names.iter().all(|name| name == "none") => Some(Vec::new()),
            names => names.clone(),
        };
        options.gpu_layers = self.n_gpu_layers;
        options.cpu_experts = if self.cpu_moe { Some(u32::MAX) } else { self.n_cpu_moe };
        options.overrides.clone_from(&self.override_tensor);
        options.split_mode = self.split_mode.into();
        options.tensor_split = self.tensor_split.clone().unwrap_or_default();
        options.main_gpu = self.main_gpu;
        options.load = match (self.load_mode, self.mlock, self.no_mmap) {
            (Some(Load::Auto), ..) | (None, false, false) => None,
            (Some(mode), ..) => Some(mode.into()),
            (None, true, true) => Some(LoadMode::Lock),
            (None, true, false) => Some(LoadMode::MapLock),
            (None, false, true) => Some(LoadMode::Read),
        };
        options.repack = if self.no_repack { Some(false) } else { self.repack };
        options.numa = self.threads.numa();
        options.rpc.clone_from(&self.rpc);
        options.fit = self.fit;
        options.margins.clone_from(&self.fit_target);
        options.least_context = self.fit_ctx.max(1);
        options.gpu_memory = self.gpu_memory;
        options.cpu_memory = self.cpu_memory;
        options.rope = self.rope.rope();
        options.check_tensors = self.check_tensors;
        options.tensor_check = if self.unchecked { TensorCheck::Skip } else { TensorCheck::All };
        // The last value of a key counts, as for any option; llama.cpp takes the first.
        for given in &self.override_kv {
            options.metadata.retain(|before| before.key != given.key);
            options.metadata.push(given.clone());
        }
        options
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Split {
    /// Use one GPU
    None,
    /// Give each GPU whole layers
    Layer,
    /// Split matrices by rows
    Row,
    /// Split matrices and the KV cache by rows; experimental
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
    /// Hold the weights once
    Auto,
    /// Read into memory
    None,
    /// Map
    Mmap,
    /// Read, and lock in memory
    Mlock,
    /// Map, and lock in memory
    #[value(name = "mmap+mlock")]
    MmapMlock,
    /// Read without the page cache
    Dio,
    /// Read experts from disk as they are chosen, and the rest into memory
    Stream,
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
            Load::Stream => Self::Stream,
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
    let (pattern, buffer) = pairs::tensor_buffer(text)?;
    Ok(Override { pattern: pattern.to_owned(), buffer: buffer.to_owned() })
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
        let line = Line::try_parse_from(rewritten(typed)).unwrap();
        line.placement.options("m.gguf".as_ref())
    }

    fn rewritten(typed: impl Iterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
        let mut root = <Line as clap::CommandFactory>::command();
        root.build();
        crate::cli::compat::rewrite(&root, &typed.collect::<Vec<_>>()).unwrap().arguments
    }

    fn refused(line: &str) -> String {
        let typed = std::iter::once("x").chain(line.split_whitespace()).map(std::ffi::OsString::from);
        Line::try_parse_from(rewritten(typed)).err().unwrap().to_string()
    }

    #[test]
    fn llama_cpp_spellings_reach_the_options() {
        let o = options(
            "-ngl 7 -ot exps=CPU,attn=CUDA0 -ncmoe 3 -dev CUDA0,CUDA1 -ts 3,1 -sm row -mg 1 -nkvo -c 4096 -np 4 -b 64 \
             -ub 32 -t 3 -tb 5 -fa off -ctk q8_0 -ctv iq4_nl -lm mmap+mlock -nr --numa isolate -fit off -fitt 512,256 \
             -fitc 1000 --gpu-memory 7.5G --cpu-memory 800M --rpc host:50052",
        );
        assert_eq!(o.gpu_layers, GpuLayers::Last(7));
        let over = |pattern: &str, buffer: &str| Override { pattern: pattern.into(), buffer: buffer.into() };
        assert_eq!(o.overrides, [over("exps", "CPU"), over("attn", "CUDA0")]);
        assert_eq!((o.cpu_experts, o.split_mode, o.main_gpu), (Some(3), SplitMode::Row, 1));
        assert_eq!(o.devices, Some(vec!["CUDA0".to_owned(), "CUDA1".to_owned()]));
        assert_eq!((o.tensor_split, o.kv_offload), (vec![3.0, 1.0], false));
        assert_eq!((o.context, o.parallel), (ContextSize::Tokens(1024), 4));
        assert_eq!((o.batch, o.ubatch, o.threads, o.threads_batch), (Some(64), Some(32), 3, Some(5)));
        assert_eq!((o.flash, o.cache_k, o.cache_v), (Flash::Off, CacheType::Q8_0, CacheType::IQ4_NL));
        assert_eq!(
            (o.load, o.repack, o.numa),
            (Some(LoadMode::MapLock), Some(false), Some(ggrun::model::Numa::Isolate))
        );
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
        assert_eq!(options("").op_offload, None);
        assert_eq!(options("--op-offload -nopo").op_offload, Some(false));
        assert_eq!(options("-nopo --op-offload").op_offload, Some(true));
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
