//! Walks the table of an architecture: every tensor that must be there is, has its shape and its type, and there is no other.
//!
//! llama.cpp's loader also reports a tensor that is missing or has the wrong shape, but not the name of one too many, and
//! its graphs assert on types that the loader accepts.

use std::collections::BTreeMap;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::TensorInfo;

use super::limits::Limit;
use super::slot::{Of, Part, Slot, Table, When};
use super::types::Kind;
use crate::model::hparams::HParams;
use crate::model::{Header, LoadError};

pub(super) fn check(table: &Table, header: &Header, hparams: &HParams) -> Result<(), LoadError> {
    for limit in table.limits {
        limit.check(header, hparams)?;
    }
    let all: BTreeMap<&str, &TensorInfo> =
        header.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut walk = Walk { header, hparams, left: all.clone(), all, matrices: BTreeMap::new() };
    for part in table.parts.iter().filter(|part| is_in_model(part.of, hparams)) {
        walk.part(part, "", 0)?;
    }
    for layer in 0..walk.last(table) {
        let prefix = format!("blk.{layer}.");
        for part in table.parts.iter().filter(|part| is_in_layer(part.of, hparams, layer)) {
            walk.part(part, &prefix, layer)?;
        }
    }
    walk.scales()?;
    if hparams.recurrent.is_some() && table.parts.iter().any(|part| part.of == Of::Recurrent) {
        // Last, because a tensor of the wrong kind of layer says more.
        Limit::Mixes.check(header, hparams)?;
    }
    match walk.left.keys().next() {
        None => Ok(()),
        Some(name) => Err(LoadError::SurplusTensor {
            path: header.path.clone(),
            tensor: (*name).to_owned(),
            layers: hparams.layers,
        }),
    }
}

fn is_in_model(of: Of, hparams: &HParams) -> bool {
    match of {
        Of::Model => true,
        Of::PerLayerModel => hparams.per_layer_embedding > 0,
        _ => false,
    }
}

pub(super) fn is_in_layer(of: Of, hparams: &HParams, layer: u32) -> bool {
    let h = hparams;
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
    /// The matrices that were met, without `.weight`.
    matrices: BTreeMap<&'a str, &'a TensorInfo>,
}

impl<'a> Walk<'a> {
    /// The number of layers to walk: the MTP layers may be missing altogether.
    fn last(&self, table: &Table) -> u32 {
        let HParams { layers, mtp_layers, .. } = *self.hparams;
        let first = format!("blk.{}.nextn.eh_proj.weight", self.hparams.trunk());
        let is_alone = table.trunk_alone && mtp_layers > 0 && !self.left.contains_key(first.as_str());
        if is_alone { self.hparams.trunk() } else { layers }
    }

    /// Whether a tensor is there and was met.
    fn is_met(&self, name: &str) -> bool {
        self.all.contains_key(name) && !self.left.contains_key(name)
    }

    fn part(&mut self, part: &Part, prefix: &str, layer: u32) -> Result<(), LoadError> {
        for slot in part.slots {
            let has = |other: &str| self.is_met(&format!("{prefix}{other}"));
            let (may, must) = match slot.when {
                When::Always => (true, true),
                When::Optional => (true, false),
                When::Unless(other) => (!has(other), !has(other)),
                When::OptionalUnless(other) => (!has(other), false),
                When::OptionalWith(other) => (has(other), false),
            };
            if may {
                self.slot(slot, must, prefix, layer)?;
            }
        }
        Ok(())
    }

    fn slot(&mut self, slot: &Slot, must: bool, prefix: &str, layer: u32) -> Result<(), LoadError> {
        let name = format!("{prefix}{}", slot.name);
        let dims: Vec<u64> = slot.dims.iter().map(|size| size.of(self.hparams, layer)).collect();
        match self.take(&name, slot.kind, &dims)? {
            None if must => Err(LoadError::MissingTensor { path: self.header.path.clone(), tensor: name }),
            Some(found) if slot.kind == Kind::Matrix => {
                self.matrices.insert(found.name.strip_suffix(".weight").unwrap_or(&found.name), found);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The optional factors of a matrix and of its input: one, or one for each expert.
    fn scales(&mut self) -> Result<(), LoadError> {
        let names: Vec<&str> = self.left.keys().copied().collect();
        for name in names {
            let factor = name.strip_suffix(".scale");
            let stem = factor.or_else(|| name.strip_suffix(".input_scale"));
            let Some((stem, matrix)) = stem.and_then(|stem| Some((stem, *self.matrices.get(stem)?))) else {
                continue;
            };
            let has_bias = self.all.contains_key(format!("{stem}.bias").as_str());
            if matrix.ty == GgmlType::NVFP4 && has_bias && factor.is_some() {
                // llama.cpp would add the bias before the factor, and asserts that it need not.
                let (path, tensor) = (self.header.path.clone(), name.to_owned());
                let (found, expected) = ("a bias beside it".to_owned(), "none with type NVFP4".to_owned());
                return Err(LoadError::Tensor { path, tensor, found, expected });
            }
            let count = if stem.ends_with("_exps") { self.hparams.experts.into() } else { 1 };
            self.take(name, Kind::Vector, &[count])?;
        }
        Ok(())
    }

    /// Checks a tensor and removes it from the remaining ones; `None` if it does not exist.
    fn take(&mut self, name: &str, kind: Kind, dims: &[u64]) -> Result<Option<&'a TensorInfo>, LoadError> {
        let Some(tensor) = self.left.remove(name) else { return Ok(None) };
        let wrong = |found: String, expected: String| {
            let (path, tensor) = (self.header.path.clone(), name.to_owned());
            Err(LoadError::Tensor { path, tensor, found, expected })
        };
        if trimmed(&tensor.dims) != trimmed(dims) {
            return wrong(format!("shape {:?}", tensor.dims), format!("{dims:?} by the metadata"));
        }
        if !kind.allows(tensor.ty) {
            return wrong(format!("type {}", tensor.ty), kind.expected().to_owned());
        }
        Ok(Some(tensor))
    }
}

/// A shape without trailing dimensions of 1.
fn trimmed(dims: &[u64]) -> &[u64] {
    let ones = dims.iter().rev().take_while(|d| **d == 1).count();
    &dims[..(dims.len() - ones).max(1)]
}
