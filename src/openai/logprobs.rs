//! How likely tokens were, in the forms of both endpoints. Of a model that thinks, all tokens are there, those of the
//! thinking first.

use serde_json::{Map, Value, json};

use super::Endpoint;
use crate::engine::{Token, TokenLogprob};

/// What `OpenAI` has for a probability of zero, which JSON cannot say.
const NEVER: f32 = -9999.0;

/// The object beside an answer. `piece` gives the bytes of a token.
#[must_use]
pub fn logprobs(endpoint: Endpoint, tokens: &[TokenLogprob], piece: &dyn Fn(Token) -> Vec<u8>) -> Value {
    match endpoint {
        Endpoint::Chat => {
            let one = |token: Token, logprob: f32| {
                let bytes = piece(token);
                json!({ "token": text(&bytes), "logprob": logprob.max(NEVER), "bytes": bytes })
            };
            let all = tokens.iter().map(|chosen| {
                let mut shown = one(chosen.token, chosen.logprob);
                shown["top_logprobs"] =
                    chosen.top.iter().map(|&(token, logprob)| one(token, logprob)).collect();
                shown
            });
            json!({ "content": all.collect::<Vec<_>>(), "refusal": null })
        }
        Endpoint::Text => {
            let mut offset = 0;
            let offsets: Vec<usize> = tokens
                .iter()
                .map(|chosen| {
                    let begin = offset;
                    offset += text(&piece(chosen.token)).chars().count();
                    begin
                })
                .collect();
            let top = |chosen: &TokenLogprob| -> Map<String, Value> {
                let pairs = chosen.top.iter();
                pairs.map(|&(token, logprob)| (text(&piece(token)), json!(logprob.max(NEVER)))).collect()
            };
            json!({
                "tokens": tokens.iter().map(|l| text(&piece(l.token))).collect::<Vec<_>>(),
                "token_logprobs": tokens.iter().map(|l| l.logprob.max(NEVER)).collect::<Vec<_>>(),
                "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
                "text_offset": offsets,
            })
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
