//! A template whose own text can be distinguished, in its output, from the text that was passed to it.
//!
//! Each character that the template writes is replaced by a private-use character that does not occur in the messages,
//! so the source of each character of a render is certain. Whitespace stays, so that trimming works. Texts that the
//! template searches messages for or passes to functions stay too, so that it behaves the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, SetBlock, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;

use super::message::Role;

/// Planes 15 and 16 of Unicode, in which characters have no assigned meaning.
const PRIVATE: [Range<u32>; 2] = [0xF_0000..0xF_FFFE, 0x10_0000..0x10_FFFE];

/// The mark of each character that a template writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Palette {
    marks: BTreeMap<char, char>,
    characters: BTreeMap<char, char>,
}

/// A render without its marks, and the parts of it that the template wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unmarked {
    pub(super) text: String,
    /// In order, without whitespace at the ends.
    pub(super) written: Vec<Range<usize>>,
    /// The requested places, in the text.
    pub(super) places: Vec<usize>,
}

impl Palette {
    /// Marks for the characters of a text, other than the `taken` ones.
    fn new<'a>(text: impl Iterator<Item = &'a str>, taken: &BTreeSet<char>) -> Self {
        let free = all_private().filter(|c| !taken.contains(c));
        let characters: BTreeSet<char> = text.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
        let marks: BTreeMap<char, char> = characters.into_iter().zip(free).collect();
        let characters = marks.iter().map(|(&character, &mark)| (mark, character)).collect();
        Self { marks, characters }
    }

    /// Whether one of these characters is a mark.
    pub(super) fn has_any(&self, characters: &BTreeSet<char>) -> bool {
        characters.iter().any(|character| self.characters.contains_key(character))
    }

    pub(super) fn mark(&self, text: &str) -> String {
        text.chars().map(|character| self.marks.get(&character).copied().unwrap_or(character)).collect()
    }

    /// Removes the marks. `places` are byte offsets in the marked text, in ascending order.
    pub(super) fn unmark(&self, marked: &str, places: &[usize]) -> Unmarked {
        let mut out = Unmarked { text: String::with_capacity(marked.len()), ..Unmarked::default() };
        let mut places = places.iter().peekable();
        for (at, character) in marked.char_indices() {
            while places.next_if(|&&place| place <= at).is_some() {
                out.places.push(out.text.len());
            }
            let begin = out.text.len();
            match Some(&character).filter(|c| is_private(**c)).and_then(|c| self.characters.get(c)) {
                None => out.text.push(character),
                Some(&written) => {
                    out.text.push(written);
                    join(&mut out.written, &out.text, begin);
                }
            }
        }
        out.places.extend(places.map(|_| out.text.len()));
        out
    }
}

/// Adds the last character of a text, which begins at `begin`, to the written parts; whitespace and the name of a role
/// between two written characters belong to them.
fn join(written: &mut Vec<Range<usize>>, text: &str, begin: usize) {
    let end = text.len();
    if let Some(last) = written.last_mut() {
        let between = &text[last.end..begin];
        // A template may build a control token around the name of a role.
        if between.chars().all(char::is_whitespace) || Role::NAMES.contains(&between) {
            last.end = end;
            return;
        }
    }
    written.push(begin..end);
}

/// The characters of a text that could be taken for marks.
pub(super) fn private(text: &str, found: &mut BTreeSet<char>) {
    found.extend(text.chars().filter(|&c| is_private(c)));
}

/// Characters that are not `taken` and are seldom marks.
pub(super) fn free(taken: &BTreeSet<char>) -> impl Iterator<Item = char> {
    all_private().rev().filter(|c| !taken.contains(c))
}

fn all_private() -> impl DoubleEndedIterator<Item = char> {
    PRIVATE.into_iter().flatten().filter_map(char::from_u32)
}

fn is_private(character: char) -> bool {
    PRIVATE.iter().any(|plane| plane.contains(&u32::from(character)))
}

/// The source of a template with marks in place of the text it writes; `others` are texts it gets as variables.
pub(super) fn mark(
    source: &str,
    syntax: SyntaxConfig,
    others: [&str; 2],
    taken: &BTreeSet<char>,
) -> Result<(String, Palette), minijinja::Error> {
    let tree = parse(source, "chat", syntax)?;
    let (looked_at, flows, written) = (HashSet::new(), Vec::new(), Vec::new());
    let mut marker = Marker { source, looked_at, flows, written };
    if let Stmt::Template(template) = &tree {
        marker.looked_at.insert(UNKNOWN);
        marker.names(&template.children, None);
        while let Some(&(from, _)) = marker
            .flows
            .iter()
            .find(|(from, to)| marker.looked_at.contains(to) && !marker.looked_at.contains(from))
        {
            marker.looked_at.insert(from);
        }
        marker.texts(&template.children);
    }
    let mut written = marker.written;
    written.sort_unstable_by_key(|range| range.start);
    let mut taken = taken.clone();
    private(source, &mut taken);
    let palette = Palette::new(written.iter().map(|range| &source[range.clone()]).chain(others), &taken);
    let (mut out, mut end) = (String::with_capacity(source.len() * 2), 0);
    for range in written {
        out.push_str(&source[end..range.start]);
        out.push_str(&palette.mark(&source[range.clone()]));
        end = range.end;
    }
    out.push_str(&source[end..]);
    Ok((out, palette))
}

