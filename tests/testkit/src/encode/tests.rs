//! Reads every layout back, bit by bit by its definition, and compares.

use super::*;
use crate::float::{e2m1, e4m3, e5m2, ue5m3};

const ROWS: usize = 64;
const COLS: usize = 256;

fn encode(encoding: Encoding, rows: usize, cols: usize) -> Encoded {
    let site = Site { module: "m", rows, cols, rng: Rng::named(3, "m"), extreme_scales: false };
    encoding.encode(site)
}

impl Encoded {
    fn get(&self, suffix: &str) -> &Tensor {
        let name = format!("m.{suffix}");
        self.tensors.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no `{name}`"))
    }

    fn has(&self, suffix: &str) -> bool {
        self.tensors.iter().any(|tensor| tensor.name == format!("m.{suffix}"))
    }
}

/// The code of `width` bits at bit `at` of the words `word(0), word(1), ...`.
fn code(word: impl Fn(usize) -> u32, at: usize, width: u32) -> i64 {
    (at..at + width as usize)
        .rev()
        .fold(0, |code, bit| code << 1 | i64::from(word(bit / 32) >> (bit % 32) & 1))
}

/// A 32-bit word of a two-dimensional tensor.
fn word(tensor: &Tensor, row: usize, col: usize) -> u32 {
    let at = 4 * (row * tensor.shape[1] + col);
    u32::from_le_bytes(tensor.data[at..at + 4].try_into().unwrap())
}

/// Element `at` of a float tensor.
fn float(tensor: &Tensor, at: usize) -> f64 {
    let bytes = &tensor.data[at * tensor.dtype.size()..];
    match tensor.dtype {
        Dtype::F16 => half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f64(),
        Dtype::Bf16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f64(),
        Dtype::F32 => f64::from(f32::from_le_bytes(bytes[..4].try_into().unwrap())),
        Dtype::F8E4m3 => e4m3(bytes[0]),
        Dtype::F8E5m2 => e5m2(bytes[0]),
        Dtype::F8E8m0 => 2f64.powi(i32::from(bytes[0]) - 127),
        other => panic!("{other:?}"),
    }
}

fn check(encoded: &Encoded, what: &str, rows: usize, cols: usize, value: impl Fn(usize, usize) -> f64) {
    assert_eq!(encoded.values.len(), rows * cols);
    for row in 0..rows {
        for col in 0..cols {
            assert_eq!(encoded.values[row * cols + col], value(row, col) as f32, "{what}: {row}, {col}");
        }
    }
}

fn gptq_reads_back(gptq: Gptq, rows: usize, cols: usize) {
    let encoded = encode(Encoding::Gptq(gptq), rows, cols);
    let (qweight, qzeros, scales) = (encoded.get("qweight"), encoded.get("qzeros"), encoded.get("scales"));
    assert_eq!(
        [&qweight.shape, &qzeros.shape, &scales.shape].map(|s| [s[0], s[1]]),
        shapes(gptq, rows, cols)
    );
    let (bits, group) = (gptq.bits, gptq.group.size(cols));
    let group_of = |col: usize| match gptq.g_idx {
        GIdx::Absent | GIdx::Zeros => col / group,
        _ => encoded.get("g_idx").data[4 * col] as usize,
    };
    let zero = |row: usize, group: usize| {
        let stored = code(|n| word(qzeros, group, n), row * bits as usize, bits);
        match gptq.zero {
            StoredZero::Direct => stored,
            StoredZero::MinusOne | StoredZero::MinusOneClamped => (stored + 1) % (1 << bits),
            StoredZero::MinusOneBorrow => {
                // Add one to each word, for widths whose codes do not cross words.
                let ones = (0..32 / bits).fold(0, |ones, lane| ones | 1 << (lane * bits));
                code(|n| word(qzeros, group, n).wrapping_add(ones), row * bits as usize, bits)
            }
        }
    };
    check(&encoded, &format!("{gptq:?}"), rows, cols, |row, col| {
        let q = code(|n| word(qweight, n, row), col * bits as usize, bits);
        float(scales, group_of(col) * rows + row) * (q - zero(row, group_of(col))) as f64
    });
}

fn shapes(gptq: Gptq, rows: usize, cols: usize) -> [[usize; 2]; 3] {
    gptq_shapes(gptq, rows, cols)
}

