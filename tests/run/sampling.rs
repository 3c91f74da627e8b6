//! Sampling parameters, applied by llama.cpp.

use ggrun::engine::{
    Block, DecodeError, Dry, Error, Event, FinishReason, Grammar, Markup, Mirostat, MirostatVersion, Opening,
    Penalties, Reasoning, Reply, Request, Rules, SamplerKind, SamplingError, SamplingParams, Token,
    Vocab as _, Xtc,
};
use ggrun::session::{self, ChatEvent, ChatRequest};

use super::{Bench, QUESTIONS, ask, bench, collect};

fn with(bench: &Bench, sampling: SamplingParams) -> (String, String, ChatEvent) {
    collect(bench.session.chat(ChatRequest { sampling, ..ask(QUESTIONS[0].0) }).unwrap())
}

fn text_of(bench: &Bench, sampling: SamplingParams) -> String {
    let (reasoning, content, _) = with(bench, sampling);
    format!("{reasoning}|{content}")
}

/// The model's own probabilities, flattened so that every sampler has an effect.
fn flat(seed: u32) -> SamplingParams {
    SamplingParams { temperature: 3.0, ..SamplingParams::neutral(seed) }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another_text() {
    let bench = bench(1);
    let first = text_of(&bench, flat(1));
    assert_eq!(text_of(&bench, flat(1)), first);
    assert_ne!(text_of(&bench, flat(2)), first);
}

#[test]
fn every_sampler_has_an_effect() {
    let bench = bench(1);
    let plain = text_of(&bench, flat(1));
    let greedy = text_of(&bench, SamplingParams::greedy());
    let penalties = |last| Penalties { last, repeat: 1.0, frequency: 0.0, presence: 100.0 };
    let dry = Dry { allowed_length: 0, ..Dry::with_multiplier(100.0) };
    let mirostat = |version| Some(Mirostat { version, tau: 0.5, eta: 0.1 });
    for (what, sampling) in [
        ("top-k", SamplingParams { top_k: 2, ..flat(1) }),
        ("top-p", SamplingParams { top_p: 0.5, ..flat(1) }),
        ("min-p", SamplingParams { min_p: 0.5, ..flat(1) }),
        ("typical", SamplingParams { typical_p: 0.2, ..flat(1) }),
        ("top-n-sigma", SamplingParams { top_n_sigma: 1.0, ..flat(1) }),
        ("dynamic temperature", SamplingParams { temperature_range: 2.9, ..flat(1) }),
        ("xtc", SamplingParams { xtc: Some(Xtc { probability: 1.0, threshold: 0.001 }), ..flat(1) }),
        ("mirostat", SamplingParams { mirostat: mirostat(MirostatVersion::V1), ..flat(1) }),
        ("mirostat 2", SamplingParams { mirostat: mirostat(MirostatVersion::V2), ..flat(1) }),
    ] {
        assert_ne!(text_of(&bench, sampling), plain, "{what}");
    }
    for (what, sampling) in [
        ("penalties", SamplingParams { penalties: penalties(None), ..SamplingParams::greedy() }),
        ("dry", SamplingParams { dry: Some(dry), ..SamplingParams::greedy() }),
        (
            "logit bias",
            SamplingParams { logit_bias: vec![(digit(&bench), 100.0)], ..SamplingParams::greedy() },
        ),
    ] {
        assert_ne!(text_of(&bench, sampling), greedy, "{what}");
    }
    let one = SamplingParams { top_k: 1, ..flat(7) };
    assert_eq!(text_of(&bench, one.clone()), greedy, "top-k 1 is greedy");
    let without = SamplingParams { order: vec![SamplerKind::Temperature], ..one };
    assert_ne!(text_of(&bench, without), greedy, "a sampler that is not in the order is not applied");
    let none = SamplingParams { penalties: penalties(Some(0)), ..SamplingParams::greedy() };
    assert_eq!(text_of(&bench, none), greedy, "penalties over no tokens");
}

#[test]
fn every_token_has_logprobs_with_the_most_likely_first() {
    let bench = bench(1);
    let sampling = SamplingParams { logprobs: Some(3), ..SamplingParams::greedy() };
    let mut chat = bench.session.chat(ChatRequest { sampling, ..ask(QUESTIONS[0].0) }).unwrap();
    let end = chat.by_ref().last().unwrap();
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    let all = chat.take_logprobs();
    assert_eq!(all.len(), usage.total.completion_tokens as usize);
    for one in &all {
        assert_eq!(one.top.len(), 3);
        assert_eq!(one.top[0], (one.token, one.logprob), "greedy takes the most likely");
        assert!(one.top.is_sorted_by(|a, b| a.1 >= b.1) && one.top[0].1 <= 0.0, "{one:?}");
        assert!(one.top.iter().map(|top| top.1.exp()).sum::<f32>() <= 1.0001, "{one:?}");
    }
    // A token forced by a bias has the low logprob of the model.
    let sampling = SamplingParams { logprobs: Some(0), logit_bias: vec![(digit(&bench), 100.0)], ..flat(1) };
    let request = ChatRequest { sampling, max_tokens: Some(5), ..ask(QUESTIONS[0].0) };
    let mut chat = bench.session.chat(request).unwrap();
    chat.by_ref().for_each(drop);
    let forced = chat.take_logprobs();
    assert!(forced.iter().all(|one| one.token == digit(&bench) && one.top.is_empty()), "{forced:?}");
    assert!(forced.iter().any(|one| one.logprob < -1.0), "{forced:?}");
    assert!(chat.take_logprobs().is_empty());
}

#[test]
fn a_deterministic_request_has_the_same_logprobs_to_the_bit_whatever_else_runs() {
    let options = ggrun::model::LoadOptions { parallel: 3, ..super::options(super::tiny_gguf()) };
    let bench = super::bench_with(options.deterministic());
    let asked = |question: &str| {
        let sampling = SamplingParams { logprobs: Some(2), ..flat(3) };
        bench.session.chat(ChatRequest { sampling, max_tokens: Some(40), ..ask(question) }).unwrap()
    };
    let numbers = |mut chat: ggrun::session::Chat| {
        chat.by_ref().for_each(drop);
        chat.take_logprobs()
    };
    let first = numbers(asked(QUESTIONS[0].0));
    let others: Vec<_> = QUESTIONS.iter().map(|question| asked(question.0)).collect();
    let again = asked(QUESTIONS[0].0);
    let others: Vec<_> = others.into_iter().map(numbers).collect();
    assert_eq!(numbers(again), first);
    assert_eq!(others[0], first);
    assert_ne!(others[1], first);
}

fn digit(bench: &Bench) -> Token {
    bench.model.vocab().tokenize("7", Markup::Plain)[0]
}

#[test]
fn with_ignore_end_an_answer_ends_at_its_limit() {
    let bench = bench(1);
    let (_, _, end) = with(&bench, SamplingParams { ignore_end: true, ..SamplingParams::greedy() });
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Length, .. }), "{end:?}");
}

