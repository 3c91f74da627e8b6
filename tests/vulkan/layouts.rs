//! The logits do not depend on the placement of the layers.

use ggrun::model::{LoadOptions, Model};

use super::{Gpu, float_gguf};
use crate::layouts::{LAYOUTS, differences, largest};

/// Of logits up to 18: GPUs multiply in F16, and in another order. Measured: at most 9e-2.
pub(super) const TOLERANCE: f32 = 0.2;

#[test]
fn every_layout_with_a_gpu_gives_the_logits_of_the_cpu() {
    let Some(gpu) = Gpu::find() else { return };
    let path = float_gguf();
    for layout in &LAYOUTS {
        let mut options = LoadOptions { path: path.clone(), ..gpu.options() };
        (layout.set)(&mut options, &gpu.device.buffer);
        let model = Model::load(options, |_| true).unwrap();
        let largest = largest(&differences(layout, &model));
        assert!(largest < TOLERANCE, "{}: largest difference {largest:.2e}", layout.flags);
    }
}

/// The CPU rounds what it multiplies with quantized weights, which GPUs do not. A rounding may choose another expert, which
/// changes the logits after this token.
#[test]
fn every_layout_of_quantized_weights_is_close_to_the_cpu() {
    let Some(gpu) = Gpu::find() else { return };
    for layout in &LAYOUTS {
        let mut options = gpu.options();
        (layout.set)(&mut options, &gpu.device.buffer);
        let model = Model::load(options, |_| true).unwrap();
        let mut each = differences(layout, &model);
        each.sort_by(f32::total_cmp);
        let (median, most) = (each[each.len() / 2], each[each.len() * 9 / 10]);
        assert!(median < 0.15 && most < 0.5, "{}: {each:?}", layout.flags);
    }
}
