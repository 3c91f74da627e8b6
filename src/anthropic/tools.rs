//! The tools of a request, and the choice among them.

use serde_json::{Map, Value, json};

use crate::openai::{Dropped, Fields, Refusal, wrong};
use crate::session::{ToolChoice, functions};

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The tools in the form of templates.
    pub(super) functions: Option<Vec<Value>>,
    pub(super) choice: Option<ToolChoice>,
    /// Allows more than one call.
    pub(super) parallel: bool,
}

/// Takes the tools and the choice.
pub(super) fn read(fields: &mut Fields, dropped: &mut Dropped) -> Result<Tools, Refusal> {
    let (choice, parallel) = choice(fields)?;
    let Some(list) = fields.list("tools")? else { return Ok(Tools { functions: None, choice, parallel }) };
    let mut wrapped = Vec::new();
    let mut is_strict = false;
    for (index, tool) in list.into_iter().enumerate() {
        let function = function(tool, &mut is_strict, dropped);
        let shape =
            |reason| Refusal::Shape { field: "tools", reason: format!("tool {}: {reason}", index + 1) };
        wrapped.extend(function.map_err(shape)?);
    }
    dropped.strict(is_strict, choice.as_ref());
    Ok(Tools { functions: Some(functions(wrapped)?), choice, parallel })
}

/// A tool in the form of templates; `None` if it is of a type that only the service itself runs or defines.
fn function(tool: Value, is_strict: &mut bool, dropped: &mut Dropped) -> Result<Option<Value>, String> {
    let mut fields = Fields::of_value(tool)?;
    match fields.take("type") {
        None => {}
        Some(Value::String(kind)) if kind == "custom" => {}
        Some(kind) => {
            dropped.add(&format!("tools.{}", kind.as_str().unwrap_or("type")));
            return Ok(None);
        }
    }
    let said = |refusal: Refusal| refusal.to_string();
    let name = fields.text("name").map_err(said)?.filter(|name| !name.is_empty());
    let name = name.ok_or("`name` is missing")?;
    let mut function = Map::new();
    function.insert("name".to_owned(), Value::String(name));
    if let Some(description) = fields.text("description").map_err(said)? {
        function.insert("description".to_owned(), Value::String(description));
    }
    let schema = fields.object("input_schema").map_err(said)?.ok_or("`input_schema` is missing")?;
    function.insert("parameters".to_owned(), Value::Object(schema));
    fields.take("cache_control");
    *is_strict |= fields.truth("strict").map_err(said)? == Some(true);
    dropped.within("tools", fields);
    Ok(Some(json!({ "type": "function", "function": function })))
}

/// The choice, and whether there may be more than one call.
fn choice(fields: &mut Fields) -> Result<(Option<ToolChoice>, bool), Refusal> {
    let Some(whole) = fields.object("tool_choice")? else { return Ok((None, true)) };
    let mut choice = fields.of_object("tool_choice", whole.clone());
    let refused =
        || wrong("tool_choice", &Value::Object(whole.clone()), "type auto, any, tool with a name, or none");
    let kind = choice.take("type");
    let found = match kind.as_ref().and_then(Value::as_str) {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => ToolChoice::Function(choice.text("name").ok().flatten().ok_or_else(refused)?),
        _ => return Err(refused()),
    };
    let disabled = choice.truth("disable_parallel_tool_use")?;
    fields.within(choice);
    Ok((Some(found), !disabled.unwrap_or(false)))
}
