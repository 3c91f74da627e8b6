//! Hints about the hub and its cache.

use ggrun::hub;
use ggrun::hub::cache;
use ggrun::hub::pick::PickError;

use crate::cli::error::Unasked;
use crate::cli::ui::text;

/// The hub's error, also if it is inside another error.
pub(super) fn hub_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e hub::Error> {
    error.downcast_ref().or(match error.downcast_ref() {
        Some(hub::CheckpointError::Hub(error)) => Some(error),
        _ => None,
    })
}

/// What to do about an error of the hub.
pub(super) fn hub_hint(error: &hub::Error) -> Option<String> {
    use hub::Error as E;
    let shown = |token: &Option<hub::Origin>| match token {
        Some(origin) => format!("the token from {origin} was sent"),
        None => "no token was sent: run `hf auth login`, or set HF_TOKEN".to_owned(),
    };
    Some(match error {
        E::Unauthorized { token: None, .. } => {
            format!("check the name; a private or gated repository needs a token; {}", shown(&None))
        }
        E::Unauthorized { token, .. } => format!("{}; it may be wrong or expired", shown(token)),
        E::Forbidden { page, token, .. } => {
            format!("accept the conditions at {page} with the same account; {}", shown(token))
        }
        E::NotFound { .. } => "check the name and the revision on the repository's page".to_owned(),
        E::RetryLater { status: 429, seconds, .. } => {
            format!(
                "run the same command in {} to resume; the hub allows more requests with a token",
                minutes(*seconds)
            )
        }
        E::RetryLater { seconds, .. } => {
            format!("run the same command in {} to resume, or set another HF_ENDPOINT", minutes(*seconds))
        }
        E::Network { .. } | E::Status { .. } => {
            "run the same command to resume, or set HF_ENDPOINT to a mirror".to_owned()
        }
        E::Offline { .. } => {
            "fetch it once without `--offline` and HF_HUB_OFFLINE=1, with a connection to the hub".to_owned()
        }
        E::Undescribed { .. } => "set HF_ENDPOINT to a hub or mirror that sends it".to_owned(),
        E::Changed { .. } => "`ggrun cache verify --delete` removes it; fetch it again online".to_owned(),
        E::Hash { .. } | E::Length { .. } => {
            "the hub, a mirror or a proxy sent wrong bytes; try again later, or set another HF_ENDPOINT"
                .to_owned()
        }
        E::Missing { .. } => {
            "the repository is incomplete; try another revision: ORG/NAME@REVISION".to_owned()
        }
        E::NoSpace { .. } => {
            "free some space, or move the cache to another disk with HF_HUB_CACHE or `--cache-dir`".to_owned()
        }
        other if other.is_full() => {
            "the disk is full; free some space and run the same command to resume".to_owned()
        }
        _ => return None,
    })
}

/// What to do about a choice among the GGUFs of a repository.
pub(super) fn pick_hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.chain().find_map(|e| e.downcast_ref())? {
        PickError::Empty => "`ggrun convert` makes a GGUF from a checkpoint",
        PickError::Missing { .. } | PickError::Several { .. } => {
            "select an encoding with `-hf ORG/NAME:QUANT`, or one of these files with `-hff FILE`"
        }
        PickError::Part { .. } => "try another revision: ORG/NAME@REVISION",
        _ => return None,
    })
}

/// What to do about an error of the cache.
pub(super) fn cache_hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.is::<Unasked>() {
        return Some("`-y` removes without confirmation; `--dry-run` lists what would be removed");
    }
    match error.downcast_ref()? {
        cache::Error::Busy { .. } => Some("wait until the other process ends, or end it"),
        cache::Error::NotFolder { .. } => {
            Some("files outside the cache are never removed; remove the link by hand")
        }
        _ => None,
    }
}

/// A time that a person waits: minutes up to an hour, then hours, at most a day.
fn minutes(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        minutes @ ..=60 => text::plural(minutes, "minute"),
        minutes @ ..=1440 => text::plural(minutes.div_ceil(60), "hour"),
        _ => "a day or more".to_owned(),
    }
}
