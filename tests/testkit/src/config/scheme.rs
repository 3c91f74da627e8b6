//! The four fields of an AutoRound scheme, for each encoding.

use serde_json::{Map, Value, json};

use crate::encode::{Encoding, Fp8Scale};

/// `bits`, `group_size`, `sym` and `data_type` of a quantized encoding.
pub(super) fn scheme(encoding: Encoding) -> Map<String, Value> {
    let (bits, group, sym, data_type) = match encoding {
        Encoding::Bf16 | Encoding::F16 | Encoding::F32 => panic!("{encoding:?} has no scheme"),
        Encoding::Gptq(g) => (g.bits, json!(g.group.config()), g.sym, "int"),
        Encoding::Awq(a) => (a.bits, json!(a.group.config()), a.sym, "int"),
        Encoding::CtPacked(c) => (c.bits, json!(c.group.config()), c.sym, "int"),
        Encoding::CtInt8(c) => (8, json!(-i32::from(!c.per_tensor)), !c.zero_point, "int"),
        Encoding::Mlx(m) => (m.bits, json!(m.group.config()), false, "int"),
        Encoding::Fp8(f) => (8, fp8_group(f.scale), true, "fp"),
        Encoding::MxFp4 => (4, json!(32), true, "mx_fp"),
        Encoding::MxFp8 => (8, json!(32), true, "mx_fp"),
        Encoding::MxInt4 => (4, json!(32), true, "mx_int"),
        Encoding::NvFp4(_) => (4, json!(16), true, "nv_fp"),
        Encoding::NvFp4E5m3 => (4, json!(16), true, "nvfp4_v2"),
    };
    let value = json!({"bits": bits, "group_size": group, "sym": sym, "data_type": data_type});
    let Value::Object(map) = value else { unreachable!("written as an object") };
    map
}

/// The fields in which `encoding` differs from `main`.
pub(super) fn difference(encoding: Encoding, main: Encoding) -> Map<String, Value> {
    let main = scheme(main);
    scheme(encoding).into_iter().filter(|(key, value)| main[key] != *value).collect()
}

fn fp8_group(scale: Fp8Scale) -> Value {
    match scale {
        Fp8Scale::Tensor => json!(0),
        Fp8Scale::Channel | Fp8Scale::ChannelColumn => json!(-1),
        Fp8Scale::Group(size) => json!(size),
        Fp8Scale::Block(rows, cols) => json!([rows, cols]),
    }
}

/// A pattern that matches names containing a module name.
pub(super) fn pattern(name: &str) -> String {
    format!(".*{}.*", name.replace('.', "\\."))
}
