//! Names of metadata keys, except those of one architecture.

/// Architecture name, by which llama.cpp chooses the graph.
pub const ARCHITECTURE: &str = "general.architecture";
/// Kind of file: `model`, `adapter`, `mmproj` and so on.
pub const TYPE: &str = "general.type";
/// Name of the model, for display.
pub const NAME: &str = "general.name";
/// Type of most weights, as llama.cpp's `llama_ftype`; u32.
pub const FILE_TYPE: &str = "general.file_type";
/// Version of ggml's block formats; u32.
pub const QUANTIZATION_VERSION: &str = "general.quantization_version";
/// Alignment of tensor data in bytes; u32, 32 if absent.
pub const ALIGNMENT: &str = "general.alignment";

/// Number of this shard, from 0; u16.
pub const SPLIT_NO: &str = "split.no";
/// Number of shards; u16.
pub const SPLIT_COUNT: &str = "split.count";
/// Total number of tensors in all shards; i32.
pub const SPLIT_TENSORS_COUNT: &str = "split.tensors.count";

/// Tokenizer model; `gpt2` for byte-level BPE.
pub const TOKENIZER_MODEL: &str = "tokenizer.ggml.model";
/// Name of llama.cpp's pre-tokenizer.
pub const TOKENIZER_PRE: &str = "tokenizer.ggml.pre";
/// Token texts by id.
pub const TOKENIZER_TOKENS: &str = "tokenizer.ggml.tokens";
/// Type of each token: 1 normal, 3 control, 4 user-defined, 5 unused; i32.
pub const TOKENIZER_TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
/// BPE merges by rank, the two parts separated by a space.
pub const TOKENIZER_MERGES: &str = "tokenizer.ggml.merges";
/// Id of the end-of-sequence token, which ends a turn; u32.
pub const TOKENIZER_EOS: &str = "tokenizer.ggml.eos_token_id";
/// Id of the padding token; u32.
pub const TOKENIZER_PADDING: &str = "tokenizer.ggml.padding_token_id";
/// Id of the beginning-of-sequence token; u32.
pub const TOKENIZER_BOS: &str = "tokenizer.ggml.bos_token_id";
/// True if the tokenizer puts `TOKENIZER_BOS` before a text.
pub const TOKENIZER_ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
/// Chat template in Jinja.
pub const CHAT_TEMPLATE: &str = "tokenizer.chat_template";
/// Names of the tensors that were rounded at the caller's request; absent if all are exact. Specific to ggrun.
pub const ROUNDED: &str = "ggrun.rounded_tensors";
/// Names of tensors of the checkpoint that the file leaves out, such as those of an incomplete MTP layer; absent if it
/// leaves out nothing. Specific to ggrun.
pub const LEFT_OUT: &str = "ggrun.left_out_tensors";
/// Names of the keys of the quantization configuration that were ignored at the caller's request. Specific to ggrun.
pub const IGNORED_KEYS: &str = "ggrun.ignored_config_keys";
/// How zero points were taken, if the caller chose it: `v1` or `v2`. Specific to ggrun.
pub const ZERO_POINTS: &str = "ggrun.zero_points";
/// Unicode normalization before pre-tokenization: `NFC`, or absent. Specific to ggrun; llama.cpp ignores it.
pub const TOKENIZER_NORMALIZER: &str = "ggrun.tokenizer.normalizer";
