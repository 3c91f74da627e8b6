//! Drafts a plan: lays out the model, resolves every module, chooses types, and refuses unused tensors.

use super::candidate::{Candidate, Certainty, Form};
use super::exact;
use super::left_out::{LeftOut, Reason, notes};
use super::model::{Plan, refuse};
use super::tensor::{Content, Fidelity, Piece, TensorPlan};
use super::tied::TiedHead;
use super::{OutType, PlanOptions};
use crate::arch::{self, Columns, HParams, Map, Names, OtherPart, Role, Rule, Target};
use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::gguf::{Metadata, keys, limits};
use crate::quant::{self, Choices, Coding, Orders, QuantConfig, Weight};
use crate::vocab::vocab;
use crate::{Error, Result, TensorRef};

impl Plan {
    /// Drafts a plan from headers and configuration. The only tensor data read are column orders (`g_idx`), and head and
    /// embedding of a tied model that stores both. Tensors whose best type depends on their values are left for
    /// [`survey`](crate::survey()).
    ///
    /// # Errors
    /// [`Error::Field`], [`Error::Unsupported`], [`Error::Tensor`], [`Error::MissingTensor`] and
    /// [`Error::SurplusTensor`] for problems with the checkpoint, [`Error::Inexact`] for tensors that no type holds
    /// exactly.
    pub fn draft(checkpoint: &Checkpoint, options: &PlanOptions) -> Result<Self> {
        Self::draft_with(checkpoint, options, &Orders::Read, TiedHead::Read)
    }

    /// Like [`Plan::draft`], without reading any tensor data, for a checkpoint whose shards do not exist yet. Assumes that
    /// groups of columns are contiguous, and that a tied head differs from the embedding.
    ///
    /// # Errors
    /// As [`Plan::draft`].
    pub fn draft_from_headers(checkpoint: &Checkpoint, options: &PlanOptions) -> Result<Self> {
        Self::draft_with(checkpoint, options, &Orders::Assumed, TiedHead::Assumed)
    }

    pub(crate) fn draft_with(
        checkpoint: &Checkpoint,
        options: &PlanOptions,
        orders: &Orders,
        head: TiedHead,
    ) -> Result<Self> {
        let (plan, surplus) = draft(checkpoint, options, orders, head)?;
        match surplus.into_iter().next() {
            None => Ok(plan),
            Some(at) => Err(Error::SurplusTensor { at }),
        }
    }

    /// Like [`Plan::draft`], with any type allowed, and without refusing tensors that the model does not use.
    pub(crate) fn draft_to_compare(checkpoint: &Checkpoint, config: Choices) -> Result<Self> {
        let options = PlanOptions { allow_rounding: true, config, ..PlanOptions::default() };
        draft(checkpoint, &options, &Orders::Read, TiedHead::Read).map(|(plan, _)| plan)
    }
}

fn draft(
    checkpoint: &Checkpoint,
    options: &PlanOptions,
    orders: &Orders,
    head: TiedHead,
) -> Result<(Plan, Vec<TensorRef>)> {
    let mut hparams = HParams::read(checkpoint.config())?;
    let family = hparams.family().tokenizer;
    let tokenizer = if family.cuts_embedding() {
        let keys = vocab(checkpoint.dir(), checkpoint.config(), hparams.vocab, family)?;
        hparams.tokens = keys.strings(keys::TOKENIZER_TOKENS).map_or(0, <[_]>::len) as u64;
        Some(keys)
    } else {
        None
    };
    let config = QuantConfig::of(checkpoint, &options.config)?;
    let has = |module: &str| {
        let prefix = if module.ends_with('.') { module.to_owned() } else { format!("{module}.") };
        checkpoint.find(module).is_some() || checkpoint.any_with_prefix(&prefix)
    };
    let names = Names::find(&has);
    let own_head = head.is_needed(checkpoint, &hparams, names)?;
    let layout = arch::layout(&hparams, own_head, &has);
    if hparams.layers.len() as u64 + layout.mtp_layers > limits::LAYERS {
        let expected = format!("at most {} besides an MTP layer", limits::LAYERS - layout.mtp_layers);
        return Err(checkpoint.config().wrong("num_hidden_layers", &expected));
    }
    let mut drafter = Drafter {
        checkpoint,
        config: &config,
        orders,
        options,
        mtp: layout.mtp_prefix,
        weights: Vec::new(),
        last: None,
        used: vec![false; checkpoint.tensors().len()],
    };
    let mut tensors = Vec::new();
    let mut open = Vec::new();
    for target in layout.targets {
        let tensor = drafter.tensor(target)?;
        if tensor.candidates.is_empty() {
            open.push(tensors.len());
        }
        let factors = Drafter::factors(&tensor);
        tensors.push(tensor);
        tensors.extend(factors);
    }
    let unused = Unused {
        mtp: layout.dropped_mtp,
        other_mtp: layout.unused_mtp,
        head: (!own_head).then(|| format!("{}.weight", names.head)),
        other_parts: hparams.family().other_parts,
    };
    let (left_out, surplus) = drafter.left_out(&unused);
    let ignored = |key: &String| format!("`{key}` was ignored on request; it may change the weights");
    let ignored = options.config.ignored_keys.iter().map(ignored);
    let own_notes = hparams.notes();
    let copy = |name: &String| {
        format!("did not read `{name}`: by its name it is a copy of the weights in Mistral's own format")
    };
    let copies = checkpoint.copies().iter().map(copy);
    let mut plan = Plan {
        metadata: Metadata::default(),
        tokenizer,
        tensors,
        weights: drafter.weights,
        hparams,
        mtp_layers: layout.mtp_layers,
        notes: ignored.chain(own_notes).chain(copies).chain(notes(&left_out)).collect(),
        left_out,
        options: options.clone(),
    };
    let reason = |t: &TensorPlan| format!("no type holds {} exactly", t.source);
    let refused =
        open.into_iter().filter_map(|i| plan.round(i, reason(&plan.tensors[i])).err()).collect::<Vec<_>>();
    refuse(refused)?;
    Ok((plan, surplus))
}

