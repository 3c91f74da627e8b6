//! The architectures whose tensors are checked.
//!
//! Source: `src/models/*.cpp` of llama.cpp b11434. In the graphs of these architectures, each tensor is used by the operator
//! that `LLM_TENSOR_INFOS` names for it, which `types` relies on. Not in the list: models that generate no text token by
//! token (encoders, diffusion, speech, drafts), and architectures with tensors that other operators use as well.

/// Their names in `general.architecture`, sorted.
#[rustfmt::skip]
const CHECKED: [&str; 124] = [
    "afmoe", "apertus", "arcee", "arctic", "arwkv7", "baichuan", "bailingmoe", "bailingmoe2", "bailingmoe3", "bitnet",
    "bloom", "chameleon", "chatglm", "codeshell", "cogvlm", "cohere2", "cohere2moe", "command-r", "dbrx", "deci",
    "deepseek", "deepseek2", "deepseek2-ocr", "deepseek32", "dots1", "dots3note", "ernie4_5", "ernie4_5-moe",
    "exaone", "exaone-moe", "exaone4", "falcon", "falcon-h1", "gemma", "gemma2", "gemma3", "gemma3n", "gemma4",
    "glm-dsa", "glm4", "glm4moe", "gpt-oss", "gpt2", "gptneox", "granite", "granite_swa", "granitehybrid",
    "granitemoe", "grok", "grovemoe", "hrm_text", "hunyuan-dense", "hunyuan-moe", "hunyuan_vl", "hy_v3", "internlm2",
    "jais", "jais2", "jamba", "kimi-k3", "kimi-linear", "laguna", "lfm2", "lfm2moe", "llama", "llama4", "maincoder",
    "mamba", "mamba2", "maple", "mellum", "mimo2", "minicpm", "minicpm3", "minimax-01", "minimax-m2", "minimax-m3",
    "mistral3", "mistral4", "mpt", "muse-glimmer", "nanbeige", "nemotron", "nemotron_h", "nemotron_h_moe", "olmo",
    "olmo2", "olmoe", "openelm", "orion", "paddleocr", "pangu-embedded", "phi2", "phi3", "phimoe", "plamo", "plamo2",
    "plamo3", "plm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen35", "qwen35moe", "qwen3moe", "qwen3next",
    "qwen3vl", "qwen3vlmoe", "refact", "rwkv6", "rwkv6qwen2", "rwkv7", "seed_oss", "smallthinker", "smollm3",
    "spark2_5", "stablelm", "starcoder", "starcoder2", "step35", "talkie", "xverse",
];

/// Whether the tensors of an architecture are checked.
pub(super) fn is_checked(architecture: &str) -> bool {
    CHECKED.binary_search(&architecture).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert!(CHECKED.is_sorted());
        assert!(["llama", "qwen3next", "gpt-oss", "xverse", "afmoe"].iter().all(|name| is_checked(name)));
        assert!(["", "bert", "t5", "Llama", "qwen99"].iter().all(|name| !is_checked(name)));
    }
}
