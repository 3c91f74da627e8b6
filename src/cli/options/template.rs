//! What the chat template is told besides the conversation: tools, variables, whether to think.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use ggrun::chat::{SWITCHES, Tags, Template};
use ggrun::session::ChatRequest;
use serde_json::{Map, Value, json};

/// Options of every command that talks to a model.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TemplateArgs {
    /// A JSON list of functions the model may call, each with name, description and parameters.
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// More variables for the chat template, such as `{"reasoning_effort": "low"}`.
    #[arg(long, value_name = "JSON", value_parser = variables, env = "LLAMA_ARG_CHAT_TEMPLATE_KWARGS")]
    pub(crate) chat_template_kwargs: Option<Map<String, Value>>,
    /// Whether the model thinks before it answers, where its template leaves the choice (also -rea).
    #[arg(long, value_enum, default_value_t, env = "LLAMA_ARG_REASONING")]
    pub(crate) reasoning: Reasoning,
}

/// Whether a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Reasoning {
    /// It does.
    On,
    /// It does not.
    Off,
    /// As the template has it.
    #[default]
    Auto,
}

impl TemplateArgs {
    /// The functions of the file, as templates expect them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is something else.
    pub(crate) fn read_tools(&self) -> anyhow::Result<Vec<Value>> {
        self.tools.as_deref().map_or_else(|| Ok(Vec::new()), read)
    }

    /// Adds the variables to a request.
    ///
    /// # Errors
    ///
    /// When the template cannot do what is asked about thinking.
    pub(crate) fn apply(&self, template: &Template, request: &mut ChatRequest) -> anyhow::Result<()> {
        match self.reasoning {
            Reasoning::Off if !template.switches_thinking() => {
                bail!("the chat template has no switch for thinking; `--thinking hide` hides it");
            }
            Reasoning::On if Tags::of(template).is_none() => {
                bail!("the chat template knows no thinking, so it cannot be switched on");
            }
            Reasoning::Auto => {}
            choice => {
                let on = Value::Bool(choice == Reasoning::On);
                request.variables.extend(SWITCHES.map(|name| (name.to_owned(), on.clone())));
            }
        }
        request.variables.extend(self.chat_template_kwargs.clone().unwrap_or_default());
        Ok(())
    }
}

fn variables(text: &str) -> Result<Map<String, Value>, String> {
    let variables: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| "expected a JSON object".to_owned())?;
    let taken = ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "strftime_now"];
    match taken.iter().find(|name| variables.contains_key(**name)) {
        Some(name) => Err(format!("`{name}` is not for the user to set")),
        None => Ok(variables),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read tools from `{}`", path.display()))?;
    let tools: Vec<Value> = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is not a JSON list of functions", path.display()))?;
    tools
        .into_iter()
        .enumerate()
        .map(|(index, tool)| {
            wrapped(tool).with_context(|| {
                format!("tool {} in `{}` has no function with a name", index + 1, path.display())
            })
        })
        .collect()
}

/// A bare function gets the shell that templates expect around it.
fn wrapped(tool: Value) -> Option<Value> {
    let tool =
        if tool.get("function").is_some() { tool } else { json!({"type": "function", "function": tool}) };
    tool["function"]["name"].as_str().is_some_and(|name| !name.is_empty()).then_some(tool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ggrun::chat::{Message, Role};
    use ggrun::engine::SamplingParams;

    fn applied(template: &str, reasoning: Reasoning, kwargs: &str) -> anyhow::Result<Value> {
        let args =
            TemplateArgs { reasoning, chat_template_kwargs: Some(variables(kwargs).unwrap()), tools: None };
        let mut request = ChatRequest::new(vec![Message::new(Role::User, "hi")], SamplingParams::greedy());
        args.apply(&Template::parse(template, "", "").unwrap(), &mut request)?;
        Ok(Value::Object(request.variables))
    }

    const SWITCH: &str = "{% if enable_thinking %}<think>{% else %}</think>{% endif %}";
    const ALWAYS: &str = "<think></think>";

    #[test]
    fn reasoning_sets_what_templates_look_for_and_kwargs_have_the_last_word() {
        assert_eq!(applied(SWITCH, Reasoning::Auto, "{}").unwrap(), json!({}));
        assert_eq!(
            applied(SWITCH, Reasoning::Off, r#"{"a": [1]}"#).unwrap(),
            json!({"enable_thinking": false, "thinking": false, "a": [1]})
        );
        assert_eq!(
            applied(SWITCH, Reasoning::On, r#"{"thinking": "hard"}"#).unwrap(),
            json!({"enable_thinking": true, "thinking": "hard"})
        );
    }

    #[test]
    fn what_a_template_cannot_do_is_refused() {
        assert!(applied(ALWAYS, Reasoning::Off, "{}").unwrap_err().to_string().contains("no switch"));
        assert!(applied(ALWAYS, Reasoning::On, "{}").is_ok());
        assert!(applied("x", Reasoning::On, "{}").unwrap_err().to_string().contains("knows no thinking"));
    }

    #[test]
    fn variables_are_an_object_and_do_not_hide_the_conversation() {
        for wrong in ["", "[1]", "{", r#"{"messages": []}"#] {
            assert!(variables(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tools_are_a_list_of_functions_bare_or_wrapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tools.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            TemplateArgs { tools: Some(path.clone()), ..TemplateArgs::default() }.read_tools()
        };
        let whole = json!({"type": "function", "function": {"name": "f"}});
        assert_eq!(read(&json!([{"name": "f"}, whole]).to_string()).unwrap(), [whole.clone(), whole]);
        for (text, reason) in
            [("{}", "is not a JSON list"), ("[{}]", "tool 1 in"), (r#"[{"name": "f"}, 7]"#, "tool 2 in")]
        {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let missing = TemplateArgs { tools: Some("no/such.json".into()), ..TemplateArgs::default() };
        assert!(missing.read_tools().unwrap_err().to_string().contains("cannot read tools"));
    }
}
