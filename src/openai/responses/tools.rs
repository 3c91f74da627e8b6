//! The functions of a request and the choice among them. Tools of other types are left out: clients send them unasked.

use serde_json::{Map, Value, json};

use crate::openai::fields::{Dropped, Fields, wrong};
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
    let mut shown = Vec::new();
    for (index, tool) in list.into_iter().flatten().enumerate() {
        let shape =
            |reason| Refusal::Shape { field: "tools", reason: format!("tool {}: {reason}", index + 1) };
        let Value::Object(tool) = tool else { return Err(shape("it is not an object")) };
        match tool.get("type") {
            Some(Value::String(kind)) if kind != "function" => dropped.add(&format!("tools.{kind}")),
            None | Some(Value::String(_)) => {
                let function = function(tool, fields);
                shown.push(repeated(&function));
                wrapped.push(function);
            }
            Some(_) => return Err(shape("`type` is not a string")),
        }
    }
    let shape =
        |error: crate::session::NotAFunction| Refusal::Shape { field: "tools", reason: error.to_string() };
    let mut functions = functions(wrapped).map_err(shape)?;
    let value = fields.take("tool_choice");
    let choice = match &value {
        None => None,
        Some(value) => {
            Some(choice(value, &mut functions).ok_or_else(|| wrong("tool_choice", value, CHOICES))?)
        }
    };
    let shown_choice = match (&choice, value) {
        (Some(ToolChoice::Function(name)), _) => json!({ "type": "function", "name": name }),
        (_, value) => value.unwrap_or_else(|| json!("auto")),
    };
    Ok(Tools { functions: has_tools.then_some(functions), choice, shown, shown_choice })
}

/// A function without its type, or as chat completions have it.
fn function(mut tool: Map<String, Value>, fields: &mut Fields) -> Value {
    tool.shift_remove("type");
    if let Some(Value::Object(_)) = tool.get("function") {
        return json!({ "type": "function", "function": tool["function"] });
    }
    let mut tool = Fields::new(tool);
    let kept = FUNCTION.into_iter().filter_map(|name| Some((name.to_owned(), tool.take(name)?)));
    let function = Value::Object(kept.collect());
    fields.within("tools", tool);
    function
}

/// A function as a response repeats it, whatever its form.
fn repeated(function: &Value) -> Value {
    let mut shown = json!({ "type": "function", "parameters": null, "strict": null });
    let fields = function.get("function").unwrap_or(function).as_object();
    if let (Value::Object(shown), Some(fields)) = (&mut shown, fields) {
        shown.extend(fields.clone());
    }
    shown
}

/// The choice. Functions that are not allowed are removed.
fn choice(value: &Value, functions: &mut Vec<Value>) -> Option<ToolChoice> {
    let mode = |name: &str| match name {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    };
    let object = match value {
        Value::String(name) => return mode(name),
        Value::Object(object) => object,
        _ => return None,
    };
    match object.get("type").and_then(Value::as_str)? {
        "function" => {
            let named = object.get("name").or_else(|| object.get("function")?.get("name"))?;
            Some(ToolChoice::Function(named.as_str()?.to_owned()))
        }
        "allowed_tools" => {
            let allowed = object.get("tools")?.as_array()?;
            let is_allowed = |function: &Value| {
                let name = &function["function"]["name"];
                allowed.iter().any(|tool| tool.get("name") == Some(name))
            };
            functions.retain(is_allowed);
            mode(object.get("mode")?.as_str()?).filter(|choice| *choice != ToolChoice::None)
        }
        _ => None,
    }
}
