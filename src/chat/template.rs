//! Renders a Hugging Face chat template as transformers' `apply_chat_template` does.
//!
//! Different on purpose: an empty list of tools counts as none, and text marked safe does not escape what is added to
//! it for HTML. Different because minijinja has no place for it: floats of very large or very small size under `~`.

use std::fmt;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};

use super::{Message, builtins, strftime};

/// A template that was parsed.
pub struct Template {
    environment: Environment<'static>,
    source: String,
    switches_thinking: bool,
    begin: String,
    end: String,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("begin", &self.begin).field("end", &self.end).finish_non_exhaustive()
    }
}

/// What a template is told besides the messages.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Whether the prompt ends where the model's answer begins.
    pub add_generation_prompt: bool,
    /// Functions the model may call, as JSON schemas.
    pub tools: Vec<serde_json::Value>,
    /// More variables, such as `enable_thinking`.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// What a template takes for the present.
    pub now: SystemTime,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            tools: Vec::new(),
            variables: serde_json::Map::new(),
            now: SystemTime::UNIX_EPOCH,
        }
    }
}

/// Why there is no prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template is not one.
    #[error("the chat template cannot be parsed")]
    Parse(#[source] minijinja::Error),
    /// The template refused the conversation or broke on it.
    #[error("the chat template cannot be applied to this conversation")]
    Render(#[source] minijinja::Error),
}

/// The variables by which templates are told whether the model is to think.
pub const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];

const NAME: &str = "chat";

