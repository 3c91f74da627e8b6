//! Keys that the caller ignores.

use crate::checkpoint::ModelConfig;
use crate::error::RefusedKey;
use crate::quant::{Choices, OtherKeys};
use crate::{Error, Result};

/// Names of keys to ignore, and which of them were found.
#[derive(Debug)]
pub(in crate::quant) struct Ignored<'a> {
    names: &'a [String],
    found: Vec<bool>,
    others: OtherKeys,
}

impl<'a> Ignored<'a> {
    pub(in crate::quant) fn new(choices: &'a Choices) -> Self {
        let names = &choices.ignored_keys;
        Self { names, found: vec![false; names.len()], others: choices.others }
    }

    fn contains(&mut self, key: &str) -> bool {
        let Some(at) = self.names.iter().position(|name| name == key) else { return false };
        self.found[at] = true;
        true
    }

    /// Refuses the keys that may not be kept, unless they are among the ignored ones.
    pub(in crate::quant) fn refuse(&mut self, config: &ModelConfig, mut keys: Vec<RefusedKey>) -> Result<()> {
        keys.retain(|refused| !self.contains(&refused.key));
        if keys.is_empty() || self.others == OtherKeys::Accepted {
            Ok(())
        } else {
            Err(Error::ConfigKeys { path: config.path().to_owned(), keys })
        }
    }

    /// Refuses names that were not found.
    pub(in crate::quant) fn finish(&self, config: &ModelConfig) -> Result<()> {
        match self.names.iter().zip(&self.found).find(|(_, found)| !**found) {
            None => Ok(()),
            Some(_) if self.others != OtherKeys::Refused => Ok(()),
            Some((key, _)) => Err(Error::NotIgnored { path: config.path().to_owned(), key: key.clone() }),
        }
    }
}
