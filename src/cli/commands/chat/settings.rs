//! The options of a conversation: those that are set, over the model's recommendations, over the defaults.

use anyhow::{Context as _, bail};
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _};
use ggrun::engine::{Dry, Mirostat, MirostatVersion, SamplingParams, Xtc};
use ggrun::session::{
    GenerationOptions, Limit, MirostatMode, REASONING_BUDGET_MESSAGE, ReasoningMode, SamplingOptions, Seed,
    ToolChoice,
};

use super::fields::{FIELDS, Field};
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::reason::reason;
use crate::cli::options::values::truth;
use crate::cli::ui::text;

/// Characters of a value in the list.
const SHOWN: usize = 60;

/// The options of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// Set on the command line or by `/set`.
    set: GenerationOptions,
    /// The model's recommendations over the defaults.
    recommended: GenerationOptions,
    /// llama.cpp's defaults.
    defaults: GenerationOptions,
}

impl Settings {
    /// The options of a command line, over the sampling that the model recommends, over llama.cpp's.
    pub(super) fn new(
        set: GenerationOptions,
        recommended: &SamplingParams,
        defaults: &SamplingParams,
    ) -> Self {
        let layer = |params: &SamplingParams| GenerationOptions::recommended(params).over(&built_in());
        Self { set, recommended: layer(recommended), defaults: layer(defaults) }
    }

    /// The options in effect.
    pub(super) fn current(&self) -> GenerationOptions {
        self.set.clone().over(&self.recommended)
    }

    /// All options with their values, and where these come from.
    pub(super) fn list(&self) -> String {
        let current = self.current();
        let row = |field: &Field| {
            let value = (field.value)(&current).filter(|value| !value.is_empty());
            let shown = value.map_or_else(|| "-".to_owned(), |value| shortened(&value));
            vec![field.name.to_owned(), shown, self.origin(field).to_owned()]
        };
        text::table(&FIELDS.iter().map(row).collect::<Vec<_>>(), &[]).trim_end().to_owned()
    }

    /// One option with its value, and where that comes from.
    pub(super) fn show(&self, typed: &str) -> anyhow::Result<String> {
        let (field, _) = find(typed)?;
        let value = (field.value)(&self.current()).filter(|value| !value.is_empty());
        Ok(format!("{}: {} ({})", field.name, value.as_deref().unwrap_or("-"), self.origin(field)))
    }

    /// The same settings with this value, read as on the command line.
    pub(super) fn with(&self, typed: &str, value: &str) -> anyhow::Result<Self> {
        let (field, option) = find(typed)?;
        let name = option.get_long().unwrap_or(field.name);
        let mut set = self.set.clone();
        (field.clear)(&mut set);
        if matches!(option.get_action(), ArgAction::SetTrue) {
            match truth(value) {
                Ok(true) => set = parse(&format!("--{name}"))?.over(&set),
                Ok(false) => {}
                Err(expected) => bail!("`{name}` is `{value}`, {expected}"),
            }
        } else {
            set = parse(&format!("--{name}={value}"))?.over(&set);
        }
        Ok(Self { set, ..self.clone() })
    }

    /// The same settings without the value of this option, whether it is from the command line or from `/set`.
    pub(super) fn without(&self, typed: &str) -> anyhow::Result<Self> {
        let (field, _) = find(typed)?;
        let mut set = self.set.clone();
        (field.clear)(&mut set);
        Ok(Self { set, ..self.clone() })
    }

    /// The same settings with the reasoning on or off.
    pub(super) fn with_reasoning(&self, mode: ReasoningMode) -> Self {
        let mut settings = self.clone();
        let set = GenerationOptions { reasoning: Some(mode), ..GenerationOptions::default() };
        settings.set = set.over(&settings.set);
        settings
    }

    fn origin(&self, field: &Field) -> &'static str {
        if (field.value)(&self.set).is_some() {
            "set"
        } else if (field.value)(&self.recommended) == (field.value)(&self.defaults) {
            "default"
        } else {
            "model"
        }
    }
}

/// The values of options that nothing sets.
fn built_in() -> GenerationOptions {
    let off = SamplingParams {
        dry: Some(Dry::with_multiplier(0.0)),
        xtc: Some(Xtc::with_probability(0.0)),
        mirostat: Some(Mirostat::new(MirostatVersion::V1)),
        ..SamplingParams::neutral(0)
    };
    GenerationOptions {
        sampling: SamplingOptions { mirostat: Some(MirostatMode::Off), ..SamplingOptions::of(&off) },
        seed: Some(Seed::Random),
        max_tokens: Some(Limit::Unlimited),
        tool_choice: Some(ToolChoice::Auto),
        reasoning: Some(ReasoningMode::Auto),
        reasoning_budget: Some(Limit::Unlimited),
        reasoning_budget_message: Some(REASONING_BUDGET_MESSAGE.to_owned()),
        ..GenerationOptions::default()
    }
}

/// The options of the command line. Environment variables were read together with it.
fn command() -> Command {
    let command = Command::new("set").no_binary_name(true).disable_help_flag(true);
    GenerationArgs::augment_args(command).mut_args(|arg| arg.env(Resettable::Reset))
}

