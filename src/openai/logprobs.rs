//! Logprobs in the forms of both endpoints. They cover all tokens, those of the reasoning first.

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use crate::engine::{Token, TokenLogprob};
use crate::json::number;

/// `OpenAI`'s logprob of an impossible token: JSON has no infinity.
pub(super) const NEVER: f32 = -9999.0;

/// The `logprobs` of a choice, or of a chunk whose text begins at the character `offset` of the choice. `piece` returns
/// the bytes of a token.
#[must_use]
pub fn logprobs(
    endpoint: Endpoint,
    tokens: &[TokenLogprob],
    offset: usize,
    piece: &dyn Fn(Token) -> Vec<u8>,
) -> Value {
    match endpoint {
        Endpoint::Chat => {
            let one = |token: Token, logprob: f32| {
                let bytes = piece(token);
                json!({ "token": text(&bytes), "logprob": number(logprob.max(NEVER)), "bytes": bytes })
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
            let mut offset = offset;
            let offsets: Vec<usize> = tokens
                .iter()
                .map(|chosen| {
                    let begin = offset;
                    offset += text_length(std::slice::from_ref(chosen), piece);
                    begin
                })
                .collect();
            let top = |chosen: &TokenLogprob| -> Map<String, Value> {
                let pairs = chosen.top.iter();
                pairs.map(|&(token, logprob)| (text(&piece(token)), number(logprob.max(NEVER)))).collect()
            };
            json!({
                "tokens": tokens.iter().map(|l| text(&piece(l.token))).collect::<Vec<_>>(),
                "token_logprobs": tokens.iter().map(|l| number(l.logprob.max(NEVER))).collect::<Vec<_>>(),
                "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
                "text_offset": offsets,
            })
        }
    }
}

/// The number of characters in the text of these tokens.
pub(super) fn text_length(tokens: &[TokenLogprob], piece: &dyn Fn(Token) -> Vec<u8>) -> usize {
    tokens.iter().map(|chosen| text(&piece(chosen.token)).chars().count()).sum()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