#[test]
fn gptq_reads_back_in_every_width_and_convention() {
    for bits in 2..=8 {
        gptq_reads_back(Gptq::sym(bits, 128), ROWS, COLS);
        gptq_reads_back(Gptq { zero: StoredZero::Direct, ..Gptq::sym(bits, 32) }, ROWS, COLS);
        gptq_reads_back(Gptq::asym(bits, 64), ROWS, COLS);
        gptq_reads_back(Gptq { zero: StoredZero::MinusOne, ..Gptq::asym(bits, 64) }, ROWS, COLS);
        gptq_reads_back(Gptq { zero: StoredZero::MinusOneClamped, ..Gptq::asym(bits, 64) }, ROWS, COLS);
        gptq_reads_back(Gptq { group: Group::PerRow, ..Gptq::asym(bits, 0) }, ROWS, COLS);
    }
    for bits in [2, 4, 8] {
        gptq_reads_back(Gptq { zero: StoredZero::MinusOneBorrow, ..Gptq::asym(bits, 32) }, ROWS, COLS);
    }
}

#[test]
fn gptq_reads_back_with_odd_sizes_and_column_orders() {
    for g_idx in [GIdx::Trivial, GIdx::Shuffled(1), GIdx::Zeros] {
        gptq_reads_back(Gptq { g_idx, ..Gptq::asym(4, 64) }, ROWS, COLS);
    }
    for scale in [ScaleDtype::Bf16, ScaleDtype::F32, ScaleDtype::F32Full] {
        gptq_reads_back(Gptq { scale, ..Gptq::sym(4, 64) }, ROWS, COLS);
    }
    gptq_reads_back(Gptq::sym(4, 32), ROWS, 80);
    gptq_reads_back(Gptq { padded: true, ..Gptq::sym(4, 32) }, 3, 80);
    let qweight =
        encode(Encoding::Gptq(Gptq { padded: true, ..Gptq::sym(4, 32) }), 3, 80).get("qweight").clone();
    assert_eq!(qweight.shape, [12, 3]);
}

#[test]
fn symmetric_zero_points_are_known_words() {
    for (gptq, expected) in [
        (Gptq::sym(4, 128), 0x7777_7777),
        (Gptq::sym(3, 128), 0xdb6d_b6db),
        (Gptq { zero: StoredZero::Direct, ..Gptq::sym(8, 128) }, 0x8080_8080),
        (Gptq { zero: StoredZero::MinusOneBorrow, ..Gptq::sym(4, 128) }, 0x7777_7777),
    ] {
        assert_eq!(word(encode(Encoding::Gptq(gptq), ROWS, COLS).get("qzeros"), 0, 0), expected);
    }
}

#[test]
fn a_clamped_zero_point_is_one_and_a_borrowed_one_is_zero() {
    let zero = |zero| encode(Encoding::Gptq(Gptq { zero, ..Gptq::asym(4, 128) }), ROWS, COLS);
    let (borrow, clamped) = (zero(StoredZero::MinusOneBorrow), zero(StoredZero::MinusOneClamped));
    assert_eq!(word(borrow.get("qzeros"), 0, 0) & 15, 15);
    assert_eq!(word(clamped.get("qzeros"), 0, 0) & 15, 0);
    let q = code(|n| word(borrow.get("qweight"), n, 0), 0, 4) as f64;
    let scale = float(borrow.get("scales"), 0);
    assert_eq!([borrow.values[0], clamped.values[0]], [(scale * q) as f32, (scale * (q - 1.0)) as f32]);
}

#[test]
fn every_group_has_both_extreme_codes_and_scales_have_both_signs() {
    for bits in [2, 4, 8] {
        let encoded = encode(Encoding::Gptq(Gptq::sym(bits, 128)), ROWS, COLS);
        let scales = encoded.get("scales");
        let signs: Vec<bool> = (0..ROWS * 2).map(|i| float(scales, i) < 0.0).collect();
        assert!(signs.contains(&true) && signs.contains(&false));
        let codes: Vec<i64> =
            (0..128).map(|i| code(|n| word(encoded.get("qweight"), n, 5), i * bits as usize, bits)).collect();
        assert!(codes.contains(&0) && codes.contains(&((1 << bits) - 1)));
    }
}

