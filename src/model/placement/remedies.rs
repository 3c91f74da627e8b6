//! The changes of options that make a model fit, the cheapest first.

use super::cost::Model;
use super::search::attempt;
use super::types::Placement;
use super::weights::Rule;
use crate::llama::{CacheType, Flash, LoadMode};
use crate::model::{ContextSize, GpuLayers, LoadOptions};

/// The smallest context that is suggested.
const SMALLEST_CONTEXT: u32 = 512;
/// The maximum number of suggestions with more than one change.
const MOST: usize = 2;

/// A change of options. The order is that of the cost: what a user loses by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// No state cache: prompts are read again.
    StateCache,
    /// Layers and experts are placed automatically.
    Placement,
    /// A quantized KV cache.
    CacheTypes,
    /// Fewer requests at once.
    Slots,
    /// A smaller context.
    Context(u32),
    /// Weights are read from disk whenever they are needed.
    Map,
}

impl Change {
    fn apply(self, options: &mut LoadOptions) {
        match self {
            Self::StateCache => options.state_cache = 0,
            Self::Placement => {
                options.gpu_layers = GpuLayers::Auto;
                options.cpu_experts = None;
                options.fit = true;
            }
            Self::CacheTypes => (options.cache_k, options.cache_v) = (CacheType::Q8_0, CacheType::Q8_0),
            Self::Slots => options.parallel = 1,
            Self::Context(tokens) => options.context = ContextSize::Tokens(tokens),
            Self::Map => (options.load, options.repack) = (Some(LoadMode::Map), Some(false)),
        }
    }

    /// The options as typed. `changed` are all options after the change, and `found` the placement with them.
    fn typed(self, before: &LoadOptions, changed: &LoadOptions, found: &Placement) -> String {
        match self {
            Self::StateCache => format!("-cram 0 (frees {} MiB of state cache)", before.state_cache >> 20),
            Self::Placement if found.cpu_experts == 0 => format!("-ngl {}", found.gpu_layers),
            Self::Placement => format!("-ngl {} -ncmoe {}", found.gpu_layers, found.cpu_experts),
            Self::CacheTypes => "-ctk q8_0 -ctv q8_0".to_owned(),
            Self::Slots => "-np 1".to_owned(),
            Self::Context(tokens) => format!("-c {}", u64::from(tokens) * u64::from(changed.parallel.max(1))),
            Self::Map => "-lm mmap -nr (slow: weights are read from disk when needed)".to_owned(),
        }
    }
}

/// Options that make the model fit, each as typed: every single change that is enough, or else the smallest sets of
/// changes. Empty if nothing is enough.
pub(super) fn remedies(model: Model<'_>, rules: &[Rule]) -> Vec<String> {
    let (changes, contexts) = (changes(model), contexts(model));
    let mut found = smallest(model, rules, &[], &changes, &contexts);
    if !model.options.load.is_some_and(LoadMode::maps) {
        // Reading from disk costs more than all other changes together.
        let mapped = fits(model, rules, &[Change::Map]).into_iter().collect();
        let mapped = if found.is_empty() && Vec::is_empty(&mapped) {
            smallest(model, rules, &[Change::Map], &changes, &contexts)
        } else {
            mapped
        };
        found.extend(mapped);
    }
    found
}

/// The smallest sets of changes that are enough together with `always`.
fn smallest(
    model: Model<'_>,
    rules: &[Rule],
    always: &[Change],
    changes: &[Change],
    contexts: &[u32],
) -> Vec<String> {
    let least = contexts.last().map(|&tokens| Change::Context(tokens));
    let all: Vec<Change> = changes.iter().chain(always).copied().chain(least).collect();
    if fits(model, rules, &all).is_none() {
        return Vec::new();
    }
    for size in 1..=changes.len() + 1 {
        // Of the contexts with the same other changes, the largest is enough.
        let enough = |sets: Vec<Vec<Change>>| {
            sets.iter().find_map(|set| fits(model, rules, &[set.as_slice(), always].concat()))
        };
        let found = sets(changes, contexts, size).into_iter().filter_map(enough);
        let found: Vec<String> = found.take(if size == 1 { usize::MAX } else { MOST }).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// The changes that make a difference, other than of the context and of the way that the file is read.
fn changes(model: Model<'_>) -> Vec<Change> {
    let Model { hparams, options, .. } = model;
    let f16 = (options.cache_k, options.cache_v) == (CacheType::F16, CacheType::F16);
    let blocks = [hparams.key_length, hparams.value_length].iter().all(|length| length.is_multiple_of(32));
    [
        (Change::StateCache, options.state_cache > 0),
        (Change::Placement, options.gpu_layers != GpuLayers::Auto || options.cpu_experts.is_some()),
        (Change::CacheTypes, f16 && blocks && options.flash != Flash::Off),
        (Change::Slots, options.parallel > 1),
    ]
    .into_iter()
    .filter_map(|(change, differs)| differs.then_some(change))
    .collect()
}

/// Smaller contexts, the largest first: the trained one if more is requested, then halves.
fn contexts(model: Model<'_>) -> Vec<u32> {
    let trained = model.hparams.trained_context;
    let requested = model.options.context.resolve(trained);
    let first = if requested > trained { trained } else { requested / 2 };
    std::iter::successors(Some(first), |context| Some(context / 2))
        .take_while(|&context| context >= SMALLEST_CONTEXT)
        .collect()
}

/// The sets of this many changes, in the order of their cost. Sets that differ only in the context are together.
fn sets(changes: &[Change], contexts: &[u32], size: usize) -> Vec<Vec<Vec<Change>>> {
    // A bit for each change, and the highest for the context.
    let bits = changes.len() + usize::from(!contexts.is_empty());
    let mut masks: Vec<u32> =
        (0..1 << bits).filter(|mask: &u32| mask.count_ones() as usize == size).collect();
    masks.sort_unstable();
    masks
        .into_iter()
        .map(|mask| {
            let chosen = changes.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
            let chosen: Vec<Change> = chosen.map(|(_, change)| *change).collect();
            if mask >> changes.len() & 1 == 0 {
                return vec![chosen];
            }
            let with = |&tokens: &u32| [chosen.as_slice(), &[Change::Context(tokens)]].concat();
            contexts.iter().map(with).collect()
        })
        .collect()
}

/// The changes as typed, if the model fits with them.
fn fits(model: Model<'_>, rules: &[Rule], set: &[Change]) -> Option<String> {
    let mut options = model.options.clone();
    for change in set {
        change.apply(&mut options);
    }
    let found = attempt(Model { options: &options, ..model }, rules).ok()?.ok()?;
    let typed: Vec<String> = set.iter().map(|change| change.typed(model.options, &options, &found)).collect();
    Some(typed.join(" "))
}
