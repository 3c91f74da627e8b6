//! Quantization methods.

/// The quantization method by `quant_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// No quantization.
    None,
    /// AutoRound, `auto-round` or `intel/auto-round`.
    AutoRound,
    /// GPTQ.
    Gptq,
    /// AWQ.
    Awq,
    /// FP8 as in the repositories of Qwen.
    Fp8,
    /// MXFP4 as in OpenAI's releases of gpt-oss.
    MxFp4,
    /// compressed-tensors.
    CompressedTensors,
    /// NVIDIA's ModelOpt.
    ModelOpt,
}

impl Method {
    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AutoRound => "auto-round",
            Self::Gptq => "gptq",
            Self::Awq => "awq",
            Self::Fp8 => "fp8",
            Self::MxFp4 => "mxfp4",
            Self::CompressedTensors => "compressed-tensors",
            Self::ModelOpt => "modelopt",
        }
    }
}
