//! Exports and verifies random small models in random encodings.

#![allow(clippy::unwrap_used, reason = "test helpers; a panic names the line")]

mod common;

use std::panic::catch_unwind;

use common::{Place, story};
use gguf_export::PlanOptions;
use gguf_export::verify::VerifyOptions;
use proptest::prelude::*;
use proptest::sample::select;
use testkit::{
    Awq, CtInt8, CtPacked, Dtype, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, LayerKind, Mlx, Model, Mtp,
    NvFp4, ScaleDtype, StoredZero,
};

fn group() -> impl Strategy<Value = Group> {
    prop_oneof![select(vec![16, 32, 64, 128, 256]).prop_map(Group::Size), Just(Group::PerRow)]
}

fn scale() -> impl Strategy<Value = ScaleDtype> {
    select(vec![ScaleDtype::F16, ScaleDtype::Bf16, ScaleDtype::F32])
}

fn gptq() -> impl Strategy<Value = Encoding> {
    let zero = select(vec![StoredZero::Direct, StoredZero::MinusOne]);
    let g_idx = select(vec![GIdx::Absent, GIdx::Absent, GIdx::Trivial, GIdx::Shuffled(5)]);
    (2..=8u32, group(), any::<bool>(), zero, g_idx, any::<bool>()).prop_map(
        |(bits, group, sym, zero, g_idx, padded)| {
            Encoding::Gptq(Gptq { bits, group, sym, zero, g_idx, padded, scale: ScaleDtype::F16 })
        },
    )
}

fn encoding() -> impl Strategy<Value = Encoding> {
    let fp8 = select(vec![
        Fp8Scale::Tensor,
        Fp8Scale::Channel,
        Fp8Scale::ChannelColumn,
        Fp8Scale::Group(32),
        Fp8Scale::Block(128, 128),
        Fp8Scale::Block(48, 40),
    ]);
    prop_oneof![
        4 => gptq(),
        1 => (4..=7u32, any::<bool>(), select(vec![32, 64])).prop_map(|(bits, sym, group)| Encoding::Awq(Awq { sym, ..Awq::asym(bits, group) })),
        2 => (fp8, any::<bool>(), scale()).prop_map(|(scale, e5m2, scale_dtype)| Encoding::Fp8(Fp8 { e5m2, scale_dtype, ..Fp8::scaled(scale) })),
        2 => (2..=8u32, group(), any::<bool>(), any::<bool>(), scale())
            .prop_map(|(bits, group, sym, dense, scale)| Encoding::CtPacked(CtPacked { group, sym, dense, scale, ..CtPacked::sym(bits, 32) })),
        1 => (any::<bool>(), any::<bool>(), scale())
            .prop_map(|(per_tensor, zero_point, scale)| Encoding::CtInt8(CtInt8 { per_tensor, zero_point, scale })),
        1 => (select(vec![2, 4, 8]), select(vec![16, 32, 64])).prop_map(|(bits, group)| Encoding::Mlx(Mlx { bits, group: Group::Size(group) })),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(modelopt, power_of_two)| Encoding::NvFp4(NvFp4 { modelopt, power_of_two })),
        2 => select(vec![Encoding::MxFp4, Encoding::MxFp8, Encoding::MxInt4, Encoding::NvFp4E5m3]),
        2 => select(vec![Encoding::Bf16, Encoding::F16, Encoding::F32]),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let wide = || select(vec![32usize, 64, 96, 160, 256]);
    let head = || select(vec![32usize, 64]);
    let layers = proptest::collection::vec(select(vec![LayerKind::Linear, LayerKind::Full]), 1..3);
    let mtp = select(vec![Mtp::None, Mtp::None, Mtp::Bf16, Mtp::Quantized, Mtp::Partial]);
    let dtype = select(vec![Dtype::Bf16, Dtype::F16, Dtype::F32]);
    let sizes = (wide(), wide(), wide(), head(), head(), 1..4usize, 1..3usize, 1..3usize, 1..5usize);
    let rest =
        (layers, mtp, dtype, any::<bool>(), any::<bool>(), 1..4usize, any::<u64>(), 2..6usize, encoding());
    (sizes, rest, any::<bool>()).prop_map(|(sizes, rest, plain_linears)| {
        let (hidden, expert_dim, shared_expert_dim, head_dim, linear_dim, kv_heads, ratio, key_heads, expert_count) = sizes;
        let (layers, mtp, dtype, tied, fused, shards, seed, conv_kernel, encoding) = rest;
        // Stacked experts with scale blocks that span two experts are refused.
        let rows = matches!(encoding, Encoding::Fp8(fp8) if matches!(fp8.scale, Fp8Scale::Tensor | Fp8Scale::Channel | Fp8Scale::ChannelColumn));
        let plain = rows || encoding.is_plain();
        Model {
            hidden,
            expert_dim,
            shared_expert_dim,
            head_dim,
            key_head_dim: linear_dim,
            value_head_dim: linear_dim,
            kv_heads,
            heads: kv_heads * ratio,
            key_heads,
            value_heads: key_heads * ratio,
            expert_count,
            expert_used: 1,
            conv_kernel,
            layers,
            mtp,
            dtype,
            tied,
            fused_experts: fused && plain,
            shards,
            seed,
            vocab: 288,
            linears: if plain_linears { Encoding::Bf16 } else { encoding },
            ..Model::uniform(encoding)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_export_verifies(model in model()) {
        // The writer panics for shapes that do not fit the encoding.
        let Ok(built) = catch_unwind(|| model.build()) else { return Err(TestCaseError::reject("no such checkpoint")) };
        let place = Place::new();
        built.write(&place.source());
        let options = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
        place.export_with(&options).map_err(|e| TestCaseError::fail(story(&e)))?;
        let report = place.verify_with(VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() }).map_err(|e| TestCaseError::fail(story(&e)))?;
        prop_assert!(report.equal(), "{:#?}", report.differences);
    }
}
