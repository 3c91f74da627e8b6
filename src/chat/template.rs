//! Renders a Hugging Face chat template as transformers' `apply_chat_template` does.
//!
//! Intentional differences: an empty list of tools counts as no tools, text marked safe does not escape what is added to
//! it for HTML, and templates may append to a list in a namespace.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde_json::{Map, Value as Json};

use super::bound::{self, Bound, RECURSION};
use super::guard::{guarded, guarded_of_any_length};
use super::marked::{self, Palette};
use super::message::{Message, REASONING, Role};
use super::parts::NotText;
use super::probe::Probes;
use super::rendered::{Rendered, certain_source};
use super::tags::{Start, Tags};
use super::tools;
use super::{builtins, lists, observed, strftime, thread, walk};

/// A parsed template.
pub struct Template {
    environment: Environment<'static>,
    palette: Palette,
    source: String,
    /// The source that is rendered: without what other programs need.
    plain: String,
    certain_source: Arc<str>,
    switches_reasoning: bool,
    /// The names in its expressions and statements.
    names: BTreeSet<String>,
    probes: Probes,
    begin: String,
    end: String,
    #[cfg(test)]
    renders: std::sync::atomic::AtomicUsize,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("begin", &self.begin).field("end", &self.end).finish_non_exhaustive()
    }
}

/// The input of a template besides the messages.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Ends the prompt where the model's answer begins.
    pub add_generation_prompt: bool,
    /// Functions the model may call, as JSON schemas.
    pub tools: Vec<serde_json::Value>,
    /// More variables, such as `enable_thinking`.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// The present time for the template.
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

