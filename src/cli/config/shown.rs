//! `--print-config`: every option of a command, its value and its origin.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

use super::entry::{Config, Origin};
use super::file::names;
use super::layers::Setting;
use crate::cli::ui::text;

/// An option and the origin of its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Empty if nothing sets it and there is no fixed default.
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// The options of a command, which must be built. `typed` returns the values of an option that is typed.
pub(crate) fn rows(
    command: &Command,
    typed: &dyn Fn(&str) -> Option<Vec<OsString>>,
    settings: &[Setting],
) -> Vec<Row> {
    let text =
        |values: &[OsString]| values.iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let row = |arg: &Arg| {
        let id = arg.get_id().as_str();
        let name = names(arg).next()?.to_owned();
        let set = settings.iter().find(|setting| setting.id == id);
        let (values, origin) = match (typed(id), set) {
            (Some(values), _) if matches!(arg.get_action(), ArgAction::Append) => {
                (text(&values), Origin::Flag)
            }
            (Some(values), _) => match values.last() {
                Some(last) => (text(std::slice::from_ref(last)), Origin::Flag),
                None => (vec!["true".to_owned()], Origin::Flag),
            },
            (None, Some(setting)) => (text(&setting.values), setting.origin.clone()),
            (None, None) => {
                let values =
                    arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
                (values.collect(), Origin::Default)
            }
        };
        let values = if is_secret(arg) { values.iter().map(|_| HIDDEN.to_owned()).collect() } else { values };
        Some(Row { name, values, origin })
    };
    command.get_arguments().filter_map(row).collect()
}

/// Stands for a value that must not be shown.
const HIDDEN: &str = "(hidden)";

/// Whether the value of an option is a secret: the help does not show it either where a variable sets it.
fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}

/// The options as a table, or as one JSON object.
pub(crate) fn show(rows: &[Row], config: &Config, as_json: bool) -> String {
    if as_json {
        let options: Vec<Value> = rows.iter().map(object).collect();
        let file = config.path.as_ref().map(|path| path.display().to_string());
        let object =
            json!({ "schema_version": 1, "file": file, "options": options, "aliases": aliases(config) });
        return format!("{object:#}\n");
    }
    let mut cells = vec![["option", "value", "origin"].map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| vec![row.name.clone(), row.values.join(","), row.origin.to_string()]));
    let mut out = text::table(&cells, &[]);
    let file = config.path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    out.push_str(&["\nconfiguration file: ", &file, "\n"].concat());
    for (name, target, line) in &config.aliases {
        out.push_str(&["alias ", name, " = ", target, " (line ", &line.to_string(), ")\n"].concat());
    }
    out
}

fn object(row: &Row) -> Value {
    let mut object = json!({ "name": row.name, "values": row.values });
    let origin = match &row.origin {
        Origin::Flag => "flag",
        Origin::Default => "default",
        Origin::Variable(name) => {
            object["variable"] = json!(name);
            "variable"
        }
        Origin::File { path, line } => {
            object["file"] = json!(path.display().to_string());
            object["line"] = json!(line);
            "file"
        }
    };
    object["origin"] = json!(origin);
    object
}

fn aliases(config: &Config) -> Value {
    let pairs = config.aliases.iter().map(|(name, target, _)| (name.clone(), json!(target)));
    Value::Object(pairs.collect())
}
