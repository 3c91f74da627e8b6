//! Variables for the chat template that a caller may set, and a warning about those without effect.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::request::{ChatRequest, ToolChoice};
use crate::chat::{SWITCHES, Template};

/// Variables that every prompt already has.
const RESERVED: [&str; 6] =
    ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "strftime_now"];

/// The variable of `reasoning_effort`, and its value for no reasoning.
pub(super) const EFFORT: &str = "reasoning_effort";
pub(super) const NO_EFFORT: &str = "none";

/// The variable would hide one that every prompt has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template variable `{name}` is reserved")]
pub struct Reserved {
    /// Its name.
    pub name: String,
}

/// Checks that none of these variables is reserved.
///
/// # Errors
///
/// With the first that is.
pub fn variables(variables: Map<String, Value>) -> Result<Map<String, Value>, Reserved> {
    match variables.keys().find(|name| RESERVED.contains(&name.as_str())) {
        Some(name) => Err(Reserved { name: name.clone() }),
        None => Ok(variables),
    }
}

/// The warnings so far: none is repeated.
#[derive(Debug, Default)]
pub(super) struct Warned {
    /// Names in requests without effect.
    names: Mutex<BTreeSet<String>>,
    syntax: AtomicBool,
    grammar: AtomicBool,
}

impl Warned {
    /// Warns about a template whose calls cannot be read.
    pub(super) fn unknown_syntax(&self) {
        if !self.syntax.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the chat template's syntax of tool calls is not supported: calls stay in the answer's text"
            );
        }
    }

    /// Warns about a grammar for an answer that may have calls.
    pub(super) fn grammar_with_tools(&self) {
        if !self.grammar.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "`grammar` applies to tool calls too: `tools` can be called only in texts that it allows"
            );
        }
    }

    /// Warns about what a template does not read of a request.
    pub(super) fn check(&self, template: &Template, request: &ChatRequest) {
        let unread = unread(template, request);
        if unread.is_empty() {
            return;
        }
        let mut warned = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in unread.into_iter().filter(|name| !warned.contains(*name)).collect::<Vec<_>>() {
            tracing::warn!("`{name}` has no effect: the chat template does not read it");
            warned.insert(name.to_owned());
        }
    }
}

/// The names in a request that a template does not read.
fn unread<'a>(template: &Template, request: &'a ChatRequest) -> Vec<&'a str> {
    let variables = &request.variables;
    // The two names of one switch are set together, and a template has at most one of them.
    let [first, second] = SWITCHES.map(|name| variables.get(name));
    let is_switch = |name: &str| first.is_some() && first == second && SWITCHES.contains(&name);
    let is_budget = |name: &str, value: &Value| name == EFFORT && value == NO_EFFORT;
    let set = variables.iter().filter(|(name, value)| !is_switch(name) && !is_budget(name, value));
    let has_tools = !request.tools.is_empty() && request.tool_choice != ToolChoice::None;
    let names = set.map(|(name, _)| name.as_str()).chain(has_tools.then_some("tools"));
    names.filter(|name| !template.reads(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SamplingParams;
    use serde_json::json;

    #[test]
    fn a_variable_that_the_template_does_not_read_is_named() {
        let names = |source: &str, variables: Value, tools: &[Value]| {
            let request = ChatRequest {
                variables: variables.as_object().unwrap().clone(),
                tools: tools.to_vec(),
                ..ChatRequest::new(Vec::new(), SamplingParams::greedy())
            };
            unread(&Template::parse(source, "", "").unwrap(), &request).join(" ")
        };
        let switch = "{% if enable_thinking is defined %}{{ tools }}{% endif %}";
        let tool = [json!({"function": {"name": "f"}})];
        for (source, variables, expected) in [
            ("", json!({"enable_thinking": false}), "enable_thinking"),
            (switch, json!({"enable_thinking": false}), ""),
            (switch, json!({"thinking": false, "mood": 1}), "thinking mood"),
            ("{# enable_thinking #}", json!({"enable_thinking": true}), "enable_thinking"),
            ("{% set x = thinking or false %}", json!({"thinking": true}), ""),
            ("", json!({"enable_thinking": false, "thinking": false}), ""),
            ("", json!({"reasoning_effort": "low"}), "reasoning_effort"),
            ("", json!({"reasoning_effort": "none"}), ""),
        ] {
            assert_eq!(names(source, variables.clone(), &[]), expected, "{source} {variables}");
        }
        assert_eq!(
            (names("", json!({}), &tool), names(switch, json!({}), &tool)),
            ("tools".to_owned(), String::new())
        );
    }

    /// Counts warnings.
    struct Count(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl tracing::Subscriber for Count {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn each_name_is_warned_about_once() {
        let count = std::sync::Arc::default();
        let request = ChatRequest {
            variables: json!({"a": 1, "b": 2}).as_object().unwrap().clone(),
            ..ChatRequest::new(Vec::new(), SamplingParams::greedy())
        };
        let (warned, template) = (Warned::default(), Template::parse("", "", "").unwrap());
        tracing::subscriber::with_default(Count(std::sync::Arc::clone(&count)), || {
            for _ in 0..3 {
                warned.check(&template, &request);
                warned.unknown_syntax();
                warned.grammar_with_tools();
            }
        });
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 4);
    }

    #[test]
    fn reserved_variables_are_refused_by_name() {
        let read = |value: Value| variables(value.as_object().unwrap().clone());
        assert!(read(json!({"enable_thinking": false, "x": 1})).is_ok());
        assert_eq!(read(json!({"x": 1, "messages": []})).unwrap_err().name, "messages");
    }
}
