//! Renders errors: what failed, why, and what to do. The only place that maps errors to hints and exit codes.

mod disk;
mod format;
mod hub;
mod rows;
mod tokenizer;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use ggrun::batch;
use ggrun::chat;
use ggrun::convert;
use ggrun::engine::DecodeError;
use ggrun::model::rpc::WorkerError;
use ggrun::model::{LoadError, PlaceError};
use ggrun::serve::listen::{self, BindError, TlsError};
use ggrun::serve::security::KeyError;
use ggrun::session::{ReasoningFixed, ToolChoiceError};
use ggrun::state_cache::OpenError;
use gguf_export::Error;

use disk::is_full;
use format::format_hint;
use hub::{cache_hint, hub_error, hub_hint, pick_hint};
use tokenizer::tokenizer_hint;

use super::config::entry::WrongConfig;
use super::error::{
    HostTwice, Interrupted, IsCheckpoint, NoOutput, NoStateFolder, NoThread, Remote, Unasked, WrongFilter,
    WrongModel,
};
use super::exit::NO_RESOURCES;
use super::interrupt;
use super::ui::err;
use super::ui::out::is_closed;

/// The hint after a device failed.
pub(super) const WITHOUT_DEVICE: &str =
    "its driver may be faulty: update it, or run without the device, with `--cpu` or with others in `-dev`";

/// The hint after main memory was short.
const LESS_MEMORY: &str = "reduce the context with `-c`, or raise the limit that `ulimit -v` shows";

/// The hint after the memory of a device was short, though it was free when the model was placed.
const LESS_ON_DEVICE: &str =
    "use less memory of the device with `--gpu-memory`, or offload less with `-ngl` or `-ncmoe`";

/// Prints an error with its causes and hints, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed(error) || output_closed(error) {
        return ExitCode::SUCCESS;
    }
    if let Some(stopped) = stopped(error) {
        err::line(&stopped);
        if ggrun::model::busy().is_some() {
            // Without C++ destructors: a thread is still in llama.cpp.
            signal_hook::low_level::exit(interrupt::code().into());
        }
        return interrupt::exit_code();
    }
    let found = error.chain().find_map(|e| e.downcast_ref::<Error>());
    let load = error.chain().find_map(|e| e.downcast_ref::<LoadError>());
    let rows = error.chain().find_map(|e| e.downcast_ref::<batch::Error>());
    let asked = error.chain().find_map(hub_error);
    let place = error.chain().find_map(|e| e.downcast_ref::<PlaceError>()).or(match load {
        Some(LoadError::Place(error)) => Some(error),
        _ => None,
    });
    let hint = place
        .and_then(place_hint)
        .or_else(|| asked.and_then(hub_hint))
        .or_else(|| rows::hint(error))
        .or_else(|| worker_hint(error).map(str::to_owned))
        .or_else(|| pick_hint(error).map(str::to_owned))
        .or_else(|| cache_hint(error).map(str::to_owned))
        .or_else(|| error.downcast_ref().and_then(config_hint))
        .or_else(|| error.chain().find_map(|error| error.downcast_ref()).map(checkpoint_hint))
        .or_else(|| mtp_hint(error).map(str::to_owned))
        .or_else(|| bind_hint(error).map(str::to_owned))
        .or_else(|| reasoning_hint(error).map(str::to_owned))
        .or_else(|| template_hint(error).map(str::to_owned))
        .or_else(|| states_hint(error).map(str::to_owned))
        .or_else(|| load.and_then(load_hint).or_else(|| found.and_then(hint)).map(str::to_owned));
    err::chain(error, hint.as_deref());
    let usage = error.is::<WrongConfig>()
        || error.is::<NoOutput>()
        || error.is::<WrongModel>()
        || error.is::<WrongFilter>()
        || error.is::<HostTwice>()
        || error.is::<KeyError>()
        || error.is::<TlsError>()
        || rows::is_usage(error)
        || error.is::<ToolChoiceError>();
    if usage || error.is::<Remote>() || error.is::<Unasked>() {
        return ExitCode::from(2);
    }
    let full = rows.is_some_and(|error| match error {
        batch::Error::Write { source, .. } => is_full(source),
        _ => false,
    }) || asked.is_some_and(ggrun::hub::Error::is_full);
    let short = full || is_short_of_memory(error);
    ExitCode::from(place.map_or_else(|| if short { NO_RESOURCES } else { found.map_or(1, code) }, place_code))
}

/// Whether memory was short, or the system refused to start a thread.
fn is_short_of_memory(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<NoThread>()
            || cause.downcast_ref().is_some_and(LoadError::is_short_of_memory)
            || cause.downcast_ref().is_some_and(DecodeError::is_short_of_memory)
            || cause.downcast_ref::<io::Error>().is_some_and(|error| {
                // A thread that cannot be started is `WouldBlock`.
                matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::WouldBlock)
            })
    })
}