/// The target of text that a filter or an attribute gets.
const UNKNOWN: &str = "";
/// The name of the text of a call block in the macro that is called.
const CALLER: &str = "caller";

/// Finds the texts that a template writes as they are.
struct Marker<'a> {
    source: &'a str,
    /// Variables, and macros, that the template does not only write.
    looked_at: HashSet<&'a str>,
    /// Pairs of variables, the text of the first of which becomes part of the second as it is.
    flows: Vec<(&'a str, &'a str)>,
    /// Where the written texts are, without quotes and escapes.
    written: Vec<Range<usize>>,
}

impl<'a> Marker<'a> {
    fn texts(&mut self, statements: &[Stmt<'a>]) {
        for statement in statements {
            match statement {
                Stmt::EmitRaw(raw) => {
                    // It is a part of the source, but it is unknown which part.
                    let begin = (raw.raw.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
                    if self.source.get(begin..begin.saturating_add(raw.raw.len())) == Some(raw.raw) {
                        self.written.push(begin..begin + raw.raw.len());
                    }
                }
                Stmt::EmitExpr(emit) => self.output(&emit.expr),
                Stmt::Set(set) if matches!(&set.target, Expr::Var(name) if !self.looked_at.contains(name.id)) =>
                {
                    self.output(&set.expr);
                }
                Stmt::SetBlock(set) if self.looked_at.contains(target_of(set)) => {}
                Stmt::Macro(definition) if self.looked_at.contains(definition.name) => {}
                Stmt::CallBlock(_) if self.looked_at.contains(CALLER) => {}
                other => bodies(other).into_iter().for_each(|body| self.texts(body)),
            }
        }
    }

    /// Marks the texts in an expression that become part of its value as they are.
    fn output(&mut self, expression: &Expr<'a>) {
        match expression {
            Expr::Const(constant) if constant.value.as_str().is_some() => {
                let span = constant.span();
                self.literal(span.start_offset as usize..span.end_offset as usize);
            }
            Expr::BinOp(op) if matches!(op.op, BinOpKind::Add | BinOpKind::Concat) => {
                self.output(&op.left);
                self.output(&op.right);
            }
            Expr::IfExpr(choice) => {
                self.output(&choice.true_expr);
                choice.false_expr.iter().for_each(|other| self.output(other));
            }
            Expr::Filter(filter) if matches!(filter.name, "trim" | "safe") && filter.args.is_empty() => {
                filter.expr.iter().for_each(|text| self.output(text));
            }
            _ => {}
        }
    }

    /// Marks a string between its quotes, except for escapes.
    fn literal(&mut self, span: Range<usize>) {
        let Some(text) = self.source.get(span.clone()) else { return };
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return };
        let Some(body) = text[1..].strip_suffix(quote) else { return };
        let (mut begin, mut rest, mut parts) = (span.start + 1, body, Vec::new());
        while let Some(at) = rest.find('\\') {
            let escape = match rest.as_bytes().get(at + 1) {
                Some(b'u') => 6,
                Some(b'x') => 4,
                _ => 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8),
            };
            parts.push(begin..begin + at);
            let next = (at + escape).min(rest.len());
            let Some(after) = rest.get(next..) else { return };
            (begin, rest) = (begin + next, after);
        }
        parts.push(begin..begin + rest.len());
        // Adjacent strings are one constant.
        let whole = |part: &Range<usize>| !self.source[part.clone()].contains(quote);
        if parts.iter().all(whole) {
            self.written.extend(parts);
        }
    }