#[test]
fn awq_reads_back_interleaved() {
    // Position of output `k` of eight.
    const LANE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];
    for bits in 4..=7 {
        for sym in [true, false] {
            let encoded = encode(Encoding::Awq(Awq { sym, ..Awq::asym(bits, 64) }), ROWS, COLS);
            let (qweight, qzeros) = (encoded.get("qweight"), encoded.get("qzeros"));
            assert_eq!(qweight.shape, [COLS, ROWS * bits as usize / 32]);
            let at = |tensor: &Tensor, line: usize, row: usize| {
                code(|n| word(tensor, line, n), (row / 8 * 8 + LANE[row % 8]) * bits as usize, bits)
            };
            check(&encoded, &format!("AWQ {bits} {sym}"), ROWS, COLS, |row, col| {
                let level = at(qweight, col, row) - at(qzeros, col / 64, row);
                float(encoded.get("scales"), col / 64 * ROWS + row) * level as f64
            });
        }
    }
}

#[test]
fn fp8_reads_back_with_every_scale_shape() {
    for (scale, shape) in [
        (Fp8Scale::Tensor, vec![1]),
        (Fp8Scale::Channel, vec![ROWS]),
        (Fp8Scale::ChannelColumn, vec![ROWS, 1]),
        (Fp8Scale::Group(128), vec![ROWS * 2]),
        (Fp8Scale::Block(48, 96), vec![2, 3]),
    ] {
        for (e5m2, inv_name, scale_dtype) in [
            (false, true, ScaleDtype::Bf16),
            (true, false, ScaleDtype::Bf16),
            (false, true, ScaleDtype::E8m0),
        ] {
            let fp8 = Fp8 { e5m2, scale_dtype, inv_name, ..Fp8::scaled(scale) };
            let encoded = encode(Encoding::Fp8(fp8), ROWS, COLS);
            let scales = encoded.get(if inv_name { "weight_scale_inv" } else { "weight_scale" });
            assert_eq!(scales.shape, shape);
            check(&encoded, &format!("{scale:?}"), ROWS, COLS, |row, col| {
                let at = match scale {
                    Fp8Scale::Tensor => 0,
                    Fp8Scale::Channel | Fp8Scale::ChannelColumn => row,
                    Fp8Scale::Group(size) => row * 2 + col / size,
                    Fp8Scale::Block(rows, cols) => row / rows * 3 + col / cols,
                };
                float(encoded.get("weight"), row * COLS + col) * float(scales, at)
            });
        }
    }
}

#[test]
fn mx_and_nv_formats_read_back() {
    let nibble = |encoded: &Encoded, suffix: &str, row: usize, col: usize| {
        let byte = encoded.get(suffix).data[row * COLS / 2 + col / 2];
        if col.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
    };
    let power = |byte: u8| 2f64.powi(i32::from(byte) - 127);

    let mxfp4 = encode(Encoding::MxFp4, ROWS, COLS);
    check(&mxfp4, "MXFP4", ROWS, COLS, |row, col| {
        let scale = mxfp4.get("weight_scale").data[row * (COLS / 32) + col / 32];
        e2m1(nibble(&mxfp4, "weight_packed", row, col)) * power(scale)
    });
    let mxint4 = encode(Encoding::MxInt4, ROWS, COLS);
    check(&mxint4, "MXINT4", ROWS, COLS, |row, col| {
        let code = nibble(&mxint4, "weight_packed", row, col);
        let sign = if code > 7 { -0.25 } else { 0.25 };
        sign * f64::from(code % 8) * power(mxint4.get("weight_scale").data[row * (COLS / 32) + col / 32])
    });
    let e5m3 = encode(Encoding::NvFp4E5m3, ROWS, COLS);
    check(&e5m3, "NVFP4-E5M3", ROWS, COLS, |row, col| {
        let scale = e5m3.get("weight_scale").data[row * (COLS / 16) + col / 16];
        e2m1(nibble(&e5m3, "weight_packed", row, col)) * ue5m3(scale)
    });
    for modelopt in [false, true] {
        let nvfp4 = encode(Encoding::NvFp4(NvFp4 { modelopt, power_of_two: false }), ROWS, COLS);
        let packed = if modelopt { "weight" } else { "weight_packed" };
        check(&nvfp4, "NVFP4", ROWS, COLS, |row, col| {
            let scale = float(nvfp4.get("weight_scale"), row * (COLS / 16) + col / 16);
            let value = e2m1(nibble(&nvfp4, packed, row, col)) * scale;
            if modelopt {
                value * float(nvfp4.get("weight_scale_2"), 0)
            } else {
                value / float(nvfp4.get("weight_global_scale"), 0)
            }
        });
    }
    let mxfp8 = encode(Encoding::MxFp8, ROWS, COLS);
    check(&mxfp8, "MXFP8", ROWS, COLS, |row, col| {
        let at = row * COLS + col;
        float(mxfp8.get("weight"), at) * power(mxfp8.get("weight_scale").data[at / 32])
    });
}