/// Whether a batch ended because the reader of its answers has gone away.
fn output_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(batch::Error::OutputClosed)))
}

/// The message after an interrupt.
fn stopped(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|e| match e.downcast_ref() {
        Some(Error::Interrupted { .. } | Error::Stopped) => Some(e.to_string()),
        _ if hub_error(e).is_some_and(ggrun::hub::Error::is_stopped) => Some(e.to_string()),
        _ => e.is::<Interrupted>().then(|| e.to_string()),
    })
}

fn checkpoint_hint(error: &IsCheckpoint) -> String {
    format!("convert it first: `ggrun convert {}`", error.place)
}

fn config_hint(error: &WrongConfig) -> Option<String> {
    match error {
        WrongConfig::Line { hint, .. } => hint.clone(),
        _ => Some("`--no-config` reads no configuration file".to_owned()),
    }
}

/// Prints an error of the command line.
pub(crate) fn usage(message: &str, hint: Option<&str>) -> ExitCode {
    err::error(message, &[], hint);
    ExitCode::from(2)
}

fn code(error: &Error) -> u8 {
    match error {
        Error::Differs { .. } => 3,
        Error::NoSpace { .. } => NO_RESOURCES,
        Error::Io { source, .. } if is_full(source) => NO_RESOURCES,
        _ => 1,
    }
}

fn reasoning_hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.downcast_ref()? {
        ReasoningFixed::AlwaysOn => Some("`--thinking hide` hides it"),
        ReasoningFixed::AlwaysOff => None,
    }
}

fn template_hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.chain().find_map(|cause| cause.downcast_ref())? {
        chat::Error::LeftOut { .. } => {
            Some("use a template that has a place for this message, with `--chat-template-file FILE`")
        }
        _ => None,
    }
}

fn states_hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.is::<NoStateFolder>() {
        return Some("set XDG_STATE_HOME or HOME, or name a folder with `--state-dir`");
    }
    match error.downcast_ref()? {
        OpenError::Open { .. } | OpenError::Owner { .. } => {
            Some("name a folder that is new or empty and your own with `--state-dir`")
        }
        OpenError::Folder { .. } => Some("name another folder with `--state-dir`"),
        _ => None,
    }
}

fn mtp_hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.chain().find_map(|cause| cause.downcast_ref())? {
        convert::Error::HasMtp { .. } => Some("omit `--mtp-from`"),
        convert::Error::NoMtp { .. } => {
            Some("`--mtp-from` takes the original checkpoint, before it was quantized")
        }
        _ => None,
    }
}

fn bind_hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.chain().find_map(|cause| cause.downcast_ref())? {
        BindError::Listen { address, source } => match source.kind() {
            ErrorKind::PermissionDenied if listen::is_socket(address) => {
                Some("choose a path in a folder that you may write to with `--host`")
            }
            ErrorKind::AddrInUse => Some("choose another port with `--port`; 0 picks a free one"),
            ErrorKind::AddrNotAvailable => Some("`--host` takes an address of this machine"),
            ErrorKind::PermissionDenied => Some("choose a port above 1023 with `--port`"),
            _ => None,
        },
        BindError::NotASocket { .. } | BindError::InUse { .. } => Some("choose another path with `--host`"),
        _ => None,
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::OutputExists { .. } => "replace it with `--force`, or write to another file with `-o`",
        Error::Lost { .. } => "put the file back, or write everything again with `--force`",
        Error::OutputIsSource { .. } => "write to another file with `-o`",
        Error::Differs { .. } => {
            "memory or disk may be faulty; run the same command to write the unproven parts again"
        }
        Error::Inexact(_) => {
            "choose a type with `--outtype`, `--fp8`, `--lm-head` or `--token-embd`, or pass `--allow-rounding`"
        }
        Error::ConfigKeys { .. } => "if it changes no weights, pass `--ignore-config-key NAME`",
        Error::ZeroPoints { .. } => "pass `--zero-points v1` (`gptq`) or `--zero-points v2` (`gptq_v2`)",
        Error::Readings { .. } => "one of the two readings is wrong; report it together with this file",
        Error::OutOfRange { .. } => "choose BF16 or F32 for this tensor, with `--outtype` or `--fp8`",
        Error::NoSpace { .. } => "free some space, or write to another disk with `-o`",
        Error::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            "the disk is full; free some space and run the same command to resume"
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::FileTooLarge => {
            "the disk or `ulimit -f` does not allow a file of that size; write smaller files with `--split-max-size`"
        }
        Error::Io { action: "examine" | "create", source, .. } if source.kind() == ErrorKind::NotFound => {
            "the output folder does not exist; create it first"
        }
        Error::Io { action: "lock", .. } => {
            "wait until the other process ends, or write to another file with `-o`"
        }
        Error::Io { path, source, .. }
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                && path.ends_with("config.json") =>
        {
            "a checkpoint is a folder with `config.json` and safetensors files"
        }
        Error::MissingTensor { .. } => "compare the files with their repository; one may be missing",
        Error::OtherTokenizer { path, .. } => return tokenizer_hint(path),
        Error::OtherFormat { found, expected, .. } => return format_hint(found, expected),
        Error::Joined { .. } => {
            "pass the first of the separate files, or merge them with `llama-gguf-split --merge FIRST OUT`"
        }
        Error::Truncated { path, .. } if is_piece(path) => "join all pieces of the file with `cat`",
        Error::Truncated { .. } => "compare its size with its source, and download or convert it again",
        _ => return None,
    })
}

