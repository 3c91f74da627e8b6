//! Options that shape an answer, with llama.cpp's names: one set for every command that generates.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use ggrun::session::{
    GenerationOptions, Limit, NotALimit, ReasoningMode, Seed, ToolChoice, functions, variables,
};
use serde_json::{Map, Value};

use super::file::{self, Text};
use super::rules::RulesArgs;
use super::sampling::SamplingArgs;

/// Options that shape an answer
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct GenerationArgs {
    /// Limit the answer to N tokens, thinking included; -1 lifts the limit [default: -1]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, value_parser = predict,
        visible_alias = "n-predict", alias = "max-tokens", env = "LLAMA_ARG_N_PREDICT")]
    predict: Option<Limit>,
    /// End the answer before TEXT; may be repeated
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, visible_alias = "stop")]
    reverse_prompt: Vec<String>,
    /// Read the functions that the model may call from a JSON list: name, description and parameters of each
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    tools: Option<PathBuf>,
    /// Set which functions to call: auto, none, required, or the name of one [default: auto]
    #[arg(long, value_name = "CHOICE", hide_short_help = true)]
    tool_choice: Option<String>,
    /// Set variables of the chat template, such as `{"reasoning_effort": "low"}`
    #[arg(long, value_name = "JSON", value_parser = template_variables, env = "LLAMA_ARG_CHAT_TEMPLATE_KWARGS", hide_short_help = true)]
    chat_template_kwargs: Option<Map<String, Value>>,
    /// Turn thinking on or off (also -rea) [default: auto]
    ///
    /// It is turned off by the chat template's switch, or else by an empty block at the beginning of the answer.
    #[arg(long, value_enum, env = "LLAMA_ARG_REASONING")]
    reasoning: Option<Reasoning>,
    /// Limit thinking to N tokens; 0 skips it, -1 lifts the limit [default: -1]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        env = "LLAMA_ARG_THINK_BUDGET",
        hide_short_help = true
    )]
    reasoning_budget: Option<Limit>,
    /// Set the text that ends the thinking when the budget is used up
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, hide_short_help = true)]
    reasoning_budget_message: Option<String>,
    #[command(flatten)]
    rules: RulesArgs,
    /// Set the seed; -1 is random [default: -1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<Seed>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Thinking on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reasoning {
    /// Turn it on
    On,
    /// Turn it off
    Off,
    /// Leave it to the chat template
    Auto,
}

impl From<Reasoning> for ReasoningMode {
    fn from(reasoning: Reasoning) -> Self {
        match reasoning {
            Reasoning::On => Self::On,
            Reasoning::Off => Self::Off,
            Reasoning::Auto => Self::Auto,
        }
    }
}

impl GenerationArgs {
    /// The options, with the contents of their files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or a tool is not a function.
    pub(crate) fn options(&self) -> anyhow::Result<GenerationOptions> {
        Ok(GenerationOptions {
            sampling: self.sampling.options(),
            seed: self.seed,
            max_tokens: self.predict,
            stop: (!self.reverse_prompt.is_empty()).then(|| self.reverse_prompt.clone()),
            rules: self.rules.rules()?,
            tools: self.tools.as_deref().map(read_tools).transpose()?,
            tool_choice: self.tool_choice.as_deref().map(tool_choice),
            reasoning: self.reasoning.map(Into::into),
            template_variables: self.chat_template_kwargs.clone().unwrap_or_default(),
            reasoning_budget: self.reasoning_budget,
            reasoning_budget_message: self.reasoning_budget_message.clone(),
            // Only request bodies ask for them.
            logprobs: None,
        })
    }
}

/// llama.cpp's -2 limits the answer by the context, which always applies here.
fn predict(text: &str) -> Result<Limit, NotALimit> {
    if text == "-2" { Ok(Limit::Unlimited) } else { text.parse() }
}

fn tool_choice(text: &str) -> ToolChoice {
    match text {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        name => ToolChoice::Function(name.to_owned()),
    }
}

fn template_variables(text: &str) -> anyhow::Result<Map<String, Value>> {
    let object = serde_json::from_str(text).ok().context("expected a JSON object")?;
    Ok(variables(object)?)
}

