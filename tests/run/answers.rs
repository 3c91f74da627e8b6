//! Chat requests and their answers.

use ggrun::engine::{Error, FinishReason};
use ggrun::model::{ContextSize, LoadOptions};
use ggrun::session::{self, ChatEvent};

use super::{QUESTIONS, ask, bench, bench_with, collect, options, tiny_gguf};

#[test]
fn greedy_answers_are_right_and_reasoning_is_separate() {
    let bench = bench(1);
    for (question, answer) in QUESTIONS {
        let (reasoning, content, end) = collect(bench.session.chat(ask(question)).unwrap());
        assert_eq!(content, answer);
        assert!(!reasoning.is_empty() && !reasoning.contains("think>"), "{reasoning:?}");
        let ChatEvent::Finished { reason, usage, timings } = end else { panic!("{end:?}") };
        assert_eq!(reason, FinishReason::Stop);
        assert!(usage.reasoning_tokens > 0 && usage.answer_tokens() > 0, "{usage:?}");
        assert!(timings.time_to_first_token() >= timings.prefill && !timings.decode.is_zero(), "{timings:?}");
    }
}

#[test]
fn concurrent_requests_answer_as_when_alone() {
    let (one, two) = (bench(1), bench(2));
    let alone: Vec<_> = QUESTIONS.iter().map(|(q, _)| collect(one.session.chat(ask(q)).unwrap())).collect();
    // All four are submitted before the first answer is read, so two are active at any time.
    let chats: Vec<_> = QUESTIONS.iter().map(|(q, _)| two.session.chat(ask(q)).unwrap()).collect();
    for (chat, (reasoning, content, _)) in chats.into_iter().zip(alone) {
        let beside = collect(chat);
        assert_eq!((beside.0, beside.1), (reasoning, content));
    }
}

#[test]
fn a_prompt_decoded_in_chunks_gives_the_same_answer() {
    let path = tiny_gguf();
    let bench = bench_with(LoadOptions { batch: Some(7), ubatch: Some(7), ..options(path) });
    let (question, answer) = QUESTIONS[0];
    assert_eq!(collect(bench.session.chat(ask(question)).unwrap()).1, answer);
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let bench = bench(1);
    let mut request = ask(QUESTIONS[0].0);
    request.stop = vec!["absent".into(), " = 4".into()];
    let (_, content, end) = collect(bench.session.chat(request).unwrap());
    assert_eq!(content, "17 + 25");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::StopString(1), .. }), "{end:?}");
}

#[test]
fn a_token_limit_ends_the_answer() {
    let bench = bench(1);
    let mut request = ask(QUESTIONS[0].0);
    request.max_tokens = Some(3);
    let (_, content, end) = collect(bench.session.chat(request).unwrap());
    assert_eq!(content, "");
    let ChatEvent::Finished { reason: FinishReason::Length, usage, .. } = end else { panic!("{end:?}") };
    assert_eq!((usage.total.completion_tokens, usage.reasoning_tokens), (3, 3));
}

#[test]
fn a_cancelled_answer_ends_and_frees_its_slot() {
    let bench = bench(1);
    let mut chat = bench.session.chat(ask(QUESTIONS[0].0)).unwrap();
    let first = chat.find(|event| !matches!(event, ChatEvent::Progress { .. }));
    assert!(matches!(first, Some(ChatEvent::Reasoning(_))));
    chat.canceller().cancel();
    let (_, _, end) = collect(chat);
    // The answer may be finished before the cancel arrives.
    assert!(
        matches!(end, ChatEvent::Finished { reason: FinishReason::Cancelled | FinishReason::Stop, .. }),
        "{end:?}"
    );
    drop(bench.session.chat(ask(QUESTIONS[1].0)).unwrap());
    let (_, content, _) = collect(bench.session.chat(ask(QUESTIONS[2].0)).unwrap());
    assert_eq!(content, QUESTIONS[2].1);
}

#[test]
fn a_prompt_longer_than_the_context_is_an_error() {
    let path = tiny_gguf();
    let bench = bench_with(LoadOptions { context: ContextSize::Tokens(256), ..options(path) });
    let refused = bench.session.chat(ask(&"Why? ".repeat(300)));
    let Err(session::Error::Engine(Error::PromptTooLong { tokens, context: 256 })) = refused else {
        panic!("the prompt is accepted")
    };
    assert!(tokens > 256);
    let (_, content, _) = collect(bench.session.chat(ask(QUESTIONS[0].0)).unwrap());
    assert_eq!(content, QUESTIONS[0].1, "the engine still works");
}

#[test]
fn an_answer_ends_where_the_context_does() {
    let path = tiny_gguf();
    let bench = bench_with(LoadOptions { context: ContextSize::Tokens(40), ..options(path) });
    let (_, _, end) = collect(bench.session.chat(ask(QUESTIONS[0].0)).unwrap());
    let ChatEvent::Finished { reason: FinishReason::Context, usage, .. } = end else { panic!("{end:?}") };
    assert_eq!(usage.total.prompt_tokens + usage.total.completion_tokens, 41);
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let bench = bench(2);
    let mut request = ask(QUESTIONS[2].0);
    request.sampling = bench.model.sampling(7);
    request.sampling.temperature = 5.0;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1.0;
    let mut answer = |seed| {
        request.sampling.seed = seed;
        let (reasoning, content, _) = collect(bench.session.chat(request.clone()).unwrap());
        (reasoning, content)
    };
    let first = answer(7);
    assert_eq!(answer(7), first);
    assert_ne!(answer(8), first);
}
