//! Markdown on a terminal, while it is written: headings, lists, quotes, code and tables.
//!
//! A line is shown word by word, as soon as no later text can change how it looks; a table, once it is complete.

mod inline;
mod line;
mod table;

use std::io;
use std::mem;

use super::stream::Stream;
use super::style::{Face, Style};
use super::wrap::Wrap;
use inline::{Shown, render, settled};
use line::{Fence, Kind, Line};

/// Bytes of a line after which its beginning is shown as it is.
const LONGEST_LINE: usize = 4096;
/// Rows of a table after which it is shown without alignment.
const MOST_ROWS: usize = 500;
/// Columns of a rule.
const RULE: usize = 40;

/// A text of Markdown.
#[derive(Debug)]
pub(crate) struct Markdown {
    width: usize,
    wrap: Wrap,
    /// The current line.
    line: String,
    /// The part of it that is being written.
    body: Option<Body>,
    /// The rows of a table.
    rows: Vec<String>,
    /// The code block that is open.
    code: Option<Fence>,
    /// Whether indented text belongs to a list.
    in_list: bool,
    /// Newlines before the next text.
    newlines: usize,
}

/// The text of a line after its marker.
#[derive(Debug)]
struct Body {
    begin: usize,
    /// `None` for code.
    face: Option<Face>,
    written: Vec<Shown>,
    /// The end of the text that was last considered.
    tried: usize,
}

