//! The rules of a grammar: whether all are defined, whether one begins with itself, and how many ways there are to
//! continue where one begins.

use std::collections::HashMap;

/// A count of repetitions. llama.cpp takes a larger maximum for none.
pub(super) const MOST_REPETITIONS: usize = 2000;
/// Ways to continue at one place of a text. llama.cpp compares every one with the others and with all tokens; it drops more
/// by our patch.
const MOST_WAYS: usize = 1024;
/// Rules that begin with another, one after the other; llama.cpp recurses for each.
const DEEPEST: usize = 512;

/// One alternative.
pub(super) type Sequence = Vec<Element>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    /// A character, a token, or several characters.
    Text,
    Rule(usize),
    Group(Vec<Sequence>),
    Repeated {
        element: Box<Element>,
        least: usize,
        most: Option<usize>,
    },
}

/// Rules by number.
#[derive(Debug, Default)]
pub(super) struct Rules {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
    bodies: Vec<Option<Vec<Sequence>>>,
}

impl Rules {
    pub(super) fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.bodies.push(None);
        self.names.len() - 1
    }

    /// Defines a rule; a second definition takes the place of the first.
    pub(super) fn define(&mut self, name: &str, alternatives: Vec<Sequence>) {
        let number = self.number(name);
        self.bodies[number] = Some(alternatives);
    }

    pub(super) fn check(&self, root: &str) -> Result<(), String> {
        if self.numbers.get(root).is_none_or(|number| self.bodies[*number].is_none()) {
            return Err(format!("there is no rule `{root}`"));
        }
        if let Some(missing) = self.bodies.iter().position(Option::is_none) {
            return Err(format!("there is no rule `{}`", self.names[missing]));
        }
        let mut beginnings = Beginnings { rules: self, known: vec![Known::No; self.names.len()] };
        for number in 0..self.names.len() {
            beginnings.rule(number, 0)?;
        }
        Ok(())
    }
}

/// How a rule may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Beginning {
    ways: usize,
    may_be_empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Open,
    Yes(Beginning),
}

struct Beginnings<'a> {
    rules: &'a Rules,
    known: Vec<Known>,
}

impl<'a> Beginnings<'a> {
    fn rule(&mut self, number: usize, depth: usize) -> Result<Beginning, String> {
        let name = &self.rules.names[number];
        match self.known[number] {
            Known::Yes(beginning) => return Ok(beginning),
            Known::Open => return Err(format!("left recursion: rule `{name}` begins with itself")),
            Known::No => {}
        }
        if depth > DEEPEST {
            return Err(format!(
                "more than {DEEPEST} rules in a row each begin with the next, down to `{name}`"
            ));
        }
        self.known[number] = Known::Open;
        let body = self.rules.bodies[number].as_deref().unwrap_or_default();
        let beginning = self.alternatives(body, depth + 1)?;
        if beginning.ways > MOST_WAYS {
            return Err(format!(
                "rule `{name}` can begin in {} ways, expected at most {MOST_WAYS}; \
                 for a choice of many texts use `enum` in a JSON schema",
                beginning.ways
            ));
        }
        self.known[number] = Known::Yes(beginning);
        Ok(beginning)
    }

    fn alternatives(&mut self, all: &'a [Sequence], depth: usize) -> Result<Beginning, String> {
        let mut sum = Beginning { ways: 0, may_be_empty: false };
        for sequence in all {
            let one = self.sequence(sequence, depth)?;
            sum.ways = sum.ways.saturating_add(one.ways);
            sum.may_be_empty |= one.may_be_empty;
        }
        Ok(sum)
    }

    fn sequence(&mut self, sequence: &'a [Element], depth: usize) -> Result<Beginning, String> {
        let mut ways: usize = 0;
        let mut may_be_empty = true;
        for element in sequence {
            if may_be_empty {
                let one = self.element(element, depth)?;
                ways = ways.saturating_add(one.ways);
                may_be_empty = one.may_be_empty;
            } else {
                inside(element)?;
            }
        }
        Ok(Beginning { ways: ways.saturating_add(usize::from(may_be_empty)), may_be_empty })
    }

    fn element(&mut self, element: &'a Element, depth: usize) -> Result<Beginning, String> {
        match element {
            Element::Text => Ok(Beginning { ways: 1, may_be_empty: false }),
            Element::Rule(number) => self.rule(*number, depth),
            Element::Group(all) => self.alternatives(all, depth + 1),
            Element::Repeated { element, least, most } => {
                let one = self.element(element, depth)?;
                // An empty repetition continues with the next one.
                let times =
                    if one.may_be_empty { most.unwrap_or(*least).clamp(1, MOST_REPETITIONS) } else { 1 };
                Ok(Beginning {
                    ways: one.ways.saturating_mul(times),
                    may_be_empty: one.may_be_empty || *least == 0,
                })
            }
        }
    }
}

/// Checks groups behind the beginning of a sequence, where they may begin in too many ways too.
fn inside(element: &Element) -> Result<(), String> {
    match element {
        Element::Text | Element::Rule(_) => Ok(()),
        Element::Repeated { element, .. } => inside(element),
        Element::Group(all) => {
            // References in it are not at the beginning of this rule: that they lead back to it is no circle.
            let ways = all.iter().map(|sequence| apart(sequence)).sum::<usize>();
            if ways > MOST_WAYS {
                return Err(format!("a group can begin in more than {MOST_WAYS} ways"));
            }
            all.iter().flatten().try_for_each(inside)
        }
    }
}

/// The ways in which a sequence begins, references counted as one.
fn apart(sequence: &[Element]) -> usize {
    match sequence.first() {
        Some(Element::Group(all)) => all.iter().map(|sequence| apart(sequence)).sum(),
        _ => 1,
    }
}
