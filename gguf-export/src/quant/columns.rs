//! Orders of columns (`g_idx`): whether the groups of a matrix lie side by side. Only the values tell.

use std::collections::BTreeMap;

use crate::Result;
use crate::checkpoint::{Checkpoint, Dtype, TensorId};

/// The longest order that is read ahead, in bytes: matrices have far fewer columns.
const MOST_BYTES: u64 = 64 << 20;

/// The groups that an order gives to the columns of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// All are 0, which stands for no order.
    Zero,
    /// So many columns to each group, one group after the other.
    Runs(u64),
    /// Anything else.
    Mixed,
}

impl Columns {
    /// Reads an order.
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

    /// Whether the columns lie as they would without an order.
    pub(super) fn is_trivial(self, group: u64) -> bool {
        match self {
            Self::Zero => true,
            Self::Runs(run) => run == group,
            Self::Mixed => false,
        }
    }
}

/// Where orders are known from.
#[derive(Debug, Clone)]
pub enum Orders {
    /// They are read.
    Read,
    /// They are not looked at: every matrix counts as one whose groups lie side by side.
    Assumed,
    /// They were read before; others are read now.
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

/// The tensors of a checkpoint that are orders.
pub fn orders(checkpoint: &Checkpoint) -> impl Iterator<Item = TensorId> {
    let is_order = |name: &str| name.ends_with(".g_idx") || name.ends_with(".weight_g_idx");
    let is_plausible = move |info: &crate::checkpoint::TensorInfo| {
        is_order(&info.name) && info.dtype == Dtype::I32 && info.bytes <= MOST_BYTES
    };
    checkpoint.ids().filter(move |(_, info)| is_plausible(info)).map(|(id, _)| id)
}
