//! Options that shape an answer, besides the conversation: one set for the command line and for request bodies.
//!
//! Options have layers: a request takes precedence over the command line, which takes precedence over the model's
//! recommendations. [`GenerationOptions::over`] joins two layers; the result becomes a request. Not here: the
//! conversation and its system prompt.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ToolChoiceError;
use super::functions::function_name;
use super::limit::Limit;
use super::request::{ChatRequest, PromptText, REASONING_BUDGET_MESSAGE, TextRequest, ToolChoice};
use super::sampling::SamplingOptions;
use super::seed::Seed;
use super::variables::{EFFORT, NO_EFFORT};
use crate::chat::{Message, SWITCHES, Tags, Template};
use crate::engine::{Grammar, Rules, SamplingParams};

/// Options that shape an answer. Those that are not set have the defaults' values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GenerationOptions {
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// The seed.
    pub seed: Option<Seed>,
    /// Ends the answer after this many tokens, reasoning included.
    pub max_tokens: Option<Limit>,
    /// Texts that end the answer. Empty ones are ignored.
    pub stop: Option<Vec<String>>,
    /// A grammar for the whole answer, or a JSON schema for one that calls no tools.
    pub rules: Option<Rules>,
    /// Functions the model may call, as JSON schemas; see [`functions`](super::functions).
    pub tools: Option<Vec<Value>>,
    /// Which of them it may or must call.
    pub tool_choice: Option<ToolChoice>,
    /// Turns the reasoning on or off.
    pub reasoning: Option<ReasoningMode>,
    /// More variables for the template, over those of the defaults; see [`variables`](super::variables).
    pub template_variables: Map<String, Value>,
    /// Ends the reasoning after this many tokens.
    pub reasoning_budget: Option<Limit>,
    /// Forced at the end of the reasoning when its budget is used up.
    pub reasoning_budget_message: Option<String>,
    /// Returns the logprobs of tokens.
    pub logprobs: Option<Logprobs>,
}

/// Reasoning on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningMode {
    /// Turned on by the template's switch.
    On,
    /// Turned off by the template's switch.
    Off,
    /// As the template decides.
    Auto,
}

/// Whether logprobs are returned, and with how many alternatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logprobs {
    /// None.
    Off,
    /// Of every token and this many of the most likely tokens at its position.
    Top(u32),
}

/// The reasoning cannot be turned on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReasoningFixed {
    /// The template's reasoning has no switch, and is not in blocks.
    #[error("this model cannot turn thinking off")]
    AlwaysOn,
    /// The template has no reasoning.
    #[error("this model cannot turn thinking on")]
    AlwaysOff,
}

impl GenerationOptions {
    /// The sampling that a model recommends.
    #[must_use]
    pub fn recommended(params: &SamplingParams) -> Self {
        Self { sampling: SamplingOptions::of(params), ..Self::default() }
    }

    /// Takes unset values from `defaults`.
    #[must_use]
    pub fn over(self, defaults: &Self) -> Self {
        let mut template_variables = defaults.template_variables.clone();
        if self.reasoning.is_some() {
            template_variables.retain(|name, _| !SWITCHES.contains(&name.as_str()));
        }
        template_variables.extend(self.template_variables);
        Self {
            sampling: self.sampling.over(&defaults.sampling),
            seed: self.seed.or(defaults.seed),
            max_tokens: self.max_tokens.or(defaults.max_tokens),
            stop: self.stop.or_else(|| defaults.stop.clone()),
            rules: self.rules.or_else(|| defaults.rules.clone()),
            tools: self.tools.or_else(|| defaults.tools.clone()),
            tool_choice: self.tool_choice.or_else(|| defaults.tool_choice.clone()),
            reasoning: self.reasoning.or(defaults.reasoning),
            template_variables,
            reasoning_budget: self.reasoning_budget.or(defaults.reasoning_budget),
            reasoning_budget_message: self
                .reasoning_budget_message
                .or_else(|| defaults.reasoning_budget_message.clone()),
            logprobs: self.logprobs.or(defaults.logprobs),
        }
    }

