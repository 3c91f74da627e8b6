//! What to do about a checkpoint whose tokenizer has another form than `tokenizer.json`.

use std::path::Path;

pub(super) fn tokenizer_hint(found: &Path) -> Option<&'static str> {
    Some(match found.file_name()?.to_str()? {
        "tekken.json" => {
            "write it with transformers 5.24 or later, in the folder of the checkpoint: `python3 -c \"from \
             transformers.integrations.mistral import convert_tekken_tokenizer as c; \
             c('tekken.json').save_pretrained('.')\"`"
        }
        "tiktoken.model" => {
            "write it with transformers' `TikTokenConverter`, from this file and the expression `pat_str` in the Python \
             code of the checkpoint"
        }
        _ => return None,
    })
}
