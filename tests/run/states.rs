//! States on disk with the bundled model, and conversations that the terminal and the server share.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ggrun::chat::{Message, Role, Template};
use ggrun::engine::SamplingParams;
use ggrun::model::{ContextSize, LoadOptions, Model, Running};
use ggrun::session::{ChatEvent, ChatRequest, Session};
use ggrun::state_cache::{Settings, StateCache};
use serde_json::{Value, json};

use super::chat::typed;
use super::{collect, options, tiny_gguf};
use crate::dense::dense_gguf;
use crate::served::Served;

/// A question of some thousand tokens.
fn long_question() -> String {
    use std::fmt::Write as _;
    let mut text = "Here are some sums.\n".to_owned();
    for number in 0..400 {
        writeln!(text, "{number} + {} = {}", number * 3 % 97, number + number * 3 % 97).unwrap();
    }
    text + "What is 17 + 25?"
}

struct Server {
    session: Session,
    states: StateCache,
    _running: Running,
}

fn server(gguf: std::path::PathBuf, folder: &Path) -> Server {
    let context = ContextSize::Tokens(16_384);
    let model = Model::load(LoadOptions { parallel: 1, context, ..options(gguf) }, |_| true).unwrap();
    let states = StateCache::open(Settings {
        reserve: 0,
        ..Settings::new(folder.to_owned(), model.identity().unwrap())
    })
    .unwrap();
    let running = model.spawn_with(states.on_eviction()).unwrap();
    let vocab = model.vocab();
    let source = model.chat_template().expect("the model has a template");
    let template = Template::parse(&source, &vocab.begin(), &vocab.end()).unwrap();
    let session = Session::new(running.submitter(), Arc::new(vocab), template);
    states.connect(session.clone(), running.caps());
    Server { session: session.with_hooks(states.hooks()), states, _running: running }
}

/// The answer to a conversation, how much of the prompt was reused, and its length.
fn answer(server: &Server, messages: &[Message]) -> (Message, u32, u32) {
    let mut request = ChatRequest::new(messages.to_vec(), SamplingParams::greedy());
    request.max_tokens = Some(40);
    let (reasoning, content, end) = collect(server.session.chat(request).unwrap());
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    let mut message = Message::new(Role::Assistant, content);
    message.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
    (message, usage.total.reused_tokens, usage.total.prompt_tokens)
}

#[test]
fn a_conversation_of_thousands_of_tokens_continues_after_a_restart() {
    for gguf in [tiny_gguf(), dense_gguf()] {
        let folder = tempfile::tempdir().unwrap();
        let first = server(gguf.clone(), folder.path());
        let mut messages = vec![Message::new(Role::User, long_question())];
        let (said, reused, prompt) = answer(&first, &messages);
        assert!(reused == 0 && prompt > 4000, "{reused} of {prompt}");
        assert_eq!(first.states.drain(Duration::from_mins(1)), Some(1));
        drop(first);

        messages.extend([said, Message::new(Role::User, "842 - 83 = ?")]);
        let second = server(gguf.clone(), folder.path());
        let (said, reused, prompt) = answer(&second, &messages);
        assert!(reused * 100 >= prompt * 99, "{reused} of {prompt} tokens were reused");
        assert_eq!(second.states.counters().get().states_restored, 1);
        drop(second);

        // It is the answer of a server without a state.
        let empty = tempfile::tempdir().unwrap();
        let (fresh, reused, _) = answer(&server(gguf, empty.path()), &messages);
        assert_eq!((fresh, reused), (said, 0));
    }
}

#[test]
fn a_conversation_that_made_room_for_another_is_restored() {
    for gguf in [tiny_gguf(), dense_gguf()] {
        let folder = tempfile::tempdir().unwrap();
        let server = server(gguf, folder.path());
        let mut messages = vec![Message::new(Role::User, long_question())];
        let (said, ..) = answer(&server, &messages);
        messages.extend([said, Message::new(Role::User, "842 - 83 = ?")]);
        answer(&server, &[Message::new(Role::User, "What is the capital of Kenya?")]);
        crate::deadline::wait_for("the state to be saved", || {
            (server.states.counters().get().states_saved == 1).then_some(())
        });
        let (_, reused, prompt) = answer(&server, &messages);
        assert!(reused * 100 >= prompt * 99, "{reused} of {prompt} tokens were reused");
    }
}

/// A server with one slot, whose folder of states and conversations is in `state`.
fn serve(state: &Path, arguments: &[&str]) -> Served {
    let configure = |command: &mut Command| {
        command.args(["-np", "1", "-c", "16384", "--temp", "0"]).args(arguments);
        command.env("XDG_STATE_HOME", state).env("HOME", state);
    };
    Served::start(configure, "states are")
}

