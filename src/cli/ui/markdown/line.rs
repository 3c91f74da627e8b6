//! What a line of Markdown is: a heading, an item, a part of a table and so on.

/// A kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    /// The first line of a code block.
    Fence(Fence),
    /// The level of a heading.
    Heading(usize),
    Rule,
    /// A row of a table.
    Row,
    Quote,
    /// An item whose marker is a dash, a star or a plus.
    Bullet,
    /// An item whose marker is a number.
    Number,
    Text,
}

/// The marker of a code block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fence {
    mark: char,
    length: usize,
}

/// A line in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) kind: Kind,
    /// Spaces before the marker.
    pub(super) indent: usize,
    /// The number of an item, with its full stop.
    pub(super) marker: &'a str,
    /// The text after the marker.
    pub(super) body: &'a str,
}

impl Fence {
    fn of(text: &str) -> Option<Self> {
        let mark = text.chars().next().filter(|c| "`~".contains(*c))?;
        let length = text.chars().take_while(|c| *c == mark).count();
        let info = &text[length..];
        (length >= 3 && (mark == '~' || !info.contains('`'))).then_some(Self { mark, length })
    }

    /// Whether a line ends the block; `None` if that depends on the rest of the line.
    pub(super) fn is_ended_by(self, line: &str, is_whole: bool) -> Option<bool> {
        let text = line.trim();
        let is_marker = text.chars().all(|c| c == self.mark);
        if !is_whole {
            return if is_marker { None } else { Some(false) };
        }
        Some(is_marker && text.len() >= self.length)
    }
}

impl<'a> Line<'a> {
    /// Reads a line, or the beginning of one: `None` if its kind depends on the rest.
    pub(super) fn read(line: &'a str, is_whole: bool) -> Option<Self> {
        let text = line.trim_start_matches([' ', '\t']);
        let indent = line[..line.len() - text.len()].chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
        let (kind, marker) = kind(text, is_whole)?;
        let body = match kind {
            Kind::Heading(_) | Kind::Bullet | Kind::Number | Kind::Quote => text[marker..].trim_start(),
            _ => text,
        };
        Some(Self { kind, indent, marker: text[..marker].trim_end(), body })
    }
}

/// The kind of a line without its indent, and the length of its marker.
fn kind(text: &str, is_whole: bool) -> Option<(Kind, usize)> {
    let unsure = |kind| if is_whole { Some((kind, 0)) } else { None };
    let Some(first) = text.chars().next() else { return unsure(Kind::Blank) };
    match first {
        '#' => {
            let level = text.chars().take_while(|c| *c == '#').count();
            match text[level..].chars().next() {
                Some(' ' | '\t') if level <= 6 => Some((Kind::Heading(level), level + 1)),
                None if level <= 6 => unsure(Kind::Text),
                _ => Some((Kind::Text, 0)),
            }
        }
        '`' | '~' => match Fence::of(text) {
            Some(fence) if is_whole => Some((Kind::Fence(fence), 0)),
            Some(_) => None,
            None if text.len() < 3 && text.chars().all(|c| c == first) => unsure(Kind::Text),
            None => Some((Kind::Text, 0)),
        },
        '|' => unsure(Kind::Row),
        '>' if text.len() == 1 && !is_whole => None,
        '>' => Some((Kind::Quote, 1)),
        '-' | '*' | '+' | '_' => {
            let mut marks = text.chars().filter(|c| !c.is_whitespace());
            let is_rule = first != '+' && marks.all(|c| c == first);
            let count = text.matches(first).count();
            match text[1..].chars().next() {
                _ if is_rule && is_whole && count >= 3 => Some((Kind::Rule, 0)),
                // `- - -` is a rule, `- x` an item.
                _ if is_rule && !is_whole => None,
                Some(' ' | '\t') if first != '_' => Some((Kind::Bullet, 2)),
                None => unsure(Kind::Text),
                _ => Some((Kind::Text, 0)),
            }
        }
        '0'..='9' => {
            let digits = text.chars().take_while(char::is_ascii_digit).count();
            match (text[digits..].chars().next(), text[digits..].chars().nth(1)) {
                _ if digits > 9 => Some((Kind::Text, 0)),
                (None, _) | (Some('.' | ')'), None) => unsure(Kind::Text),
                (Some('.' | ')'), Some(' ' | '\t')) => Some((Kind::Number, digits + 2)),
                _ => Some((Kind::Text, 0)),
            }
        }
        _ => Some((Kind::Text, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_kinds_markers_and_bodies() {
        let read = |line| {
            let Line { kind, indent, marker, body } = Line::read(line, true).unwrap();
            (kind, indent, marker, body)
        };
        assert_eq!(read("## Two **b**"), (Kind::Heading(2), 0, "##", "Two **b**"));
        assert_eq!(read("#hashtag"), (Kind::Text, 0, "", "#hashtag"));
        assert_eq!(read("  - item"), (Kind::Bullet, 2, "-", "item"));
        assert_eq!(read("\t12. item"), (Kind::Number, 4, "12.", "item"));
        assert_eq!(read("1.5 is a number"), (Kind::Text, 0, "", "1.5 is a number"));
        assert_eq!(read("> said"), (Kind::Quote, 0, ">", "said"));
        assert_eq!(read("| a | b |"), (Kind::Row, 0, "", "| a | b |"));
        assert_eq!(read("- - -"), (Kind::Rule, 0, "", "- - -"));
        assert_eq!(read("**bold** text"), (Kind::Text, 0, "", "**bold** text"));
        assert_eq!(read("```code``` in a line").0, Kind::Text);
        assert!(matches!(read("```rust").0, Kind::Fence(_)));
        assert_eq!(read("").0, Kind::Blank);
        assert_eq!(read("-").0, Kind::Text);
    }

    #[test]
    fn the_beginning_of_a_line_may_not_say_its_kind() {
        for line in ["", "#", "-", "- ", "*", "12", "12.", "`", "```", "```ru", "|", "| a", ">"] {
            assert_eq!(Line::read(line, false), None, "{line:?}");
        }
        for line in ["# x", "- x", "*a", "12. x", "x", "`a", "> "] {
            assert!(Line::read(line, false).is_some(), "{line:?}");
        }
    }

    #[test]
    fn a_code_block_ends_with_its_own_mark() {
        let Some(Line { kind: Kind::Fence(fence), .. }) = Line::read("````", true) else { panic!() };
        assert_eq!(fence.is_ended_by("```", true), Some(false));
        assert_eq!(fence.is_ended_by("  ````", true), Some(true));
        assert_eq!(fence.is_ended_by("``", false), None);
        assert_eq!(fence.is_ended_by("x", false), Some(false));
        assert_eq!(fence.is_ended_by("~~~~", true), Some(false));
    }
}