/// Whether the name is that of a piece of a file that was cut without regard to its format.
fn is_piece(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains(".gguf.part") || name.contains(".gguf-split-")
}

fn worker_hint(error: &anyhow::Error) -> Option<&'static str> {
    let failed = error.chain().find_map(|e| match e.downcast_ref() {
        Some(DecodeError::DeviceFailed { reason, is_short }) => Some((reason.contains("CPU: "), *is_short)),
        _ => None,
    });
    if let Some((is_cpu, is_short)) = failed {
        return match (is_cpu, is_short) {
            (true, true) => Some(LESS_MEMORY),
            (true, false) => None,
            (false, true) => Some(LESS_ON_DEVICE),
            (false, false) => Some(WITHOUT_DEVICE),
        };
    }
    let lost = |e: &DecodeError| matches!(e, DecodeError::WorkerLost { .. });
    if error.chain().any(|e| e.downcast_ref().is_some_and(lost)) {
        return Some("start the worker again, then run this command again");
    }
    if error.is::<Remote>() {
        return Some(
            "pass `--allow-remote` to listen there, or reach a worker on a loopback address through `ssh -L`",
        );
    }
    let worker = error.chain().find_map(|e| e.downcast_ref::<WorkerError>());
    let within = error.chain().find_map(|e| match e.downcast_ref() {
        Some(LoadError::Worker(worker)) => Some(worker),
        _ => None,
    });
    Some(match worker.or(within)? {
        WorkerError::Connect { .. } => "start a worker there with `ggrun worker`",
        WorkerError::Silent { .. } => {
            "wait until another client ends, or start the worker with a higher `--clients`"
        }
        WorkerError::Version { .. } => "use the same build of ggrun on both machines",
        WorkerError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            "another worker may be running; `--port 0` selects a free port"
        }
        _ => return None,
    })
}

fn load_hint(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::Header(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            "all parts of a split model must be in the folder of the first"
        }
        LoadError::Header(error) => return hint(error),
        LoadError::NotAModel { .. } => {
            "pass the GGUF of the model that it belongs to; only text models are run"
        }
        LoadError::Thread(_) | LoadError::Threads { .. } => {
            "use fewer threads with `-t`, or raise the limits that `ulimit -v` and `ulimit -u` show"
        }
        error if error.is_short_on_device() => LESS_ON_DEVICE,
        error if error.is_short_of_memory() => LESS_MEMORY,
        LoadError::UnknownArchitecture { .. } | LoadError::UnknownTensor { .. } => {
            "`--unchecked` loads it without this check"
        }
        LoadError::IgnoredFactor { .. } => "`ggrun convert` writes no factors that llama.cpp does not use",
        LoadError::MissingTensor { .. } | LoadError::SurplusTensor { .. } | LoadError::Tensor { .. } => {
            "the file does not match its architecture; `ggrun inspect --tensors` lists its tensors"
        }
        _ => return None,
    })
}

fn place_hint(error: &PlaceError) -> Option<String> {
    match error {
        PlaceError::Memory(too_much) => Some(match too_much.remedies.as_slice() {
            [] => "no change of options is enough; the table of `ggrun plan` lists what needs the memory"
                .to_owned(),
            remedies if too_much.is_limited => {
                format!("it fits with {}, or with a higher limit", remedies.join(", or "))
            }
            remedies => {
                format!("it fits with {}; `-fit off` loads without this check", remedies.join(", or "))
            }
        }),
        PlaceError::Stream { .. } => Some("use another `--load-mode`, and omit `--repack`".to_owned()),
        PlaceError::CacheValues { .. } => Some("omit `-fa off`, or use `-ctv f16`".to_owned()),
        PlaceError::CacheTypes { keys, .. } => Some(format!("use `-ctv {}`", keys.to_lowercase())),
        PlaceError::CacheBlocks { .. } => Some("use f16, bf16 or f32 for this model".to_owned()),
        PlaceError::Device { .. } | PlaceError::Buffer { .. } => {
            Some("`--list-devices` lists devices and buffers".to_owned())
        }
        _ => None,
    }
}

/// An option that cannot be satisfied is a usage error; too little memory has a code of its own.
fn place_code(error: &PlaceError) -> u8 {
    match error {
        PlaceError::Memory(_) => NO_RESOURCES,
        _ => 2,
    }
}