    /// Collects the variables that are not only written. The text of the statements is written, or becomes part of `into`.
    fn names(&mut self, statements: &[Stmt<'a>], into: Option<&'a str>) {
        for statement in statements {
            let mut inner = into;
            match statement {
                Stmt::EmitExpr(emit) => self.parts(&emit.expr, into),
                Stmt::Set(set) => match &set.target {
                    Expr::Var(target) => self.parts(&set.expr, Some(target.id)),
                    _ => self.all_names(&set.expr),
                },
                Stmt::ForLoop(each) => {
                    self.all_names(&each.iter);
                    each.filter_expr.iter().for_each(|filter| self.truth(filter));
                }
                Stmt::IfCond(condition) => self.truth(&condition.expr),
                Stmt::WithBlock(with) => with.assignments.iter().for_each(|(_, value)| self.all_names(value)),
                Stmt::SetBlock(set) => {
                    set.filter.iter().for_each(|filter| self.all_names(filter));
                    inner = Some(target_of(set));
                }
                Stmt::FilterBlock(block) => {
                    self.all_names(&block.filter);
                    self.names(&block.body, Some(UNKNOWN));
                }
                Stmt::Macro(definition) => {
                    definition.defaults.iter().for_each(|value| self.all_names(value));
                    inner = Some(definition.name);
                }
                Stmt::CallBlock(block) => {
                    self.call(&block.call, into);
                    inner = Some(CALLER);
                }
                Stmt::Do(block) => self.call(&block.call, None),
                _ => {}
            }
            for body in bodies(statement) {
                self.names(body, inner);
            }
        }
    }

    /// Like [`Self::all_names`], but for variables whose text is written as it is, or becomes part of `target`.
    fn parts(&mut self, expression: &Expr<'a>, target: Option<&'a str>) {
        match expression {
            Expr::Var(name) => self.flows.extend(target.map(|target| (name.id, target))),
            Expr::BinOp(op) if matches!(op.op, BinOpKind::Add | BinOpKind::Concat) => {
                self.parts(&op.left, target);
                self.parts(&op.right, target);
            }
            Expr::IfExpr(choice) => {
                self.truth(&choice.test_expr);
                self.parts(&choice.true_expr, target);
                choice.false_expr.iter().for_each(|other| self.parts(other, target));
            }
            Expr::Filter(filter) if matches!(filter.name, "trim" | "safe") && filter.args.is_empty() => {
                filter.expr.iter().for_each(|text| self.parts(text, target));
            }
            Expr::Call(call) => self.call(call, target),
            other => self.all_names(other),
        }
    }

    /// Like [`Self::all_names`], but for variables of which only the presence or the type counts.
    fn truth(&mut self, expression: &Expr<'a>) {
        match expression {
            Expr::Var(_) => {}
            Expr::UnaryOp(op) => self.truth(&op.expr),
            Expr::BinOp(op) if matches!(op.op, BinOpKind::ScAnd | BinOpKind::ScOr) => {
                self.truth(&op.left);
                self.truth(&op.right);
            }
            Expr::Test(test) if test.args.is_empty() => self.truth(&test.expr),
            other => self.all_names(other),
        }
    }

    fn all_names(&mut self, expression: &Expr<'a>) {
        match expression {
            Expr::Var(name) => {
                self.looked_at.insert(name.id);
            }
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.all_names(&slice.expr);
                let bounds = [&slice.start, &slice.stop, &slice.step];
                bounds.into_iter().flatten().for_each(|bound| self.all_names(bound));
            }
            Expr::UnaryOp(op) => self.all_names(&op.expr),
            Expr::BinOp(op) => {
                self.all_names(&op.left);
                self.all_names(&op.right);
            }
            Expr::Compare(compare) => {
                self.all_names(&compare.expr);
                compare.ops.iter().for_each(|op| self.all_names(&op.expr));
            }
            Expr::IfExpr(choice) => {
                self.all_names(&choice.test_expr);
                self.all_names(&choice.true_expr);
                choice.false_expr.iter().for_each(|other| self.all_names(other));
            }
            Expr::Filter(filter) => {
                filter.expr.iter().for_each(|value| self.all_names(value));
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.all_names(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.all_names(&attribute.expr),
            Expr::GetItem(item) => {
                self.all_names(&item.expr);
                self.all_names(&item.subscript_expr);
            }
            Expr::Call(call) => self.call(call, Some(UNKNOWN)),
            Expr::List(list) => list.items.iter().for_each(|item| self.all_names(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.all_names(item)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|item| self.all_names(item)),
        }
    }

    /// Like [`Self::parts`] for a call, which may be that of a macro.
    fn call(&mut self, call: &Call<'a>, target: Option<&'a str>) {
        match &call.expr {
            Expr::Var(_) => self.parts(&call.expr, target),
            other => self.all_names(other),
        }
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.all_names(value);
        }
    }
}

/// The variable that a block sets.
fn target_of<'a>(set: &SetBlock<'a>) -> &'a str {
    match (&set.target, &set.filter) {
        (Expr::Var(target), None) => target.id,
        _ => UNKNOWN,
    }
}

/// The statements within a statement.
fn bodies<'s, 'a>(statement: &'s Stmt<'a>) -> Vec<&'s [Stmt<'a>]> {
    match statement {
        Stmt::Template(template) => vec![&template.children],
        Stmt::ForLoop(each) => vec![&each.body, &each.else_body],
        Stmt::IfCond(condition) => vec![&condition.true_body, &condition.false_body],
        Stmt::WithBlock(with) => vec![&with.body],
        Stmt::SetBlock(set) => vec![&set.body],
        Stmt::AutoEscape(block) => vec![&block.body],
        Stmt::Block(block) => vec![&block.body],
        Stmt::Macro(definition) => vec![&definition.body],
        Stmt::CallBlock(block) => vec![&block.macro_decl.body],
        // A filter may inspect the contents of its block.
        _ => Vec::new(),
    }
}
