//! The text of a prompt, with columns of a table.

/// A text with places for columns: `{NAME}` inserts one, `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Column(String),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongTemplate {
    /// A brace is not closed.
    #[error("`{{` without `}}` in `{rest}`")]
    Unclosed {
        /// The text from the brace on.
        rest: String,
    },
    /// A closing brace stands alone.
    #[error("`}}` without `{{` before `{rest}`")]
    Unopened {
        /// The text after the brace.
        rest: String,
    },
    /// All prompts would be the same.
    #[error("`{text}` inserts no column, expected `{{NAME}}`")]
    Constant {
        /// The text.
        text: String,
    },
}

/// Characters of a template that a message shows.
const SHOWN: usize = 60;

impl Template {
    /// A prompt that is the text of one column.
    #[must_use]
    pub fn column(name: impl Into<String>) -> Self {
        Self(vec![Piece::Column(name.into())])
    }

    /// Reads a template.
    ///
    /// # Errors
    ///
    /// When a brace is alone, or no column is inserted.
    pub fn parse(text: &str) -> Result<Self, WrongTemplate> {
        let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal += &rest[..at];
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                literal += brace;
                rest = after;
            } else if brace == "}" {
                return Err(WrongTemplate::Unopened { rest: shown(after) });
            } else {
                let Some((name, after)) = after.split_once('}') else {
                    return Err(WrongTemplate::Unclosed { rest: shown(&rest[at..]) });
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Column(name.trim().to_owned()));
                rest = after;
            }
        }
        literal += rest;
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        let template = Self(pieces);
        if template.columns().next().is_none() {
            return Err(WrongTemplate::Constant { text: shown(text) });
        }
        Ok(template)
    }

    /// The columns that it inserts.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }
}