/// Why a template makes no prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template does not parse.
    #[error("the chat template cannot be parsed")]
    Parse(#[source] minijinja::Error),
    /// The template refused the conversation or failed on it.
    #[error("the chat template cannot be applied to this conversation")]
    Render(#[source] minijinja::Error),
    /// The template exceeds a limit.
    #[error("the chat template exceeds a limit")]
    Bound(#[from] Bound),
    /// There is no thread to render it on.
    #[error("cannot start a thread for the chat template")]
    Thread(#[source] std::io::Error),
    /// A part of a message is not text.
    #[error("message {number} cannot be rendered")]
    Part {
        /// The message, from one.
        number: usize,
        /// The part.
        #[source]
        part: NotText,
    },
    /// The text of a message is not in the prompt.
    #[error("the chat template leaves out message {number}, which has the role `{role}`")]
    LeftOut {
        /// The message, from one.
        number: usize,
        /// Its role.
        role: Role,
    },
}

/// The variables by which templates turn reasoning on and off.
pub const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];

const PLAIN: &str = "chat";
const MARKED: &str = "marked";

impl Template {
    /// Parses a template; `begin` and `end` are its `bos_token` and `eos_token`.
    ///
    /// # Errors
    ///
    /// When it does not parse.
    pub fn parse(source: &str, begin: &str, end: &str) -> Result<Self, Error> {
        thread::with_stack(|| Self::parse_here(source, begin, end)).map_err(Error::Thread)?
    }

    fn parse_here(source: &str, begin: &str, end: &str) -> Result<Self, Error> {
        let plain = without_generation(source);
        let guarded = guarded(&plain, syntax().map_err(Error::Parse)?)?;
        // Errors are about the text without the filters.
        parse(&plain, PLAIN, syntax().map_err(Error::Parse)?).map_err(Error::Parse)?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax().map_err(Error::Parse)?);
        environment.set_recursion_limit(RECURSION);
        builtins::install(&mut environment);
        lists::install(&mut environment, &plain);
        walk::install(&mut environment);
        environment.add_template_owned(PLAIN, guarded).map_err(Error::Parse)?;
        let read = environment.get_template(PLAIN).map_err(Error::Parse)?.undeclared_variables(false);
        let (environment, palette) = marked(environment, &plain, [begin, end], &BTreeSet::new())?;
        Ok(Self {
            environment,
            palette,
            names: names(&plain),
            certain_source: certain_source(source),
            probes: Probes::default(),
            switches_reasoning: SWITCHES.iter().any(|name| read.contains(*name) || redefines(&plain, name)),
            source: source.to_owned(),
            plain,
            begin: begin.to_owned(),
            end: end.to_owned(),
            #[cfg(test)]
            renders: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether one of the variables [`SWITCHES`] turns reasoning on and off.
    #[must_use]
    pub fn switches_reasoning(&self) -> bool {
        self.switches_reasoning
    }

    /// Whether it may read a variable. Templates that do not are not influenced by it.
    #[must_use]
    pub fn reads(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }

    /// Whether it compares with a text, such as the name of a role.
    pub(super) fn mentions(&self, text: &str) -> bool {
        ['\'', '"'].iter().any(|quote| self.source.contains(&format!("{quote}{text}{quote}")))
    }

    pub(super) fn probes(&self) -> &Probes {
        &self.probes
    }

    /// The tags of reasoning and of tool calls that answers to its prompts may have.
    #[must_use]
    pub fn tags(&self) -> Vec<&'static str> {
        let mut tags = Tags::of(&self.source).unwrap_or(Tags::THINK).tokens();
        let calls = tools::tags().filter(|tag| self.source.contains(tag));
        tags.extend(calls);
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// Whether a text is a tag of any template, or part of the source of this one.
    #[must_use]
    pub fn may_write(&self, text: &str) -> bool {
        Tags::all().chain(tools::tags()).any(|tag| tag == text) || self.source.contains(text)
    }

    /// Where the answer to a prompt begins that ends with this text.
    #[must_use]
    pub fn start(&self, prompt: &str) -> Start {
        Start::of(&self.source, self.switches_reasoning, prompt)
    }

    /// Where the answer to a rendered conversation begins.
    #[must_use]
    pub fn start_of(&self, prompt: &Rendered) -> Start {
        self.start(prompt.last_tag())
    }

    /// Renders a conversation.
    ///
    /// # Errors
    ///
    /// Those of [`Self::prompt`].
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, Error> {
        Ok(self.prompt(messages, options)?.text)
    }

    /// Renders a conversation, with the parts of the text that the template wrote.
    ///
    /// Arguments of calls that are given as text go to the template as text; where it does not repeat that text,
    /// it is rendered again with the objects that the texts hold.
    ///
    /// # Errors
    ///
    /// When the template refuses it; the cause is the template's message.
    pub fn prompt(&self, messages: &[Message], options: &RenderOptions) -> Result<Rendered, Error> {
        let given = self.prompt_as_given(messages, options);
        let repeats = |prompt: &Rendered| has_all(&prompt.text, text_arguments(messages));
        if text_arguments(messages).next().is_none() || given.as_ref().is_ok_and(repeats) {
            return given;
        }
        self.prompt_as_given(&with_objects(messages), options).or(given)
    }

    fn prompt_as_given(&self, messages: &[Message], options: &RenderOptions) -> Result<Rendered, Error> {
        #[cfg(test)]
        self.renders.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        thread::with_stack(|| self.prompt_here(messages, options)).map_err(Error::Thread)?
    }

    fn prompt_here(&self, messages: &[Message], options: &RenderOptions) -> Result<Rendered, Error> {
        let fields: Vec<_> = messages.iter().map(seen).collect();
        let given = strings(&fields, options);
        let mut taken = BTreeSet::new();
        for text in &given {
            marked::private(text, &mut taken);
        }
        let (mut environment, mut palette) = (self.environment.clone(), Cow::Borrowed(&self.palette));
        if self.palette.has_any(&taken) {
            let other = marked(environment, &self.plain, [&self.begin, &self.end], &taken)?;
            (environment, palette) = (other.0, Cow::Owned(other.1));
        }
        let steps = bound::steps(messages.len(), given.iter().map(String::len).sum());
        environment.set_fuel(Some(steps));
        let variables = |messages| self.variables(messages, options, &palette);
        match observed::render(&environment, MARKED, fields, variables) {
            Ok((text, begins)) => {
                return Ok(Rendered::new(&text, begins, &palette, Arc::clone(&self.certain_source), given));
            }
            Err(error) => {
                if let Some(bound) = Bound::of(&error, steps) {
                    return Err(bound.into());
                }
            }
        }
        // Without marks, the message of the error is the template's own; and a template that fails only with marks
        // still renders.
        let fields = messages.iter().map(seen).collect();
        let plain = Palette::default();
        let variables = |messages| self.variables(messages, options, &plain);
        let rendered = observed::render(&environment, PLAIN, fields, variables);
        let (text, begins) = rendered.map_err(|error| match Bound::of(&error, steps) {
            Some(bound) => bound.into(),
            None => Error::Render(error),
        })?;
        Ok(Rendered::new(&text, begins, &plain, Arc::clone(&self.certain_source), given))
    }

    fn variables(&self, messages: Value, options: &RenderOptions, palette: &Palette) -> Value {
        let now = options.now;
        let known = context! {
            messages,
            tools => (!options.tools.is_empty()).then(|| Value::from(Serde(&options.tools))),
            add_generation_prompt => options.add_generation_prompt,
            bos_token => palette.mark(&self.begin),
            eos_token => palette.mark(&self.end),
            strftime_now => Value::from_function(move |format: &str| strftime::format(now, format)),
        };
        let defaults = context! { documents => () };
        context! { ..known, ..Value::from(Serde(&options.variables)), ..defaults }
    }

    /// How often it was rendered.
    #[cfg(test)]
    pub(crate) fn renders(&self) -> usize {
        self.renders.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The names in the expressions and statements of a template.
fn names(source: &str) -> BTreeSet<String> {
    let name = |token| if let Token::Ident(name) = token { Some(name.to_owned()) } else { None };
    tokens(source).filter_map(name).collect()
}

/// Whether a template first sets a variable to what it makes of it, as in `set x = x | default(true)`: minijinja does not
/// say that it reads the variable.
fn redefines(source: &str, variable: &str) -> bool {
    let mut tokens = tokens(source);
    while tokens.by_ref().any(|token| matches!(token, Token::BlockStart)) {
        let mut next = || tokens.next();
        if !matches!(next(), Some(Token::Ident("set")))
            || !matches!(next(), Some(Token::Ident(name)) if name == variable)
            || !matches!(next(), Some(Token::Assign))
        {
            continue;
        }
        let mut is_attribute = false;
        let mut value = tokens.take_while(|token| !matches!(token, Token::BlockEnd));
        return value.any(|token| {
            let is_read = !is_attribute && matches!(token, Token::Ident(name) if name == variable);
            is_attribute = matches!(token, Token::Dot);
            is_read
        });
    }
    false
}

fn tokens(source: &str) -> impl Iterator<Item = Token<'_>> {
    let tokens = syntax().map(|syntax| tokenize(source, false, syntax)).into_iter().flatten().flatten();
    tokens.map(|(token, _)| token)
}

fn syntax() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
}

/// Adds the template with marks to an environment.
fn marked(
    mut environment: Environment<'static>,
    plain: &str,
    ends: [&str; 2],
    taken: &BTreeSet<char>,
) -> Result<(Environment<'static>, Palette), Error> {
    let (with_marks, palette) =
        syntax().and_then(|syntax| marked::mark(plain, syntax, ends, taken)).map_err(Error::Parse)?;
    // Marks are longer than what they stand for.
    let guarded = guarded_of_any_length(&with_marks, syntax().map_err(Error::Parse)?)?;
    environment.add_template_owned(MARKED, guarded).map_err(Error::Parse)?;
    Ok((environment, palette))
}

/// A message as a template sees it: without fields that are null, and its reasoning has every name that templates look
/// for.
fn seen(message: &Message) -> Map<String, Json> {
    let Ok(Json::Object(mut fields)) = serde_json::to_value(message) else {
        unreachable!("a message is an object with strings as keys");
    };
    fields.retain(|_, value| !value.is_null());
    let reasoning = REASONING.iter().find_map(|name| fields.get(*name).cloned());
    if let Some(reasoning) = reasoning {
        fields.entry("thinking").or_insert_with(|| reasoning.clone());
        fields.insert("reasoning_content".to_owned(), reasoning);
    }
    fields
}

/// All strings that a template is given, keys included.
fn strings(messages: &[Map<String, Json>], options: &RenderOptions) -> Vec<String> {
    fn collect(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::String(text) => out.push(text.clone()),
            Json::Array(items) => items.iter().for_each(|item| collect(item, out)),
            Json::Object(fields) => entries(fields, out),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
    fn entries(fields: &Map<String, Json>, out: &mut Vec<String>) {
        out.extend(fields.keys().cloned());
        fields.values().for_each(|value| collect(value, out));
    }
    let mut out = Vec::new();
    for fields in messages {
        entries(fields, &mut out);
    }
    for tool in &options.tools {
        collect(tool, &mut out);
    }
    entries(&options.variables, &mut out);
    out
}

fn text_arguments(messages: &[Message]) -> impl Iterator<Item = &str> {
    let calls = messages.iter().flat_map(|message| &message.tool_calls);
    calls.filter_map(|call| call.function.arguments.as_str())
}

/// Whether a text contains others, one after the other.
fn has_all<'a>(mut rest: &str, mut texts: impl Iterator<Item = &'a str>) -> bool {
    texts.all(|text| {
        let after = rest.find(text).map(|at| &rest[at + text.len()..]);
        rest = after.unwrap_or(rest);
        after.is_some()
    })
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

/// Removes `{% generation %}`, with which transformers marks the text to train on.
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
    use proptest::prelude::*;
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
        assert_eq!(
            with("{{ 'a' ~ y ~ 1e16 ~ none }}", "y", json!(["it's", 1e-7, null])),
            "a[\"it's\", 1e-07, None]1e+16None"
        );
    }

    #[test]
    fn a_template_that_gives_a_switch_a_default_has_it() {
        for (source, has_switch) in [
            ("{% if enable_thinking %}{% endif %}", true),
            ("{%- set enable_thinking = enable_thinking | default(true) -%}", true),
            ("{% set x = 1 %}{% set thinking = thinking if thinking is defined else x %}", true),
            ("{% set thinking = true %}{% set thinking = thinking and x %}", false),
            ("{% set ns = namespace(thinking=true) %}{% set thinking = ns.thinking %}", false),
            ("{{ messages[0].thinking }}", false),
        ] {
            assert_eq!(Template::parse(source, "", "").unwrap().switches_reasoning(), has_switch, "{source}");
        }
    }

    #[test]
    fn a_template_may_look_at_what_its_macros_and_blocks_write() {
        // Each right-hand side is the output of Jinja2 3.1.
        for (source, text) in [
            (
                "{% macro m(x) %}{{ x or '<none>' }}{% endmacro %}{% set y = m('') %}{{ 'no' if y == '<none>' else y }}",
                "no",
            ),
            (
                "{% macro n() %}<a>{% endmacro %}{% macro m() %}{{ n() }}{% endmacro %}{{ m() == '<a>' }}",
                "True",
            ),
            ("{% set y %}<a>{% endset %}{{ '<a>' in y }}{{ y }}", "True<a>"),
            ("{% set q = namespace() %}{% set q.x %}<a>{% endset %}{{ q.x == '<a>' }}", "True"),
            ("{% set x = 'ab' %}{% filter upper %}{{ x }}c{% endfilter %}", "ABC"),
            ("{% set y | upper %}ab{% endset %}{{ y }}", "AB"),
            ("{% macro m() %}[{{ caller() == 'x' }}]{% endmacro %}{% call m() %}x{% endcall %}", "[True]"),
        ] {
            assert_eq!(render(source, &[], &RenderOptions::default()), text, "{source}");
        }
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
    fn texts_are_looked_for_behind_the_one_before() {
        for (text, texts, expected) in [
            ("a{}b{}", &["{}", "{}"][..], true),
            ("a{}b", &["{}", "{}"], false),
            ("a{1}b{2}", &["{1}", "{2}"], true),
            ("a", &[], true),
        ] {
            assert_eq!(has_all(text, texts.iter().copied()), expected, "{text} {texts:?}");
        }
        let long = "{}".repeat(1_000_000);
        assert!(has_all(&long, long.as_bytes().chunks(2).map(|text| std::str::from_utf8(text).unwrap())));
    }

    #[test]
    fn a_refusal_has_the_message_of_the_template() {
        let template = Template::parse("{{ raise_exception('only users may write') }}", "", "").unwrap();
        let error = template.render(&[], &RenderOptions::default()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("only users may write"), "{cause}");
    }

    #[test]
    fn a_template_that_does_not_parse_is_an_error() {
        assert!(matches!(Template::parse("{% if %}", "", ""), Err(Error::Parse(_))));
    }

    #[test]
    fn the_present_time_is_that_of_the_options() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let options = RenderOptions { now, ..RenderOptions::default() };
        assert_eq!(render("{{ strftime_now('%d %b %Y') }}", &[], &options), "14 Nov 2023");
    }

    /// The bundled templates, parsed once.
    static TEMPLATES: std::sync::LazyLock<Vec<Template>> = std::sync::LazyLock::new(|| {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let forms = std::fs::read_dir(data.join("templates")).unwrap().map(|entry| entry.unwrap().path());
        let all = forms.chain([data.join("tiny-thinker/chat_template.jinja")]);
        let parse = |path| Template::parse(&std::fs::read_to_string(path).unwrap(), "<s>", "</s>").unwrap();
        all.map(parse).collect()
    });

    proptest! {
        #[test]
        fn marks_never_change_a_render(
            contents in prop::collection::vec(
                prop::collection::vec(
                    prop::sample::select(vec![
                        "<think>", "</think>", "<|im_end|>", "<seed:think>", "</seed:think>", "<tool_response>", "<", ">",
                        " ", "\n", "é", "\u{f0000}", "\u{f0007}", "{", "a", "B",
                    ]),
                    0..6,
                ),
                2..5,
            ),
        ) {
            for template in TEMPLATES.iter() {
                let roles = [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User];
                let messages: Vec<_> =
                    roles.into_iter().zip(&contents).map(|(role, parts)| Message::new(role, parts.concat())).collect();
                let options = RenderOptions::default();
                let fields = messages.iter().map(seen).collect();
                let variables = |messages| template.variables(messages, &options, &Palette::default());
                let plain = observed::render(&template.environment, PLAIN, fields, variables).ok();
                prop_assert_eq!(template.render(&messages, &options).ok(), plain.map(|(text, _)| text));
            }
        }
    }
}
