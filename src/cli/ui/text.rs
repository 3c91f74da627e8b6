//! Numbers and tables for people.

use super::escape::{cut, printable};
use super::out;

/// Characters of a cell on a terminal.
const CELL: usize = 200;

/// `43.5 GiB`, in binary units.
pub(crate) fn bytes(n: u64) -> String {
    indicatif::BinaryBytes(n).to_string()
}

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

/// `1 tensor`, `2 tensors`.
pub(crate) fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Columns padded to their widest cell; the last column is not padded, columns in `right` are aligned right.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let most = if out::is_terminal() { CELL } else { usize::MAX };
    let shown = |cell: &String| printable(&cut(cell, most)).into_owned();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            let gap = if c == 0 { "" } else { "  " };
            let parts = if right.contains(&c) { [gap, &pad, cell] } else { [gap, cell, &pad] };
            line += &parts.concat();
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_control_the_terminal() {
        assert_eq!(table(&[vec!["\u{1b}c".to_owned()]], &[]), "\\u{1b}c\n");
    }

    #[test]
    fn tables_align() {
        let rows = [["a", "10", "x"], ["bbb", "2", "yy"]].map(|r| r.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[1]), "a    10  x\nbbb   2  yy\n");
    }
}
