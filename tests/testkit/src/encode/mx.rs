//! The microscaling formats and their NVIDIA relatives: small codes with a one-byte scale per 16 or 32.

use super::fp8;
use super::{Encoded, Site};
use crate::float::{e2m1, e4m3, e8m0, ue5m3};
use crate::safetensors::{Dtype, Tensor};

/// The parameters of NVFP4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvFp4 {
    /// ModelOpt's names: `weight` and `weight_scale_2`, which is multiplied where `weight_global_scale`
    /// divides.
    pub modelopt: bool,
    /// The global scale is a power of two, so that dividing by it loses nothing.
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
        let lowest = if site.wild { 1 } else { 0x50 };
        let scales: Vec<u8> = (0..site.rows * site.cols / 16)
            .map(|_| lowest + site.rng.below(0x7f - lowest as usize) as u8)
            .collect();
        // Dividing in one step keeps the value the nearest one; `factor` is exact only when multiplying.
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
    // 1.75 / 6 of the reach, give or take a factor of two.
    let middle = 8 * ((site.reach() / 6.0).log2().floor() as i32 + 15);
    let scales: Vec<u8> =
        (0..site.rows * site.cols / 16)
            .map(|_| {
                if site.wild { site.rng.below(255) as u8 } else { (middle + site.rng.below(16) as i32) as u8 }
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

/// One E8M0 byte per 32 weights; wild ones reach from 0 to `highest`, the last that keeps products finite.
fn exponents(site: &mut Site<'_>, largest_code: f64, highest: u8) -> Vec<u8> {
    assert!(
        site.cols.is_multiple_of(32),
        "`{}`: {} inputs are no whole blocks of 32",
        site.module,
        site.cols
    );
    let usual = 127 + (site.reach() / largest_code).log2().floor() as i32;
    (0..site.rows * site.cols / 32)
        .map(|block| match (site.wild, block) {
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

/// Random four-bit codes, two to a byte with the earlier one low, and what `value(block, code)` makes of them.
fn nibbles(site: &mut Site<'_>, block: usize, value: impl Fn(usize, u8) -> f64) -> (Vec<u8>, Vec<f32>) {
    assert!(
        site.cols.is_multiple_of(block),
        "`{}`: {} inputs are no whole blocks of {block}",
        site.module,
        site.cols
    );
    // All sixteen codes first, so that even one row has them.
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
