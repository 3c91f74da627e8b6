//! A look at the tokens of a template before it is parsed: the parser and the compiler of minijinja call themselves for
//! what is nested, without a limit for chains of operators.
//!
//! The same pass adds the filters of [`super::walk`] to the places where a small template can make large values: what
//! is assigned, joined with `~` and repeated with `*`.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::bound::{Bound, DEPTH, SOURCE};
use super::walk::{JOINED, KEPT, REPEATED, SET};

/// The template with the filters.
pub(super) fn guarded(source: &str, syntax: SyntaxConfig) -> Result<String, Bound> {
    if source.len() > SOURCE {
        return Err(Bound::Source { bytes: source.len() });
    }
    guarded_of_any_length(source, syntax)
}

/// Like [`guarded`], without a limit for the length.
pub(super) fn guarded_of_any_length(source: &str, syntax: SyntaxConfig) -> Result<String, Bound> {
    let mut guard = Guard { source, out: String::with_capacity(source.len()), ..Guard::default() };
    // The parser describes a text that has no tokens.
    for (token, span) in tokenize(source, false, syntax).map_while(Result::ok) {
        guard.token(&token, span);
        if guard.depth() > DEPTH {
            return Err(Bound::Depth { line: span.start_line.into() });
        }
    }
    Ok(guard.out + &source[guard.copied..])
}

/// An expression between brackets, or in a tag.
#[derive(Debug, Default)]
struct Level {
    /// Operators between operands so far.
    operators: usize,
    /// The depth of the last operand, and of the deepest one.
    operand: usize,
    deepest: usize,
    /// The depth of the deepest expression before the last comma.
    before: usize,
    /// To be added after this operand.
    filter: Option<&'static str>,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.operators + self.deepest.max(self.operand))
    }

    fn next_operand(&mut self) {
        self.operators += 1;
        self.deepest = self.deepest.max(self.operand);
        self.operand = 0;
    }

    fn next_expression(&mut self) {
        *self = Self { before: self.depth(), ..Self::default() };
    }
}

/// What the tag assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// It is not known yet, or assigns nothing.
    First,
    Other,
    /// A variable, or an attribute of a namespace.
    Set {
        attribute: bool,
        value: bool,
    },
}

#[derive(Debug, Default)]
struct Guard<'a> {
    source: &'a str,
    out: String,
    /// How much of the source is in the result.
    copied: usize,
    levels: Vec<Level>,
    tag: Option<Tag>,
    /// The branches of each open block.
    blocks: Vec<usize>,
    is_after_operand: bool,
    is_after_dot: bool,
    has_pipe: bool,
}

