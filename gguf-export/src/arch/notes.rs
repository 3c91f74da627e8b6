//! What llama.cpp computes otherwise than a configuration says.

use super::hparams::{HParams, RopeScaling};

/// Architectures whose graph takes the limits between which YaRN interpolates.
const WITH_LIMITS: [&str; 1] = ["mistral3"];

impl HParams {
    /// One sentence for each difference, for the user.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let RopeScaling::Yarn { truncate, beta_fast, beta_slow, attn_factor, ext_factor, .. } =
            self.rope.scaling
        else {
            return Vec::new();
        };
        let differ = |what: &str, llama: &str| {
            format!("{what}, but llama.cpp {llama}, so its logits differ slightly from those of transformers")
        };
        let mut out = Vec::new();
        if !truncate {
            let what = "`truncate` of the rotary parameters is false";
            out.push(differ(what, "rounds the limits between which YaRN interpolates frequencies"));
        }
        let is_other =
            |number: Option<f32>, usual: f32| number.is_some_and(|n| n.to_bits() != usual.to_bits());
        if (is_other(beta_fast, 32.0) || is_other(beta_slow, 1.0))
            && !WITH_LIMITS.contains(&self.architecture)
        {
            let what = "`beta_fast` and `beta_slow` of the rotary parameters are not 32 and 1";
            out.push(differ(what, "takes these for this architecture"));
        }
        if attn_factor.is_some() || ext_factor.is_some() {
            let what = "the rotary parameters have an `attention_factor` or an `extrapolation_factor`";
            out.push(differ(what, "computes its own from `factor`"));
        }
        out
    }
}
