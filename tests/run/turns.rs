//! Conversations of several turns, and reasoning that is cut short.

use ggrun::chat::{Message, Role};
use ggrun::engine::FinishReason;
use ggrun::model::LoadOptions;
use ggrun::session::{ChatEvent, ChatRequest, ChatUsage, REASONING_BUDGET_MESSAGE};

use super::{Bench, QUESTIONS, ask, bench, bench_with, collect, options, tiny_gguf};

fn usage(end: &ChatEvent) -> ChatUsage {
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    *usage
}

/// The second turn of a conversation.
fn second(bench: &Bench) -> ChatRequest {
    let (reasoning, content, _) = collect(bench.session.chat(ask(QUESTIONS[0].0)).unwrap());
    let mut answer = Message::new(Role::Assistant, content);
    answer.reasoning_content = Some(reasoning);
    let mut request = ask(QUESTIONS[0].0);
    request.messages.extend([answer, Message::new(Role::User, QUESTIONS[1].0)]);
    request
}

#[test]
fn a_second_turn_reuses_the_first_and_answers_like_a_fresh_one() {
    let (warm, cold) = (bench(1), bench(1));
    let request = second(&warm);
    let (reasoning, content, end) = collect(warm.session.chat(request.clone()).unwrap());
    let reused = usage(&end).total.reused_tokens;
    assert!(reused > 10, "{:?}", usage(&end));
    let fresh = collect(cold.session.chat(request.clone()).unwrap());
    assert_eq!(usage(&fresh.2).total.reused_tokens, 0);
    assert_eq!((reasoning, content), (fresh.0, fresh.1));
    // The same request again: only the tokens of the generation prompt are new.
    let (_, _, end) = collect(warm.session.chat(request).unwrap());
    assert!(usage(&end).total.read_tokens() < 12, "{:?}", usage(&end));
}

#[test]
fn without_a_state_cache_a_second_turn_is_decoded_from_the_start() {
    let bench = bench_with(LoadOptions { state_cache: 0, ..options(tiny_gguf()) });
    let request = second(&bench);
    let (_, _, end) = collect(bench.session.chat(request).unwrap());
    assert_eq!(usage(&end).total.reused_tokens, 0);
}

#[test]
fn reasoning_is_cut_at_its_budget_and_an_answer_follows() {
    let bench = bench(1);
    let (full, _, _) = collect(bench.session.chat(ask(QUESTIONS[0].0)).unwrap());
    let budget = ChatRequest { reasoning_budget: Some(5), ..ask(QUESTIONS[0].0) };
    let (reasoning, content, end) = collect(bench.session.chat(budget).unwrap());
    let begun = reasoning.strip_suffix(REASONING_BUDGET_MESSAGE).expect("the message comes last");
    assert!(full.starts_with(begun) && begun.len() < full.len(), "{begun:?} of {full:?}");
    assert!(!content.is_empty() && !content.contains("think>"), "{content:?}");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Stop, .. }), "{end:?}");

    let none = ChatRequest { reasoning_budget: Some(0), ..ask(QUESTIONS[0].0) };
    let (reasoning, content, end) = collect(bench.session.chat(none).unwrap());
    assert_eq!((reasoning.as_str(), usage(&end).reasoning_tokens), ("", 0));
    assert!(!content.is_empty(), "{end:?}");
}

#[test]
fn reasoning_can_be_ended_by_the_caller() {
    let bench = bench(1);
    let mut chat = bench.session.chat(ask(QUESTIONS[0].0)).unwrap();
    let canceller = chat.canceller();
    let first = chat.find(|event| !matches!(event, ChatEvent::Progress { .. })).unwrap();
    canceller.end_reasoning();
    let (reasoning, content, _) = collect(std::iter::once(first).chain(chat));
    // The reasoning may already have ended.
    assert!(
        reasoning.ends_with(REASONING_BUDGET_MESSAGE) || content == QUESTIONS[0].1,
        "{reasoning:?} {content:?}"
    );
    assert!(!content.is_empty());
}
