//! Saved states: a conversation resumed by another process continues the same and decodes little again.

use std::path::{Path, PathBuf};

use ggrun::chat::{Message, Role};
use ggrun::engine::{
    Event, Markup, Namespace, Prompt, Request, SamplingParams, Submitter, Token, Vocab as _,
};
use ggrun::model::{LoadOptions, Model};
use ggrun::session::{ChatEvent, ChatRequest};
use ggrun::state::{self, Refused};

use super::chat::{text, typed};
use super::{Bench, QUESTIONS, ask, bench_with, collect, options, tiny_gguf};
use crate::dense::dense_gguf;

/// The next turn of a conversation, with its answer.
fn turn(bench: &Bench, mut request: ChatRequest) -> (ChatRequest, String) {
    request.max_tokens = Some(60);
    let (reasoning, content, _) = collect(bench.session.chat(request.clone()).unwrap());
    let mut answer = Message::new(Role::Assistant, content.clone());
    answer.reasoning_content = Some(reasoning.clone());
    request.messages.push(answer);
    (request, reasoning + &content)
}

fn reused(end: &ChatEvent) -> (u32, u32) {
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    (usage.total.reused_tokens, usage.total.prompt_tokens)
}

#[test]
fn a_saved_state_works_in_another_engine_of_the_same_kind() {
    for gguf in [tiny_gguf(), dense_gguf()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conversation.state");
        let old = bench_with(options(gguf.clone()));
        let (mut conversation, _) = turn(&old, ask(QUESTIONS[0].0));
        conversation.messages.push(Message::new(Role::User, QUESTIONS[1].0));
        let (mut conversation, _) = turn(&old, conversation);
        let identity = old.model.identity().unwrap();
        state::write(&path, &identity, &old.session.save(&conversation).unwrap()).unwrap();
        conversation.messages.push(Message::new(Role::User, QUESTIONS[2].0));
        let (_, expected) = turn(&old, conversation.clone());
        drop(old);

        let new = bench_with(options(gguf.clone()));
        assert_eq!(new.model.identity().unwrap(), identity);
        new.session.restore(state::read(&path, &identity).unwrap()).unwrap();
        conversation.max_tokens = Some(60);
        let (reasoning, content, end) = collect(new.session.chat(conversation.clone()).unwrap());
        assert_eq!(reasoning + &content, expected);
        let (reused, prompt) = reused(&end);
        assert!(reused * 2 > prompt, "{reused} of {prompt} for {}", gguf.display());

        let other = LoadOptions { cache_k: ggrun::model::CacheType::F32, ..options(gguf.clone()) };
        let other = bench_with(other).model.identity().unwrap();
        assert!(matches!(state::read(&path, &other), Err(Refused::Foreign { .. })));
    }
    assert_ne!(
        bench_with(options(tiny_gguf())).model.identity().unwrap(),
        bench_with(options(dense_gguf())).model.identity().unwrap()
    );
}

#[test]
fn a_model_that_differs_in_one_weight_has_another_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.gguf");
    let mut bytes = std::fs::read(dense_gguf()).unwrap();
    let last = bytes.len() - 64 * 128 * 4;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let identity = |path: PathBuf| bench_with(options(path)).model.identity().unwrap();
    let (one, other) = (identity(dense_gguf()), identity(path));
    assert_ne!(one.model, other.model);
    assert_eq!((one.engine, one.settings), (other.engine, other.settings));
}

/// The parts of the lines on standard error that say how much of a prompt was reused.
fn reuse(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.split(" · ").find(|part| part.contains("reused"))).collect()
}

fn state_of(state: &Path) -> PathBuf {
    state.join("ggrun/sessions/sums.jsonl.state")
}

#[test]
fn a_loaded_conversation_continues_without_a_new_prefill() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "What is 17 + 25?\n842 - 83 = ?\n/save sums\nReverse the word wind.\n";
    let first = typed(folder.path(), &[], lines);
    let stderr = text(&first.stderr);
    assert!(stderr.contains("saved 4 messages, ") && stderr.contains("B state: `"), "{stderr}");
    let old = text(&first.stdout);

    let again = typed(folder.path(), &[], "/load sums\nReverse the word wind.\n");
    let stderr = text(&again.stderr);
    assert_eq!(text(&again.stdout).lines().last(), old.lines().last(), "{stderr}");
    assert_eq!(reuse(&stderr).len(), 1, "{stderr}");
    let without = typed(folder.path(), &["--no-state"], "/load sums\nReverse the word wind.\n");
    assert_eq!(reuse(&text(&without.stderr)), [""; 0], "{}", text(&without.stderr));

    // A broken state is reported and not used.
    let whole = std::fs::read(state_of(folder.path())).unwrap();
    for (bytes, reason) in
        [(&whole[..whole.len() / 2], "expected"), (&[&whole[..200], &[9], &whole[201..]].concat(), "damaged")]
    {
        std::fs::write(state_of(folder.path()), bytes).unwrap();
        let broken = typed(folder.path(), &[], "/load sums\nReverse the word wind.\n");
        let stderr = text(&broken.stderr);
        assert!(broken.status.success() && stderr.contains(reason), "{stderr}");
        assert!(stderr.contains("reading the conversation again") && reuse(&stderr).is_empty(), "{stderr}");
        assert_eq!(broken.stdout, without.stdout);
    }
}