/// The field and the option with this name, or an alias of it.
fn find(typed: &str) -> anyhow::Result<(&'static Field, Arg)> {
    let name = typed.trim_start_matches('-').replace('_', "-");
    let command = command();
    let is_named = |arg: &&Arg| {
        arg.get_long() == Some(&name)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name.as_str()))
    };
    let option = command.get_arguments().find(is_named);
    let found = option.and_then(|option| Some((Field::named(option.get_long()?)?, option.clone())));
    found.with_context(|| {
        let alike = |field: &&Field| strsim::normalized_damerau_levenshtein(&name, field.name);
        let closest = FIELDS.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let hint = closest
            .filter(|field| alike(field) >= 0.7)
            .map(|field| format!("; did you mean `{}`?", field.name));
        format!("unknown option `--{name}`{}", hint.unwrap_or_else(|| "; /set lists all".to_owned()))
    })
}

/// One option as on the command line.
fn parse(option: &str) -> anyhow::Result<GenerationOptions> {
    let first = |error: clap::Error| {
        if let (Some(ContextValue::String(value)), Some(why)) =
            (error.get(ContextKind::InvalidValue), reason(&error))
        {
            return anyhow::anyhow!("invalid value `{value}`: {why}");
        }
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        anyhow::anyhow!("{}", line.trim_start_matches("error: "))
    };
    let matches = command().try_get_matches_from([option]).map_err(first)?;
    GenerationArgs::from_arg_matches(&matches).map_err(first)?.options()
}

/// The first line of a value, cut to the width of the list.
fn shortened(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: GenerationOptions) -> Settings {
        let defaults = SamplingParams { temperature: 0.8, ..SamplingParams::neutral(0) };
        Settings::new(set, &SamplingParams { temperature: 0.6, ..defaults.clone() }, &defaults)
    }

    fn fresh() -> Settings {
        settings(GenerationOptions::default())
    }

    #[test]
    fn every_option_of_the_command_line_is_a_field_and_every_field_an_option() {
        let command = command();
        let options: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        for option in &options {
            assert!(Field::named(option).is_some(), "{option}");
        }
        for field in &FIELDS {
            assert!(options.contains(&field.name), "{}", field.name);
        }
    }

    #[test]
    fn every_option_can_be_set_shown_and_unset() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools.json");
        std::fs::write(&tools, r#"[{"name": "f"}]"#).unwrap();
        for field in &FIELDS {
            let value = match field.name {
                "tools" => tools.to_str().unwrap(),
                "chat-template-kwargs" => r#"{"a":1}"#,
                "reasoning" | "ignore-eos" => "on",
                "samplers" => "top_k;temperature",
                "logit-bias" => "15+1.5",
                "json-schema" => "{}",
                "mirostat" => "2",
                _ => "7",
            };
            let set = fresh().with(field.name, value).unwrap();
            let shown = if field.name == "tools" { "f" } else { value };
            assert_eq!(set.show(field.name).unwrap(), format!("{}: {shown} (set)", field.name));
            assert_ne!(set.current(), fresh().current(), "{}", field.name);
            assert_eq!(set.without(field.name).unwrap(), fresh(), "{}", field.name);
        }
    }

    #[test]
    fn the_list_has_values_and_where_they_come_from() {
        let list = fresh().with("top_k", "5").unwrap().list();
        let row = |name: &str| {
            let line = list.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(list.lines().count(), FIELDS.len());
        assert_eq!(row("temp"), ["0.6", "model"]);
        assert_eq!(row("top-k"), ["5", "set"]);
        assert_eq!(row("top-p"), ["1", "default"]);
        assert_eq!(row("predict"), ["-1", "default"]);
        assert_eq!(row("grammar"), ["-", "default"]);
        assert_eq!(row("xtc-threshold"), ["0.1", "default"]);
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_was_expected() {
        for (name, value, why) in [
            ("temp", "3x", "invalid value `3x`: expected a number"),
            ("top-k", "-2", "invalid value `-2`: expected a whole number from 0 to 4294967295"),
            ("reasoning", "maybe", "invalid value `maybe`: expected one of on, off, auto"),
        ] {
            assert_eq!(fresh().with(name, value).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn a_value_replaces_the_one_before() {
        let set = fresh().with("stop", "a").unwrap().with("reverse-prompt", "b").unwrap();
        assert_eq!(set.current().stop, Some(vec!["b".to_owned()]));
        let set = set.with("logit-bias", "1+1").unwrap().with("logit-bias", "2+1").unwrap();
        assert_eq!(set.current().sampling.logit_bias.len(), 1);
        let set = set.with("grammar", "root ::= \"a\"").unwrap().with("json-schema", "{}").unwrap();
        assert!(set.show("grammar").unwrap().starts_with("grammar: -"));
    }

    #[test]
    fn an_option_of_the_command_line_can_be_unset() {
        let typed = GenerationOptions { max_tokens: Some(Limit::Tokens(3)), ..GenerationOptions::default() };
        let settings = settings(typed);
        assert_eq!(settings.show("n-predict").unwrap(), "predict: 3 (set)");
        assert_eq!(settings.without("predict").unwrap(), fresh());
    }

    #[test]
    fn wrong_names_and_values_are_refused() {
        let error = |name: &str, value: &str| fresh().with(name, value).unwrap_err().to_string();
        assert_eq!(error("tempp", "1"), "unknown option `--tempp`; did you mean `temp`?");
        assert_eq!(error("nothing", "1"), "unknown option `--nothing`; /set lists all");
        assert!(error("temp", "hot").contains("`hot`: expected a number"));
        assert_eq!(error("ignore-eos", "maybe"), "`ignore-eos` is `maybe`, expected on or off");
        assert_eq!(error("grammar-file", "no/such"), "cannot read the grammar from `no/such`");
        assert!(fresh().show("nothing").is_err() && fresh().without("nothing").is_err());
    }
}