/// What a layout does not use, besides what no layout does.
struct Unused {
    /// Prefix of an incomplete MTP layer.
    mtp: Option<String>,
    /// Prefixes of MTP layers that llama.cpp does not have.
    other_mtp: Vec<String>,
    /// A head that equals the embedding.
    head: Option<String>,
    /// Prefixes of the parts besides the language model.
    other_parts: &'static [(&'static str, OtherPart)],
}

struct Drafter<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a QuantConfig,
    orders: &'a Orders,
    options: &'a PlanOptions,
    /// Prefix of the MTP layer.
    mtp: Option<String>,
    weights: Vec<Weight>,
    /// Name and weight of the module resolved last; targets that share a module are adjacent.
    last: Option<(String, u32)>,
    used: Vec<bool>,
}

impl Drafter<'_> {
    fn tensor(&mut self, target: Target) -> Result<TensorPlan> {
        let mut pieces = Vec::new();
        for part in &target.parts {
            let weight = self.weight(&target.name, &part.module, part.rows, part.columns)?;
            pieces.extend(part.runs.iter().map(|&(start, rows)| Piece {
                weight,
                start,
                rows,
                order: part.order,
            }));
        }
        let mut firsts: Vec<u32> = pieces.iter().map(|p| p.weight).collect();
        firsts.dedup();
        let weights: Vec<&Weight> = firsts.iter().map(|&w| &self.weights[w as usize]).collect();
        let by_value = target.is_by_value();
        let (map, mut candidates) = match target.rule {
            Rule::F32(map) => (map, self.f32(&target, map, &weights)?),
            Rule::RopeFactors => (Map::Identity, vec![Candidate::F32]),
            Rule::Matrix { role, scaled } => {
                let is_mtp =
                    |part: &arch::Part| self.mtp.as_ref().is_some_and(|p| part.module.starts_with(p));
                let is_mtp = target.parts.iter().all(is_mtp);
                (Map::Identity, self.matrix(&target, &weights, role, scaled && !by_value, is_mtp))
            }
        };
        candidates.retain(|c| target.columns.keep_blocks(c.ty.block_len()));
        let fidelity = candidates.first().and_then(|c| match c.certainty {
            Certainty::Always => Some(Fidelity::Exact),
            Certainty::IfData => None,
            Certainty::Rounded => Some(Fidelity::Rounded),
        });
        let mut source = weights.first().map_or_else(String::new, |w| w.describe());
        if weights.iter().any(|w| w.describe() != source) {
            source.push_str(" and others");
        }
        let content = if target.rule == Rule::RopeFactors { Content::RopeFactors } else { Content::Weights };
        let f32_only = !matches!(target.rule, Rule::Matrix { .. });
        let Target { name, dims, columns: order, .. } = target;
        Ok(TensorPlan { name, dims, pieces, order, map, content, f32_only, candidates, fidelity, source })
    }

    /// Exact types up to the first that always is, or the type that the caller chose.
    fn matrix(
        &self,
        target: &Target,
        weights: &[&Weight],
        role: Role,
        scaled: bool,
        is_mtp: bool,
    ) -> Vec<Candidate> {
        let mut exact = exact::common(weights, scaled);
        if target.is_by_value() {
            exact.retain(|c| c.ty.block_len() == 1);
        }
        if let Some(ty) = self.chosen(target, weights, role, is_mtp) {
            let rounded = Candidate { ty, form: Form::Values, certainty: Certainty::Rounded };
            let same = exact.iter().find(|c| c.ty == ty && c.form == Form::Values);
            return match same {
                Some(c) if c.certainty == Certainty::IfData => vec![*c, rounded],
                Some(c) => vec![*c],
                None => vec![rounded],
            };
        }
        if let Some(sure) = exact.iter().position(|c| c.certainty == Certainty::Always) {
            exact.truncate(sure + 1);
        }
        exact
    }

    fn chosen(&self, target: &Target, weights: &[&Weight], role: Role, is_mtp: bool) -> Option<GgmlType> {
        let own = match role {
            Role::TokenEmbedding => self.options.token_embd,
            Role::Head => self.options.lm_head,
            Role::LatentKeys => self.options.mla_k,
            Role::Experts | Role::Linear => None,
        };
        let fp8 = || self.options.fp8.filter(|_| weights.iter().all(|w| matches!(w.coding, Coding::Fp8(_))));
        let all = || match self.options.outtype {
            OutType::Auto => None,
            OutType::Only(ty) => Some(ty),
        };
        let mtp = self.options.mtp.filter(|_| is_mtp);
        let ty = mtp.or(own).or_else(fp8).or_else(all)?;
        // A row that is not a whole number of blocks, or whose columns do not move as whole blocks, falls back to F16.
        let columns = *target.dims.first()?;
        let fits = ty.row_bytes(columns).is_some() && target.columns.keep_blocks(ty.block_len());
        Some(if fits { ty } else { GgmlType::F16 })
    }

    fn f32(&self, target: &Target, map: Map, weights: &[&Weight]) -> Result<Vec<Candidate>> {
        let plain = weights.iter().all(|w| matches!(w.coding, Coding::Plain { .. }));
        if map != Map::Identity && !plain {
            return Err(Error::Tensor {
                at: self.checkpoint.locate(weights[0].main()),
                found: format!("it is stored as {}", weights[0].describe()),
                expected: format!("plain floats, since `{}` stores a function of the values", target.name),
            });
        }
        let mut list = exact::common(weights, false);
        list.retain(|c| c.ty == GgmlType::F32 && c.form == Form::Values);
        Ok(list)
    }

    /// The `.scale` tensor of a matrix that is stored without its factor.
    fn factors(tensor: &TensorPlan) -> Option<TensorPlan> {
        if tensor.candidates.first()?.form != Form::Unscaled {
            return None;
        }
        let mut pieces = tensor.pieces.clone();
        pieces.dedup_by_key(|p| p.weight);
        Some(TensorPlan {
            name: tensor.scale_name(),
            dims: vec![pieces.len() as u64],
            pieces,
            order: Columns::AsStored,
            map: Map::Identity,
            content: Content::Factors,
            f32_only: true,
            candidates: vec![Candidate::F32],
            fidelity: Some(Fidelity::Exact),
            source: "tensor-wide scale".to_owned(),
        })
    }

    fn weight(&mut self, target: &str, module: &str, rows: u64, columns: u64) -> Result<u32> {
        if let Some((name, index)) = &self.last
            && name == module
        {
            return Ok(*index);
        }
        let weight = quant::resolve(self.checkpoint, self.config, self.orders, module, rows, columns)?;
        let weight = weight.ok_or_else(|| Error::MissingTensor {
            path: self.checkpoint.dir().to_owned(),
            tensor: format!("{module}.weight"),
            needed_by: format!("`{target}` needs it"),
        })?;
        for id in weight.tensors() {
            self.used[id.index()] = true;
        }
        let index = u32::try_from(self.weights.len()).expect("tensor ids are u32");
        self.weights.push(weight);
        self.last = Some((module.to_owned(), index));
        Ok(index)
    }

    /// The tensors that are not used: those with a reason, and all others.
    fn left_out(&self, unused: &Unused) -> (Vec<LeftOut>, Vec<TensorRef>) {
        let (mut list, mut surplus) = (Vec::new(), Vec::new());
        for (id, info) in self.checkpoint.ids().filter(|(id, _)| !self.used[id.index()]) {
            let name = info.name.as_str();
            if quant::is_layout(name) {
                continue;
            }
            let is_in = |prefix: &String| name.starts_with(prefix);
            let is_described = |part: OtherPart| self.checkpoint.config().get(part.section()).is_some();
            let reason = if unused.mtp.iter().any(is_in) {
                Some(Reason::IncompleteMtp)
            } else if unused.other_mtp.iter().any(is_in) {
                Some(Reason::UnusedMtp)
            } else if unused.head.as_deref() == Some(name) {
                Some(Reason::TiedHead)
            } else if let Some((_, part)) =
                unused.other_parts.iter().find(|(prefix, _)| name.starts_with(prefix))
            {
                is_described(*part).then_some(Reason::OtherPart { part: *part })
            } else {
                Reason::of_name(name)
            };
            let at = self.checkpoint.locate(id);
            match reason {
                Some(reason) => list.push(LeftOut { at, bytes: info.bytes, reason }),
                None => surplus.push(at),
            }
        }
        let superseded = self.checkpoint.superseded().iter();
        list.extend(superseded.map(|item| LeftOut {
            at: item.at.clone(),
            bytes: item.bytes,
            reason: Reason::Superseded { by: item.by.clone() },
        }));
        (list, surplus)
    }
}
