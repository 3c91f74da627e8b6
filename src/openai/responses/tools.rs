//! The functions of a request and the choice among them. Tools of other types are left out: clients send them unasked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::openai::fields::{Dropped, Fields, wrong};
use crate::openai::options::{is_strict, mode, named};
use crate::openai::refusal::Refusal;
use crate::session::{ToolChoice, functions};

/// Fields of a function that templates read.
const FUNCTION: [&str; 4] = ["name", "description", "parameters", "strict"];
/// The forms of `tool_choice`.
const CHOICES: &str = "none, auto, required, a named function or allowed functions";

/// Functions and the choice among them.
pub(super) struct Tools {
    /// The functions, in the form that templates expect.
    pub(super) functions: Option<Vec<Value>>,
    pub(super) choice: Option<ToolChoice>,
    /// The functions as the response repeats them.
    pub(super) shown: Vec<Value>,
    /// The choice as the response repeats it.
    pub(super) shown_choice: Value,
}

/// Takes `tools` and `tool_choice`.
pub(super) fn read(fields: &mut Fields, dropped: &mut Dropped) -> Result<Tools, Refusal> {
    let list = fields.list("tools")?;
    let has_tools = list.is_some();
    let mut wrapped = Vec::new();
    for (index, tool) in list.into_iter().flatten().enumerate() {
        let function = function(tool, dropped);
        let shape =
            |reason| Refusal::Shape { field: "tools", reason: format!("tool {}: {reason}", index + 1) };
        wrapped.extend(function.map_err(shape)?);
    }
    let mut functions = functions(wrapped)?;
    let shown = functions.iter().map(repeated).collect();
    let is_strict = functions.iter().any(is_strict);
    let (choice, shown_choice) = choice(fields, &mut functions, dropped)?;
    dropped.strict(is_strict, choice.as_ref());
    Ok(Tools { functions: has_tools.then_some(functions), choice, shown, shown_choice })
}

/// A function without its type, or as chat completions have it; `None` if it is a tool of another type.
fn function(tool: Value, dropped: &mut Dropped) -> Result<Option<Value>, String> {
    let mut tool = Fields::of_value(tool)?;
    match tool.take("type") {
        None => {}
        Some(Value::String(kind)) if kind == "function" => {}
        Some(Value::String(kind)) => {
            dropped.add(&format!("tools.{kind}"));
            return Ok(None);
        }
        Some(_) => return Err("`type` is not a string".to_owned()),
    }
    let function = match tool.take("function") {
        Some(function @ Value::Object(_)) => json!({ "type": "function", "function": function }),
        other => {
            if other.is_some() {
                dropped.add("tools.function");
            }
            let kept = FUNCTION.into_iter().filter_map(|name| Some((name.to_owned(), tool.take(name)?)));
            Value::Object(kept.collect())
        }
    };
    dropped.within("tools", tool);
    Ok(Some(function))
}

/// A function as a response repeats it.
fn repeated(function: &Value) -> Value {
    let mut shown = json!({ "type": "function", "parameters": null, "strict": null });
    if let (Value::Object(shown), Some(fields)) = (&mut shown, function["function"].as_object()) {
        shown.extend(fields.clone());
    }
    shown
}

/// The choice, and as the response repeats it. Functions that are not allowed are removed.
fn choice(
    fields: &mut Fields,
    functions: &mut Vec<Value>,
    dropped: &mut Dropped,
) -> Result<(Option<ToolChoice>, Value), Refusal> {
    let Some(value) = fields.take("tool_choice") else { return Ok((None, json!("auto"))) };
    let refused = || wrong("tool_choice", &value, CHOICES);
    let object = match &value {
        Value::String(name) => return Ok((Some(mode(name).ok_or_else(refused)?), value)),
        Value::Object(object) => object,
        _ => return Err(refused()),
    };
    let mut choice = fields.of_object("tool_choice", object.clone());
    let found = match choice.text("type").ok().flatten().as_deref() {
        Some("function") => {
            let name = name(&mut choice).ok_or_else(refused)?;
            let shown = json!({ "type": "function", "name": name });
            (Some(ToolChoice::Function(name)), shown)
        }
        Some("allowed_tools") => {
            allow(&mut choice, functions, dropped)?;
            let mode = choice.text("mode")?.as_deref().and_then(mode);
            let mode = mode.filter(|choice| *choice != ToolChoice::None).ok_or_else(refused)?;
            (Some(mode), value)
        }
        _ => return Err(refused()),
    };
    fields.within(choice);
    Ok(found)
}

/// The name of the function that an object names, in the form of either API.
fn name(object: &mut Fields) -> Option<String> {
    object.text("name").ok().flatten().or_else(|| named(object))
}

/// Removes the functions that are not in the list of those that are allowed. Tools of other types were left out before.
fn allow(choice: &mut Fields, functions: &mut Vec<Value>, dropped: &mut Dropped) -> Result<(), Refusal> {
    let list = choice.list("tools")?.ok_or(Refusal::Missing { field: "tool_choice.tools" })?;
    let known: BTreeSet<&str> =
        functions.iter().filter_map(|function| function["function"]["name"].as_str()).collect();
    let mut allowed = BTreeSet::new();
    for tool in list {
        let refused = |expected| choice.wrong("tools", &tool, expected);
        let mut fields = Fields::of_value(tool.clone()).map_err(|_| refused("a list of named functions"))?;
        match fields.take("type") {
            Some(kind) if kind != "function" => {
                dropped.add(&format!("tool_choice.tools.{}", kind.as_str().unwrap_or("type")));
                continue;
            }
            _ => {}
        }
        let name = name(&mut fields).ok_or_else(|| refused("a list of named functions"))?;
        if !known.contains(name.as_str()) {
            return Err(refused("functions of `tools`"));
        }
        dropped.within("tool_choice.tools", fields);
        allowed.insert(name);
    }
    functions
        .retain(|function| function["function"]["name"].as_str().is_some_and(|name| allowed.contains(name)));
    Ok(())
}
