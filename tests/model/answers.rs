//! The bundled model's greedy answers are right as often as those of transformers.

use std::sync::Arc;

use ggrun::chat::{Message, Role, Template};
use ggrun::engine::SamplingParams;
use ggrun::session::{ChatEvent, ChatRequest, Session};
use serde_json::Value;

use super::load;
use crate::support::{data, tiny_gguf};

#[test]
fn at_least_as_many_of_sixty_answers_are_right_as_with_transformers() {
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(data("../golden/answers.json")).unwrap()).unwrap();
    let theirs = golden.to_string().matches("\"right\":true").count();
    let model = load(&tiny_gguf());
    let running = model.spawn().unwrap();
    let vocab = model.vocab();
    let template = Template::parse(&model.chat_template().unwrap(), &vocab.begin(), &vocab.end()).unwrap();
    let session = Session::new(running.submitter(), Arc::new(vocab), template);
    let (mut right, mut asked) = (0, 0);
    for line in std::fs::read_to_string(data("questions.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let question = line["body"]["messages"][0]["content"].as_str().unwrap();
        let mut request =
            ChatRequest::new(vec![Message::new(Role::User, question)], SamplingParams::greedy());
        request.max_tokens = Some(200);
        let mut content = String::new();
        for event in session.chat(request).unwrap() {
            if let ChatEvent::Content(text) = event {
                content += &text;
            }
        }
        asked += 1;
        let expected = line["answer"].as_str().unwrap();
        if content.trim() == expected {
            right += 1;
        } else {
            println!("{question}: {content:?}, expected {expected:?}");
        }
    }
    println!("{right} of {asked} right, transformers {theirs}");
    assert_eq!(asked, 60);
    assert!(right >= theirs, "{right} right, transformers {theirs}");
}
