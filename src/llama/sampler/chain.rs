//! llama.cpp's samplers in the requested order.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

use crate::engine::{Mirostat, MirostatVersion, SamplerKind, SamplingParams};

/// Candidates that samplers always keep.
const KEEP: usize = 1;
/// The tokens from which the first mirostat estimates Zipf's exponent, as in its paper.
const ZIPF_TOKENS: i32 = 100;

/// The chain for these parameters; `None` if it would always take the most likely token.
pub(super) fn chain(model: &LlamaModel, params: &SamplingParams, context: u32) -> Option<LlamaSampler> {
    let biases = biases(model, params);
    let mut steps = Vec::new();
    if !biases.is_empty() {
        steps.push(LlamaSampler::logit_bias(model.n_vocab(), &biases));
    }
    let greedy = params.temperature <= 0.0;
    match params.mirostat {
        Some(Mirostat { version, tau, eta }) if !greedy => {
            steps.push(temperature(params));
            steps.push(match version {
                MirostatVersion::V1 => {
                    LlamaSampler::mirostat(model.n_vocab(), params.seed, tau, eta, ZIPF_TOKENS)
                }
                MirostatVersion::V2 => LlamaSampler::mirostat_v2(params.seed, tau, eta),
            });
            return Some(LlamaSampler::chain(steps, true));
        }
        _ => {}
    }
    steps.extend(params.order.iter().filter_map(|kind| step(*kind, model, params, context)));
    if greedy && steps.is_empty() {
        return None;
    }
    steps.push(if greedy { LlamaSampler::greedy() } else { LlamaSampler::dist(params.seed) });
    Some(LlamaSampler::chain(steps, true))
}

/// One sampler, unless its parameters are neutral. If the most likely token is taken, samplers that cannot remove it
/// are neutral too.
fn step(
    kind: SamplerKind,
    model: &LlamaModel,
    params: &SamplingParams,
    context: u32,
) -> Option<LlamaSampler> {
    let vocab = model.n_vocab();
    // llama.cpp has no value for "all" here, and allocates as much as it is given.
    let back = |last: Option<u32>| whole(last.map_or(context, |last| last.min(context)));
    let chance = params.temperature > 0.0;
    match kind {
        SamplerKind::Penalties => {
            let p = &params.penalties;
            let made = || LlamaSampler::penalties(vocab, back(p.last), p.repeat, p.frequency, p.presence);
            (!p.is_neutral()).then(made)
        }
        SamplerKind::Dry => params.dry.as_ref().filter(|dry| dry.multiplier != 0.0).map(|dry| {
            let allowed = whole(dry.allowed_length);
            LlamaSampler::dry(model, dry.multiplier, dry.base, allowed, back(dry.last), &dry.breakers)
        }),
        SamplerKind::TopNSigma => {
            (chance && params.top_n_sigma > 0.0).then(|| LlamaSampler::top_n_sigma(params.top_n_sigma))
        }
        SamplerKind::TopK => (chance && params.top_k > 0).then(|| LlamaSampler::top_k(whole(params.top_k))),
        SamplerKind::TypicalP => {
            (params.typical_p < 1.0).then(|| LlamaSampler::typical(params.typical_p, KEEP))
        }
        SamplerKind::TopP => (chance && params.top_p < 1.0).then(|| LlamaSampler::top_p(params.top_p, KEEP)),
        SamplerKind::MinP => (chance && params.min_p > 0.0).then(|| LlamaSampler::min_p(params.min_p, KEEP)),
        SamplerKind::Xtc => params
            .xtc
            .filter(|xtc| xtc.probability > 0.0)
            .map(|xtc| LlamaSampler::xtc(xtc.probability, xtc.threshold, KEEP, params.seed)),
        SamplerKind::Temperature => chance.then(|| temperature(params)),
    }
}

fn temperature(params: &SamplingParams) -> LlamaSampler {
    let &SamplingParams { temperature, temperature_range, temperature_exponent, .. } = params;
    if temperature_range > 0.0 {
        LlamaSampler::temp_ext(temperature, temperature_range, temperature_exponent)
    } else {
        LlamaSampler::temp(temperature)
    }
}

fn biases(model: &LlamaModel, params: &SamplingParams) -> Vec<LlamaLogitBias> {
    let given = params.logit_bias.iter().map(|(token, bias)| (LlamaToken(token.0), *bias));
    let vocab = model.vocab();
    let ends = (0..model.n_vocab()).map(LlamaToken).filter(|_| params.ignore_end);
    let ends = ends.filter(|token| vocab.is_eog(*token)).map(|token| (token, f32::NEG_INFINITY));
    given.chain(ends).map(|(token, bias)| LlamaLogitBias::new(token, bias)).collect()
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