#[test]
fn compressed_tensors_packs_codes_along_rows_and_zero_points_down_columns() {
    for bits in 2..=8 {
        for dense in [false, true] {
            for (sym, zero_i8_unpacked) in [(true, false), (false, false), (false, true)] {
                let g_idx = if sym { GIdx::Absent } else { GIdx::Shuffled(2) };
                let packed = CtPacked { sym, dense, zero_i8_unpacked, g_idx, ..CtPacked::sym(bits, 64) };
                let encoded = encode(Encoding::CtPacked(packed), ROWS, COLS);
                let per_word = (32 / bits) as usize;
                let read = |word: &dyn Fn(usize) -> u32, n: usize| {
                    if dense {
                        code(word, n * bits as usize, bits)
                    } else {
                        code(word, n / per_word * 32 + n % per_word * bits as usize, bits)
                    }
                };
                let zero = |row: usize, group: usize| match (sym, zero_i8_unpacked) {
                    (true, _) => 1 << (bits - 1),
                    (_, true) => {
                        let byte = encoded.get("weight_zero_point").data[row * 4 + group];
                        i64::from(byte as i8) + (1 << (bits - 1))
                    }
                    _ => read(&|n| word(encoded.get("weight_zero_point"), n, group), row),
                };
                check(&encoded, &format!("{packed:?}"), ROWS, COLS, |row, col| {
                    let group =
                        if sym { col / 64 } else { encoded.get("weight_g_idx").data[4 * col] as usize };
                    let q = read(&|n| word(encoded.get("weight_packed"), row, n), col);
                    float(encoded.get("weight_scale"), row * 4 + group) * (q - zero(row, group)) as f64
                });
                assert_eq!(encoded.has("weight_zero_point"), !sym);
            }
        }
    }
}

#[test]
fn compressed_tensors_int8_and_mlx_read_back() {
    for per_tensor in [false, true] {
        for zero_point in [false, true] {
            let int8 = CtInt8 { per_tensor, scale: ScaleDtype::Bf16, zero_point };
            let encoded = encode(Encoding::CtInt8(int8), ROWS, COLS);
            let signed = |suffix: &str, at: usize| f64::from(encoded.get(suffix).data[at] as i8);
            check(&encoded, &format!("{int8:?}"), ROWS, COLS, |row, col| {
                let at = if per_tensor { 0 } else { row };
                let zero = if zero_point { signed("weight_zero_point", at) } else { 0.0 };
                (signed("weight", row * COLS + col) - zero) * float(encoded.get("weight_scale"), at)
            });
        }
    }
    for bits in [2, 4, 8] {
        let encoded = encode(Encoding::Mlx(Mlx { bits, group: Group::Size(64) }), ROWS, COLS);
        check(&encoded, "MLX", ROWS, COLS, |row, col| {
            let q = code(|n| word(encoded.get("weight"), row, n), col * bits as usize, bits) as f64;
            let at = row * 4 + col / 64;
            float(encoded.get("scales"), at) * q + float(encoded.get("biases"), at)
        });
    }
}

#[test]
fn extreme_scales_give_finite_values_and_nonzero_f16_scales() {
    let encodings = [
        Encoding::MxFp4,
        Encoding::MxFp8,
        Encoding::MxInt4,
        Encoding::NvFp4E5m3,
        Encoding::NvFp4(NvFp4::default()),
        Encoding::Fp8(Fp8::block()),
        Encoding::Gptq(Gptq::sym(8, 128)),
    ];
    for encoding in encodings {
        let site =
            Site { module: "m", rows: ROWS, cols: COLS, rng: Rng::named(3, "m"), extreme_scales: true };
        let encoded = encoding.encode(site);
        assert!(encoded.values.iter().all(|value| value.is_finite()), "{encoding:?}");
        if let Encoding::Gptq(_) = encoding {
            assert!((0..ROWS * 2).all(|i| float(encoded.get("scales"), i) != 0.0));
        }
    }
}
