//! Token types in `tokenizer.ggml.token_type`; the values of llama.cpp's `llama_token_type`.

pub(super) const NORMAL: i32 = 1;
pub(super) const CONTROL: i32 = 3;
pub(super) const USER_DEFINED: i32 = 4;
pub(super) const UNUSED: i32 = 5;
pub(super) const BYTE: i32 = 6;
