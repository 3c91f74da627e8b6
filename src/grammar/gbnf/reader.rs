//! The notation: names, alternatives, literals, classes, tokens, groups and repetitions, as llama.cpp reads them.

use super::rules::{Element, MOST_REPETITIONS, Rules, Sequence};

/// Nested groups; llama.cpp's parser recurses for each.
const DEEPEST: usize = 256;
/// Characters, names and the rules that repetitions become, in the whole grammar.
const MOST_ELEMENTS: usize = 200_000;

/// Quantifiers of one element, as in `a*?`.
const MOST_QUANTIFIERS: usize = 4;

/// The rules of a grammar, and whether they name tokens.
pub(super) fn read(text: &str) -> Result<(Rules, bool), String> {
    let mut reader = Reader { text, at: 0, rules: Rules::default(), elements: 0, names_tokens: false };
    reader.space(true);
    while reader.at < text.len() {
        reader.rule()?;
    }
    Ok((reader.rules, reader.names_tokens))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    rules: Rules,
    elements: usize,
    names_tokens: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, character: char) -> bool {
        let is_next = self.peek() == Some(character);
        if is_next {
            self.at += character.len_utf8();
        }
        is_next
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if !self.text[self.at..].starts_with(text) {
            return Err(self.wrong(&format!("expected `{text}`")));
        }
        self.at += text.len();
        Ok(())
    }

    fn wrong(&self, reason: &str) -> String {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        format!("{reason} at line {line}, column {column}")
    }

    /// Skips spaces and comments.
    fn space(&mut self, newlines: bool) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' => self.at += 1,
                '\r' | '\n' if newlines => self.at += 1,
                '#' => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find(['\r', '\n']).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let rest = &self.text[self.at..];
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("expected the name of a rule"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn rule(&mut self) -> Result<(), String> {
        let name = self.name()?;
        self.space(false);
        self.expect("::=")?;
        self.space(true);
        let alternatives = self.alternatives(name, false, 0)?;
        if !(self.skip('\n') || self.skip('\r')) && self.at < self.text.len() {
            return Err(self.wrong("expected the end of the line"));
        }
        self.rules.define(name, alternatives);
        self.space(true);
        Ok(())
    }

    fn alternatives(&mut self, name: &str, nested: bool, depth: usize) -> Result<Vec<Sequence>, String> {
        if depth > DEEPEST {
            return Err(format!("brackets are nested more than {DEEPEST} deep"));
        }
        let mut all = vec![self.sequence(name, nested, depth)?];
        while self.skip('|') {
            self.space(true);
            all.push(self.sequence(name, nested, depth)?);
        }
        Ok(all)
    }

    fn sequence(&mut self, name: &str, nested: bool, depth: usize) -> Result<Sequence, String> {
        let mut sequence = Sequence::new();
        // What a repetition repeats: an element, and as how many llama.cpp counts it.
        let mut last: Option<usize> = None;
        let mut quantifiers = 0;
        while let Some(next) = self.peek() {
            if !"*+?{".contains(next) {
                quantifiers = 0;
            }
            let count = match next {
                '"' | '[' => {
                    self.at += 1;
                    self.characters(next)?
                }
                '<' | '!' => {
                    self.token()?;
                    1
                }
                '.' => {
                    self.at += 1;
                    1
                }
                '(' => {
                    self.at += 1;
                    self.space(true);
                    let alternatives = self.alternatives(name, true, depth + 1)?;
                    self.expect(")")?;
                    sequence.push(Element::Group(alternatives));
                    last = Some(self.add(1)?);
                    self.space(nested);
                    continue;
                }
                '*' | '+' | '?' | '{' => {
                    let (least, most) = self.counts(nested)?;
                    let (Some(size), Some(element)) = (last, sequence.pop()) else {
                        return Err(self.wrong("there is nothing to repeat"));
                    };
                    quantifiers += 1;
                    if quantifiers > MOST_QUANTIFIERS {
                        return Err(self.wrong(&format!("more than {MOST_QUANTIFIERS} quantifiers in a row")));
                    }
                    let optional = most.map_or(1, |most| most - least);
                    last = Some(
                        self.add(size.saturating_mul(least) + optional.saturating_mul(size + 3))?.max(size),
                    );
                    sequence.push(Element::Repeated { element: Box::new(element), least, most });
                    continue;
                }
                c if c.is_ascii_alphanumeric() || c == '-' => {
                    let reference = self.name()?;
                    sequence.push(Element::Rule(self.rules.number(reference)));
                    last = Some(self.add(1)?);
                    self.space(nested);
                    continue;
                }
                _ => break,
            };
            if count > 0 {
                sequence.push(Element::Text);
                last = Some(self.add(count)?);
            } else {
                last = None;
            }
            self.space(nested);
        }
        Ok(sequence)
    }

    fn add(&mut self, count: usize) -> Result<usize, String> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > MOST_ELEMENTS {
            return Err(format!(
                "it has more than {MOST_ELEMENTS} characters and rules, repeated ones counted"
            ));
        }
        Ok(count)
    }

    /// Reads a literal or a class after its opening sign, and counts its characters.
    fn characters(&mut self, open: char) -> Result<usize, String> {
        let close = if open == '[' { ']' } else { '"' };
        if open == '[' {
            self.skip('^');
        }
        let mut count = 0;
        while !self.skip(close) {
            self.character()?;
            count += 1;
        }
        Ok(count)
    }

    fn character(&mut self) -> Result<(), String> {
        let Some(next) = self.peek() else { return Err(self.wrong("a text or a class does not end")) };
        if next != '\\' {
            self.at += next.len_utf8();
            return Ok(());
        }
        let rest = &self.text.as_bytes()[self.at + 1..];
        let digits = match rest.first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            Some(b't' | b'r' | b'n' | b'\\' | b'"' | b'[' | b']' | b'-') => 0,
            _ => return Err(self.wrong("unknown escape")),
        };
        if !rest.get(1..=digits).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.wrong(&format!("expected {digits} digits in an escape")));
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn token(&mut self) -> Result<(), String> {
        self.skip('!');
        self.expect("<")?;
        let rest = &self.text[self.at..];
        let Some(end) = rest.find(['>', '\n']).filter(|end| rest[*end..].starts_with('>')) else {
            return Err(self.wrong("the name of a token does not end"));
        };
        self.at += end + 1;
        self.names_tokens = true;
        Ok(())
    }

    /// Reads a quantifier: the least and the most repetitions.
    fn counts(&mut self, nested: bool) -> Result<(usize, Option<usize>), String> {
        let sign = self.peek();
        let begin = self.at;
        self.at += 1;
        self.space(nested);
        let (least, most) = match sign {
            Some('*') => return Ok((0, None)),
            Some('+') => return Ok((1, None)),
            Some('?') => return Ok((0, Some(1))),
            _ => {
                let least = self.number()?;
                self.space(nested);
                if self.skip(',') {
                    self.space(nested);
                    let is_number = self.peek().is_some_and(|c| c.is_ascii_digit());
                    let most = is_number.then(|| self.number()).transpose()?;
                    self.space(nested);
                    (least, most)
                } else {
                    (least, Some(least))
                }
            }
        };
        self.expect("}")?;
        let shown = &self.text[begin..self.at];
        if least > MOST_REPETITIONS {
            return Err(self.wrong(&format!("`{shown}` repeats more than {MOST_REPETITIONS} times")));
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.wrong(&format!("the counts of `{shown}` are out of order")));
        }
        self.space(nested);
        Ok((least, most.filter(|most| *most <= MOST_REPETITIONS)))
    }

    fn number(&mut self) -> Result<usize, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("expected a number"));
        }
        let number = rest[..end].parse().map_err(|_| self.wrong("a number is too large"))?;
        self.at += end;
        Ok(number)
    }
}