    /// Checks that the reasoning can be turned on or off as requested: off by the template's switch or else by an empty
    /// block.
    ///
    /// # Errors
    ///
    /// When the template has neither a switch nor blocks, or no reasoning.
    pub fn check_reasoning(&self, template: &Template) -> Result<(), ReasoningFixed> {
        let tags = Tags::of(template.source());
        match self.reasoning {
            // The model chooses the channel of each message.
            Some(ReasoningMode::Off) if !template.switches_reasoning() && tags == Some(Tags::HARMONY) => {
                Err(ReasoningFixed::AlwaysOn)
            }
            Some(ReasoningMode::On) if tags.is_none() => Err(ReasoningFixed::AlwaysOff),
            _ => Ok(()),
        }
    }

    /// Checks the choice of tools, as far as possible without a template.
    ///
    /// # Errors
    ///
    /// When a call is required but there are no tools, the named one is missing, or there is also a grammar or schema.
    pub fn check_tool_choice(&self) -> Result<(), ToolChoiceError> {
        let tools = self.tools.as_deref().unwrap_or_default();
        let name = match &self.tool_choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) => return Ok(()),
            Some(ToolChoice::Required) => None,
            Some(ToolChoice::Function(name)) => Some(name),
        };
        match name {
            _ if tools.is_empty() => Err(ToolChoiceError::NoTools),
            _ if self.rules.is_some() => Err(ToolChoiceError::Grammar),
            Some(name) if !tools.iter().any(|tool| function_name(tool) == Some(name)) => {
                Err(ToolChoiceError::UnknownFunction { name: name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// A request to answer a conversation. `seed` is used unless one is set.
    #[must_use]
    pub fn chat_request(&self, messages: Vec<Message>, seed: u32) -> ChatRequest {
        ChatRequest {
            max_tokens: self.max_tokens.and_then(Limit::tokens),
            stop: self.stop(),
            tools: self.tools.clone().unwrap_or_default(),
            tool_choice: self.tool_choice.clone().unwrap_or_default(),
            variables: self.variables(),
            empty_reasoning: self.reasoning == Some(ReasoningMode::Off),
            reasoning_budget: self.budget(),
            reasoning_budget_message: self.budget_message().to_owned(),
            ..ChatRequest::new(messages, self.params(seed))
        }
    }

    /// A request to continue a text. `seed` is used unless one is set.
    #[must_use]
    pub fn text_request(&self, prompt: impl Into<PromptText>, seed: u32) -> TextRequest {
        let max_tokens = self.max_tokens.and_then(Limit::tokens);
        TextRequest { prompt: prompt.into(), sampling: self.params(seed), max_tokens, stop: self.stop() }
    }

    /// The sampling parameters. `seed` is used unless one is set.
    #[must_use]
    pub fn params(&self, seed: u32) -> SamplingParams {
        let seed = match self.seed {
            Some(Seed::Fixed(seed)) => seed,
            Some(Seed::Random) | None => seed,
        };
        let logprobs = match self.logprobs {
            Some(Logprobs::Top(count)) => Some(count),
            Some(Logprobs::Off) | None => None,
        };
        let grammar = self.rules.clone().map(|rules| Grammar { rules: Arc::new(rules), after: None });
        SamplingParams { grammar, logprobs, ..self.sampling.params(seed) }
    }

    /// Whether `reasoning_effort` is `none`: no template has to read it for this.
    #[must_use]
    pub fn turns_reasoning_off(&self) -> bool {
        self.template_variables.get(EFFORT).is_some_and(|effort| effort == NO_EFFORT)
    }

    fn budget(&self) -> Option<u32> {
        match self.reasoning_budget {
            None if self.turns_reasoning_off() => Some(0),
            budget => budget.and_then(Limit::tokens),
        }
    }

    /// The template's variables, those of the reasoning's switch included.
    #[must_use]
    pub fn variables(&self) -> Map<String, Value> {
        let on = match self.reasoning {
            Some(ReasoningMode::On) => Some(true),
            Some(ReasoningMode::Off) => Some(false),
            None if self.turns_reasoning_off() => Some(false),
            Some(ReasoningMode::Auto) | None => None,
        };
        let switches = SWITCHES.iter().filter_map(|name| Some(((*name).to_owned(), Value::Bool(on?))));
        let mut variables: Map<String, Value> = switches.collect();
        variables.extend(self.template_variables.clone());
        variables
    }

    /// The text that is forced at the end of the reasoning.
    #[must_use]
    pub fn budget_message(&self) -> &str {
        self.reasoning_budget_message.as_deref().unwrap_or(REASONING_BUDGET_MESSAGE)
    }

    fn stop(&self) -> Vec<String> {
        self.stop.iter().flatten().filter(|text| !text.is_empty()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("{value}") };
        object
    }

    fn all() -> GenerationOptions {
        GenerationOptions {
            sampling: SamplingOptions { temperature: Some(0.5), ..SamplingOptions::default() },
            seed: Some(Seed::Fixed(3)),
            max_tokens: Some(Limit::Tokens(5)),
            stop: Some(vec!["end".to_owned(), String::new()]),
            rules: Some(Rules::Gbnf("root ::= \"a\"".to_owned())),
            tools: Some(vec![json!({"function": {"name": "f"}})]),
            tool_choice: Some(ToolChoice::Required),
            reasoning: Some(ReasoningMode::Off),
            template_variables: object(json!({"effort": "low"})),
            reasoning_budget: Some(Limit::Tokens(6)),
            reasoning_budget_message: Some("Stop.".to_owned()),
            logprobs: Some(Logprobs::Top(2)),
        }
    }

    fn request(options: &GenerationOptions) -> ChatRequest {
        options.chat_request(vec![Message::new(Role::User, "hi")], 9)
    }

    #[test]
    fn what_is_not_set_is_the_defaults() {
        assert_eq!(GenerationOptions::default().over(&all()), all());
        assert_eq!(all().over(&GenerationOptions::default()), all());
    }

    #[test]
    fn every_option_reaches_the_request() {
        let request = request(&all());
        let SamplingParams { temperature, seed, logprobs, grammar, .. } = request.sampling;
        assert_eq!((temperature, seed, logprobs), (0.5, 3, Some(2)));
        assert_eq!(grammar.map(|grammar| Arc::unwrap_or_clone(grammar.rules)), all().rules);
        assert_eq!((request.max_tokens, request.reasoning_budget), (Some(5), Some(6)));
        assert!(request.empty_reasoning);
        assert_eq!((request.stop, request.tools.len()), (vec!["end".to_owned()], 1));
        assert_eq!(
            (request.tool_choice, request.reasoning_budget_message.as_str()),
            (ToolChoice::Required, "Stop.")
        );
        assert_eq!(
            Value::Object(request.variables),
            json!({"enable_thinking": false, "thinking": false, "effort": "low"})
        );
        let text = all().text_request("x".to_owned(), 9);
        assert_eq!((text.max_tokens, text.stop, text.sampling.seed), (Some(5), vec!["end".to_owned()], 3));
    }

    #[test]
    fn limits_and_lists_of_the_defaults_can_be_lifted() {
        let lifting = GenerationOptions {
            seed: Some(Seed::Random),
            max_tokens: Some(Limit::Unlimited),
            stop: Some(Vec::new()),
            tool_choice: Some(ToolChoice::None),
            reasoning_budget: Some(Limit::Unlimited),
            logprobs: Some(Logprobs::Off),
            ..GenerationOptions::default()
        };
        let request = request(&lifting.over(&all()));
        assert_eq!((request.max_tokens, request.reasoning_budget), (None, None));
        assert_eq!((request.sampling.seed, request.sampling.logprobs), (9, None));
        assert_eq!((request.stop, request.tool_choice), (Vec::<String>::new(), ToolChoice::None));
    }

    #[test]
    fn the_newer_layer_decides_the_switch_and_variables_have_the_last_word() {
        let variables = |layers: [GenerationOptions; 2]| {
            let [new, old] = layers;
            Value::Object(new.over(&old).variables())
        };
        let mode = |mode| GenerationOptions { reasoning: Some(mode), ..GenerationOptions::default() };
        let named = |value: Value| GenerationOptions {
            template_variables: object(value),
            ..GenerationOptions::default()
        };
        let off = json!({"enable_thinking": false, "thinking": false});
        assert_eq!(variables([mode(ReasoningMode::Off), named(json!({"enable_thinking": true}))]), off);
        assert_eq!(variables([mode(ReasoningMode::Auto), mode(ReasoningMode::Off)]), json!({}));
        assert_eq!(
            variables([named(json!({"thinking": "hard"})), mode(ReasoningMode::On)]),
            json!({"enable_thinking": true, "thinking": "hard"})
        );
    }

    #[test]
    fn no_effort_is_no_reasoning() {
        let options = |budget| GenerationOptions {
            template_variables: object(json!({"reasoning_effort": "none"})),
            reasoning_budget: budget,
            ..GenerationOptions::default()
        };
        let none = request(&options(None));
        assert_eq!(none.reasoning_budget, Some(0));
        let switches = json!({"enable_thinking": false, "thinking": false, "reasoning_effort": "none"});
        assert_eq!(Value::Object(none.variables), switches);
        assert_eq!(request(&options(Some(Limit::Tokens(7)))).reasoning_budget, Some(7));
        let low = GenerationOptions {
            template_variables: object(json!({"reasoning_effort": "low"})),
            ..GenerationOptions::default()
        };
        assert_eq!(request(&low).reasoning_budget, None);
    }

    #[test]
    fn a_choice_of_tools_that_are_missing_is_refused() {
        let check = |choice, tools| {
            let (tool_choice, tools) = (Some(choice), Some(tools));
            GenerationOptions { tools, tool_choice, ..GenerationOptions::default() }.check_tool_choice()
        };
        let tools = vec![json!({"type": "function", "function": {"name": "f"}})];
        let named = |name: &str| ToolChoice::Function(name.to_owned());
        assert_eq!(check(ToolChoice::Required, tools.clone()), Ok(()));
        assert_eq!(check(named("f"), tools.clone()), Ok(()));
        assert_eq!(check(ToolChoice::None, Vec::new()), Ok(()));
        assert_eq!(check(ToolChoice::Required, Vec::new()), Err(ToolChoiceError::NoTools));
        let unknown = ToolChoiceError::UnknownFunction { name: "g".to_owned() };
        assert_eq!(check(named("g"), tools.clone()), Err(unknown));
        let rules = Some(Rules::JsonSchema("{}".to_owned()));
        let (tool_choice, tools) = (Some(ToolChoice::Required), Some(tools));
        let both = GenerationOptions { rules, tools, tool_choice, ..GenerationOptions::default() };
        assert_eq!(both.check_tool_choice(), Err(ToolChoiceError::Grammar));
        let auto = GenerationOptions { tool_choice: None, ..both };
        assert_eq!(auto.check_tool_choice(), Ok(()));
    }

    #[test]
    fn reasoning_that_cannot_be_turned_on_or_off_is_refused() {
        let check = |template: &str, mode| {
            let options = GenerationOptions { reasoning: Some(mode), ..GenerationOptions::default() };
            options.check_reasoning(&Template::parse(template, "", "").unwrap())
        };
        let switch = "{% if enable_thinking %}<think>{% else %}</think>{% endif %}";
        let always = "<think></think>";
        assert_eq!(check(switch, ReasoningMode::Off), Ok(()));
        assert_eq!(check(always, ReasoningMode::Off), Ok(()));
        assert_eq!(check(always, ReasoningMode::On), Ok(()));
        assert_eq!(check(Tags::HARMONY.open, ReasoningMode::Off), Err(ReasoningFixed::AlwaysOn));
        assert_eq!(check("x", ReasoningMode::Off), Ok(()));
        assert_eq!(check("x", ReasoningMode::On), Err(ReasoningFixed::AlwaysOff));
        assert_eq!(check("x", ReasoningMode::Auto), Ok(()));
    }
}
