//! Tables of Markdown, aligned.

use std::io;
use std::mem;

use unicode_width::UnicodeWidthChar as _;

use super::inline::{Shown, render};
use crate::cli::ui::escape::printable;
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::{Face, Style};

/// Between two columns.
const GAP: &str = " │ ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Center,
    Right,
}

/// Writes the lines of a table, without a newline at the end, or returns false if they are not one.
pub(super) fn write(lines: &[String], width: usize, to: &mut dyn Stream) -> io::Result<bool> {
    let Some(aligns) = lines.get(1).and_then(|line| delimiters(line)) else { return Ok(false) };
    let columns = aligns.len();
    let rows: Vec<Vec<Vec<Shown>>> = lines
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 1)
        .map(|(at, line)| {
            let face = if at == 0 { Face::BOLD } else { Face::PLAIN };
            let mut cells: Vec<_> = cells(line).iter().map(|cell| safe(render(cell, face))).collect();
            cells.resize(columns.max(cells.len()), Vec::new());
            cells
        })
        .collect();
    let widths = widths(&rows, width);
    let mut newline: &[u8] = b"";
    for (at, row) in rows.iter().enumerate() {
        let wrapped: Vec<Vec<&[Shown]>> =
            row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for line in 0..wrapped.iter().map(Vec::len).max().unwrap_or(1) {
            to.write_all(mem::replace(&mut newline, b"\n"))?;
            for (column, cell) in wrapped.iter().enumerate() {
                let part = cell.get(line).copied().unwrap_or_default();
                let align = aligns.get(column).copied().unwrap_or(Align::Left);
                let pad = widths[column] - measure(part);
                let before = match align {
                    Align::Left => 0,
                    Align::Center => pad / 2,
                    Align::Right => pad,
                };
                let is_last = column + 1 == wrapped.len();
                to.write_all(" ".repeat(before).as_bytes())?;
                put(part, to)?;
                if !is_last {
                    to.write_all(" ".repeat(pad - before).as_bytes())?;
                    to.faced(Style::Rich, Face::DIM, GAP)?;
                }
            }
        }
        if at == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            to.write_all(newline)?;
            to.faced(Style::Rich, Face::DIM, &rule.join("─┼─"))?;
        }
    }
    Ok(true)
}

/// The cells of a row.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let (mut cells, mut cell, mut is_escaped, mut is_code) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '|' if is_escaped => {
                cell.pop();
                cell.push('|');
            }
            '|' if !is_code => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => {
                is_code ^= c == '`' && !is_escaped;
                cell.push(c);
            }
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}

/// The alignments of the second line of a table.
fn delimiters(line: &str) -> Option<Vec<Align>> {
    let cells = cells(line);
    let align = |cell: &String| {
        let dashes = cell.trim_matches(':');
        if dashes.is_empty() || !dashes.chars().all(|c| c == '-') {
            return None;
        }
        Some(match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Align::Center,
            (false, true) => Align::Right,
            _ => Align::Left,
        })
    };
    if cells.is_empty() { None } else { cells.iter().map(align).collect() }
}

/// Control characters as escapes, so that the widths are right.
fn safe(cell: Vec<Shown>) -> Vec<Shown> {
    let shown = |(c, face): Shown| {
        let text = printable(c.encode_utf8(&mut [0; 4])).into_owned();
        text.chars().map(|c| (c, face)).collect::<Vec<_>>()
    };
    cell.into_iter().flat_map(shown).collect()
}

/// The widths of the columns: natural if they fit, else the widest are narrowed down to their longest word.
fn widths(rows: &[Vec<Vec<Shown>>], width: usize) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let most = |measure: &dyn Fn(&[Shown]) -> usize| -> Vec<usize> {
        (0..columns)
            .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| measure(cell)).max().unwrap_or(0))
            .collect()
    };
    let mut widths = most(&measure);
    let longest = |cell: &[Shown]| cell.split(|(c, _)| *c == ' ').map(measure).max().unwrap_or(0);
    let least = most(&longest);
    let room = width.saturating_sub((columns.max(1) - 1) * 3);
    while width > 0 && widths.iter().sum::<usize>() > room {
        let can_shrink = (0..columns).filter(|at| widths[*at] > least[*at]);
        let Some(widest) = can_shrink.max_by_key(|at| widths[*at]) else { break };
        widths[widest] -= 1;
    }
    widths
}

/// The lines of a cell.
fn wrap(cell: &[Shown], width: usize) -> Vec<&[Shown]> {
    let (mut lines, mut begin, mut space) = (Vec::new(), 0, None);
    for (at, (c, _)) in cell.iter().enumerate() {
        if *c == ' ' && measure(&cell[begin..at]) <= width {
            space = Some(at);
        }
        if measure(&cell[begin..=at]) > width
            && let Some(end) = space.take()
        {
            lines.push(&cell[begin..end]);
            begin = end + 1;
        }
    }
    lines.push(&cell[begin.min(cell.len())..]);
    lines
}

fn measure(text: &[Shown]) -> usize {
    text.iter().map(|(c, _)| c.width().unwrap_or(0)).sum()
}

fn put(text: &[Shown], to: &mut dyn Stream) -> io::Result<()> {
    for run in text.chunk_by(|a, b| a.1 == b.1) {
        to.faced(Style::Rich, run[0].1, &run.iter().map(|(c, _)| *c).collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(table: &str, width: usize) -> Option<String> {
        let lines: Vec<String> = table.lines().map(str::to_owned).collect();
        let mut to = Vec::new();
        let is_table = write(&lines, width, &mut to).unwrap();
        let text = String::from_utf8(to).unwrap();
        let plain = text.split('\x1b').enumerate();
        let plain = plain.map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 });
        is_table.then(|| plain.collect())
    }

    #[test]
    fn columns_are_aligned_by_their_delimiters() {
        let table = "| name | n | mid |\n|:--|--:|:-:|\n| `a\\|b` | 10 | x |\n| 日本 | 2 | **yy** | more |";
        assert_eq!(
            shown(table, 80).unwrap(),
            "name │  n │ mid\n─────┼────┼─────┼─────\na|b  │ 10 │  x\n日本 │  2 │ yy  │ more"
        );
    }

    #[test]
    fn a_wide_table_is_wrapped_between_words() {
        let table = "| a | text |\n|---|---|\n| 1 | some words that are long |";
        let shown = shown(table, 20).unwrap();
        assert!(shown.lines().all(|line| line.chars().count() <= 20), "{shown}");
        assert!(shown.contains("1 │ some words that\n  │ are long"), "{shown}");
        // Words are longer than the terminal.
        assert!(self::shown(table, 5).unwrap().contains("words\n"));
    }

    #[test]
    fn rows_without_delimiters_are_not_a_table() {
        assert_eq!(shown("| a |\n| b |", 80), None);
        assert_eq!(shown("| a |", 80), None);
    }
}
