//! Functions, filters and number formats of templates: those of transformers, and those of Jinja2 and Python where
//! minijinja's differ.

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value, escape_formatter, filters};

use super::bound::{Bound, TEXT, WIDTH};
use super::spelled::spelled;
use super::{methods, python, walk};

/// Characters of a template's message.
const SHOWN: usize = 1000;

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(methods::call);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(print);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", tojson);
    environment.add_filter("string", string);
    environment.add_filter("join", measured(filters::join, methods::joined));
    environment.add_filter("format", measured(filters::format, methods::formatted));
    environment.add_filter("indent", indent);
    environment.add_filter("upper", of_text(filters::upper));
    environment.add_filter("lower", of_text(filters::lower));
    environment.add_filter("title", of_text(filters::title));
    environment.add_filter("capitalize", of_text(filters::capitalize));
    environment.add_filter("trim", of_text(filters::trim));
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    let shown: String = message.chars().take(SHOWN).collect();
    let more = if shown.len() < message.len() { "..." } else { "" };
    Err(Error::new(ErrorKind::InvalidOperation, shown + more))
}

/// A filter of minijinja, after a check of the size of its result.
fn measured<F, R, A>(
    filter: F,
    check: fn(&State<'_, '_>, &[Value]) -> Result<(), Error>,
) -> impl Fn(&mut State<'_, '_>, Rest<Value>) -> Result<Value, Error>
where
    F: Function<R, A>,
    R: FunctionResult,
    A: for<'a> FunctionArgs<'a>,
{
    let filter = Value::from_function(filter);
    move |state, arguments| {
        check(state, &arguments)?;
        filter.call(state, &arguments)
    }
}

/// A filter of minijinja for text, after a value of another type has become text as in Python.
fn of_text<F, R, A>(filter: F) -> impl Fn(&mut State<'_, '_>, Rest<Value>) -> Result<Value, Error>
where
    F: Function<R, A>,
    R: FunctionResult,
    A: for<'a> FunctionArgs<'a>,
{
    let filter = Value::from_function(filter);
    move |state, mut arguments| {
        if let Some(first) = arguments.first_mut() {
            *first = string(state, first)?;
        }
        filter.call(state, &arguments)
    }
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    walk::measure(state, value)?;
    match spelled(value) {
        Some(text) => Ok(out.write_str(&text)?),
        None => escape_formatter(out, state, value),
    }
}

fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    walk::measure(state, value)?;
    Ok(match spelled(value) {
        Some(text) => text.into(),
        None if value.kind() == ValueKind::String => value.clone(),
        None => value.to_string().into(),
    })
}

/// `json.dumps` with the arguments that transformers passes on.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn tojson(state: &State<'_, '_>, value: Value, options: Kwargs) -> Result<Value, Error> {
    walk::measure(state, &value)?;
    let mut spelling = python::Spelling { indent: options.get("indent")?, ..python::Spelling::default() };
    spelling.ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    spelling.sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    match options.get::<Option<Vec<String>>>("separators")? {
        Some(pair) => {
            let [comma, colon] = <[String; 2]>::try_from(pair)
                .map_err(|_| Error::new(ErrorKind::InvalidOperation, "`separators` takes two strings"))?;
            (spelling.comma, spelling.colon) = (comma, colon);
        }
        None if spelling.indent.is_some() => spelling.comma.truncate(1),
        None => {}
    }
    options.assert_all_used()?;
    if spelling.indent.is_some_and(|width| width > WIDTH) {
        return Err(Bound::Width.into());
    }
    let value = serde_json::to_value(&value).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, "the value cannot be written as JSON").with_source(error)
    })?;
    Ok(Value::from_safe_string(python::dumps_within(&value, &spelling, TEXT).ok_or(Bound::Text)?))
}

