//! The events of an answer as those of a response, and a whole answer as its body.

use serde_json::{Map, Value, json};

use super::item::{Item, Kind, part};
use crate::chat::ToolCall;
use crate::engine::{FinishReason, Timings};
use crate::openai::error::ApiError;
use crate::openai::parts::{progress, timings};
use crate::session::{Answer, ChatEvent, ChatUsage};

/// What is known of a response before its output.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseHead {
    /// The random part of its id and of the ids of its items.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The name of the model.
    pub model: String,
    /// Fields of the request that it repeats.
    pub repeated: Map<String, Value>,
    /// Whether the progress of the prompt is reported.
    pub progress: bool,
    /// Whether `encrypted_content` has the reasoning.
    pub carries_reasoning: bool,
}

impl ResponseHead {
    /// Its id.
    #[must_use]
    pub fn full_id(&self) -> String {
        format!("resp_{}", self.id)
    }
}

/// Turns the events of an answer into those of a response.
#[derive(Debug)]
pub struct Events {
    head: ResponseHead,
    sequence: u64,
    items: Vec<Item>,
    /// Whether the last item may get more text.
    is_open: bool,
}

/// The status of a response.
enum Status<'a> {
    InProgress,
    Finished(FinishReason, ChatUsage, Timings),
    Failed(&'a ApiError),
}

impl Events {
    /// For the answer of this response.
    #[must_use]
    pub fn new(head: ResponseHead) -> Self {
        Self { head, sequence: 0, items: Vec::new(), is_open: false }
    }

    /// The events before the first event of the answer.
    pub fn begin(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        for kind in ["response.created", "response.in_progress"] {
            let response = self.response(&Status::InProgress);
            self.push(&mut all, kind, json!({ "response": response }));
        }
        all
    }

    /// The events for an event of the answer. The last one is the response, with its timings beside it.
    pub fn event(&mut self, event: &ChatEvent) -> Vec<Value> {
        let mut all = Vec::new();
        match event {
            &ChatEvent::Progress { total, reused, read } => {
                if self.head.progress {
                    let response = self.response(&Status::InProgress);
                    let progress = progress(total, reused, read);
                    let fields = json!({ "response": response, "prompt_progress": progress });
                    self.push(&mut all, "response.in_progress", fields);
                }
            }
            ChatEvent::Reasoning(text) => self.reasoning(text, &mut all),
            ChatEvent::Content(text) => self.content(text, &mut all),
            ChatEvent::ToolCall(call) => self.call(call, &mut all),
            ChatEvent::Finished { reason, usage, timings: took } => {
                let is_whole = matches!(reason, FinishReason::Stop | FinishReason::StopString(_));
                if self.is_open && !is_whole {
                    self.items.last_mut().into_iter().for_each(Item::cut);
                }
                self.close(&mut all);
                let response = self.response(&Status::Finished(*reason, *usage, *took));
                let kind = if is_whole { "response.completed" } else { "response.incomplete" };
                let fields = json!({ "response": response, "timings": timings(&[(*usage, *took)], 1) });
                self.push(&mut all, kind, fields);
            }
            ChatEvent::Failed(error) => return self.fail(&ApiError::from(error)),
        }
        all
    }

    /// The last event of a response that failed.
    pub fn fail(&mut self, error: &ApiError) -> Vec<Value> {
        let mut all = Vec::new();
        if self.is_open {
            self.items.last_mut().into_iter().for_each(Item::cut);
        }
        let response = self.response(&Status::Failed(error));
        self.push(&mut all, "response.failed", json!({ "response": response }));
        all
    }

    /// A whole answer as the response, in the place of its events.
    #[must_use]
    pub fn whole(&mut self, answer: &Answer) -> Value {
        let Answer { reasoning, content, tool_calls, call_places, reason, usage, timings: took, .. } = answer;
        let text =
            |from: usize, to: usize| ChatEvent::Content(content.get(from..to).unwrap_or_default().to_owned());
        let mut events = vec![ChatEvent::Reasoning(reasoning.clone())];
        let mut written = 0;
        for (call, place) in tool_calls.iter().zip(call_places) {
            events.extend([text(written, *place), ChatEvent::ToolCall(call.clone())]);
            written = *place;
        }
        events.push(text(written, content.len()));
        for event in events {
            self.event(&event);
        }
        let mut last = self.event(&ChatEvent::Finished { reason: *reason, usage: *usage, timings: *took });
        let mut last = last.pop().unwrap_or_default();
        let mut response = last["response"].take();
        response["timings"] = last["timings"].take();
        response
    }