impl Template {
    /// Parses a template; `begin` and `end` are what it knows as `bos_token` and `eos_token`.
    ///
    /// # Errors
    ///
    /// When it is not a template.
    pub fn parse(source: &str, begin: &str, end: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(Error::Parse)?,
        );
        builtins::install(&mut environment);
        environment.add_template_owned(NAME, without_generation(source)).map_err(Error::Parse)?;
        let asked = environment.get_template(NAME).map_err(Error::Parse)?.undeclared_variables(false);
        Ok(Self {
            environment,
            source: source.to_owned(),
            switches_thinking: SWITCHES.iter().any(|name| asked.contains(*name)),
            begin: begin.to_owned(),
            end: end.to_owned(),
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether one of the variables [`SWITCHES`] tells it if the model is to think.
    #[must_use]
    pub fn switches_thinking(&self) -> bool {
        self.switches_thinking
    }

    /// Renders a conversation.
    ///
    /// Arguments of calls that are given as text go to the template as text; where it does not repeat that text,
    /// they go to it as the objects they hold.
    ///
    /// # Errors
    ///
    /// When the template refuses it, with the template's own words as the cause.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, Error> {
        let given = self.render_as_given(messages, options);
        let repeats = |prompt: &String| text_arguments(messages).all(|text| prompt.contains(text));
        if text_arguments(messages).next().is_none() || given.as_ref().is_ok_and(repeats) {
            return given;
        }
        self.render_as_given(&with_objects(messages), options).or(given)
    }

    fn render_as_given(&self, messages: &[Message], options: &RenderOptions) -> Result<String, Error> {
        let now = options.now;
        let known = context! {
            messages => messages.iter().map(seen).collect::<Vec<_>>(),
            tools => (!options.tools.is_empty()).then(|| Value::from(Serde(&options.tools))),
            add_generation_prompt => options.add_generation_prompt,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
            strftime_now => Value::from_function(move |format: &str| strftime::format(now, format)),
        };
        let unsaid = context! { documents => () };
        let context = context! { ..known, ..Value::from(Serde(&options.variables)), ..unsaid };
        self.environment.get_template(NAME).and_then(|t| t.render(context)).map_err(Error::Render)
    }
}

/// A message as a template sees it: what was thought goes by every name that templates look for.
fn seen(message: &Message) -> Value {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(message) else {
        return Value::from(Serde(message));
    };
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(thought) = names.iter().find_map(|name| fields.get(*name).filter(|v| !v.is_null()).cloned()) {
        fields.entry("thinking").or_insert_with(|| thought.clone());
        fields.insert("reasoning_content".to_owned(), thought);
    }
    Value::from(Serde(fields))
}

fn text_arguments(messages: &[Message]) -> impl Iterator<Item = &str> {
    let calls = messages.iter().flat_map(|message| &message.tool_calls);
    calls.filter_map(|call| call.function.arguments.as_str())
}

fn with_objects(messages: &[Message]) -> Vec<Message> {
    let mut messages = messages.to_vec();
    for call in messages.iter_mut().flat_map(|message| &mut message.tool_calls) {
        let object = call.function.arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        if let Some(object @ serde_json::Value::Object(_)) = object {
            call.function.arguments = object;
        }
    }
    messages
}

/// Takes out `{% generation %}`, with which transformers marks what to train on.
fn without_generation(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let inside = tag.trim_start_matches(['-', '+']).trim_start();
        for (word, instead) in [("generation", "if true"), ("endgeneration", "endif")] {
            let after = inside
                .strip_prefix(word)
                .filter(|after| after.trim_start().trim_start_matches(['-', '+']).starts_with("%}"));
            if let Some(after) = after {
                out.push_str(&tag[..tag.len() - inside.len()]);
                out.push_str(instead);
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{FunctionCall, Role, ToolCall, ToolKind};
    use serde_json::json;
    use std::time::Duration;

    fn render(source: &str, messages: &[Message], options: &RenderOptions) -> String {
        Template::parse(source, "<s>", "</s>").unwrap().render(messages, options).unwrap()
    }

    fn with(source: &str, name: &str, value: serde_json::Value) -> String {
        let mut options = RenderOptions::default();
        options.variables.insert(name.to_owned(), value);
        render(source, &[], &options)
    }

    #[test]
    fn blocks_take_their_lines_with_them() {
        let source = "{{ bos_token }}\n  {% for m in messages %}\n{{ m.role }}: {{ m.content }}\n  {% endfor %}\nend\n";
        let messages = [Message::new(Role::User, "hi <b>"), Message::new(Role::Assistant, "ho")];
        assert_eq!(
            render(source, &messages, &RenderOptions::default()),
            "<s>\nuser: hi <b>\nassistant: ho\nend"
        );
    }

    #[test]
    fn python_methods_and_slices_work() {
        for (source, text) in [
            ("{{ x.split('</t>')[-1].lstrip('\n') }}", "b"),
            ("{{ x.split('</t>')[0].split('<t>')[-1].strip('\n') }}", "a"),
            ("{{ x.startswith('<t>') }} {{ x[3:4] }}", "True \n"),
            ("{%- for m in [1, 2, 3][::-1] %}{{ m }}{% endfor %}", "321"),
            (
                "{% set ns = namespace(n=0) %}{% for c in 'ab' %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
                "2",
            ),
        ] {
            assert_eq!(with(source, "x", json!("<t>\na\n</t>\n\nb")), text, "{source}");
        }
        assert_eq!(
            with("{% for k, v in y.items() %}{{ k }}={{ v }};{% endfor %}", "y", json!({"b": 1, "a": 2})),
            "b=1;a=2;"
        );
    }

    #[test]
    fn tool_calls_and_reasoning_reach_the_template() {
        let mut message = Message::new(Role::Assistant, "");
        message.reasoning_content = Some("hm".into());
        message.tool_calls = vec![ToolCall {
            id: None,
            kind: ToolKind::Function,
            function: FunctionCall { name: "f".into(), arguments: json!({"a": 1}) },
        }];
        let source = "{% for m in messages %}{{ m.reasoning_content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";
        assert_eq!(render(source, &[message], &RenderOptions::default()), r#"hmf{"a": 1}"#);
        assert_eq!(render(source, &[Message::new(Role::User, "x")], &RenderOptions::default()), "");
    }

    #[test]
    fn a_template_can_refuse_in_its_own_words() {
        let template = Template::parse("{{ raise_exception('only users may speak') }}", "", "").unwrap();
        let error = template.render(&[], &RenderOptions::default()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("only users may speak"), "{cause}");
    }

    #[test]
    fn a_template_that_is_none_is_an_error() {
        assert!(matches!(Template::parse("{% if %}", "", ""), Err(Error::Parse(_))));
    }

    #[test]
    fn the_present_is_what_it_is_told() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let options = RenderOptions { now, ..RenderOptions::default() };
        assert_eq!(render("{{ strftime_now('%d %b %Y') }}", &[], &options), "14 Nov 2023");
    }
}
