//! Walks the table of an architecture: every tensor that must be there is and has its shape, and there is no other.
//!
//! llama.cpp's loader also reports a tensor that is missing or has the wrong shape, but not the name of one too many, and
//! its graphs ignore factors that the loader accepts.

use std::collections::BTreeMap;
use std::iter;

use gguf_export::gguf::TensorInfo;

use super::limits::{self, Limit};
use super::slot::{Of, Part, Slot, Table, When, name_in};
use crate::model::hparams::HParams;
use crate::model::{Header, LoadError};

pub(super) fn check(table: &Table, header: &Header, hparams: &HParams) -> Result<(), LoadError> {
    limits::check(table.limits, header, hparams)?;
    let all: BTreeMap<&str, &TensorInfo> =
        header.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut walk = Walk { header, hparams, left: all.clone(), all };
    for layer in places(walk.last(table)) {
        walk.parts(table.parts, layer)?;
    }
    for layer in places(hparams.trunk()) {
        walk.parts(table.factors, layer)?;
    }
    walk.refuse_factors_of_biased()?;
    if hparams.recurrent.is_some() && table.parts.iter().any(|part| part.of == Of::Recurrent) {
        // Last, because a tensor of the wrong kind of layer says more.
        Limit::Mixes.check(header, hparams)?;
    }
    let Some(name) = walk.left.keys().next() else { return Ok(()) };
    let (path, tensor) = (header.path.clone(), (*name).to_owned());
    let matrix = name.strip_suffix(".scale").map(|stem| format!("{stem}.weight"));
    Err(if matrix.is_some_and(|matrix| walk.met(&matrix).is_some()) {
        LoadError::IgnoredFactor { path, tensor }
    } else {
        LoadError::SurplusTensor { path, tensor, layers: hparams.layers }
    })
}

/// The model as a whole, and its first layers.
pub(super) fn places(layers: u32) -> impl Iterator<Item = Option<u32>> {
    iter::once(None).chain((0..layers).map(Some))
}

/// Whether a layer, or the model as a whole, has some tensors.
pub(super) fn has(hparams: &HParams, layer: Option<u32>, of: Of) -> bool {
    let h = hparams;
    let Some(layer) = layer else {
        return of == Of::Model || of == Of::PerLayerModel && h.per_layer_embedding > 0;
    };
    let recurrent = h.recurrent_layers[layer as usize];
    let experts = h.experts > 0 && layer >= h.leading_dense;
    match of {
        Of::Model | Of::PerLayerModel => false,
        Of::Layers => true,
        Of::Attention => !recurrent,
        Of::OwnKeys => h.has_kv(layer),
        Of::OthersKeys => !recurrent && !h.has_kv(layer),
        Of::CompressedQueries => !recurrent && h.query_rank > 0,
        Of::PlainQueries => !recurrent && h.query_rank == 0,
        Of::Latent => !recurrent && h.mla.is_some(),
        Of::Unpacked => !recurrent && h.mla.is_none(),
        Of::Recurrent => recurrent,
        Of::Dense => !experts,
        Of::Experts => experts,
        Of::PerLayer => h.per_layer_embedding > 0,
        Of::Mtp => layer >= h.trunk(),
    }
}

/// A walk over a table.
struct Walk<'a> {
    header: &'a Header,
    hparams: &'a HParams,
    all: BTreeMap<&'a str, &'a TensorInfo>,
    /// The tensors that were not met yet.
    left: BTreeMap<&'a str, &'a TensorInfo>,
}

impl<'a> Walk<'a> {
    /// The number of layers to walk: the MTP layers may be missing altogether.
    fn last(&self, table: &Table) -> u32 {
        let HParams { layers, mtp_layers, .. } = *self.hparams;
        let first = format!("blk.{}.nextn.eh_proj.weight", self.hparams.trunk());
        let is_alone = table.trunk_alone && mtp_layers > 0 && !self.left.contains_key(first.as_str());
        if is_alone { self.hparams.trunk() } else { layers }
    }

    /// A tensor that is there and was met.
    fn met(&self, name: &str) -> Option<&'a TensorInfo> {
        if self.left.contains_key(name) { None } else { self.all.get(name).copied() }
    }

    fn parts(&mut self, parts: &[Part], layer: Option<u32>) -> Result<(), LoadError> {
        let hparams = self.hparams;
        let slots = parts.iter().filter(|part| has(hparams, layer, part.of)).flat_map(|part| part.slots);
        for slot in slots {
            let met = |name| self.met(&name_in(name, layer));
            let has = |name| met(name).is_some();
            let (may, must) = match slot.when {
                When::Always => (true, true),
                When::Unless(other) => (!has(other), !has(other)),
                When::OptionalUnless(other) => (!has(other), false),
                When::OptionalWith(other) => (has(other), false),
                When::OptionalWithType(other, ty) => {
                    (met(other).is_some_and(|tensor| tensor.ty == ty), false)
                }
                When::AllOrNone(first, beside) if has(beside) => (has(first), has(first)),
                When::Optional | When::AllOrNone(..) => (true, false),
            };
            if may {
                self.slot(slot, must, layer)?;
            }
        }
        Ok(())
    }

    /// Checks the shape of a tensor and removes it from the remaining ones.
    fn slot(&mut self, slot: &Slot, must: bool, layer: Option<u32>) -> Result<(), LoadError> {
        let (path, name) = (&self.header.path, slot.name_in(layer));
        let Some(tensor) = self.left.remove(name.as_str()) else {
            let missing = LoadError::MissingTensor { path: path.clone(), tensor: name };
            return if must { Err(missing) } else { Ok(()) };
        };
        let dims: Vec<u64> = slot.dims.iter().map(|size| size.of(self.hparams, layer.unwrap_or(0))).collect();
        if trimmed(&tensor.dims) == trimmed(&dims) {
            return Ok(());
        }
        let (found, expected) = (format!("shape {:?}", tensor.dims), format!("{dims:?} by the metadata"));
        Err(LoadError::Tensor { path: path.clone(), tensor: name, found, expected })
    }

    /// llama.cpp multiplies the products of a feed-forward network after it has added the biases.
    fn refuse_factors_of_biased(&self) -> Result<(), LoadError> {
        for layer in 0..self.hparams.trunk() {
            for stem in ["ffn_gate", "ffn_up", "ffn_down"].map(|name| format!("blk.{layer}.{name}")) {
                let tensor = format!("{stem}.scale");
                if self.met(&tensor).is_some() && self.met(&format!("{stem}.bias")).is_some() {
                    let (found, expected) = ("a bias beside it".to_owned(), "none".to_owned());
                    return Err(LoadError::Tensor {
                        path: self.header.path.clone(),
                        tensor,
                        found,
                        expected,
                    });
                }
            }
        }
        Ok(())
    }
}

/// A shape without trailing dimensions of 1.
fn trimmed(dims: &[u64]) -> &[u64] {
    let ones = dims.iter().rev().take_while(|d| **d == 1).count();
    &dims[..(dims.len() - ones).max(1)]
}
