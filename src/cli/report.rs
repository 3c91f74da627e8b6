//! Renders errors: what failed, why, and what to do. The only place that maps errors to hints and exit codes.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use ggrun::batch;
use ggrun::convert;
use ggrun::engine::DecodeError;
use ggrun::hub;
use ggrun::hub::cache;
use ggrun::hub::pick::PickError;
use ggrun::model::rpc::WorkerError;
use ggrun::model::{LoadError, PlaceError};
use gguf_export::Error;

use super::config::entry::WrongConfig;
use super::error::{Interrupted, IsCheckpoint, NoOutput, Remote, Unasked, WrongFilter, WrongModel};
use super::interrupt;
use super::ui::err;
use super::ui::out::is_closed;
use super::ui::style::Style;
use super::ui::text::printable;

/// Prints an error with its causes and hints, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed(error) || output_closed(error) {
        return ExitCode::SUCCESS;
    }
    if let Some(stopped) = stopped(error) {
        err::line(&printable(&stopped));
        return interrupt::exit_code();
    }
    let mut chain = error.chain();
    if let Some(first) = chain.next() {
        let style = Style::of_stderr();
        err::line(&format!("{}error:{} {}", style.error(), style.reset(), printable(&first.to_string())));
    }
    for cause in chain {
        err::line(&format!("  caused by: {}", printable(&cause.to_string())));
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
        .or_else(|| rows.and_then(batch_hint).map(str::to_owned))
        .or_else(|| worker_hint(error).map(str::to_owned))
        .or_else(|| pick_hint(error).map(str::to_owned))
        .or_else(|| cache_hint(error).map(str::to_owned))
        .or_else(|| error.downcast_ref().and_then(config_hint))
        .or_else(|| error.chain().find_map(|error| error.downcast_ref()).map(checkpoint_hint))
        .or_else(|| mtp_hint(error).map(str::to_owned))
        .or_else(|| load.and_then(load_hint).or_else(|| found.and_then(hint)).map(str::to_owned));
    if let Some(hint) = hint {
        err::line(&format!("\nhint: {}", printable(&hint)));
    }
    let usage = error.is::<WrongConfig>()
        || error.is::<NoOutput>()
        || error.is::<WrongModel>()
        || error.is::<WrongFilter>();
    if usage || error.is::<Remote>() || error.is::<Unasked>() {
        return ExitCode::from(2);
    }
    let full = rows.is_some_and(|error| match error {
        batch::Error::Write { source, .. } => is_full(source),
        _ => false,
    }) || asked.is_some_and(hub::Error::is_full);
    ExitCode::from(place.map_or_else(|| if full { 4 } else { found.map_or(1, code) }, place_code))
}

/// Whether a batch ended because the reader of its answers is gone.
fn output_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(batch::Error::OutputClosed)))
}

/// What there is to say after an end that the user asked for.
fn stopped(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|e| match e.downcast_ref() {
        Some(Error::Interrupted { .. } | Error::Stopped) => Some(e.to_string()),
        _ if hub_error(e).is_some_and(hub::Error::is_stopped) => Some(e.to_string()),
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
    let style = Style::of_stderr();
    err::line(&format!("{}error:{} {}", style.error(), style.reset(), printable(message)));
    if let Some(hint) = hint {
        err::line(&format!("\nhint: {}", printable(hint)));
    }
    ExitCode::from(2)
}

fn code(error: &Error) -> u8 {
    match error {
        Error::Differs { .. } => 3,
        Error::NoSpace { .. } => 4,
        Error::Io { source, .. } if is_full(source) => 4,
        _ => 1,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge)
}

fn cache_hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.is::<Unasked>() {
        return Some("`-y` removes without a question, `--dry-run` says what would go");
    }
    match error.downcast_ref()? {
        cache::Error::Busy { .. } => Some("wait for the other process, or end it"),
        cache::Error::NotFolder { .. } => {
            Some("nothing outside the cache is touched; remove the link by hand")
        }
        _ => None,
    }
}

fn mtp_hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.chain().find_map(|cause| cause.downcast_ref())? {
        convert::Error::HasMtp { .. } => Some("leave `--mtp-from` out"),
        convert::Error::NoMtp { .. } => {
            Some("`--mtp-from` takes the original checkpoint, before it was quantised")
        }
        _ => None,
    }
}

/// What the hub said, however it was wrapped.
fn hub_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e hub::Error> {
    error.downcast_ref().or(match error.downcast_ref() {
        Some(hub::CheckpointError::Hub(error)) => Some(error),
        _ => None,
    })
}

fn pick_hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.chain().find_map(|e| e.downcast_ref())? {
        PickError::Empty => "a checkpoint of safetensors becomes a GGUF with `ggrun convert`",
        PickError::Missing { .. } | PickError::Several { .. } => {
            "`-hf ORG/NAME:QUANT` names an encoding, `-hff FILE` with it one of these files"
        }
        PickError::Part { .. } => "another revision may be complete: ORG/NAME@REVISION",
        _ => return None,
    })
}

