//! Column orders (`g_idx`): reads whether the groups of a matrix are contiguous, which depends on the values.

use std::collections::BTreeMap;

use crate::Result;
use crate::checkpoint::{Checkpoint, Dtype, TensorId};

/// Size limit of a column order in bytes; real ones are far smaller.
const MOST_BYTES: u64 = 64 << 20;

/// The group of each column of a matrix, summarized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// All columns have group 0, which some writers use for the natural order.
    Zero,
    /// Contiguous groups of this many columns, in order.
    Runs(u64),
    /// Any other order.
    Mixed,
}

impl Columns {
    /// Reads a column order.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it cannot be read.
    pub fn read(checkpoint: &Checkpoint, id: TensorId) -> Result<Self> {
        let mut bytes = Vec::new();
        checkpoint.read_all(id, &mut bytes)?;
        let groups = || bytes.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b)));
        let Some(run) = (0..).zip(groups()).find_map(|(column, group)| (group > 0).then_some(column)) else {
            return Ok(Self::Zero);
        };
        let is_run = run > 0 && (0..).zip(groups()).all(|(column, group)| group == column / run);
        Ok(if is_run { Self::Runs(run) } else { Self::Mixed })
    }

    /// Returns true if the order is the natural one for groups of `group` columns.
    pub(super) fn is_trivial(self, group: u64) -> bool {
        match self {
            Self::Zero => true,
            Self::Runs(run) => run == group,
            Self::Mixed => false,
        }
    }

    /// Like [`is_trivial`](Self::is_trivial), for any group size if `group` is `None`.
    pub(super) fn is_natural(self, group: Option<u64>) -> bool {
        group.map_or(self != Self::Mixed, |group| self.is_trivial(group))
    }
}

/// Source of the column orders.
#[derive(Debug, Clone)]
pub enum Orders {
    /// Read from the checkpoint.
    Read,
    /// Not read: all groups are assumed to be contiguous.
    Assumed,
    /// Read earlier; orders that are not in the map are read from the checkpoint.
    Known(BTreeMap<TensorId, Columns>),
}

impl Orders {
    pub(super) fn of(&self, checkpoint: &Checkpoint, id: TensorId) -> Result<Columns> {
        match self {
            Self::Assumed => Ok(Columns::Zero),
            Self::Known(known) if known.contains_key(&id) => Ok(known[&id]),
            Self::Read | Self::Known(_) => Columns::read(checkpoint, id),
        }
    }
}

/// The tensors of a checkpoint that are column orders.
pub fn orders(checkpoint: &Checkpoint) -> impl Iterator<Item = TensorId> {
    let is_order = |name: &str| name.ends_with(".g_idx") || name.ends_with(".weight_g_idx");
    let is_plausible = move |info: &crate::checkpoint::TensorInfo| {
        is_order(&info.name) && info.dtype == Dtype::I32 && info.bytes <= MOST_BYTES
    };
    checkpoint.ids().filter(move |(_, info)| is_plausible(info)).map(|(id, _)| id)
}
