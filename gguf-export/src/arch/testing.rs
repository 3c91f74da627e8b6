//! Configurations with one field replaced, for the tests of the families.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::hparams::HParams;
use super::target::Target;
use crate::Result;
use crate::checkpoint::ModelConfig;

pub(super) fn read(fields: Map<String, Value>) -> Result<HParams> {
    HParams::read(&ModelConfig::new(Path::new("config.json"), fields))
}

pub(super) fn with(mut fields: Map<String, Value>, field: &str, value: Value) -> Result<HParams> {
    fields.insert(field.to_owned(), value);
    read(fields)
}

/// Expects a configuration to be refused with these words if one field has another value.
#[track_caller]
pub(super) fn refused(fields: Map<String, Value>, field: &str, value: Value, words: &str) {
    let error = with(fields, field, value).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

/// Values of every type, within and beyond the limits.
pub(super) fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::from),
        (0u32..64).prop_map(|power| json!(1u64 << power)),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z_]{0,20}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"rope_type": "yarn", "factor": 1e308, "original_max_position_embeddings": 1})),
    ]
}

/// Whether the parts of a target have as many rows as it has.
pub(super) fn has_all_rows(target: &Target) -> bool {
    let rows: u64 = target.parts.iter().flat_map(|part| &part.runs).map(|(_, rows)| rows).sum();
    rows == target.dims[1..].iter().product::<u64>()
}
