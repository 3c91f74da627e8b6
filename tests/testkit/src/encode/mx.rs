//! The MX and NV formats: small codes with a one-byte scale per 16 or 32.

use super::fp8;
use super::{Encoded, Site};
use crate::float::{e2m1, e4m3, e8m0, ue5m3};
use crate::safetensors::{Dtype, Tensor};

/// Parameters of NVFP4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvFp4 {
    /// Use the names of ModelOpt: `weight`, and `weight_scale_2`, a factor where `weight_global_scale` is a divisor.
    pub modelopt: bool,
    /// Make the global scale a power of two, so that dividing by it is exact.
    pub power_of_two: bool,
}

impl NvFp4 {
    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let largest = site.reach() * site.rng.uniform(1.0, 2.0);
        let mut global = 448.0 * 6.0 / largest;
        if self.power_of_two {
            global = 2f64.powi(global.log2().floor() as i32);
        }
        let stored = if self.modelopt { 1.0 / global } else { global } as f32;
        let factor = if self.modelopt { f64::from(stored) } else { 1.0 / f64::from(stored) };
        let lowest = if site.extreme_scales { 1 } else { 0x50 };
        let scales: Vec<u8> = (0..site.rows * site.cols / 16)
            .map(|_| lowest + site.rng.below(0x7f - lowest as usize) as u8)
            .collect();
        // Divide in one step so that the value is rounded once; `factor` is exact only for ModelOpt.
        let (packed, values) = nibbles(site, 16, |block, code| {
            let product = e2m1(code) * e4m3(scales[block]);
            if self.modelopt { product * factor } else { product / f64::from(stored) }
        });
        let (weight, global_name, input_name, shape): (_, _, _, &[usize]) = if self.modelopt {
            ("weight", "weight_scale_2", "input_scale", &[])
        } else {
            ("weight_packed", "weight_global_scale", "input_global_scale", &[1])
        };
        let scalar = |site: &Site<'_>, name, value: f32| {
            site.tensor(name, Dtype::F32, shape, value.to_le_bytes().to_vec())
        };
        let tensors = vec![
            site.tensor(weight, Dtype::U8, &[site.rows, site.cols / 2], packed),
            site.tensor("weight_scale", Dtype::F8E4m3, &[site.rows, site.cols / 16], scales),
            scalar(site, global_name, stored),
            scalar(site, input_name, 0.75),
        ];
        Encoded { tensors, values }
    }
}

pub(super) fn mxfp4(site: &mut Site<'_>) -> Encoded {
    let scales = exponents(site, 6.0, 252);
    let (packed, values) = nibbles(site, 32, |block, code| e2m1(code) * e8m0(scales[block]));
    Encoded { tensors: packed_tensors(site, packed, scales, 32), values }
}

pub(super) fn mxint4(site: &mut Site<'_>) -> Encoded {
    let scales = exponents(site, 1.75, 253);
    let (packed, values) = nibbles(site, 32, |block, code| sign_magnitude(code) / 4.0 * e8m0(scales[block]));
    Encoded { tensors: packed_tensors(site, packed, scales, 32), values }
}

pub(super) fn nvfp4_e5m3(site: &mut Site<'_>) -> Encoded {
    // About 1.75 / 6 of the reach, within a factor of two.
    let middle = 8 * ((site.reach() / 6.0).log2().floor() as i32 + 15);
    let scales: Vec<u8> = (0..site.rows * site.cols / 16)
        .map(|_| {
            if site.extreme_scales {
                site.rng.below(255) as u8
            } else {
                (middle + site.rng.below(16) as i32) as u8
            }
        })
        .collect();
    let (packed, values) = nibbles(site, 16, |block, code| e2m1(code) * ue5m3(scales[block]));
    Encoded { tensors: packed_tensors(site, packed, scales, 16), values }
}

pub(super) fn mxfp8(site: &mut Site<'_>) -> Encoded {
    let scales = exponents(site, 448.0, 246);
    let codes = fp8::codes(site, site.rows * site.cols, e4m3);
    let values =
        codes.iter().enumerate().map(|(i, code)| (e4m3(*code) * e8m0(scales[i / 32])) as f32).collect();
    let tensors = vec![
        site.tensor("weight", Dtype::F8E4m3, &[site.rows, site.cols], codes),
        site.tensor("weight_scale", Dtype::U8, &[site.rows, site.cols / 32], scales),
    ];
    Encoded { tensors, values }
}

/// One E8M0 byte per 32 weights; extreme ones are 0 to `highest`, the largest that keeps products finite.
fn exponents(site: &mut Site<'_>, largest_code: f64, highest: u8) -> Vec<u8> {
    assert!(
        site.cols.is_multiple_of(32),
        "`{}`: {} inputs are not whole blocks of 32",
        site.module,
        site.cols
    );
    let usual = 127 + (site.reach() / largest_code).log2().floor() as i32;
    (0..site.rows * site.cols / 32)
        .map(|block| match (site.extreme_scales, block) {
            (true, 0..3) => block as u8,
            (true, 3) => highest,
            (true, _) => site.rng.below(usize::from(highest) + 1) as u8,
            _ => (usual + site.rng.below(3) as i32) as u8,
        })
        .collect()
}

fn sign_magnitude(code: u8) -> f64 {
    let magnitude = f64::from(code & 7);
    if code & 8 == 0 { magnitude } else { -magnitude }
}

/// Random four-bit codes, two per byte, low nibble first, and their values by `value(block, code)`.
fn nibbles(site: &mut Site<'_>, block: usize, value: impl Fn(usize, u8) -> f64) -> (Vec<u8>, Vec<f32>) {
    assert!(
        site.cols.is_multiple_of(block),
        "`{}`: {} inputs are not whole blocks of {block}",
        site.module,
        site.cols
    );
    // All sixteen codes first, so that even a single row has them.
    let codes: Vec<u8> =
        (0..site.rows * site.cols).map(|i| if i < 16 { i as u8 } else { site.rng.below(16) as u8 }).collect();
    let packed = codes.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect();
    let values = codes.iter().enumerate().map(|(i, code)| value(i / block, *code) as f32).collect();
    (packed, values)
}

fn packed_tensors(site: &Site<'_>, packed: Vec<u8>, scales: Vec<u8>, block: usize) -> Vec<Tensor> {
    vec![
        site.tensor("weight_packed", Dtype::U8, &[site.rows, site.cols / 2], packed),
        site.tensor("weight_scale", Dtype::U8, &[site.rows, site.cols / block], scales),
    ]
}
