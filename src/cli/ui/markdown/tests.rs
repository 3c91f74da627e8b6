//! Whole texts, and that no text is lost however it arrives.

use proptest::prelude::*;

use super::*;

fn shown(width: usize, pieces: &[&str]) -> String {
    let mut to = Vec::new();
    let mut markdown = Markdown::new(width);
    for piece in pieces {
        markdown.push(piece, &mut to).unwrap();
    }
    markdown.finish(&mut to).unwrap();
    String::from_utf8(to).unwrap()
}

/// Without styles.
fn plain(text: &str) -> String {
    let parts = text.split('\x1b').enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 }).collect()
}

const ANSWER: &str = "\
# Title

Some **bold words** and `code` in a paragraph that is longer than a line.

- one
  - two with *emphasis*
1. first

> quoted

```rust
fn main() { **not bold** }
```

---
| a | b |
|---|--:|
| x | 1 |

The end";

const SHOWN: &str = "\
Title

Some bold words and code in a
paragraph that is longer than
a line.

• one
  • two with emphasis
1. first

│ quoted

fn main() { **not bold** }

──────────────────────────────
a │ b
──┼──
x │ 1

The end";

#[test]
fn every_kind_of_block_is_rendered() {
    let text = shown(30, &[ANSWER]);
    assert_eq!(plain(&text), SHOWN);
    assert!(text.starts_with("\x1b[1;4mTitle\x1b[0m\n"), "{text:?}");
    assert!(text.contains("\x1b[1mbold\x1b[0m \x1b[1mwords\x1b[0m and \x1b[36mcode\x1b[0m"), "{text:?}");
    assert!(text.contains("\x1b[36mfn main() { **not bold** }\x1b[0m"), "{text:?}");
}

#[test]
fn any_cut_is_rendered_alike() {
    for at in (0..ANSWER.len()).filter(|at| ANSWER.is_char_boundary(*at)) {
        assert_eq!(plain(&shown(30, &[&ANSWER[..at], &ANSWER[at..]])), SHOWN, "{at}");
    }
    let letters: Vec<String> = ANSWER.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(plain(&shown(30, &letters)), SHOWN);
}

#[test]
fn words_are_shown_before_their_line_ends() {
    let mut to = Vec::new();
    let mut markdown = Markdown::new(80);
    markdown.push("- some words and **bo", &mut to).unwrap();
    assert_eq!(plain(str::from_utf8(&to).unwrap()), "• some words and");
    markdown.push("ld** more", &mut to).unwrap();
    markdown.push(" x", &mut to).unwrap();
    assert_eq!(plain(str::from_utf8(&to).unwrap()), "• some words and bold more");
}

#[test]
fn a_line_with_carriage_returns_is_a_line() {
    assert_eq!(plain(&shown(80, &["a\r", "\n```\r\nx = 1\r\n```\r\nb"])), "a\nx = 1\nb");
}

#[test]
fn very_long_lines_and_tables_are_shown_before_they_end() {
    let mut to = Vec::new();
    let mut markdown = Markdown::new(80);
    markdown.push(&"*word ".repeat(2000), &mut to).unwrap();
    assert!(to.len() > 10_000, "{}", to.len());
    let mut to = Vec::new();
    for _ in 0..1000 {
        markdown.push("\n| a | b |", &mut to).unwrap();
    }
    assert!(to.len() > 3000, "{}", to.len());
}

#[test]
fn words_are_neither_lost_nor_repeated_where_a_line_turns_out_otherwise() {
    let written: Vec<Shown> = "~a b".chars().map(|c| (c, Face::PLAIN)).collect();
    let shown: Vec<Shown> = "a b c".chars().map(|c| (c, Face::STRUCK)).collect();
    assert_eq!(unwritten(&shown, &written), &shown[3..]);
    assert_eq!(unwritten(&shown, &shown[..2]), &shown[2..]);
}

proptest! {
    #[test]
    fn no_word_is_lost_however_the_text_is_cut(
        text in "[ab *_`#|>~\\[\\]()\\-1.\n]{0,60}",
        at in 0..60usize,
        width in prop::sample::select(vec![0usize, 8, 80]),
    ) {
        let at = at.min(text.len());
        let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>();
        let cut = shown(width, &[&text[..at], &text[at..]]);
        // The language of a code block is not shown.
        if !text.contains("```") && !text.contains("~~~") && !text.contains("](") {
            prop_assert_eq!(letters(&plain(&cut)), letters(&text), "{:?}", cut);
        }
    }
}
