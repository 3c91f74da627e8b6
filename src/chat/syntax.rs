//! Finds the format of a template's calls: the one in which a call that the template wrote is read as that call.

use serde_json::{Value, json};

use super::answer::AnswerParser;
use super::delta::Delta;
use super::message::{Content, FunctionCall, Message, Role};
use super::probe::{PROBES, calls};
use super::tags::{Start, Tags};
use super::template::{RenderOptions, Template};
use super::tools::ToolFormat;

/// The names of a function and an argument that no template writes.
const CALL: [&str; 2] = ["qzcallqz", "qzkeyqz"];

impl Template {
    /// The format of calls in its conversations; `None` if it has none that is supported, or there are no tools to call.
    ///
    /// A template that writes no calls has the format that its texts fit.
    #[must_use]
    pub fn tool_format(&self, tools: &[Value]) -> Option<ToolFormat> {
        let find = || match self.written_call() {
            Some(answer) => ToolFormat::ALL.into_iter().find(|format| reads(*format, &answer)),
            None => ToolFormat::of(self.source()),
        };
        (!tools.is_empty()).then(|| self.probes().format(find)).flatten()
    }

    /// An answer with a call as the template writes it; `None` if it writes no calls.
    fn written_call(&self) -> Option<String> {
        let options = RenderOptions { add_generation_prompt: false, ..RenderOptions::default() };
        let render =
            |answer: Message| self.render(&[Message::new(Role::User, PROBES[0]), answer], &options).ok();
        let text = render(calls(Content::Text(String::new()), &[call()]))?;
        let answer = text.rsplit_once(PROBES[0]).map_or(text.as_str(), |(_, answer)| answer);
        // A call without a tag begins where an answer does.
        let plain = render(Message::new(Role::Assistant, PROBES[1])).unwrap_or_default();
        let begin = plain.split_once(PROBES[0]).and_then(|(_, rest)| rest.split_once(PROBES[1]));
        let answer = begin.and_then(|(begin, _)| answer.strip_prefix(begin)).unwrap_or(answer);
        answer.contains(CALL[0]).then(|| answer.to_owned())
    }
}

/// Whether the only call in a text is the one that was rendered.
fn reads(format: ToolFormat, text: &str) -> bool {
    let mut parser =
        AnswerParser::new(Start::MidContent(Tags::THINK), Some(format), &[json!({"name": CALL[0]})]);
    let parts = [parser.push(text), parser.finish()].concat();
    let calls = parts.into_iter().filter_map(|part| match part {
        Delta::ToolCall(call) => Some(call),
        Delta::Content(_) | Delta::Between(_) | Delta::Reasoning(_) => None,
    });
    format.is_tagged(text) && calls.eq([call()])
}

fn call() -> FunctionCall {
    FunctionCall { name: CALL[0].to_owned(), arguments: json!({CALL[1]: PROBES[1]}) }
}
