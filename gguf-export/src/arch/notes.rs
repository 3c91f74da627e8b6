//! What llama.cpp computes otherwise than a configuration says.

use super::hparams::{HParams, RopeScaling};

/// Architectures whose graph takes the limits between which YaRN interpolates.
const WITH_LIMITS: [&str; 1] = ["mistral3"];

impl HParams {
    /// One sentence for each difference, for the user.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.tokens < self.vocab {
            let rows = self.vocab - self.tokens;
            out.push(match rows {
                1 => "left out the last row of the embedding, which has no token".to_owned(),
                _ => format!("left out the last {rows} rows of the embedding, which have no token"),
            });
        }
        let RopeScaling::Yarn { factor, truncate, beta_fast, beta_slow, attn_factor, ext_factor, .. } =
            self.rope.scaling
        else {
            return out;
        };
        let differ = |what: &str, llama: &str| {
            format!("{what}, but llama.cpp {llama}, so its logits differ from those of transformers")
        };
        if !truncate {
            let what = "`truncate` of the rotary parameters is false";
            out.push(differ(what, "rounds the limits between which YaRN interpolates frequencies"));
        }
        let is_other =
            |number: Option<f32>, usual: f32| number.is_some_and(|n| n.to_bits() != usual.to_bits());
        if (is_other(beta_fast, 32.0) || is_other(beta_slow, 1.0))
            && !WITH_LIMITS.contains(&self.family().gguf)
        {
            let what = "`beta_fast` and `beta_slow` of the rotary parameters are not 32 and 1";
            out.push(differ(what, "takes these for this architecture"));
        }
        // The formula of transformers and of llama.cpp where the configuration has no factor.
        let own = 0.1 * factor.ln() + 1.0;
        if attn_factor.is_some_and(|stated| (stated - own).abs() > 1e-6) {
            let llama = format!("computes {own} from `factor`");
            out.push(differ("the rotary parameters have an `attention_factor`", &llama));
        }
        if is_other(ext_factor, 1.0) {
            out.push(differ("the rotary parameters have an `extrapolation_factor`", "takes 1"));
        }
        out
    }
}
