//! Options of tables, and the format of an input.

use std::path::Path;

use clap::Args;
use ggrun::batch::{self, Format, Table, Template};

use crate::cli::error::WrongTable;
use crate::cli::options::prompt::EscapeArgs;

/// Options of an input that is a table.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tables")]
pub(super) struct TableArgs {
    /// Take prompts from this column of a CSV or TSV file
    ///
    /// The first line of the file names the columns. Columns that no option names are not used.
    #[arg(long, value_name = "NAME")]
    prompt_column: Option<String>,
    /// Take the ids of rows from this column [default: row-1, row-2, …]
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// Make prompts from this text, with columns as {NAME}
    ///
    /// {{ and }} are braces.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    template: Option<String>,
    /// Separate fields by this character [default: a tab in .tsv files, else a comma]
    #[arg(long, value_name = "CHAR", value_parser = delimiter, allow_hyphen_values = true, hide_short_help = true)]
    delimiter: Option<u8>,
}

/// The kind of a file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Lines,
    Table(u8),
    Unknown,
}

impl TableArgs {
    /// The format of an input: its name decides, then the options.
    ///
    /// # Errors
    ///
    /// When they contradict each other, or a table has no option for its prompts.
    pub(super) fn format(&self, input: &Path, escape: &EscapeArgs) -> anyhow::Result<Format> {
        let named = Named::of(input);
        let delimiter = match (self.delimiter, named) {
            (Some(delimiter), _) | (None, Named::Table(delimiter)) => delimiter,
            _ => b',',
        };
        let option = self.first();
        let shown = || input.display().to_string();
        match (named, option) {
            (Named::Lines, Some(option)) => return Err(WrongTable::Lines { option, input: shown() }.into()),
            (Named::Lines | Named::Unknown, None) => return Ok(Format::Lines),
            (Named::Table(_) | Named::Unknown, _) => {}
        }
        let prompt = match (&self.template, &self.prompt_column) {
            (Some(text), column) => {
                let template = Template::parse(&escape.text(text.clone()))?;
                if let Some(column) = column.as_ref().filter(|name| template.columns().all(|c| c != **name)) {
                    return Err(WrongTable::Unused { column: column.clone() }.into());
                }
                template
            }
            (None, Some(column)) => Template::column(column),
            (None, None) => {
                let is_file = input.is_file();
                let columns = if is_file { batch::columns(input, delimiter)? } else { Vec::new() };
                return Err(WrongTable::NoPrompt { input: shown(), columns }.into());
            }
        };
        Ok(Format::Table(Table { delimiter, id: self.id_column.clone(), prompt }))
    }

    /// The first option that is set.
    fn first(&self) -> Option<&'static str> {
        [
            ("--prompt-column", self.prompt_column.is_some()),
            ("--template", self.template.is_some()),
            ("--id-column", self.id_column.is_some()),
            ("--delimiter", self.delimiter.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_set)| is_set.then_some(name))
    }
}

impl Named {
    fn of(input: &Path) -> Self {
        let name = input.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let plain = [".gz", ".zst", ".zstd"].iter().find_map(|suffix| name.strip_suffix(suffix));
        match plain.unwrap_or(&name).rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("csv") => Self::Table(b','),
            Some("tsv" | "tab") => Self::Table(b'\t'),
            Some("jsonl" | "ndjson" | "json") => Self::Lines,
            _ => Self::Unknown,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        b"\\t" | b"tab" => Ok(b'\t'),
        _ => Err("expected one ASCII character, or \\t"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(args: &TableArgs, input: &str) -> Result<Format, String> {
        args.format(Path::new(input), &EscapeArgs::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_name_of_a_file_decides_its_format() {
        let none = TableArgs::default();
        for name in ["a.jsonl", "a.json", "a.NDJSON.gz", "a.txt", "-"] {
            assert_eq!(format(&none, name), Ok(Format::Lines), "{name}");
        }
        let args = TableArgs { prompt_column: Some("p".to_owned()), ..none.clone() };
        let table = |delimiter| Format::Table(Table { delimiter, id: None, prompt: Template::column("p") });
        for (name, delimiter) in [("a.csv", b','), ("a.TSV.zst", b'\t'), ("-", b','), ("a.txt", b',')] {
            assert_eq!(format(&args, name), Ok(table(delimiter)), "{name}");
        }
        let semicolons = TableArgs { delimiter: Some(b';'), ..args };
        assert_eq!(format(&semicolons, "a.tsv"), Ok(table(b';')));
    }

    #[test]
    fn options_that_would_be_ignored_are_refused() {
        let prompt = TableArgs { prompt_column: Some("p".to_owned()), ..TableArgs::default() };
        let error = format(&prompt, "a.jsonl").unwrap_err();
        assert_eq!(error, "`--prompt-column` is for tables, `a.jsonl` has JSON lines");
        let error = format(&TableArgs { id_column: Some("i".to_owned()), ..TableArgs::default() }, "no.csv")
            .unwrap_err();
        assert_eq!(error, "`no.csv` is a table, expected `--prompt-column` or `--template`");
        let error = format(&TableArgs { template: Some("{q}".to_owned()), ..prompt }, "a.csv").unwrap_err();
        assert_eq!(error, "`--template` does not insert `p`, the column of `--prompt-column`");
    }

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!([";", "\\t", "tab", "|"].map(delimiter), [Ok(b';'), Ok(b'\t'), Ok(b'\t'), Ok(b'|')]);
        for text in ["", "ab", "\"", "é", "\n"] {
            assert!(delimiter(text).is_err(), "{text:?}");
        }
    }
}
