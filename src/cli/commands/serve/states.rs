//! Options about what stays on disk: states of sequences, and conversations.

use std::path::{Path, PathBuf};

use ggrun::model::Model;
use ggrun::serve::Sessions;
use ggrun::state_cache::{self, StateCache};

use crate::cli::error::NoStateFolder;
use crate::cli::options::size::some_size;
use crate::cli::shared::folder::state_folder;
use crate::cli::ui::text;

/// The value of `--state-dir` for the folder of this user.
const AUTO: &str = "auto";

/// Options about what stays on disk.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Disk")]
pub(crate) struct DiskArgs {
    /// Save sequence states in this folder, so that prompts are not processed again after a restart
    ///
    /// `auto` is the state folder of this user. Prompts can be recovered from the files, which only this user can read.
    /// A state is saved when the server ends, when a slot has been idle for a minute, and before a slot is reused.
    /// Without this option nothing is saved.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Remove the least recently used states beyond this size [default: 8G]
    ///
    /// A tenth of the disk stays free in any case.
    #[arg(long, value_name = "SIZE", requires = "state_dir", value_parser = some_size, hide_short_help = true)]
    state_budget: Option<u64>,
    /// Share no cached prefix and no saved state between API keys
    #[arg(long, hide_short_help = true)]
    pub(crate) isolate_keys: bool,
    /// Store conversations of clients in this folder, and serve them at `/api/conversations`
    ///
    /// Each API key has a folder of its own in it. Without keys and on a loopback address, the default is the folder of
    /// `ggrun chat --session`; otherwise conversations are neither stored nor served.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    sessions_dir: Option<PathBuf>,
}

impl DiskArgs {
    /// The cache of saved states, if states are saved.
    pub(crate) fn states(&self, model: &Model) -> anyhow::Result<Option<StateCache>> {
        let Some(folder) = self.state_folder()? else { return Ok(None) };
        let mut settings = state_cache::Settings::new(folder, model.identity()?);
        settings.budget = self.state_budget();
        Ok(Some(StateCache::open(settings)?))
    }

    /// Checks the folder of states, before the model is loaded.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        Ok(self.state_folder()?.as_deref().map_or(Ok(()), state_cache::check_folder)?)
    }

    /// What is saved of sequences, for the user.
    pub(crate) fn describe(&self, states: Option<&StateCache>) -> String {
        match states {
            None => "states are not saved to disk".to_owned(),
            Some(states) => {
                let budget = text::bytes(self.state_budget());
                format!("states are saved in `{}`, up to {budget}", states.folder().display())
            }
        }
    }

    /// Where conversations are kept.
    pub(crate) fn sessions(&self, has_keys: bool, is_remote: bool) -> Sessions {
        let of_user = || state_folder().map(|folder| folder.join("sessions"));
        match &self.sessions_dir {
            Some(folder) if has_keys => Sessions::by_key(folder.clone()),
            Some(folder) => Sessions::together(folder.clone()),
            None if has_keys || is_remote => Sessions::default(),
            None => of_user().map(Sessions::together).unwrap_or_default(),
        }
    }

    fn state_budget(&self) -> u64 {
        self.state_budget.unwrap_or(state_cache::BUDGET)
    }

    fn state_folder(&self) -> anyhow::Result<Option<PathBuf>> {
        match self.state_dir.as_deref() {
            None => Ok(None),
            Some(folder) if folder == Path::new(AUTO) => {
                Ok(Some(state_folder().ok_or(NoStateFolder)?.join("states")))
            }
            Some(folder) => Ok(Some(folder.to_owned())),
        }
    }
}
