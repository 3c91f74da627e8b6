//! The models that the benchmarks of whole tensors and files share: one layer, eight experts in one encoding.

use testkit::{Awq, CtPacked, Encoding, Fp8, Gptq, LayerKind, Model, NvFp4};

/// The names of the encodings.
pub(crate) const ENCODINGS: [&str; 10] = [
    "int4 sym",
    "int8 sym",
    "int4 asym",
    "int3 sym",
    "int4 asym AWQ",
    "int4 compressed-tensors",
    "FP8 block",
    "MXFP4",
    "NVFP4",
    "BF16",
];

/// A model whose experts have an encoding of [`ENCODINGS`].
pub(crate) fn model(encoding: &str) -> Model {
    let encoding = match encoding {
        "int4 sym" => Encoding::Gptq(Gptq::sym(4, 128)),
        "int8 sym" => Encoding::Gptq(Gptq::sym(8, 128)),
        "int4 asym" => Encoding::Gptq(Gptq::asym(4, 128)),
        "int3 sym" => Encoding::Gptq(Gptq::sym(3, 128)),
        "int4 asym AWQ" => Encoding::Awq(Awq::asym(4, 128)),
        "int4 compressed-tensors" => Encoding::CtPacked(CtPacked::sym(4, 128)),
        "FP8 block" => Encoding::Fp8(Fp8::block()),
        "MXFP4" => Encoding::MxFp4,
        "NVFP4" => Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: true }),
        _ => Encoding::Bf16,
    };
    Model {
        hidden: 1024,
        expert_dim: 512,
        expert_count: 8,
        layers: vec![LayerKind::Linear],
        linears: Encoding::Bf16,
        ..Model::uniform(encoding)
    }
}