impl Guard<'_> {
    fn depth(&self) -> usize {
        self.levels.iter().map(|level| 1 + level.depth()).sum::<usize>() + self.blocks.iter().sum::<usize>()
    }

    fn insert(&mut self, at: u32, text: &str) {
        let at = (at as usize).clamp(self.copied, self.source.len());
        self.out.push_str(&self.source[self.copied..at]);
        self.out.push_str(text);
        self.copied = at;
    }

    fn filter(&mut self, at: u32, name: &str) {
        for text in ["|", name, " "] {
            self.insert(at, text);
        }
    }

    /// Ends an operand before a token.
    fn end_operand(&mut self, at: u32) {
        if let Some(name) = self.levels.last_mut().and_then(|level| level.filter.take()) {
            self.filter(at, name);
        }
    }

    fn token(&mut self, token: &Token<'_>, span: Span) {
        let begin = span.start_offset;
        let was_after_operand = std::mem::replace(&mut self.is_after_operand, false);
        let is_attribute = std::mem::replace(&mut self.is_after_dot, matches!(token, Token::Dot));
        match token {
            Token::TemplateData(_) => {}
            Token::VariableStart | Token::BlockStart => {
                self.levels = vec![Level::default()];
                self.tag = matches!(token, Token::BlockStart).then_some(Tag::First);
                self.has_pipe = false;
            }
            Token::VariableEnd | Token::BlockEnd => self.end_tag(begin),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.levels.push(Level::default()),
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.end_operand(begin);
                if self.levels.len() > 1
                    && let (Some(inner), Some(level)) = (self.levels.pop(), self.levels.last_mut())
                {
                    level.operand = level.operand.max(inner.depth()) + 1;
                }
                self.is_after_operand = true;
            }
            Token::Comma | Token::Colon => {
                self.end_operand(begin);
                self.levels.last_mut().into_iter().for_each(Level::next_expression);
            }
            Token::Assign => self.assign(span),
            Token::Dot | Token::Pipe => self.postfix(matches!(token, Token::Pipe)),
            Token::Tilde => self.operator(begin, was_after_operand, Some(JOINED)),
            Token::Mul => self.operator(begin, was_after_operand, Some(REPEATED)),
            Token::Ident(_) if is_attribute => self.is_after_operand = true,
            Token::Ident(name) => self.name(name, begin, was_after_operand),
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => {
                self.is_after_operand = true;
            }
            _ => self.operator(begin, was_after_operand, None),
        }
    }

    /// A token between two operands, or before one.
    fn operator(&mut self, begin: u32, is_between: bool, filter: Option<&'static str>) {
        // As in `f(*list)` and `-a`, it may begin an operand.
        if is_between {
            self.end_operand(begin);
            if let Some(name) = filter {
                self.filter(begin, name);
            }
        }
        if let Some(level) = self.levels.last_mut() {
            level.next_operand();
            if is_between {
                level.filter = filter;
            }
        }
    }

    fn postfix(&mut self, is_pipe: bool) {
        self.has_pipe |= is_pipe;
        if let Some(level) = self.levels.last_mut() {
            level.operand += 1;
        }
        if self.levels.len() == 1
            && let Some(Tag::Set { attribute, value: false }) = &mut self.tag
            && !is_pipe
        {
            *attribute = true;
        }
    }

    fn name(&mut self, name: &str, begin: u32, was_after_operand: bool) {
        if self.tag == Some(Tag::First) {
            self.statement(name);
        } else if matches!(name, "and" | "or" | "not" | "in" | "is" | "if" | "else") {
            self.operator(begin, was_after_operand, None);
        } else {
            self.is_after_operand = true;
        }
    }

    /// The first word of a tag.
    fn statement(&mut self, name: &str) {
        self.tag = Some(if name == "set" { Tag::Set { attribute: false, value: false } } else { Tag::Other });
        match name {
            "for" | "if" | "with" | "macro" | "call" | "filter" | "block" | "autoescape" => {
                self.blocks.push(1);
            }
            "elif" | "else" => self.blocks.last_mut().into_iter().for_each(|branches| *branches += 1),
            _ if name.starts_with("end") => drop(self.blocks.pop()),
            _ => {}
        }
    }

    fn assign(&mut self, span: Span) {
        let is_set = self.levels.len() == 1;
        self.levels.last_mut().into_iter().for_each(Level::next_expression);
        if let Some(Tag::Set { value, .. }) = &mut self.tag
            && is_set
            && !std::mem::replace(value, true)
        {
            self.insert(span.end_offset, "(");
        }
    }

    fn end_tag(&mut self, begin: u32) {
        self.end_operand(begin);
        match self.tag.take() {
            Some(Tag::Set { attribute, value: true }) => {
                self.insert(begin, ")");
                self.filter(begin, if attribute { KEPT } else { SET });
            }
            Some(Tag::Set { attribute, value: false }) => {
                self.blocks.push(1);
                if self.has_pipe {
                    self.filter(begin, if attribute { KEPT } else { SET });
                }
            }
            _ => {}
        }
        self.levels.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(source: &str) -> Result<String, Bound> {
        guarded(source, SyntaxConfig::default())
    }

    #[test]
    fn filters_are_added_where_large_values_begin() {
        for (source, expected) in [
            ("a {{ b }} {% raw %}{{ c ~ d }}{% endraw %}", "a {{ b }} {% raw %}{{ c ~ d }}{% endraw %}"),
            ("{%- set a = b -%}", "{%- set a =( b )|ggrun.set -%}"),
            ("{% set a.b=c, d %}", "{% set a.b=(c, d )|ggrun.kept %}"),
            ("{% set a = f(b=c.d) %}", "{% set a =( f(b=c.d) )|ggrun.set %}"),
            ("{% set a %}{% set a.b | list %}", "{% set a %}{% set a.b | list |ggrun.kept %}"),
            (
                "{{ a ~ b.c(d ~ e) ~ f | g }}",
                "{{ a |ggrun.joined ~ b.c(d |ggrun.joined ~ e|ggrun.joined ) |ggrun.joined |ggrun.joined ~ f | g |ggrun.joined }}",
            ),
            ("{{ f(*a, **b) * [c] }}", "{{ f(*a, **b) |ggrun.repeated * [c] |ggrun.repeated }}"),
            (
                "{{ 'x' * 3 if a ~ b is defined else c }}",
                "{{ 'x' |ggrun.repeated * 3 |ggrun.repeated if a |ggrun.joined ~ b |ggrun.joined is defined else c }}",
            ),
            (
                "{{ 2 * -a.b ~ -1 }}",
                "{{ 2 |ggrun.repeated * -a.b |ggrun.repeated |ggrun.joined ~ -1 |ggrun.joined }}",
            ),
            (
                "{{ a ~ b.not ~ c.in }}",
                "{{ a |ggrun.joined ~ b.not |ggrun.joined |ggrun.joined ~ c.in |ggrun.joined }}",
            ),
        ] {
            assert_eq!(guard(source).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_beside_each_other_is_not_nested() {
        let items = "{'a': b.c, 'd': [e, f(g) ~ 'h']}, ".repeat(2000);
        let tags =
            "{% if a %}{% elif b %}{{ c + d }}{% else %}{% endif %}{% set e %}f{% endset %}".repeat(2000);
        assert!(guard(&format!("{{{{ [{items}] }}}}{tags}")).is_ok());
    }

    #[test]
    fn every_chain_and_every_nesting_is_counted() {
        for (begin, part, end) in [
            ("{{ a", " + a", " }}"),
            ("{{ a", " ~ a", " }}"),
            ("{{ a", ".a", " }}"),
            ("{{ a", "[0]", " }}"),
            ("{{ a", "()", " }}"),
            ("{{ a", " | a", " }}"),
            ("{{ a", " if a else a", " }}"),
            ("{{ a", " is a", " }}"),
            ("{{ a", " and a", " }}"),
            ("{{ a", " < a", " }}"),
            ("{{ ", "not ", "a }}"),
            ("{{ ", "-", "a }}"),
            ("{{ ", "[", " }}"),
            ("{{ ", "{a: ", " }}"),
            ("{{ ", "a(a.a, ", " }}"),
            ("\n", "{% if a %}", "\n"),
            ("{% if a %}", "{% elif a %}", "\n"),
            ("\n", "{% set a %}", "\n"),
            ("\n", "{% for a in a %}", "\n"),
        ] {
            let source = |parts: usize| format!("{begin}{}{end}", part.repeat(parts));
            assert!(guard(&source(200)).is_ok(), "{part}");
            assert!(matches!(guard(&source(501)), Err(Bound::Depth { .. })), "{part}");
        }
        assert_eq!(guard(&"x".repeat(SOURCE + 1)), Err(Bound::Source { bytes: SOURCE + 1 }));
    }
}
