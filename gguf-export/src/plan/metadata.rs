//! The key-value pairs of the GGUF, in llama.cpp's order.

use super::Plan;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::gguf::Metadata;

pub(super) fn metadata(_checkpoint: &Checkpoint, _plan: &Plan) -> Result<Metadata> {
    Ok(Metadata::default())
}
