//! Scaling of rotary positions, in llama.cpp's terms: unset values keep the model's.

use llama_cpp_sys_2 as sys;

/// Scaling of rotary positions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rope {
    /// The method.
    pub scaling: Option<RopeScaling>,
    /// Base frequency.
    pub freq_base: Option<f32>,
    /// Factor on frequencies: 0.25 stretches the context to four times its length.
    pub freq_scale: Option<f32>,
    /// Context that the model was trained on, for `YaRN`.
    pub yarn_orig_ctx: Option<u32>,
    /// Extrapolation mix factor, for `YaRN`; 0 only interpolates.
    pub yarn_ext_factor: Option<f32>,
    /// Factor on attention, for `YaRN`.
    pub yarn_attn_factor: Option<f32>,
    /// Low correction dimension, for `YaRN`.
    pub yarn_beta_fast: Option<f32>,
    /// High correction dimension, for `YaRN`.
    pub yarn_beta_slow: Option<f32>,
}

/// A method of scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeScaling {
    /// None.
    None,
    /// Scales all frequencies equally.
    Linear,
    /// `YaRN`.
    Yarn,
}

impl RopeScaling {
    fn raw(self) -> sys::llama_rope_scaling_type {
        match self {
            Self::None => sys::LLAMA_ROPE_SCALING_TYPE_NONE,
            Self::Linear => sys::LLAMA_ROPE_SCALING_TYPE_LINEAR,
            Self::Yarn => sys::LLAMA_ROPE_SCALING_TYPE_YARN,
        }
    }
}

impl Rope {
    /// Applies the values that are set; the others keep llama.cpp's defaults, which stand for the model's values.
    pub(super) fn fill(&self, raw: &mut sys::llama_context_params) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(&mut raw.rope_scaling_type, self.scaling.map(RopeScaling::raw));
        set(&mut raw.rope_freq_base, self.freq_base);
        set(&mut raw.rope_freq_scale, self.freq_scale);
        set(&mut raw.yarn_orig_ctx, self.yarn_orig_ctx);
        set(&mut raw.yarn_ext_factor, self.yarn_ext_factor);
        set(&mut raw.yarn_attn_factor, self.yarn_attn_factor);
        set(&mut raw.yarn_beta_fast, self.yarn_beta_fast);
        set(&mut raw.yarn_beta_slow, self.yarn_beta_slow);
    }
}
