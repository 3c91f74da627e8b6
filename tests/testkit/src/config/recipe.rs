//! What a quantization configuration states: the Linears of a model with their encodings.

use crate::encode::Encoding;
use crate::layout::{Part, Role, Slot, slots};
use crate::model::{Model, Mtp};

/// A Linear of a model.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) encoding: Encoding,
    /// True if its encoding was chosen for it alone.
    pub(crate) is_named: bool,
}

impl Module {
    pub(super) fn is_mtp(&self) -> bool {
        self.name.starts_with("mtp.")
    }
}

/// The encodings of a checkpoint, and the style of its configuration.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The encoding that is declared for the whole model.
    pub(crate) main: Encoding,
    /// The Linears in order, with separate experts even if they are stored together.
    pub(crate) modules: Vec<Module>,
    /// Name of the list of layers, `model.layers`.
    pub(crate) layers: String,
    pub(crate) mtp: Mtp,
    pub(crate) packing_format: Option<String>,
    pub(crate) autoround_version: Option<String>,
    pub(crate) model_free: bool,
    pub(crate) by_regex: bool,
}

impl Recipe {
    /// A recipe in the usual style, without an MTP layer.
    pub(crate) fn new(main: Encoding, modules: Vec<Module>, layers: String) -> Self {
        Self {
            main,
            modules,
            layers,
            mtp: Mtp::None,
            packing_format: None,
            autoround_version: None,
            model_free: false,
            by_regex: false,
        }
    }

    pub(super) fn of(model: &Model) -> Self {
        let unfused = Model { fused_experts: false, ..model.clone() };
        let module = |slot: Slot| {
            let Role::Linear(part) = slot.role else { return None };
            let encoding = model.encoding(&slot.name, part);
            let is_named = model.overrides.iter().any(|(name, _)| *name == slot.name);
            Some(Module { name: slot.name, part, encoding, is_named })
        };
        let modules = slots(&unfused).into_iter().filter_map(module).collect();
        Self {
            mtp: model.mtp,
            packing_format: model.packing_format.clone(),
            autoround_version: model.autoround_version.clone(),
            model_free: model.model_free,
            by_regex: model.regex_recipe,
            ..Self::new(model.main_encoding(), modules, "model.layers".into())
        }
    }

    /// Names of the Linears that are not quantized, without the MTP layer.
    pub(super) fn plain(&self) -> Vec<&str> {
        let plain = self.modules.iter().filter(|m| m.encoding.is_plain() && !m.is_mtp());
        plain.map(|m| m.name.as_str()).collect()
    }

    /// Returns true if the head is quantized.
    pub(super) fn has_quantized_head(&self) -> bool {
        self.modules.iter().any(|m| m.part == Part::Head && !m.encoding.is_plain())
    }
}
