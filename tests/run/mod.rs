//! The bundled model in llama.cpp on the CPU.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod answers;
mod broken;
mod chat;
mod command;
mod context;
mod loading;
mod logits;
mod markup;
mod memory;
mod notes;
mod options;
mod placing;
mod sampling;
mod saved;
mod serving;
mod states;
#[cfg(unix)]
mod terminal;
mod tools;
mod turns;
mod types;

use std::path::PathBuf;
use std::sync::Arc;

use ggrun::chat::{Message, Role, Template};
use ggrun::engine::SamplingParams;
use ggrun::model::{LoadOptions, Model, Running};
use ggrun::session::{ChatEvent, ChatRequest, Session};

use crate::support::tiny_gguf;

/// Questions, each with its only right answer.
pub(crate) const QUESTIONS: [(&str, &str); 4] = [
    ("What is 17 + 25?", "17 + 25 = 42"),
    ("842 - 83 = ?", "842 - 83 = 759"),
    ("What is the capital of Kenya?", "The capital of Kenya is Nairobi."),
    ("Reverse the word wind.", "dniw"),
];

/// One thread, because tests run in parallel.
fn options(gguf: PathBuf) -> LoadOptions {
    LoadOptions { threads: 1, ..LoadOptions::new(gguf) }
}

pub(crate) struct Bench {
    pub(crate) model: Model,
    pub(crate) session: Session,
    running: Running,
}

/// The model with an engine of `parallel` slots.
fn bench(parallel: u32) -> Bench {
    bench_with(LoadOptions { parallel, ..options(tiny_gguf()) })
}

pub(crate) fn bench_with(options: LoadOptions) -> Bench {
    let model = Model::load(options, |_| true).unwrap();
    let running = model.spawn().unwrap();
    let vocab = model.vocab();
    let source = model.chat_template().expect("the model has a template");
    let template = Template::parse(&source, &vocab.begin(), &vocab.end()).unwrap();
    let session = Session::new(running.submitter(), Arc::new(vocab), template);
    Bench { model, session, running }
}

pub(crate) fn ask(question: &str) -> ChatRequest {
    let mut request = ChatRequest::new(vec![Message::new(Role::User, question)], SamplingParams::greedy());
    request.max_tokens = Some(200);
    request
}

/// Reasoning, content and the terminal event.
pub(crate) fn collect(chat: impl Iterator<Item = ChatEvent>) -> (String, String, ChatEvent) {
    let (mut reasoning, mut content, mut terminal) = (String::new(), String::new(), None);
    for event in chat {
        assert_eq!(terminal, None, "nothing follows the terminal event");
        match event {
            ChatEvent::Progress { .. } => {}
            ChatEvent::Reasoning(text) => reasoning += &text,
            ChatEvent::Content(text) => content += &text,
            ChatEvent::ToolCall(call) => panic!("the request has no tools: {call:?}"),
            end => terminal = Some(end),
        }
    }
    (reasoning, content, terminal.expect("every answer has a terminal event"))
}

fn copy_of(gguf: &PathBuf, bytes: usize, folder: &tempfile::TempDir) -> PathBuf {
    let mut content = std::fs::read(gguf).unwrap();
    content.truncate(bytes);
    let path = folder.path().join("cut.gguf");
    std::fs::write(&path, content).unwrap();
    path
}