fn grammar(rules: Rules, after: Option<&str>) -> SamplingParams {
    let block = |close: &str| Block { open: None, close: close.to_owned(), headers: Vec::new() };
    let grammar = Some(Grammar { rules: rules.into(), after: after.map(block) });
    SamplingParams { grammar, ..SamplingParams::greedy() }
}

#[test]
fn a_grammar_after_the_reasoning_constrains_only_the_answer() {
    let bench = bench(1);
    let (unconstrained, _, _) = with(&bench, SamplingParams::greedy());
    let rules = Rules::Gbnf("root ::= \"The sum is \" [0-9]+ \".\"".to_owned());
    let (reasoning, content, end) = with(&bench, grammar(rules, Some("</think>")));
    assert_eq!(reasoning, unconstrained);
    assert!(content.starts_with("The sum is ") && content.ends_with('.'), "{content:?}");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Stop, .. }), "{end:?}");
}

#[test]
fn a_schema_makes_the_answer_json() {
    let bench = bench(1);
    let schema = r#"{"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}"#;
    let sampling = grammar(Rules::JsonSchema(schema.to_owned()), Some("</think>"));
    let (_, content, _) = with(&bench, sampling);
    let value: serde_json::Value = serde_json::from_str(&content).unwrap();
    assert!(value["sum"].is_i64(), "{content}");
}