/// The answer of a server to a conversation, and its token counts.
fn chat(served: &Served, messages: &Value) -> (Value, Value) {
    let body = json!({ "messages": messages, "max_tokens": 40, "temperature": 0 }).to_string();
    let (status, body) = served.ask("POST", "/v1/chat/completions", "", &body).unwrap();
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    (body["choices"][0]["message"].clone(), body["usage"].clone())
}

/// A folder on a disk of which more than the reserve of 10 % is free, if there is one.
#[expect(clippy::print_stderr, reason = "the log says that the test was skipped")]
fn folder_with_room() -> Option<tempfile::TempDir> {
    let has_room = |folder: &tempfile::TempDir| {
        let (free, disk) = (fs4::available_space(folder.path()), fs4::total_space(folder.path()));
        matches!((free, disk), (Ok(free), Ok(disk)) if free > disk / 8)
    };
    let folders = [tempfile::tempdir(), tempfile::tempdir_in("/dev/shm")];
    let folder = folders.into_iter().flatten().find(has_room);
    if folder.is_none() {
        eprintln!("skipped: no disk has room for states");
    }
    folder
}

#[test]
fn a_server_that_is_started_again_continues_a_conversation() {
    let Some(folder) = folder_with_room() else { return };
    let states = folder.path().join("ggrun/states");
    let served = serve(folder.path(), &["--state-dir", "auto"]);
    assert!(
        served.notes.contains(&format!("states are saved in `{}`, up to 8.00 GiB", states.display())),
        "{}",
        served.notes
    );
    let mut messages = vec![json!({ "role": "user", "content": long_question() })];
    let (said, usage) = chat(&served, &json!(messages));
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 4000, "{usage}");
    assert_eq!(served.terminate(), Some(0));
    let files = std::fs::read_dir(&states).unwrap().flatten();
    assert_eq!(files.filter(|entry| entry.path().extension().is_some_and(|e| e == "state")).count(), 1);

    messages.extend([said, json!({ "role": "user", "content": "842 - 83 = ?" })]);
    let served = serve(folder.path(), &["--state-dir", "auto"]);
    let (_, usage) = chat(&served, &json!(messages));
    let count = |value: &Value| value.as_u64().unwrap();
    let (cached, all) =
        (count(&usage["prompt_tokens_details"]["cached_tokens"]), count(&usage["prompt_tokens"]));
    assert!(cached * 100 >= all * 99, "{usage}");
    // A killed server leaves states that the next one uses.
    drop(served);
    let served = serve(folder.path(), &["--state-dir", states.to_str().unwrap()]);
    let (_, usage) = chat(&served, &json!(messages));
    assert_eq!(count(&usage["prompt_tokens_details"]["cached_tokens"]), cached);
    served.terminate();
    let served = serve(folder.path(), &[]);
    assert!(served.notes.contains("states are not saved to disk"), "{}", served.notes);
    let (_, usage) = chat(&served, &json!(messages));
    assert_eq!(count(&usage["prompt_tokens_details"]["cached_tokens"]), 0);
    served.terminate();
}

#[test]
fn the_terminal_and_the_server_share_conversations() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), &[]);
    let text = "{\"ggrun_session\":2,\"model\":\"m\",\"title\":\"Sums\",\"current\":2}\n\
                {\"parent\":null,\"role\":\"user\",\"content\":\"What is 17 + 25?\"}\n\
                {\"parent\":0,\"role\":\"assistant\",\"content\":\"another branch\"}\n\
                {\"parent\":0,\"role\":\"assistant\",\"content\":\"17 + 25 = 42\"}\n";
    let path = "/api/conversations/sums";
    let (status, body) = served.ask("PUT", path, "if-none-match: *\r\n", text).unwrap();
    assert_eq!(status, 201, "{body}");
    let out = typed(folder.path(), &["--session", "sums"], "842 - 83 = ?\n");
    assert_eq!(String::from_utf8(out.stdout).unwrap().lines().last(), Some("842 - 83 = 759"));
    let (status, body) = served.ask("GET", path, "", "").unwrap();
    assert_eq!(status, 200, "{body}");
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["title"], &lines[0]["current"]), (6, &json!("Sums"), &json!(4)));
    assert_eq!((&lines[4]["parent"], &lines[4]["content"]), (&json!(2), &json!("842 - 83 = ?")));
    assert_eq!(lines[2]["content"], "another branch");
    served.terminate();
}
