//! The inline part of Markdown: emphasis, code and links of one line, as characters with faces.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::cli::ui::style::Face;

/// A character and its face.
pub(super) type Shown = (char, Face);

/// Text that ends what a line may have opened.
const CLOSERS: [&str; 11] = ["*", "**", "***", "_", "__", "`", "``", "~", "~~", "](x)", ")"];

/// A line, or the part of one after its marker. `base` is the face of all of it.
pub(super) fn render(line: &str, base: Face) -> Vec<Shown> {
    // Behind a full stop nothing is a block.
    let text = format!(".{line}");
    let mut shown = Vec::with_capacity(line.len());
    let mut faces = vec![base];
    // The address of each open link, and where its text begins.
    let mut links: Vec<(String, usize)> = Vec::new();
    for event in Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH) {
        let face = faces.last().copied().unwrap_or(base);
        let mut add = |text: &str, face| shown.extend(text.chars().map(|c| (c, face)));
        match event {
            Event::Start(Tag::Emphasis) => faces.push(face.with(Face::ITALIC)),
            Event::Start(Tag::Strong) => faces.push(face.with(Face::BOLD)),
            Event::Start(Tag::Strikethrough) => faces.push(face.with(Face::STRUCK)),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                faces.push(face.with(Face::UNDERLINE));
                links.push((dest_url.into_string(), shown.len()));
            }
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => drop(faces.pop()),
            Event::End(TagEnd::Link | TagEnd::Image) => {
                faces.pop();
                if let Some((address, begin)) = links.pop() {
                    let text: String = shown[begin..].iter().map(|(c, _)| *c).collect();
                    if address != text && address != format!("mailto:{text}") {
                        shown.extend(format!(" ({address})").chars().map(|c| (c, base.with(Face::DIM))));
                    }
                }
            }
            Event::Code(text) => add(&text, face.with(Face::CODE)),
            Event::Text(text) | Event::InlineHtml(text) | Event::Html(text) => add(&text, face),
            Event::SoftBreak | Event::HardBreak => add(" ", face),
            _ => {}
        }
    }
    if shown.first().is_some_and(|(c, _)| *c == '.') {
        shown.remove(0);
    }
    // The parser drops spaces at the end, which separate what follows.
    let spaces = line.len() - line.trim_end_matches(' ').len();
    shown.extend(std::iter::repeat_n((' ', base), spaces));
    shown
}

/// The beginning of an incomplete line that no text after it changes.
pub(super) fn settled(line: &str, base: Face) -> Vec<Shown> {
    let text = line.trim_end_matches(' ');
    let whole = render(text, base);
    let same = |closer: &&str| {
        let closed = render(&[text, closer].concat(), base);
        whole.iter().zip(&closed).take_while(|(a, b)| a == b).count()
    };
    match CLOSERS.iter().map(same).min() {
        Some(same) if same < whole.len() => whole[..same].to_vec(),
        _ => render(line, base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(shown: &[Shown]) -> String {
        shown.iter().map(|(c, _)| *c).collect()
    }

    fn face_of(shown: &[Shown], word: &str) -> Face {
        let at = text(shown).find(word).unwrap();
        shown[text(shown)[..at].chars().count()].1
    }

    #[test]
    fn emphasis_code_and_links_have_faces() {
        let shown = render(
            "a **bold** *it* `co*de*` ~~no~~ [here](http://x) <http://y> 2 * 3 * 4 a_b_c",
            Face::PLAIN,
        );
        assert_eq!(text(&shown), "a bold it co*de* no here (http://x) http://y 2 * 3 * 4 a_b_c");
        for (word, face) in [
            ("a", Face::PLAIN),
            ("bold", Face::BOLD),
            ("it", Face::ITALIC),
            ("co*de*", Face::CODE),
            ("no", Face::STRUCK),
            ("here", Face::UNDERLINE),
            ("(http://x)", Face::DIM),
            ("http://y", Face::UNDERLINE),
        ] {
            assert_eq!(face_of(&shown, word), face, "{word}");
        }
        assert_eq!(face_of(&render("a **b**", Face::DIM), "b"), Face::BOLD.with(Face::DIM));
    }

    #[test]
    fn text_that_looks_like_a_block_is_text() {
        for line in [
            "# x", "- x", "1. x", "> x", "```", "<div>", "    x", "| a |", "---", "x  ", ".", "", "&lt",
            "[a]",
        ] {
            let shown = text(&render(line, Face::PLAIN));
            assert_eq!(shown.trim_start(), line.trim_start(), "{line:?}");
        }
    }

    #[test]
    fn an_open_delimiter_is_held_back() {
        for (line, expected) in [
            ("plain words ", "plain words "),
            ("a **bold te", "a "),
            ("a **bold** te", "a bold te"),
            ("a `co", "a "),
            ("see [the page](htt", "see "),
            ("5 * 3 is", "5 * 3 is"),
        ] {
            assert_eq!(text(&settled(line, Face::PLAIN)), expected, "{line}");
        }
    }
}