/// Jinja2's version: unlike minijinja's, it keeps a newline at the end.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn indent(
    text: String,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let by_name =
        |name, value| if value { Ok(true) } else { options.get(name).map(Option::unwrap_or_default) };
    let width = width.or(options.get("width")?).unwrap_or(4);
    let first: bool = by_name("first", first.unwrap_or(false))?;
    let blank: bool = by_name("blank", blank.unwrap_or(false))?;
    options.assert_all_used()?;
    if width > WIDTH {
        return Err(Bound::Width.into());
    }
    Bound::text(text.len().saturating_add(text.matches('\n').count().saturating_mul(width)))?;
    let margin = " ".repeat(width);
    let lines = text.split('\n').enumerate().map(|(index, line)| {
        let bare = if index == 0 { !first } else { line.is_empty() && !blank };
        if bare { line.to_owned() } else { format!("{margin}{line}") }
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// As in Jinja2, texts and dictionaries are sequences too.
fn is_sequence(value: &Value) -> bool {
    value.is_undefined() || matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(source: &str, x: serde_json::Value) -> String {
        let mut environment = Environment::new();
        install(&mut environment);
        environment
            .render_str(source, minijinja::context! { x => Value::from(minijinja::value::Serde(x)) })
            .unwrap()
    }

    #[test]
    fn json_is_formatted_as_in_python() {
        let tool = json!({"type": "function", "function": {"name": "f", "why": "<é> & 'q'"}});
        assert_eq!(
            with("{{ x | tojson }}", tool),
            r#"{"type": "function", "function": {"name": "f", "why": "<é> & 'q'"}}"#
        );
        assert_eq!(with("{{ x | tojson(indent=1) }}", json!([1, 2])), "[\n 1,\n 2\n]");
        assert_eq!(
            with("{{ x | tojson(separators=(',', ':'), sort_keys=true) }}", json!({"b": 1, "a": [1, 2]})),
            r#"{"a":[1,2],"b":1}"#
        );
        assert_eq!(with("{{ x | tojson(ensure_ascii=true) }}", json!("é")), r#""\u00e9""#);
    }

    #[test]
    fn values_are_printed_as_in_python() {
        // Each right-hand side is the output of Jinja2 3.1.
        for (value, text) in [
            (json!(1e-7), "1e-07"),
            (json!(1e16), "1e+16"),
            (json!(2.0), "2.0"),
            (json!(true), "True"),
            (json!(null), "None"),
            (json!(12_345_678_901_234_567_890_u64), "12345678901234567890"),
            (
                json!([1e-7, true, null, "it's", "a\n\"b\"", {"k": [0.5]}]),
                "[1e-07, True, None, \"it's\", 'a\\n\"b\"', {'k': [0.5]}]",
            ),
        ] {
            assert_eq!(with("{{ x }}", value.clone()), text);
            assert_eq!(with("{{ x | string + '' }}", value.clone()), text);
            assert_eq!(with("{{ x | trim }}", value.clone()), text);
            assert_eq!(with("{{ x | lower }}", value.clone()), text.to_lowercase());
            assert_eq!(with("{{ x | upper }}", value), text.to_uppercase());
        }
    }

    #[test]
    fn none_is_not_iterable_but_lists_strings_and_undefined_are() {
        for (value, answer) in
            [(json!(null), "False"), (json!([]), "True"), (json!("a"), "True"), (json!(3), "False")]
        {
            assert_eq!(with("{{ x is iterable }}", value), answer);
        }
        assert_eq!(with("{{ y is iterable }}", json!(1)), "True");
    }

    #[test]
    fn texts_and_dictionaries_are_sequences_too() {
        for (value, answer) in [
            (json!([]), "True"),
            (json!("a"), "True"),
            (json!({"a": 1}), "True"),
            (json!(null), "False"),
            (json!(3), "False"),
        ] {
            assert_eq!(with("{{ x is sequence }}", value), answer);
        }
        assert_eq!(with("{{ y is sequence }}", json!(1)), "True");
    }

    #[test]
    fn indenting_keeps_the_newline_at_the_end() {
        assert_eq!(with("{{ x | indent(2, first=true) }}", json!("a\n\nb\n")), "  a\n\n  b\n");
        assert_eq!(with("{{ x | indent(width=1, blank=true) }}", json!("a\n\nb")), "a\n \n b");
        assert_eq!(with("{{ x | indent }}", json!("a\nb")), "a\n    b");
    }
}
