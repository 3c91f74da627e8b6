//! Logits, the vocabulary, and the sampling settings of the file.

use ggrun::engine::{Markup, Token, Vocab as _};
use ggrun::model::Model;

use super::{options, tiny_gguf};

fn model() -> Model {
    Model::load(options(tiny_gguf()), |_| true).unwrap()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn sequences_decoded_together_have_the_logits_of_each_alone() {
    let model = model();
    let vocab = model.vocab();
    let texts = ["What is 17 + 25?", "Reverse the word wind.", "The capital of Kenya is Nairobi, I think."];
    let sequences: Vec<Vec<Token>> = texts.iter().map(|text| vocab.tokenize(text, Markup::Plain)).collect();
    let borrowed: Vec<&[Token]> = sequences.iter().map(Vec::as_slice).collect();
    let together = model.logits(&borrowed).unwrap();
    for (sequence, together) in borrowed.iter().zip(&together) {
        let alone = model.logits(&[sequence]).unwrap();
        assert_eq!(alone[0].len(), sequence.len());
        assert_eq!(alone[0][0].len(), vocab.size() as usize);
        let difference = largest_difference(&alone[0], together);
        assert!(difference < 2e-3, "{difference}");
    }
}

#[test]
fn tokenised_text_detokenises_to_itself() {
    let model = model();
    let vocab = model.vocab();
    for text in ["What is 17 + 25?", "grüße 漢字 \u{1f600}\n\n  tab\t.", "<|im_end|>", ""] {
        let tokens = vocab.tokenize(text, Markup::Plain);
        let mut bytes = Vec::new();
        for token in &tokens {
            vocab.write(*token, &mut bytes);
        }
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
        assert!(!tokens.iter().any(|token| vocab.ends_answer(*token)));
    }
}

#[test]
fn special_tokens_are_parsed_only_where_asked_for() {
    let model = model();
    let vocab = model.vocab();
    let parsed = vocab.tokenize("<|im_end|>", Markup::Parsed);
    assert_eq!(parsed.len(), 1);
    assert!(vocab.ends_answer(parsed[0]));
    assert!(vocab.tokenize("<|im_end|>", Markup::Plain).len() > 1);
    // Tokens outside the vocabulary have no text, do not end an answer, and do not crash.
    let mut bytes = Vec::new();
    for token in [Token(-1), Token(i32::MAX), Token(i32::try_from(vocab.size()).unwrap())] {
        vocab.write(token, &mut bytes);
        assert!(!vocab.ends_answer(token));
    }
    assert!(bytes.is_empty());
}

#[test]
fn the_sampling_settings_of_the_file_are_the_defaults() {
    let model = model();
    let defaults = model.sampling(3);
    assert_eq!(
        (defaults.temperature, defaults.top_k, defaults.top_p, defaults.min_p, defaults.seed),
        (0.6, 20, 0.95, 0.0, 3)
    );
}
