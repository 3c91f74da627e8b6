//! The key-value pairs of the GGUF.

use std::collections::BTreeMap;

use super::{Content, Fidelity, Plan};
use crate::Result;
use crate::arch;
use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::gguf::{Array, Metadata, Value, keys};
use crate::vocab::vocab;

/// Version of ggml's block layouts; there has been no other since 2023.
const QUANTIZATION_VERSION: u32 = 2;

pub(super) fn metadata(checkpoint: &Checkpoint, plan: &Plan) -> Result<Metadata> {
    let mut out = Metadata::new();
    out.push(keys::ARCHITECTURE, arch::ARCHITECTURE);
    out.push(keys::TYPE, "model");
    out.append(arch::metadata(&plan.hparams, plan.mtp_layers));
    if let Some(ty) = dominant(plan).file_type() {
        out.push(keys::FILE_TYPE, ty);
    }
    out.push(keys::QUANTIZATION_VERSION, QUANTIZATION_VERSION);
    out.append(vocab(checkpoint.dir(), checkpoint.config(), plan.hparams.vocab)?);
    let rounded: Vec<String> = plan
        .tensors
        .iter()
        .filter(|t| t.fidelity == Some(Fidelity::Rounded))
        .map(|t| t.name.clone())
        .collect();
    if !rounded.is_empty() {
        out.push(keys::ROUNDED, Value::Array(Array::Str(rounded)));
    }
    Ok(out)
}

/// The type that most of the weights have.
pub(super) fn dominant(plan: &Plan) -> GgmlType {
    let mut elements: BTreeMap<GgmlType, u64> = BTreeMap::new();
    for t in plan.tensors.iter().filter(|t| t.content == Content::Weights) {
        *elements.entry(t.ty()).or_default() += t.dims.iter().product::<u64>();
    }
    elements.into_iter().max_by_key(|(_, n)| *n).map_or(GgmlType::F32, |(ty, _)| ty)
}