    fn reasoning(&mut self, text: &str, all: &mut Vec<Value>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open(), Some(Kind::Reasoning(_))) {
            self.begin_item(Kind::Reasoning(String::new()), all);
        }
        if let Some(Kind::Reasoning(whole)) = self.open() {
            whole.push_str(text);
        }
        let fields = self.fields(json!({ "content_index": 0, "delta": text }));
        self.push(all, "response.reasoning_text.delta", fields);
    }

    fn content(&mut self, text: &str, all: &mut Vec<Value>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open(), Some(Kind::Message(_))) {
            self.begin_item(Kind::Message(String::new()), all);
            let fields = self.fields(json!({ "content_index": 0, "part": part("") }));
            self.push(all, "response.content_part.added", fields);
        }
        if let Some(Kind::Message(whole)) = self.open() {
            whole.push_str(text);
        }
        let fields = self.fields(json!({ "content_index": 0, "delta": text, "logprobs": [] }));
        self.push(all, "response.output_text.delta", fields);
    }

    fn call(&mut self, call: &ToolCall, all: &mut Vec<Value>) {
        self.begin_item(Kind::Call(call.clone()), all);
        let arguments = call.function.arguments_text();
        let fields = self.fields(json!({ "delta": arguments }));
        self.push(all, "response.function_call_arguments.delta", fields);
        self.close(all);
    }

    /// The item that may get more text.
    fn open(&mut self) -> Option<&mut Kind> {
        if self.is_open { self.items.last_mut().map(Item::kind_mut) } else { None }
    }

    fn begin_item(&mut self, kind: Kind, all: &mut Vec<Value>) {
        self.close(all);
        let item = Item::new(&self.head.id, self.items.len(), kind, self.head.carries_reasoning);
        let begun = item.begun();
        self.items.push(item);
        self.is_open = true;
        let index = self.items.len() - 1;
        self.push(all, "response.output_item.added", json!({ "output_index": index, "item": begun }));
    }

    /// Ends the open item.
    fn close(&mut self, all: &mut Vec<Value>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let Some(item) = self.items.last().cloned() else { return };
        match item.kind() {
            Kind::Reasoning(text) => {
                let fields = self.fields(json!({ "content_index": 0, "text": text }));
                self.push(all, "response.reasoning_text.done", fields);
            }
            Kind::Message(text) => {
                let fields = self.fields(json!({ "content_index": 0, "text": text, "logprobs": [] }));
                self.push(all, "response.output_text.done", fields);
                let fields = self.fields(json!({ "content_index": 0, "part": part(text) }));
                self.push(all, "response.content_part.done", fields);
            }
            Kind::Call(call) => {
                let fields =
                    json!({ "name": call.function.name, "arguments": call.function.arguments_text() });
                let fields = self.fields(fields);
                self.push(all, "response.function_call_arguments.done", fields);
            }
        }
        let index = self.items.len() - 1;
        self.push(all, "response.output_item.done", json!({ "output_index": index, "item": item.whole() }));
    }

    /// Fields of an event of the last item.
    fn fields(&self, mut fields: Value) -> Value {
        if let Some(item) = self.items.last() {
            fields["item_id"] = json!(item.id());
            fields["output_index"] = json!(self.items.len() - 1);
        }
        fields
    }

    /// Adds an event with the next number.
    fn push(&mut self, all: &mut Vec<Value>, kind: &str, fields: Value) {
        let mut event = json!({ "type": kind, "sequence_number": self.sequence });
        self.sequence += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        all.push(event);
    }

    fn response(&self, at: &Status<'_>) -> Value {
        let ResponseHead { created, model, repeated, .. } = &self.head;
        let (status, error, details, usage, completed) = match at {
            Status::InProgress => ("in_progress", Value::Null, Value::Null, Value::Null, None),
            Status::Failed(error) => ("failed", failure(error), Value::Null, Value::Null, None),
            Status::Finished(reason, total, took) => {
                let (status, details) = match reason {
                    FinishReason::Stop | FinishReason::StopString(_) => ("completed", Value::Null),
                    FinishReason::Length | FinishReason::Context => {
                        ("incomplete", json!({ "reason": "max_output_tokens" }))
                    }
                    FinishReason::Cancelled => ("cancelled", Value::Null),
                };
                let end = created.saturating_add((took.time_to_first_token() + took.decode).as_secs());
                (status, Value::Null, details, usage(total), (status == "completed").then_some(end))
            }
        };
        let mut response = json!({
            "id": self.head.full_id(),
            "object": "response",
            "created_at": created,
            "completed_at": completed,
            "status": status,
            "background": false,
            "error": error,
            "incomplete_details": details,
            "model": model,
            "output": self.items.iter().map(Item::whole).collect::<Vec<_>>(),
            "previous_response_id": null,
            "store": false,
            "truncation": "disabled",
            "usage": usage,
        });
        if let Value::Object(response) = &mut response {
            response.extend(repeated.clone());
        }
        response
    }
}

fn usage(usage: &ChatUsage) -> Value {
    let total = usage.total;
    json!({
        "input_tokens": total.prompt_tokens,
        "input_tokens_details": { "cached_tokens": total.reused_tokens, "cache_write_tokens": 0 },
        "output_tokens": total.completion_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
        "total_tokens": total.prompt_tokens.saturating_add(total.completion_tokens),
    })
}

/// The error of a failed response: an error of the server has another name here.
fn failure(error: &ApiError) -> Value {
    let code = if error.code.status() >= 500 { "server_error" } else { error.code.name() };
    json!({ "code": code, "message": error.message })
}
