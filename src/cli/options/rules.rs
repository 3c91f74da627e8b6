//! The rules of an answer: a grammar or a JSON schema, typed or in a file. llama.cpp's names.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ggrun::engine::Rules;

use super::file::{self, Text};

/// Options for the rules of an answer; at most one is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct RulesArgs {
    /// Constrain the answer with a GBNF grammar
    #[arg(long, value_name = "GRAMMAR", group = "rules", hide_short_help = true)]
    grammar: Option<String>,
    /// Constrain the answer with the GBNF grammar in a file
    #[arg(long, value_name = "FILE", group = "rules", hide_short_help = true)]
    grammar_file: Option<PathBuf>,
    /// Constrain the answer with a JSON schema
    ///
    /// Keywords that cannot be held are refused by name. With `--tools`, an answer may be calls instead.
    #[arg(short, long, value_name = "SCHEMA", group = "rules")]
    json_schema: Option<String>,
    /// Constrain the answer with the JSON schema in a file (also -jf)
    #[arg(long, value_name = "FILE", group = "rules", hide_short_help = true)]
    json_schema_file: Option<PathBuf>,
}

impl RulesArgs {
    /// The rules, with the contents of their file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, a value is the name of a file, or a file holds the other kind of rules.
    pub(crate) fn rules(&self) -> anyhow::Result<Option<Rules>> {
        Ok(Some(match self {
            Self { grammar: Some(text), .. } => grammar(text.clone(), None)?,
            Self { grammar_file: Some(path), .. } => {
                refuse_text(path, "--grammar-file", "--grammar")?;
                grammar(file::read(path, Text::Grammar)?, Some(path))?
            }
            Self { json_schema: Some(text), .. } => schema(text.clone(), None)?,
            Self { json_schema_file: Some(path), .. } => {
                refuse_text(path, "--json-schema-file", "--json-schema")?;
                schema(file::read(path, Text::Schema)?, Some(path))?
            }
            _ => return Ok(None),
        }))
    }
}

fn grammar(text: String, path: Option<&Path>) -> anyhow::Result<Rules> {
    let is_grammar = text.contains("::=");
    match path {
        None if !is_grammar && file::is_name(&text, &["gbnf"]) => {
            bail!("`{text}` is the name of a file, expected a grammar; pass it with `--grammar-file`")
        }
        Some(path) if !is_grammar && text.trim_start().starts_with('{') => bail!(
            "`{}` holds JSON, expected a GBNF grammar; pass a schema with `--json-schema-file`",
            path.display()
        ),
        _ => Ok(Rules::Gbnf(text)),
    }
}

fn schema(text: String, path: Option<&Path>) -> anyhow::Result<Rules> {
    let is_json = text.trim_start().starts_with(['{', 't', 'f']);
    match path {
        None if !text.trim_start().starts_with('{') && file::is_name(&text, &["json"]) => {
            bail!("`{text}` is the name of a file, expected a JSON schema; pass it with `--json-schema-file`")
        }
        Some(path) if !is_json && text.contains("::=") => bail!(
            "`{}` holds a GBNF grammar, expected a JSON schema; pass it with `--grammar-file`",
            path.display()
        ),
        _ => Ok(Rules::JsonSchema(text)),
    }
}

/// Refuses text where the name of a file is expected.
fn refuse_text(path: &Path, option: &str, other: &str) -> anyhow::Result<()> {
    let text = path.to_string_lossy();
    if (text.contains("::=") || text.trim_start().starts_with('{')) && !path.exists() {
        bail!("`{option}` takes the name of a file, found text; pass it with `{other}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(args: &RulesArgs) -> Result<Option<Rules>, String> {
        args.rules().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_name_for_text_and_text_for_a_name_are_refused_with_the_right_option() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (gbnf, json) = (put("rules", "root ::= \"a\""), put("schema", "{}"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let cases = [
            (RulesArgs { grammar: Some("a.gbnf".into()), ..RulesArgs::default() }, "--grammar-file"),
            (RulesArgs { grammar: Some(text(&gbnf)), ..RulesArgs::default() }, "--grammar-file"),
            (RulesArgs { json_schema: Some("a.json".into()), ..RulesArgs::default() }, "--json-schema-file"),
            (RulesArgs { json_schema: Some(text(&json)), ..RulesArgs::default() }, "--json-schema-file"),
            (
                RulesArgs { grammar_file: Some("root ::= \"a\"".into()), ..RulesArgs::default() },
                "with `--grammar`",
            ),
            (
                RulesArgs { json_schema_file: Some("{}".into()), ..RulesArgs::default() },
                "with `--json-schema`",
            ),
            (RulesArgs { grammar_file: Some(json), ..RulesArgs::default() }, "--json-schema-file"),
            (RulesArgs { json_schema_file: Some(gbnf), ..RulesArgs::default() }, "--grammar-file"),
        ];
        for (args, says) in cases {
            let error = rules(&args).unwrap_err();
            assert!(error.contains(says), "{args:?}: {error}");
        }
        let typed = RulesArgs { json_schema: Some("true".into()), ..RulesArgs::default() };
        assert_eq!(rules(&typed), Ok(Some(Rules::JsonSchema("true".into()))));
    }
}
