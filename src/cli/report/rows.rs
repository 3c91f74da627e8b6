//! Hints about the rows of a batch and their files.

use ggrun::batch::{Error, Fault, WrongTemplate, listed};
use gguf_export::format::Format;

use super::disk::is_full;
use super::format::format_hint;
use crate::cli::error::{ChangedRows, WrongTable};

/// What to do about an error of a batch.
pub(super) fn hint(error: &anyhow::Error) -> Option<String> {
    if error.is::<ChangedRows>() {
        return Some(RERUN.to_owned());
    }
    if let Some(error) = error.downcast_ref() {
        return table_hint(error);
    }
    if let Some(error) = error.downcast_ref() {
        return template_hint(error).map(str::to_owned);
    }
    match find(error)? {
        Error::Table { fault, .. } => fault_hint(fault),
        error => batch_hint(error).map(str::to_owned),
    }
}

/// Whether an error is in how the command is used.
pub(super) fn is_usage(error: &anyhow::Error) -> bool {
    let rows = find(error);
    error.is::<WrongTable>()
        || error.is::<ChangedRows>()
        || error.is::<WrongTemplate>()
        || matches!(rows, Some(Error::Changed { .. } | Error::Table { fault: Fault::NoColumn { .. }, .. }))
}

fn find(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// What to do about answered rows whose request has changed.
const RERUN: &str = "answer them again with `--rerun-changed`, or write to another file with `-o`";
const BRACES: &str = "write `{{` and `}}` for braces that are text";

fn table_hint(error: &WrongTable) -> Option<String> {
    match error {
        WrongTable::NoPrompt { columns, .. } if !columns.is_empty() => {
            Some(format!("its columns are {}", listed(columns)))
        }
        _ => None,
    }
}

fn template_hint(error: &WrongTemplate) -> Option<&'static str> {
    match error {
        WrongTemplate::Unclosed { .. } | WrongTemplate::Unopened { .. } => Some(BRACES),
        WrongTemplate::Constant { .. } => None,
    }
}

fn fault_hint(fault: &Fault) -> Option<String> {
    let plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || "_- ".contains(c));
    Some(match fault {
        Fault::NoColumn { columns, .. } if columns.len() == 1 => {
            delimiter_hint(|delimiter| columns[0].contains(delimiter))?
        }
        Fault::NoColumn { name, .. } if !plain(name) => BRACES.to_owned(),
        Fault::Undoubled { next, .. } => delimiter_hint(|delimiter| delimiter == char::from(*next))
            .unwrap_or_else(|| "write a quote inside of quotes twice".to_owned()),
        Fault::Fields { .. } => "put fields that contain the delimiter or a newline in quotes".to_owned(),
        Fault::Unclosed { .. } | Fault::Endless { .. } => {
            "check the quotes from that line on; a quote inside of quotes is written twice".to_owned()
        }
        Fault::NotUtf8 { .. } => "convert it: `iconv -f WINDOWS-1252 -t UTF-8`".to_owned(),
        _ => return None,
    })
}

/// For a table with another delimiter than the one that was passed: the first that `occurs`.
fn delimiter_hint(occurs: impl Fn(char) -> bool) -> Option<String> {
    let delimiters = [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")];
    let (_, shown) = delimiters.into_iter().find(|(delimiter, _)| occurs(*delimiter))?;
    Some(format!("if fields are separated by `{shown}`, pass `--delimiter '{shown}'`"))
}

fn foreign_hint(found: &Format) -> Option<&'static str> {
    match found {
        Format::Gguf => Some("pass the model with `-m`, and a file of requests as IN"),
        Format::Zip => Some("save a spreadsheet as CSV in UTF-8; unpack an archive first"),
        Format::Parquet => Some("write its rows as CSV or JSON lines"),
        found => format_hint(found, "rows"),
    }
}

fn batch_hint(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Foreign { found, .. } => return foreign_hint(found),
        Error::JsonArray { .. } => "write one object in each line: `jq -c '.[]'`",
        Error::Write { source, .. } if is_full(source) => {
            "free some space and run the same command to resume"
        }
        Error::Locked { .. } => "wait until the other process ends, or write to another file with `-o`",
        Error::NotAnswers { .. } => "write to another file with `-o`",
        Error::OtherModel { .. } => {
            "keep these answers and continue with `--allow-model-change`, or write to another file with `-o`"
        }
        Error::Changed { .. } => RERUN,
        Error::Engine { .. } => "run the same command to resume",
        _ => return None,
    })
}
