//! Renders a Hugging Face chat template, with the settings and helpers transformers gives it.

use std::fmt;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, ErrorKind, Value, context};

use super::{Message, python, strftime};

/// A template that was parsed.
pub struct Template {
    environment: Environment<'static>,
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
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source.to_owned()).map_err(Error::Parse)?;
        Ok(Self { environment, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// Renders a conversation.
    ///
    /// # Errors
    ///
    /// When the template refuses it, with the template's own words as the cause.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, Error> {
        let now = options.now;
        let known = context! {
            messages => Value::from(Serde(messages)),
            tools => (!options.tools.is_empty()).then(|| Value::from(Serde(&options.tools))),
            add_generation_prompt => options.add_generation_prompt,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
            strftime_now => Value::from_function(move |format: &str| strftime::format(now, format)),
        };
        let context = context! { ..known, ..Value::from(Serde(&options.variables)) };
        self.environment.get_template(NAME).and_then(|t| t.render(context)).map_err(Error::Render)
    }
}

fn raise_exception(message: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn tojson(value: Value, options: Kwargs) -> Result<Value, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted and without effect: what transformers does by default.
    let _ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let value = serde_json::to_value(&value).map_err(|error| {
        minijinja::Error::new(ErrorKind::BadSerialization, "the value is not JSON").with_source(error)
    })?;
    Ok(Value::from_safe_string(python::dumps(&value, indent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{FunctionCall, Role, ToolCall};
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
    fn json_is_spelled_as_python_spells_it() {
        let tool = json!({"type": "function", "function": {"name": "f", "why": "<é> & 'q'"}});
        assert_eq!(
            with("{{ x | tojson }}", "x", tool),
            r#"{"type": "function", "function": {"name": "f", "why": "<é> & 'q'"}}"#
        );
        assert_eq!(with("{{ x | tojson(indent=1) }}", "x", json!([1])), "[\n 1\n]");
    }

    #[test]
    fn tool_calls_and_reasoning_reach_the_template() {
        let mut message = Message::new(Role::Assistant, "");
        message.reasoning_content = Some("hm".into());
        message.tool_calls = vec![ToolCall {
            id: None,
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
