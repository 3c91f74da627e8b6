//! Names of metadata keys. Those of one architecture are `ARCHITECTURE.` and the part given here.

/// Name of the graph that llama.cpp builds.
pub const ARCHITECTURE: &str = "general.architecture";
/// `model`, `adapter` and the like.
pub const TYPE: &str = "general.type";
/// Human name.
pub const NAME: &str = "general.name";
/// Type of most weights, as llama.cpp counts recipes.
pub const FILE_TYPE: &str = "general.file_type";
/// Version of the block formats.
pub const QUANTIZATION_VERSION: &str = "general.quantization_version";
/// Alignment of tensor data in bytes; 32 if absent.
pub const ALIGNMENT: &str = "general.alignment";

/// Number of this shard, from 0; u16.
pub const SPLIT_NO: &str = "split.no";
/// Number of shards; u16.
pub const SPLIT_COUNT: &str = "split.count";
/// Tensors of all shards together; i32.
pub const SPLIT_TENSORS_COUNT: &str = "split.tensors.count";

/// Kind of tokenizer.
pub const TOKENIZER_MODEL: &str = "tokenizer.ggml.model";
/// Name of the rule that splits text before merging.
pub const TOKENIZER_PRE: &str = "tokenizer.ggml.pre";
/// Token texts by id.
pub const TOKENIZER_TOKENS: &str = "tokenizer.ggml.tokens";
/// Kind of each token: 1 normal, 3 control, 4 user defined, 5 unused.
pub const TOKENIZER_TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
/// Merges in order of rank, parts separated by a space.
pub const TOKENIZER_MERGES: &str = "tokenizer.ggml.merges";
/// Id of the token that ends a turn.
pub const TOKENIZER_EOS: &str = "tokenizer.ggml.eos_token_id";
/// Id of the token that fills.
pub const TOKENIZER_PADDING: &str = "tokenizer.ggml.padding_token_id";
/// Id of the token that begins a text.
pub const TOKENIZER_BOS: &str = "tokenizer.ggml.bos_token_id";
/// Whether a text gets `TOKENIZER_BOS` in front.
pub const TOKENIZER_ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
/// Jinja template of a conversation.
pub const CHAT_TEMPLATE: &str = "tokenizer.chat_template";
/// Tensors that the export rounded because it was asked to; absent if there are none. Ours.
pub const ROUNDED: &str = "ggrun.rounded_tensors";
/// How the tokenizer rewrites text before it splits it: `NFC`, or absent. llama.cpp does not read it. Ours.
pub const TOKENIZER_NORMALIZER: &str = "ggrun.tokenizer.normalizer";