impl Markdown {
    /// For a terminal of this many columns.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            wrap: Wrap::new(width, Style::Rich),
            line: String::new(),
            body: None,
            rows: Vec::new(),
            code: None,
            in_list: false,
            newlines: 0,
        }
    }

    /// Writes more text.
    pub(crate) fn push(&mut self, text: &str, to: &mut dyn Stream) -> io::Result<()> {
        for (at, part) in text.split('\n').enumerate() {
            if at > 0 {
                self.end_line(to)?;
            }
            self.line.push_str(part);
        }
        // A carriage return may be a part of the newline.
        if self.line.is_empty() || self.line.ends_with('\r') { Ok(()) } else { self.advance(to) }
    }

    /// Writes the rest of the text, without a newline at its end.
    pub(crate) fn finish(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        if !self.line.is_empty() {
            self.end_line(to)?;
        }
        self.end_table(to)?;
        self.wrap.flush(to)
    }

    fn end_line(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        if self.line.ends_with('\r') {
            self.line.pop();
        }
        if self.body.is_some() || self.begin(true, to)? {
            if let Some(Body { begin, face, written, .. }) = self.body.take() {
                let text = &self.line[begin..];
                match face {
                    None => to.faced(Style::Rich, Face::CODE, text)?,
                    Some(face) => put(&mut self.wrap, unwritten(&render(text, face), &written), to)?,
                }
            }
            self.wrap.flush(to)?;
            self.newlines += 1;
        }
        self.line.clear();
        Ok(())
    }

    /// Writes what is certain of an incomplete line.
    fn advance(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        if self.body.is_none() && !self.begin(false, to)? {
            return Ok(());
        }
        let Some(body) = &mut self.body else { return Ok(()) };
        let text = &self.line[body.begin..];
        let Some(face) = body.face else {
            body.begin = self.line.len();
            return to.faced(Style::Rich, Face::CODE, text);
        };
        if text.len() > LONGEST_LINE {
            put(&mut self.wrap, unwritten(&render(text, face), &body.written), to)?;
            *body = Body::new(self.line.len(), Some(face));
            return Ok(());
        }
        // Nothing is certain inside a word.
        let Some(end) = text.rfind(' ').map(|space| space + 1).filter(|end| *end > body.tried) else {
            return Ok(());
        };
        body.tried = end;
        let shown = settled(&text[..end], face);
        let rest = unwritten(&shown, &body.written).to_vec();
        body.written.extend(&rest);
        put(&mut self.wrap, &rest, to)
    }

    /// Begins to write a line. False if nothing of it is shown, or if its kind depends on its rest.
    fn begin(&mut self, is_whole: bool, to: &mut dyn Stream) -> io::Result<bool> {
        if let Some(fence) = self.code {
            match fence.is_ended_by(&self.line, is_whole) {
                None => return Ok(false),
                Some(true) => self.code = None,
                Some(false) => {
                    self.break_lines(to)?;
                    self.body = Some(Body::new(0, None));
                }
            }
            return Ok(self.body.is_some());
        }
        let line = mem::take(&mut self.line);
        let shown = match Line::read(&line, is_whole) {
            None => Ok(false),
            Some(read) => self.mark(&line, read, to),
        };
        self.line = line;
        shown
    }

    /// Writes the marker of a line. False if nothing of it is shown now.
    fn mark(&mut self, line: &str, read: Line<'_>, to: &mut dyn Stream) -> io::Result<bool> {
        let Line { kind, indent, marker, body } = read;
        if kind == Kind::Row {
            self.rows.push(line.to_owned());
            if self.rows.len() > MOST_ROWS {
                self.end_table(to)?;
            }
            return Ok(false);
        }
        self.end_table(to)?;
        if let Kind::Fence(fence) = kind {
            self.code = Some(fence);
            return Ok(false);
        }
        self.break_lines(to)?;
        let is_code = kind == Kind::Text && indent >= 4 && !self.in_list;
        if kind == Kind::Text && indent == 0 {
            self.in_list = false;
        }
        let spaces = " ".repeat(indent.min(self.width / 2));
        self.wrap.indent = 0;
        self.wrap.push(Face::PLAIN, &spaces, to)?;
        let (face, mark) = match kind {
            Kind::Heading(1) => (Face::BOLD.with(Face::UNDERLINE), String::new()),
            Kind::Heading(_) => (Face::BOLD, String::new()),
            Kind::Bullet => (Face::PLAIN, "• ".to_owned()),
            Kind::Number => (Face::PLAIN, format!("{marker} ")),
            Kind::Quote => (Face::ITALIC, "│ ".to_owned()),
            Kind::Rule => {
                self.wrap.push(Face::DIM, &"─".repeat(RULE.min(self.width)), to)?;
                return Ok(true);
            }
            _ => (Face::PLAIN, String::new()),
        };
        self.in_list |= matches!(kind, Kind::Bullet | Kind::Number);
        self.wrap.push(Face::DIM, &mark, to)?;
        self.wrap.indent = spaces.len() + mark.chars().count();
        self.body = Some(Body::new(line.len() - body.len(), (!is_code).then_some(face)));
        if is_code {
            to.write_all(spaces.as_bytes())?;
        }
        Ok(true)
    }

    /// Writes the table that has ended.
    fn end_table(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        let rows = mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        self.break_lines(to)?;
        if !table::write(&rows, self.width, to)? {
            self.wrap.indent = 0;
            for (at, row) in rows.iter().enumerate() {
                self.wrap.push(Face::PLAIN, if at == 0 { "" } else { "\n" }, to)?;
                put(&mut self.wrap, &render(row, Face::PLAIN), to)?;
            }
            self.wrap.flush(to)?;
        }
        self.newlines += 1;
        Ok(())
    }

    fn break_lines(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        let newlines = "\n".repeat(mem::take(&mut self.newlines));
        self.wrap.push(Face::PLAIN, &newlines, to)
    }
}

impl Body {
    fn new(begin: usize, face: Option<Face>) -> Self {
        Self { begin, face, written: Vec::new(), tried: 0 }
    }
}

/// What is left to write. If the line looks otherwise than expected, this is what follows the words that were written.
fn unwritten<'a>(shown: &'a [Shown], written: &[Shown]) -> &'a [Shown] {
    if let Some(rest) = shown.strip_prefix(written) {
        return rest;
    }
    let is_letter = |shown: &&Shown| shown.0.is_alphanumeric();
    let mut letters = written.iter().filter(is_letter).count();
    let mut rest = shown;
    while let [first, after @ ..] = rest
        && letters > 0
    {
        letters -= usize::from(is_letter(&first));
        rest = after;
    }
    rest
}

fn put(wrap: &mut Wrap, shown: &[Shown], to: &mut dyn Stream) -> io::Result<()> {
    for run in shown.chunk_by(|a, b| a.1 == b.1) {
        wrap.push(run[0].1, &run.iter().map(|(c, _)| *c).collect::<String>(), to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
