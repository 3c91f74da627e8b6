//! Why a table cannot be read.

/// Why a table cannot be read. Lines count from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no header.
    #[error("no header, expected the names of the columns in the first line")]
    NoHeader,
    /// It has no column of this name.
    #[error("no column `{name}`, expected {}", listed(columns))]
    NoColumn {
        /// The name.
        name: String,
        /// The names of all columns.
        columns: Vec<String>,
    },
    /// Two columns have this name.
    #[error("two columns are named `{name}`")]
    TwoColumns {
        /// The name.
        name: String,
    },
    /// A record has more or fewer fields than the header.
    #[error("line {line}: the number of fields is {found}, expected {expected} as in the header")]
    Fields {
        /// Where it begins.
        line: u64,
        /// The number of its fields.
        found: u64,
        /// The number of columns.
        expected: u64,
    },
    /// A quoted field does not end.
    #[error("the quote that opens in line {line} is not closed")]
    Unclosed {
        /// Where it begins.
        line: u64,
    },
    /// Text follows the quote that closes a field.
    #[error("text after the closing quote of a field in line {line}")]
    Undoubled {
        /// Where it is.
        line: u64,
        /// Its first byte.
        next: u8,
    },
    /// A record is too long.
    #[error("the record before line {line} is longer than {limit} bytes")]
    Endless {
        /// Where reading stopped.
        line: u64,
        /// The maximum length.
        limit: usize,
    },
    /// A field is not UTF-8.
    #[error("line {line} is not UTF-8{}", column.as_ref().map(|name| format!(" in column `{name}`")).unwrap_or_default())]
    NotUtf8 {
        /// Where its record begins.
        line: u64,
        /// Its column.
        column: Option<String>,
    },
}

/// Columns that a message lists.
const SHOWN: usize = 20;
/// Characters of a name that a message shows.
const NAME: usize = 60;

/// The names of columns for a message: `` `id`, `text` ``, up to a limit.
#[must_use]
pub fn listed(columns: &[String]) -> String {
    let name = |name: &String| format!("`{}`", name.chars().take(NAME).collect::<String>());
    let mut names: Vec<String> = columns.iter().take(SHOWN).map(name).collect();
    if columns.len() > SHOWN {
        names.push(format!("and {} more", columns.len() - SHOWN));
    }
    names.join(", ")
}