#[test]
fn a_session_saves_its_state_on_exit() {
    let folder = tempfile::tempdir().unwrap();
    let first = typed(folder.path(), &["--session", "sums"], "What is 17 + 25?\n");
    assert!(text(&first.stderr).contains("saved 2 messages, "), "{}", text(&first.stderr));
    let second = typed(folder.path(), &["--session", "sums"], "842 - 83 = ?\n");
    assert_eq!(reuse(&text(&second.stderr)).len(), 1, "{}", text(&second.stderr));
    let names: Vec<_> = std::fs::read_dir(folder.path().join("ggrun/sessions"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let third = typed(folder.path(), &["--session", "plain", "--no-state"], "842 - 83 = ?\n");
    assert!(third.status.success());
    assert!(!folder.path().join("ggrun/sessions/plain.jsonl.state").exists());
}

#[test]
fn a_session_saves_what_commands_change_after_the_last_answer() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || {
        let text = std::fs::read_to_string(folder.path().join("ggrun/sessions/sums.jsonl")).unwrap();
        let message = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["content"].clone();
        text.lines().skip(1).map(message).collect::<Vec<_>>()
    };
    let run = |more: &[&str], lines: &str| {
        let ran = typed(folder.path(), &[&["--session", "sums"], more].concat(), lines);
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stderr)
    };
    let lines = "What is 17 + 25?\nWhat is the capital of Kenya?\n842 - 83 = ?\n/compact\n/exit\n";
    let stderr = run(&["-c", "1024"], lines);
    assert!(stderr.contains("earlier turns are replaced"), "{stderr}");
    let compacted = kept();
    assert_eq!((compacted.len(), &compacted[2]), (4, &"842 - 83 = ?".into()), "{compacted:?}");
    run(&["--no-state"], "/undo\n/system Be brief.\n/exit\n");
    assert_eq!(kept(), [&["Be brief.".into()], &compacted[..2]].concat());
    run(&[], "/clear\n/system -\n");
    assert_eq!(kept().len(), 0);
    assert!(!state_of(folder.path()).exists(), "the state of the old conversation is removed");
}

#[test]
fn a_conversation_that_is_only_loaded_does_not_replace_the_session() {
    let folder = tempfile::tempdir().unwrap();
    assert!(typed(folder.path(), &[], "842 - 83 = ?\n/save other\n").status.success());
    let lines = "What is 17 + 25?\n/load other\n/exit\n";
    assert!(typed(folder.path(), &["--session", "sums"], lines).status.success());
    let kept = std::fs::read_to_string(folder.path().join("ggrun/sessions/sums.jsonl")).unwrap();
    assert!(kept.contains("17 + 25") && !kept.contains("842"), "{kept}");
    let next = typed(folder.path(), &["--session", "sums"], "842 - 83 = ?\n");
    assert_eq!(reuse(&text(&next.stderr)).len(), 1, "{}", text(&next.stderr));
}

/// Reads a prompt and writes a few tokens after it; how many tokens of it were in the cache.
fn read(submitter: &Submitter, prompt: Vec<Token>) -> u32 {
    let request = Request { max_tokens: Some(3), ..Request::new(prompt, SamplingParams::greedy()) };
    let mut reply = submitter.submit(request).unwrap();
    loop {
        match reply.wait().unwrap() {
            Event::Finished { usage, .. } => return usage.reused_tokens,
            Event::Failed(error) => panic!("{error}"),
            Event::Progress { .. } | Event::Delta { .. } => {}
        }
    }
}

#[test]
fn an_evicted_sequence_can_be_saved_in_time_and_restored() {
    for gguf in [tiny_gguf(), dense_gguf()] {
        let model = Model::load(options(gguf), |_| true).unwrap();
        let (send, evicted) = std::sync::mpsc::channel();
        let on_eviction = move |evicted: ggrun::engine::Evicted<'_>| {
            let (whole, bytes) = (evicted.sequence.tokens.clone(), evicted.bytes());
            let saved = evicted.save(whole.len()).unwrap();
            assert_eq!((saved.tokens(), saved.state().len() as u64), (&whole[..], bytes));
            send.send(saved).unwrap();
        };
        let running = model.spawn_with(Box::new(on_eviction)).unwrap();
        let submitter = running.submitter();
        let tokens = |text: &str| model.vocab().tokenize(text, Markup::Parsed);
        let prompt = tokens("<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n");
        assert_eq!(read(&submitter, prompt.clone()), 0);
        read(&submitter, tokens("Something else."));
        let saved = evicted.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
        assert!(saved.tokens().starts_with(&prompt));
        let more = [saved.tokens(), &tokens(" and more")].concat();
        let held = saved.tokens().len();
        let prompt = Prompt { namespace: Namespace::default(), tokens: &more };
        assert!(submitter.cached_prefix(prompt).unwrap() < held);
        submitter.restore(Namespace::default(), saved.clone()).unwrap();
        assert_eq!(submitter.cached_prefix(prompt), Ok(held));
        let other = Namespace(1);
        assert_eq!(submitter.cached_prefix(Prompt { namespace: other, ..prompt }), Ok(0));
        assert_eq!(read(&submitter, more.clone()) as usize, held);
        submitter.restore(other, saved).unwrap();
        assert_eq!(submitter.cached_prefix(Prompt { namespace: other, ..prompt }), Ok(held));
    }
}
