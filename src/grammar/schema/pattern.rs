//! Patterns in ECMAScript's syntax, written again for the regular expressions of Rust: the two differ in what classes
//! contain and in which escapes exist. What has no equivalent is refused.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// Nested groups.
const DEEPEST: usize = 64;
/// Characters and classes, each counted as often as it may repeat.
const LARGEST: u64 = 20_000;
/// A count of repetitions.
const MOST: u32 = 10_000;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Z_a-z";
const SPACE: &str =
    r"\t\n\x{b}\x{c}\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";

/// The pattern as a regular expression of Rust.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut reader = Reader { rest: pattern.chars().peekable(), out: String::new() };
    let size = reader.alternatives(0)?;
    if reader.rest.peek().is_some() {
        return Err("it has a `)` without a `(`".to_owned());
    }
    within(size)?;
    Ok(reader.out)
}

fn within(size: u64) -> Result<u64, String> {
    if size > LARGEST {
        return Err(format!("it is too large: at most {LARGEST} characters, repeated ones counted"));
    }
    Ok(size)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Reader<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<u64, String> {
        if depth > DEEPEST {
            return Err(format!("its groups are nested more than {DEEPEST} deep"));
        }
        let mut size = 0;
        while let Some(&next) = self.rest.peek() {
            if next == ')' {
                break;
            }
            if next == '{' && self.counts()?.is_some() {
                return Err("`{` has nothing to repeat".to_owned());
            }
            self.rest.next();
            if matches!(next, '|' | '^' | '$') {
                self.out.push(next);
                if next != '|' && matches!(self.rest.peek(), Some('*' | '+' | '?')) {
                    return Err(format!("`{next}` cannot be repeated"));
                }
                continue;
            }
            let begin = self.out.len();
            let atom = self.atom(next, depth)?;
            size = within(size + self.repeated(atom, begin)?)?;
        }
        Ok(size)
    }

    fn atom(&mut self, first: char, depth: usize) -> Result<u64, String> {
        match first {
            '(' => {
                self.group()?;
                self.out.push_str("(?:");
                let size = self.alternatives(depth + 1)?;
                if self.rest.next() != Some(')') {
                    return Err("it has a `(` without a `)`".to_owned());
                }
                self.out.push(')');
                return Ok(size.max(1));
            }
            '[' => self.class()?,
            '.' => self.out.push_str(r"[^\n\r\x{2028}\x{2029}]"),
            '\\' => match self.escape()? {
                Escape::One(character) => self.literal(character),
                Escape::Class { inside, negated } => {
                    write!(self.out, "[{}{inside}]", if negated { "^" } else { "" })
                        .expect("strings take text");
                }
                Escape::Property(text) => self.out.push_str(&text),
            },
            '*' | '+' | '?' => return Err(format!("`{first}` has nothing to repeat")),
            character => self.literal(character),
        }
        Ok(1)
    }

    /// Reads the beginning of a group after its bracket.
    fn group(&mut self) -> Result<(), String> {
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        self.rest.next();
        match self.rest.next() {
            Some(':') => Ok(()),
            Some('<') if !matches!(self.rest.peek(), Some('=' | '!')) => {
                match self.rest.by_ref().find(|&c| c == '>') {
                    Some(_) => Ok(()),
                    None => Err("the name of a group does not end".to_owned()),
                }
            }
            Some('=' | '!' | '<') => Err("lookahead and lookbehind are not supported".to_owned()),
            _ => Err("`(?` is followed by neither `:` nor a name".to_owned()),
        }
    }

    /// Reads a quantifier after an atom of this size, and writes it.
    fn repeated(&mut self, size: u64, begin: usize) -> Result<u64, String> {
        let (least, most) = match self.rest.peek() {
            Some('{') => match self.counts()? {
                Some(counts) => counts,
                None => return Ok(size),
            },
            Some(sign @ ('*' | '+' | '?')) => {
                let counts = (u32::from(*sign == '+'), (*sign == '?').then_some(1));
                self.rest.next();
                counts
            }
            _ => return Ok(size),
        };
        // Whether as few as possible are taken changes no answer.
        if self.rest.peek() == Some(&'?') {
            self.rest.next();
        }
        if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
            return Err("a quantifier follows another".to_owned());
        }
        let atom = self.out.split_off(begin);
        let most_text = most.map_or(String::new(), |most: u32| most.to_string());
        write!(self.out, "(?:{atom}){{{least},{most_text}}}").expect("strings take text");
        within(size.saturating_mul(u64::from(most.unwrap_or(least).max(1))))
    }

    /// The counts in braces, which are read; `None` if the brace is a character.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let ahead: String = self.rest.clone().skip(1).take(24).collect();
        let Some((text, _)) = ahead.split_once('}') else { return Ok(None) };
        let (least, most) = text.split_once(',').map_or((text, None), |(a, b)| (a, Some(b)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(least) || !most.is_none_or(|most| most.is_empty() || is_number(most)) {
            return Ok(None);
        }
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| *number <= MOST);
            number.ok_or_else(|| format!("`{{{text}}}` repeats more than {MOST} times"))
        };
        let least: u32 = number(least)?;
        let most = match most {
            None => Some(least),
            Some("") => None,
            Some(most) => Some(number(most)?),
        };
        if most.is_some_and(|most| most < least) {
            return Err(format!("the counts of `{{{text}}}` are out of order"));
        }
        for _ in 0..text.len() + 2 {
            self.rest.next();
        }
        Ok(Some((least, most)))
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
        }
        let begin = self.out.len();
        loop {
            let Some(next) = self.rest.next() else { return Err("it has a `[` without a `]`".to_owned()) };
            if next == ']' {
                break;
            }
            let Some(first) = self.member(next)? else { continue };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            self.literal(first);
            if !is_range {
                continue;
            }
            self.rest.next();
            let Some(next) = self.rest.next() else { continue };
            let end = self.out.len();
            match self.member(next)? {
                Some(last) if last >= first => {
                    self.out.push('-');
                    self.literal(last);
                }
                Some(_) => return Err("a range of characters is out of order".to_owned()),
                // `[a-\d]`: the hyphen is a character.
                None => self.out.insert_str(end, r"\-"),
            }
        }
        if self.out.len() == begin {
            // `[^]` is any character.
            if !self.out.ends_with('^') {
                return Err("`[]` matches nothing".to_owned());
            }
            self.out.truncate(begin - 1);
            self.out.push_str(r"\x{0}-\x{10ffff}");
        }
        self.out.push(']');
        Ok(())
    }

    /// A character of a class; `None` if it is a class itself, which is written.
    fn member(&mut self, next: char) -> Result<Option<char>, String> {
        if next != '\\' {
            return Ok(Some(next));
        }
        if self.rest.peek() == Some(&'b') {
            self.rest.next();
            return Ok(Some('\u{8}'));
        }
        match self.escape()? {
            Escape::One(character) => return Ok(Some(character)),
            Escape::Class { inside, negated: false } => self.out.push_str(inside),
            Escape::Class { inside, negated: true } => {
                write!(self.out, "[^{inside}]").expect("strings take text");
            }
            Escape::Property(text) => self.out.push_str(&text),
        }
        Ok(None)
    }

    fn escape(&mut self) -> Result<Escape, String> {
        let class = |inside, negated| Ok(Escape::Class { inside, negated });
        let Some(next) = self.rest.next() else { return Err("it ends with `\\`".to_owned()) };
        Ok(Escape::One(match next {
            'd' => return class(DIGIT, false),
            'D' => return class(DIGIT, true),
            'w' => return class(WORD, false),
            'W' => return class(WORD, true),
            's' => return class(SPACE, false),
            'S' => return class(SPACE, true),
            'p' | 'P' => return self.property(next),
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => '\0',
            'c' => match self.rest.next() {
                Some(letter) if letter.is_ascii_alphabetic() => char::from(letter as u8 % 32),
                _ => return Err("`\\c` is not followed by a letter".to_owned()),
            },
            'x' => self.code(2)?,
            'u' => self.unicode()?,
            'b' | 'B' => return Err(format!("word boundaries (`\\{next}`) are not supported")),
            'k' | '0'..='9' => return Err(format!("backreferences (`\\{next}`) are not supported")),
            c if c.is_alphanumeric() => return Err(format!("`\\{c}` is not an escape of ECMAScript")),
            c => c,
        }))
    }

    fn property(&mut self, letter: char) -> Result<Escape, String> {
        let wrong = || format!("`\\{letter}` is not followed by a property in braces");
        if self.rest.next() != Some('{') {
            return Err(wrong());
        }
        let name: String = self.rest.by_ref().take_while(|&c| c != '}').take(64).collect();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_=".contains(c));
        if !is_name {
            return Err(wrong());
        }
        Ok(Escape::Property(format!("\\{letter}{{{name}}}")))
    }

    fn unicode(&mut self) -> Result<char, String> {
        if self.rest.peek() == Some(&'{') {
            self.rest.next();
            let hex: String = self.rest.by_ref().take_while(|&c| c != '}').take(8).collect();
            let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
            return code.ok_or_else(|| format!("`\\u{{{hex}}}` is not a character"));
        }
        let wrong = || "`\\u` is not followed by a character's four digits".to_owned();
        let first = self.digits(4).ok_or_else(wrong)?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let mut ahead = self.rest.clone();
        if !(ahead.next() == Some('\\') && ahead.next() == Some('u')) {
            return Err("`\\u` is half of a character".to_owned());
        }
        self.rest = ahead;
        let second = self.digits(4).ok_or_else(wrong)?;
        let both = [first, second].map(|unit| u16::try_from(unit).unwrap_or(0));
        let decoded = char::decode_utf16(both).next().and_then(Result::ok);
        decoded.ok_or_else(|| "`\\u` is half of a character".to_owned())
    }

    fn code(&mut self, digits: usize) -> Result<char, String> {
        let code = self.digits(digits).and_then(char::from_u32);
        code.ok_or_else(|| format!("`\\x` is not followed by {digits} digits"))
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let hex: String = self.rest.by_ref().take(count).collect();
        let is_hex = hex.chars().count() == count && hex.chars().all(|c| c.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(&hex, 16).ok()).flatten()
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii_alphanumeric() || !character.is_ascii() {
            self.out.push(character);
        } else {
            write!(self.out, "\\x{{{:x}}}", u32::from(character)).expect("strings take text");
        }
    }
}

enum Escape {
    One(char),
    Class { inside: &'static str, negated: bool },
    Property(String),
}
