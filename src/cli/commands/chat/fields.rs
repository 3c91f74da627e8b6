//! The options that `/set` changes, by their long names.

use ggrun::engine::Rules;
use ggrun::session::{GenerationOptions, ReasoningMode, ToolChoice};

/// One option.
pub(super) struct Field {
    /// Its long name.
    pub(super) name: &'static str,
    /// Its value as it is typed, if it is set.
    pub(super) value: fn(&GenerationOptions) -> Option<String>,
    /// Removes its value.
    pub(super) clear: fn(&mut GenerationOptions),
}

/// An option with a value of its own.
macro_rules! field {
    ($name:literal, $($field:ident).+) => {
        field!($name, $($field).+, |value| value.to_string())
    };
    ($name:literal, $($field:ident).+, $show:expr) => {
        Field {
            name: $name,
            value: |options| options.$($field).+.as_ref().map($show),
            clear: |options| options.$($field).+ = None,
        }
    };
}

impl Field {
    /// The option with this long name. An option that reads a file is the one with the contents.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let name = name.strip_suffix("-file").unwrap_or(name);
        FIELDS.iter().find(|field| field.name == name)
    }
}

/// All options, in the order of `--help`.
pub(super) static FIELDS: [Field; 36] = [
    field!("predict", max_tokens),
    field!("reverse-prompt", stop, |texts| texts.join(", ")),
    field!("tools", tools, |tools| function_names(tools)),
    field!("tool-choice", tool_choice, choice),
    Field {
        name: "chat-template-kwargs",
        value: |options| {
            let variables = &options.template_variables;
            (!variables.is_empty()).then(|| serde_json::Value::Object(variables.clone()).to_string())
        },
        clear: |options| options.template_variables.clear(),
    },
    field!("reasoning", reasoning, |mode| mode_name(*mode).to_owned()),
    field!("reasoning-budget", reasoning_budget),
    field!("reasoning-budget-message", reasoning_budget_message, |text| text.trim().to_owned()),
    Field {
        name: "grammar",
        value: |options| match &options.rules {
            Some(Rules::Gbnf(text)) => Some(text.clone()),
            _ => None,
        },
        clear: |options| options.rules = None,
    },
    Field {
        name: "json-schema",
        value: |options| match &options.rules {
            Some(Rules::JsonSchema(text)) => Some(text.clone()),
            _ => None,
        },
        clear: |options| options.rules = None,
    },
    field!("seed", seed),
    field!("temp", sampling.temperature),
    field!("dynatemp-range", sampling.temperature_range),
    field!("dynatemp-exp", sampling.temperature_exponent),
    field!("top-k", sampling.top_k),
    field!("top-p", sampling.top_p),
    field!("min-p", sampling.min_p),
    field!("typical", sampling.typical_p),
    field!("top-nsigma", sampling.top_n_sigma),
    field!("xtc-probability", sampling.xtc_probability),
    field!("xtc-threshold", sampling.xtc_threshold),
    field!("repeat-last-n", sampling.repeat_last_n),
    field!("repeat-penalty", sampling.repeat_penalty),
    field!("presence-penalty", sampling.presence_penalty),
    field!("frequency-penalty", sampling.frequency_penalty),
    field!("dry-multiplier", sampling.dry_multiplier),
    field!("dry-base", sampling.dry_base),
    field!("dry-allowed-length", sampling.dry_allowed_length),
    field!("dry-penalty-last-n", sampling.dry_last_n),
    field!("dry-sequence-breaker", sampling.dry_breakers, |texts| texts
        .iter()
        .map(|text| text.escape_default().to_string())
        .collect::<Vec<_>>()
        .join(" ")),
    field!("mirostat", sampling.mirostat, |mode| mode.number().to_string()),
    field!("mirostat-lr", sampling.mirostat_eta),
    field!("mirostat-ent", sampling.mirostat_tau),
    Field {
        name: "logit-bias",
        value: |options| {
            let biases = options.sampling.logit_bias.iter();
            let shown: Vec<String> = biases.map(|(token, bias)| format!("{}{bias:+}", token.0)).collect();
            (!shown.is_empty()).then(|| shown.join(" "))
        },
        clear: |options| options.sampling.logit_bias.clear(),
    },
    field!("ignore-eos", sampling.ignore_end, |on| if *on { "on" } else { "off" }.to_owned()),
    field!("samplers", sampling.order, |order| order
        .iter()
        .map(|kind| kind.name())
        .collect::<Vec<_>>()
        .join(";")),
];

fn function_names(tools: &[serde_json::Value]) -> String {
    let names = tools.iter().filter_map(|tool| tool["function"]["name"].as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn choice(choice: &ToolChoice) -> String {
    match choice {
        ToolChoice::Auto => "auto".to_owned(),
        ToolChoice::None => "none".to_owned(),
        ToolChoice::Required => "required".to_owned(),
        ToolChoice::Function(name) => name.clone(),
    }
}

fn mode_name(mode: ReasoningMode) -> &'static str {
    match mode {
        ReasoningMode::On => "on",
        ReasoningMode::Off => "off",
        ReasoningMode::Auto => "auto",
    }
}
