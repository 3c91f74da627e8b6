//! The front matter of a model card: the part of `README.md` between two lines of `---`.
//!
//! Not a YAML parser: reads only strings and lists of strings at the top level, which hold the names, the license and
//! the base models. Skips everything else.

/// Limit of the front matter, in lines.
const MAX_LINES: usize = 10_000;

/// Fields of a front matter; a single string is a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModelCard {
    fields: Vec<(String, Vec<String>)>,
}

impl ModelCard {
    /// Reads the supported fields; a text without front matter has none.
    pub(super) fn read(text: &str) -> Self {
        let mut card = Self::default();
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_end);
        if lines.next() != Some("---") {
            return card;
        }
        let mut open = None;
        for line in lines.take(MAX_LINES).take_while(|line| *line != "---") {
            let bare = line.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            if let Some(item) = bare.strip_prefix("- ") {
                if let (Some(i), Some(text)) = (open, scalar(item)) {
                    let list: &mut (String, Vec<String>) = &mut card.fields[i];
                    list.1.push(text);
                }
                continue;
            }
            open = None;
            if bare.len() != line.len() {
                continue; // a nested map
            }
            let Some((key, value)) = line.split_once(':') else { continue };
            let values = values(value.trim());
            if values.is_empty() {
                open = Some(card.fields.len());
            }
            card.fields.push((key.trim().to_owned(), values));
        }
        card
    }

    /// All strings of the first of `names` that has any.
    pub(super) fn list(&self, names: &[&str]) -> &[String] {
        let has = |name: &&str| self.fields.iter().find(|(key, v)| key == name && !v.is_empty());
        names.iter().find_map(has).map_or(&[], |(_, values)| values)
    }

    /// The string of the first of `names` that has any; `None` if it has several.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        match self.list(names) {
            [text] => Some(text),
            _ => None,
        }
    }
}

/// The value after a key: nothing, a string, or a list in brackets.
fn values(text: &str) -> Vec<String> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) => list.split(',').filter_map(scalar).collect(),
        None => scalar(text).into_iter().collect(),
    }
}

/// A string without quotes and trailing comment; `None` for an empty value, `null`, blocks and nested structures.
fn scalar(text: &str) -> Option<String> {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split_once(quote).map(|(inside, _)| inside.to_owned());
        }
    }
    let text = text.split_once(" #").map_or(text, |(text, _)| text.trim_end());
    let other = matches!(text, "" | "null" | "~") || text.starts_with(['|', '>', '{', '[', '&', '*', '#']);
    (!other && !text.contains(": ")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_lists_are_read_in_every_notation() {
        let card = ModelCard::read(
            "---\nlicense: apache-2.0 # free\nlanguage:\n- en\n  # between\n- \"no\"\ntags: [a, 'b c']\n\
             base_model:\n  - Qwen/Qwen3\nmodel-index:\n- name: x\n  results: y\nempty:\n---\nlicense: mit\n",
        );
        assert_eq!(card.text(&["license"]), Some("apache-2.0"));
        assert_eq!(card.list(&["languages", "language"]), ["en", "no"]);
        assert_eq!(card.list(&["tags"]), ["a", "b c"]);
        assert_eq!(card.text(&["base_model"]), Some("Qwen/Qwen3"));
        assert_eq!(card.text(&["empty"]), None);
        assert_eq!(card.list(&["model-index"]), [""; 0]);
    }

    #[test]
    fn a_text_without_front_matter_has_no_fields() {
        for text in ["", "# Title\nlicense: mit\n", "----\nlicense: mit\n---\n"] {
            assert_eq!(ModelCard::read(text), ModelCard::default());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(---\n)?([a-z:\\[\\]\"'#, \n\u{e9}-]){0,80}") {
            let card = ModelCard::read(&text);
            proptest::prop_assert!(card.fields.len() <= text.lines().count());
        }
    }
}