#[test]
fn schemas_are_compiled_on_several_threads_at_once() {
    let bench = bench(2);
    let answer = |value: usize| {
        let schema = format!(
            r#"{{"type": "object", "properties": {{"n{value}": {{"type": "integer"}}}}, "required": ["n{value}"]}}"#
        );
        let sampling = grammar(Rules::JsonSchema(schema), Some("</think>"));
        let (_, content, _) = with(&bench, sampling);
        let object: serde_json::Value = serde_json::from_str(&content).unwrap();
        assert!(object[format!("n{value}")].is_i64(), "{content}");
    };
    std::thread::scope(|scope| {
        for value in 0..6 {
            let answer = &answer;
            scope.spawn(move || answer(value));
        }
    });
}

#[test]
fn a_grammar_that_leaves_no_token_fails_its_request_alone() {
    let bench = bench(2);
    let token = |text: &str| bench.model.vocab().tokenize(text, Markup::Plain)[0];
    let only = |text: &str| {
        let grammar = Grammar { rules: Rules::Gbnf(format!("root ::= \"{text}\"")).into(), after: None };
        SamplingParams { grammar: Some(grammar), ..SamplingParams::greedy() }
    };
    let less = |text: &str| vec![(token(text), f32::NEG_INFINITY)];
    let submitter = bench.running.submitter();
    for sampling in [
        SamplingParams { logit_bias: less("7"), ..only("7") },
        SamplingParams { logit_bias: less("7"), temperature: 1.0, ..only("7") },
        SamplingParams { logit_bias: less("7"), grammar: only("7").grammar, ..flat(1) },
    ] {
        let other = bench.session.chat(ask(QUESTIONS[0].0)).unwrap();
        let request = Request { max_tokens: Some(20), ..Request::new(vec![token("7")], sampling.clone()) };
        let end = last(submitter.submit(request).unwrap());
        assert!(matches!(end, Event::Failed(Error::Decode(DecodeError::NoTokenAllowed { .. }))), "{end:?}");
        assert_eq!(collect(other).1, QUESTIONS[0].1, "{sampling:?}");
    }
}

#[test]
fn the_end_of_a_grammar_ends_an_answer_that_ignores_the_end() {
    let bench = bench(1);
    let prompt = bench.model.vocab().tokenize("7", Markup::Plain);
    let rules = |rules: &str| match rules.strip_prefix("root") {
        Some(_) => Rules::Gbnf(rules.to_owned()),
        None => Rules::JsonSchema(rules.to_owned()),
    };
    for (text, reason) in [
        ("root ::= \"a\"", FinishReason::Stop),
        ("{\"const\": 7}", FinishReason::Stop),
        ("root ::= [0-9]+", FinishReason::Length),
    ] {
        for sampling in [SamplingParams::greedy(), flat(1)] {
            let grammar = Some(Grammar { rules: rules(text).into(), after: None });
            let sampling = SamplingParams { ignore_end: true, grammar, ..sampling };
            let request = Request { max_tokens: Some(20), ..Request::new(prompt.clone(), sampling) };
            let end = last(bench.running.submitter().submit(request).unwrap());
            assert!(
                matches!(end, Event::Finished { reason: found, .. } if found == reason),
                "{text}: {end:?}"
            );
        }
    }
}

#[test]
fn forced_text_that_a_grammar_forbids_fails_its_request_alone() {
    let bench = bench(2);
    let tokens = |text: &str| bench.model.vocab().tokenize(text, Markup::Parsed);
    let close = "</think>".to_owned();
    let block = Block { open: None, close: close.clone(), headers: Vec::new() };
    for (block, ending) in [
        (Some(block.clone()), "x</think>hello"),
        (Some(block), "x</think>\n\n\n\n\n\n\n\n\n\n"),
        (None, "hello</think>"),
    ] {
        let other = bench.session.chat(ask(QUESTIONS[0].0)).unwrap();
        let rules = Rules::Gbnf("root ::= [0-9] [0-9] [0-9] [0-9]".to_owned());
        let grammar = Some(Grammar { rules: rules.into(), after: block });
        let sampling = SamplingParams { grammar, ..SamplingParams::greedy() };
        let reasoning = Reasoning {
            open: Opening::Prompt,
            close: close.clone(),
            ending: tokens(ending),
            budget: Some(2),
        };
        let request = Request { reasoning: Some(reasoning), ..Request::new(tokens("7"), sampling) };
        let request = Request { max_tokens: Some(50), ..request };
        let end = last(bench.running.submitter().submit(request).unwrap());
        assert!(
            matches!(end, Event::Failed(Error::Decode(DecodeError::NoTokenAllowed { .. }))),
            "{ending:?} {end:?}"
        );
        assert_eq!(collect(other).1, QUESTIONS[0].1, "{ending:?}");
    }
}