fn hub_hint(error: &hub::Error) -> Option<String> {
    use hub::Error as E;
    let shown = |token: &Option<hub::Origin>| match token {
        Some(origin) => format!("the token in {origin} was shown"),
        None => "no token was shown: `hf auth login` writes one, or set HF_TOKEN".to_owned(),
    };
    Some(match error {
        E::Unauthorized { token: None, .. } => {
            format!("the name may be wrong, or the repository private or gated; {}", shown(&None))
        }
        E::Unauthorized { token, .. } => format!("{}; it may be wrong or have expired", shown(token)),
        E::Forbidden { page, token, .. } => {
            format!("accept the conditions at {page} with the same account; {}", shown(token))
        }
        E::NotFound { .. } => "compare the name and the revision with the repository's page".to_owned(),
        E::RateLimited { .. } => "try again then; with a token the hub allows more".to_owned(),
        E::Network { .. } | E::Status { .. } => {
            "the same command goes on where it stopped; HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 uses the cache alone"
                .to_owned()
        }
        E::Offline { .. } => "fetch it once without `--offline` and HF_HUB_OFFLINE=1".to_owned(),
        E::Changed { .. } => "`ggrun cache verify --delete` removes it; fetch it again online".to_owned(),
        E::Hash { .. } | E::Length { .. } => {
            "the hub or a mirror or proxy on the way is at fault; try again later, or another HF_ENDPOINT".to_owned()
        }
        E::Missing { .. } => "the repository is incomplete; another revision may not be: ORG/NAME@REVISION".to_owned(),
        E::NoSpace { .. } => {
            "free some space, or put the cache on another disk with HF_HUB_CACHE or --cache-dir".to_owned()
        }
        other if other.is_full() => {
            "the disk is full; free some space and give the same command again, it goes on where it stopped".to_owned()
        }
        _ => return None,
    })
}

fn batch_hint(error: &batch::Error) -> Option<&'static str> {
    Some(match error {
        batch::Error::Write { source, .. } if is_full(source) => {
            "free some space and give the same command again, it goes on where it stopped"
        }
        batch::Error::Locked { .. } => "wait for the other process, or write to another file with `-o`",
        batch::Error::Foreign { .. } => "`-o` names another file",
        batch::Error::OtherModel { .. } => {
            "`--allow-model-change` keeps these answers and goes on; `-o` names another file"
        }
        batch::Error::Engine { .. } => "the same command goes on where it stopped",
        _ => return None,
    })
}

fn hint(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::OutputExists { .. } => "`--force` replaces it; `-o` names another",
        Error::OutputIsSource { .. } => "`-o` names another",
        Error::Differs { .. } => {
            "the memory or the disk may be at fault; the same command writes what was not proven again"
        }
        Error::Inexact(_) => {
            "choose a type with `--outtype`, `--fp8`, `--lm-head` or `--token-embd`, or pass `--allow-rounding`"
        }
        Error::NoSpace { .. } => "free some space, or write to another disk with `-o`",
        Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull => {
            "the disk is full; free some space and give the same command again, it goes on where it stopped"
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::FileTooLarge => {
            "the disk or the session (`ulimit -f`) takes no file of that size; `--split-max-size` writes smaller ones"
        }
        Error::Io { action: "examine" | "create", source, .. } if source.kind() == ErrorKind::NotFound => {
            "the folder to write to does not exist; make it first"
        }
        Error::Io { action: "lock", .. } => "wait for the other process, or write to another file with `-o`",
        Error::Io { path, source, .. }
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                && path.ends_with("config.json") =>
        {
            "a checkpoint is a folder with `config.json` and safetensors files"
        }
        Error::Malformed { format: "safetensors", .. } | Error::MissingTensor { .. } => {
            "compare the folder's files with the repository they came from; one may be missing or cut short"
        }
        _ => return None,
    })
}

fn worker_hint(error: &anyhow::Error) -> Option<&'static str> {
    let lost = |e: &DecodeError| matches!(e, DecodeError::WorkerLost { .. });
    if error.chain().any(|e| e.downcast_ref().is_some_and(lost)) {
        return Some("start the worker again, then this command: what the worker held is gone");
    }
    if error.is::<Remote>() {
        return Some(
            "`--allow-remote` listens there all the same; `ssh -L` reaches a worker on a loopback address",
        );
    }
    let worker = error.chain().find_map(|e| e.downcast_ref::<WorkerError>());
    let within = error.chain().find_map(|e| match e.downcast_ref() {
        Some(LoadError::Worker(worker)) => Some(worker),
        _ => None,
    });
    Some(match worker.or(within)? {
        WorkerError::Connect { .. } => "start one there with `ggrun worker`",
        WorkerError::Silent { .. } => "wait for its other client, or end that",
        WorkerError::Version { .. } => "use one build of ggrun on both machines",
        WorkerError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            "another worker may run already; `--port 0` takes a free port"
        }
        _ => return None,
    })
}

fn load_hint(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::NotGguf { .. } => "`ggrun convert` makes a GGUF of a folder with safetensors files",
        LoadError::Header(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            "a model in several files needs all of them beside the first"
        }
        LoadError::Header(_) => {
            "the file may be cut short: compare its length with its source, or make it anew"
        }
        LoadError::Metadata { .. }
        | LoadError::MissingTensor { .. }
        | LoadError::SurplusTensor { .. }
        | LoadError::Tensor { .. } => {
            "the file was not written for this architecture; `ggrun inspect --tensors` shows what is in it"
        }
        _ => return None,
    })
}

fn place_hint(error: &PlaceError) -> Option<String> {
    match error {
        PlaceError::Memory(too_much) if too_much.remedies.is_empty() => {
            Some("no change of flags makes it fit; `ggrun plan` shows what takes the room".to_owned())
        }
        PlaceError::Memory(too_much) => Some(format!(
            "it would fit with {}; `-fit off` loads without asking",
            too_much.remedies.join(", or ")
        )),
        PlaceError::Device { .. } | PlaceError::Buffer { .. } => {
            Some("`--list-devices` shows what there is".to_owned())
        }
        _ => None,
    }
}

/// Wrong wishes are usage; what does not fit has a code of its own.
fn place_code(error: &PlaceError) -> u8 {
    match error {
        PlaceError::Memory(_) => 4,
        _ => 2,
    }
}
