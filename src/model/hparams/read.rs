//! Reads the hyperparameters of a header.

use gguf_export::gguf::{Value, keys, limits};

use super::numbers::{Numbers, narrow};
use super::types::HParams;
use crate::model::header::describe;
use crate::model::{Header, LoadError};

impl HParams {
    /// Reads the hyperparameters.
    ///
    /// # Errors
    ///
    /// [`LoadError::Metadata`] with the key that is missing, of the wrong type, or out of range.
    pub fn read(header: &Header) -> Result<Self, LoadError> {
        let architecture = match header.metadata.get(keys::ARCHITECTURE) {
            Some(Value::Str(name)) => name.clone(),
            Some(other) => return Err(header.wrong(keys::ARCHITECTURE, describe(other), "a name")),
            None => return Err(header.wrong(keys::ARCHITECTURE, "missing", "a name")),
        };
        let numbers = Numbers { header, prefix: &architecture };
        let layers = numbers.within("block_count", 1..=limits::LAYERS, None)?;
        let mtp_layers = numbers.within("nextn_predict_layers", 0..=layers - 1, Some(0))?;
        let embedding = numbers.within("embedding_length", 1..=limits::WIDTH, None)?;
        let (experts, experts_used) = numbers.experts(layers)?;
        let heads = numbers.by_layer("attention.head_count", layers, 0)?;
        let kv_heads = match header.metadata.get(&numbers.key("attention.head_count_kv")) {
            None => heads.clone(),
            Some(_) => numbers.by_layer("attention.head_count_kv", layers, 0)?,
        };
        numbers.heads_divide(&heads, &kv_heads)?;
        let by_default = embedding.checked_div(heads[0].into()).unwrap_or(0);
        let key_length = numbers.width("attention.key_length", by_default)?;
        let value_length = numbers.width("attention.value_length", by_default)?;
        let rotated = numbers.rotated("rope.dimension_count", key_length)?;
        numbers.scaling()?;
        numbers.norms()?;
        let recurrent = numbers.recurrent()?;
        let recurrent_layers = numbers.recurrent_layers(layers, mtp_layers, recurrent.is_some())?;
        let vocab = numbers.vocab()?;
        let size = |name| numbers.within(name, 0..=limits::WIDTH, Some(0));
        Ok(Self {
            layers: narrow(layers),
            mtp_layers: narrow(mtp_layers),
            embedding,
            text_embedding: numbers.text_embedding(embedding)?,
            labels: numbers.labels(),
            vocab,
            trained_context: narrow(numbers.within("context_length", 1..=limits::CONTEXT, None)?),
            feed_forward: numbers.by_layer("feed_forward_length", layers, 0)?,
            experts: narrow(experts),
            experts_used: narrow(experts_used),
            expert_feed_forward: numbers.by_layer("expert_feed_forward_length", layers, 0)?,
            shared_feed_forward: size("expert_shared_feed_forward_length")?,
            shared_experts: numbers.within("expert_shared_count", 0..=limits::EXPERTS, Some(0))?,
            leading_dense: narrow(size("leading_dense_block_count")?),
            heads,
            kv_heads,
            sliding: numbers.sliding(layers, mtp_layers, (key_length, value_length, rotated))?,
            shared_kv: narrow(numbers.shared_kv(layers)?),
            mla: numbers.mla()?,
            query_rank: numbers.query_rank(layers - mtp_layers, vocab)?,
            rank: size("attention.kv_lora_rank")?,
            per_layer_embedding: size("embedding_length_per_layer_input")?,
            key_length,
            value_length,
            rotated,
            recurrent_layers,
            recurrent,
            architecture,
        })
    }
}