fn read_tools(path: &Path) -> anyhow::Result<Vec<Value>> {
    let shown = path.display();
    let typed = path.to_string_lossy();
    if typed.trim_start().starts_with(['[', '{']) && !path.exists() {
        bail!("`--tools` takes the name of a file, found text; write it to a file first");
    }
    let text = file::read(path, Text::Tools)?;
    let tools =
        serde_json::from_str(&text).with_context(|| format!("`{shown}` is not a JSON list of functions"))?;
    functions(tools)
        .map_err(|error| anyhow!("tool {} in `{shown}` is not a function with a name", error.number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use clap::Parser;
    use ggrun::engine::Rules;
    use ggrun::session::SamplingOptions;
    use serde_json::json;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        generation: GenerationArgs,
    }

    fn parse(line: &[&str]) -> Result<GenerationArgs, String> {
        let line = Line::try_parse_from([&["x"], line].concat());
        line.map(|line| line.generation).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_typed_sets_nothing() {
        assert_eq!(parse(&[]).unwrap().options().unwrap(), GenerationOptions::default());
    }

    #[test]
    fn every_option_has_its_effect() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools.json");
        fs::write(&tools, r#"[{"name": "f"}]"#).unwrap();
        let line = [
            "-n",
            "5",
            "--stop",
            "a",
            "-r",
            "-b",
            "--tools",
            tools.to_str().unwrap(),
            "--tool-choice",
            "required",
            "--chat-template-kwargs",
            r#"{"a": 1}"#,
            "--reasoning",
            "off",
            "--reasoning-budget",
            "0",
            "--reasoning-budget-message",
            "-",
            "--json-schema",
            "{}",
            "-s",
            "7",
            "--temp",
            "0.5",
        ];
        let expected = GenerationOptions {
            sampling: SamplingOptions { temperature: Some(0.5), ..SamplingOptions::default() },
            seed: Some(Seed::Fixed(7)),
            max_tokens: Some(Limit::Tokens(5)),
            stop: Some(vec!["a".to_owned(), "-b".to_owned()]),
            rules: Some(Rules::JsonSchema("{}".to_owned())),
            tools: Some(vec![json!({"type": "function", "function": {"name": "f"}})]),
            tool_choice: Some(ToolChoice::Required),
            reasoning: Some(ReasoningMode::Off),
            template_variables: json!({"a": 1}).as_object().unwrap().clone(),
            reasoning_budget: Some(Limit::Tokens(0)),
            reasoning_budget_message: Some("-".to_owned()),
            logprobs: None,
        };
        assert_eq!(parse(&line).unwrap().options().unwrap(), expected);
    }

    #[test]
    fn minus_one_is_a_value_that_lifts_a_default() {
        let options =
            parse(&["-n", "-1", "-s", "-1", "--reasoning-budget", "-1"]).unwrap().options().unwrap();
        assert_eq!((options.max_tokens, options.seed), (Some(Limit::Unlimited), Some(Seed::Random)));
        assert_eq!(options.reasoning_budget, Some(Limit::Unlimited));
        assert_eq!(parse(&["-n", "-2"]).unwrap().options().unwrap().max_tokens, Some(Limit::Unlimited));
    }

    #[test]
    fn rules_come_from_files_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules");
        fs::write(&path, "root ::= \"a\"").unwrap();
        let path = path.to_str().unwrap();
        let rules = |option| parse(&[option, path]).unwrap().options().unwrap().rules.unwrap();
        assert_eq!(rules("--grammar-file"), Rules::Gbnf("root ::= \"a\"".to_owned()));
        fs::write(path, "{}").unwrap();
        assert_eq!(rules("--json-schema-file"), Rules::JsonSchema("{}".to_owned()));
        let missing = parse(&["--grammar-file", "no/such"]).unwrap().options().unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the grammar from `no/such`");
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_expected() {
        for (line, words) in [
            (&["-n", "-3"][..], "expected a whole number from -1"),
            (&["-s", "x"], "expected a whole number from -1"),
            (&["--reasoning", "maybe"], "maybe"),
            (&["--chat-template-kwargs", "[1]"], "expected a JSON object"),
            (&["--chat-template-kwargs", r#"{"messages": []}"#], "template variable `messages` is reserved"),
            (&["--grammar", "a", "--json-schema", "b"], "cannot be used with"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{line:?}: {error}");
        }
    }

    #[test]
    fn tools_are_a_list_of_functions_bare_or_wrapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tools.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            read_tools(&path)
        };
        let whole = json!({"type": "function", "function": {"name": "f"}});
        assert_eq!(read(&json!([{"name": "f"}, whole]).to_string()).unwrap(), [whole.clone(), whole]);
        for (text, reason) in
            [("{}", "is not a JSON list"), ("[{}]", "tool 1 in"), (r#"[{"name": "f"}, 7]"#, "tool 2 in")]
        {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let missing = read_tools(Path::new("no/such.json")).unwrap_err();
        assert!(missing.to_string().contains("cannot read tools"));
    }
}