#[test]
fn an_ambiguous_grammar_takes_no_memory_without_limit() {
    let bench = bench(1);
    let rules = "root ::= s \"c\"\ns ::= \"1\" s \"a\" | \"1\" s \"b\" | \"1\"";
    let one = bench.model.vocab().tokenize("1", Markup::Plain)[0];
    let sampling =
        SamplingParams { logit_bias: vec![(one, 100.0)], ..grammar(Rules::Gbnf(rules.to_owned()), None) };
    let request = Request { max_tokens: Some(60), ..Request::new(vec![one], sampling) };
    let end = last(bench.running.submitter().submit(request).unwrap());
    assert!(matches!(end, Event::Finished { reason: FinishReason::Length, .. }), "{end:?}");
}

fn last(mut reply: Reply) -> Event {
    std::iter::from_fn(|| reply.wait()).last().unwrap()
}

#[test]
fn invalid_sampling_is_refused_by_name_and_the_engine_keeps_running() {
    let bench = bench(1);
    let gbnf = |text: &str| grammar(Rules::Gbnf(text.to_owned()), None);
    for (sampling, words) in [
        (gbnf("root ::= ("), "invalid grammar"),
        (gbnf("root ::= missing"), "there is no rule `missing`"),
        (gbnf("root ::= root \"a\""), "invalid grammar"),
        (gbnf("other ::= \"a\""), "invalid grammar"),
        (gbnf(""), "invalid grammar"),
        (gbnf("root ::= \"a\"{99999999}"), "invalid grammar"),
        (gbnf("root ::= \"\0\""), "invalid grammar"),
        (gbnf(&format!("root ::= {}", "(".repeat(100_000))), "deep"),
        (grammar(Rules::JsonSchema("{".to_owned()), None), "JSON schema"),
        (grammar(Rules::JsonSchema("{\"type\": \"nonsense\"}".to_owned()), None), "nonsense"),
        (grammar(Rules::JsonSchema("{\"pattern\": \"a(?=b)\"}".to_owned()), None), "lookahead"),
        (gbnf("root ::= \"a\"{5,1}"), "out of order"),
        (gbnf("root ::= <no-such-token>"), "no-such-token"),
        (grammar(Rules::JsonSchema("{\"$ref\": \"#/nowhere\"}".to_owned()), None), "nowhere"),
        (SamplingParams { temperature: f32::NAN, ..flat(1) }, "temperature"),
        (SamplingParams { top_p: 1.5, ..flat(1) }, "top-p"),
        (SamplingParams { logprobs: Some(101), ..flat(1) }, "at most 100"),
        (SamplingParams { logit_bias: vec![(Token(-1), 1.0)], ..flat(1) }, "token -1"),
        (SamplingParams { logit_bias: vec![(Token(0), f32::NAN)], ..flat(1) }, "logit bias"),
        (
            SamplingParams { dry: Some(Dry { base: 0.0, ..Dry::with_multiplier(1.0) }), ..flat(1) },
            "base of DRY",
        ),
    ] {
        let shown = sampling.grammar.clone();
        let refused = bench.session.chat(ChatRequest { sampling, ..ask(QUESTIONS[0].0) });
        let Err(session::Error::Engine(Error::Sampling(error))) = refused else { panic!("{shown:?}") };
        assert!(error.to_string().contains(words), "{error}");
        assert!(!matches!(error, SamplingError::Grammar { reason } if reason.is_empty()));
    }
    assert_eq!(with(&bench, SamplingParams::greedy()).1, QUESTIONS[0].1);
}
