//! Words and phrases that the house style retires, in text that people read: messages, help, doc comments, documents.
//! STYLE.md has the reasons.

use std::ops::Range;

use crate::source::{File, Kind, end_of_item, hidden, test_items, tokens};

/// A phrase and what to write instead. Matches whole words in a row, in any case.
const RETIRED: &[(&str, &str)] = &[
    // Personified programs, riddles, and negations by "no".
    ("nobody", "name the subject, or say `ignored`, `unused`, `not supported`"),
    ("somebody", "name the subject"),
    ("whoever", "name the subject"),
    ("is no", "`is not a …`"),
    ("are no", "`are not …`"),
    ("was no", "`was not a …`"),
    ("is none", "`is not one`, or name what is missing"),
    ("are none", "`are not`, or name what is missing"),
    ("tells", "`prints`, `returns`, `reports`"),
    ("told", "`with OPTION`, `unless OPTION is set`; tokens are `forced`"),
    ("knows", "`supports`, `has`, `accepts`"),
    ("does not know", "`unknown`, `not supported`, `rejected`"),
    ("do not know", "`unknown`, `not supported`, `rejected`"),
    ("wants", "`needs`, `expects`, `requires`"),
    ("reads along", "`not supported`"),
    ("of one mind", "`agree`, `disagree`"),
    ("be left alone", "`rate limited`, `left unchanged`"),
    ("whether what", "a verb first: `Choose unset options so that …`"),
    ("is made to", "the verb itself"),
    ("the most that", "`maximum`, `at most`"),
    ("as they may be", "`unknown`, or the limit"),
    ("it changes nothing", "`ignored`"),
    ("no change of flags", "the amounts needed and available, then a hint"),
    // One thing, one name.
    ("go on", "`continue`, `resume`"),
    ("goes on", "`continues`, `resumes`"),
    ("gone on", "`continued`, `resumed`"),
    ("going on", "`continuing`, `resuming`"),
    ("went on", "`continued`, `resumed`"),
    ("prediction layer", "`MTP layer`"),
    ("prediction layers", "`MTP layers`"),
    ("likelihood", "`logprob`"),
    ("likelihoods", "`logprobs`"),
    ("hurry", "`abort`"),
    ("hurries", "`aborts`"),
    ("hurried", "`aborted`"),
    ("thought", "`reasoning`"),
    ("thoughts", "`reasoning`"),
    ("reorder", "`repack`"),
    ("reorders", "`repacks`"),
    ("reordered", "`repacked`"),
    ("reordering", "`repacking`"),
    ("reading tokens", "`prefill`, `decoding`"),
    ("into the mouth", "`forced tokens`"),
    ("kept state", "`saved state`, `state cache`"),
    ("kept states", "`saved states`, `state cache`"),
    ("take back", "`undo`, `remove`"),
    ("takes back", "`undoes`, `removes`"),
    ("taken back", "`undone`, `removed`"),
    ("source model", "`checkpoint`"),
    ("name of a repository", "`repository` (`ORG/NAME`)"),
    ("names of repositories", "`repositories` (`ORG/NAME`)"),
    ("put on the GPU", "`offload`"),
    ("put on GPUs", "`offload`"),
    // Networks.
    ("line broke", "`connection lost`"),
    ("broken line", "`lost connection`"),
    ("no connection", "`cannot reach HOST`"),
    ("; again in", "`; retrying in`"),
    // Errors of libraries, passed through.
    ("invalid digit found", "the value and what was expected"),
    ("invalid float literal", "the value and what was expected"),
    ("cannot parse integer from empty", "the value and what was expected"),
    ("expected ident at", "what was expected"),
];

/// Plain English in which a retired phrase occurs.
const FINE: &[&str] = &[
    "there is no",
    "there are no",
    "there was no",
    "is no longer",
    "are no longer",
    "told apart",
    "reordered columns",
];

/// Words that no sentence of a help text begins with.
const BEGINNINGS: [&str; 3] = ["Whether", "What", "How"];

/// What a text is, which decides the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Literal,
    Doc,
    Help,
    Document,
}

/// Every retired phrase of a file, with its line and what to write instead.
pub(crate) fn check(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, line, text) in texts(file) {
        let words = words(line, &text);
        let found = retired(&words).into_iter().chain(beginnings(kind, &words));
        wrong.extend(found.map(|(line, phrase, better)| {
            format!("{}:{line}: \"{phrase}\" is retired; write {better}", file.path)
        }));
    }
    wrong
}

/// The texts of a file, with the line on which each begins. Code is not among them.
fn texts(file: &File) -> Vec<(Text, usize, String)> {
    if file.is_source() && !file.test && !file.path.starts_with("tests/") {
        return source_texts(file);
    }
    match file.path.as_str() {
        "CHANGELOG.md" => vec![(Text::Document, 1, without_code(unreleased(&file.text)))],
        "README.md" | "ARCHITECTURE.md" | "CONTRIBUTING.md" => {
            vec![(Text::Document, 1, without_code(&file.text))]
        }
        path if path.ends_with(".trycmd") => {
            let without_fences =
                file.text.lines().map(|line| if line.starts_with("```") { "" } else { line });
            vec![(Text::Help, 1, without_fences.collect::<Vec<_>>().join("\n"))]
        }
        // In a template, backticks enclose text.
        _ if file.is_page() => vec![(Text::Document, 1, file.text.replace('`', " "))],
        _ => Vec::new(),
    }
}

/// The changelog as far as it can still be changed.
fn unreleased(text: &str) -> &str {
    let start = text.find("\n## ").map_or(0, |at| at + 1);
    let end = text[start..].match_indices("\n## ").next().map_or(text.len(), |(at, _)| start + at);
    &text[..end]
}

/// Blanks fenced code.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Literals with a space in them, and doc comments; those of arguments are help.
fn source_texts(file: &File) -> Vec<(Text, usize, String)> {
    let in_tests = test_items(&file.code);
    let help = arguments(&file.product);
    let line_of = |at: usize| file.text[..at].matches('\n').count() + 1;
    let mut texts: Vec<(Text, usize, String)> = Vec::new();
    // Where the last doc comment ended, so that its next line joins it.
    let mut open = None;
    for (kind, range) in hidden(&file.text) {
        if in_tests.iter().any(|item| item.contains(&range.start)) {
            continue;
        }
        let text = &file.text[range.clone()];
        if kind == Kind::Literal {
            if text.trim_matches('"').trim().contains(' ') {
                texts.push((Text::Literal, line_of(range.start), unescaped(text)));
            }
        } else if let Some(line) = text.strip_prefix("///").or_else(|| text.strip_prefix("//!")) {
            let between = open.map(|end: usize| &file.text[end..range.start]);
            if between.is_some_and(|space| space.trim().is_empty() && space.matches('\n').count() == 1) {
                let (_, _, whole) = texts.last_mut().expect("it was put there");
                *whole = format!("{whole}\n{line}");
            } else {
                texts.push((Text::Doc, line_of(range.start), line.to_owned()));
            }
            let next = file.code[range.end..].find(|c: char| !c.is_whitespace()).map(|at| range.end + at);
            if next.is_some_and(|next| help.iter().any(|item| item.contains(&next))) {
                texts.last_mut().expect("it was put there").0 = Text::Help;
            }
            open = Some(range.end);
            continue;
        }
        open = None;
    }
    for (_, _, text) in texts.iter_mut().filter(|(kind, ..)| *kind != Text::Literal) {
        *text = without_code(text);
    }
    texts
}

/// The items from which clap derives arguments and their help.
fn arguments(code: &str) -> Vec<Range<usize>> {
    let tokens = tokens(code);
    let mut items = Vec::new();
    for at in 0..tokens.len() {
        if !tokens[at..].iter().take(4).map(|t| t.text).eq(["#", "[", "derive", "("]) {
            continue;
        }
        let mut names = tokens[at + 4..].iter().map(|t| t.text).take_while(|name| *name != ")");
        if names.any(|name| ["Args", "Parser", "Subcommand", "ValueEnum"].contains(&name)) {
            let end = tokens.get(end_of_item(&tokens, at)).map_or(code.len(), |last| last.at + 1);
            items.push(tokens[at].at..end);
        }
    }
    items
}

/// A literal with its escapes blanked.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match c {
            // The character after the backslash is no letter of a word; a line that it ends still ends.
            '\\' => out.extend([' ', if chars.next() == Some('\n') { '\n' } else { ' ' }]),
            c => out.push(c),
        }
    }
    out
}

/// A word or a punctuation mark, and its line. What is in backticks is one mark.
type Word<'a> = (usize, &'a str);

fn words(first: usize, text: &str) -> Vec<Word<'_>> {
    let (mut out, mut line, mut rest) = (Vec::new(), first, text);
    while let Some(c) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '\'' || c == '_';
        let length = match c {
            '\n' => {
                line += 1;
                1
            }
            // A span in backticks ends on its line or the next; a lone backtick is punctuation.
            '`' => {
                rest[1..].find('`').filter(|n| rest[1..=*n].matches('\n').count() < 2).map_or(1, |n| n + 2)
            }
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        if !c.is_whitespace() {
            out.push((line, &rest[..length]));
        }
        line += if c == '`' { rest[..length].matches('\n').count() } else { 0 };
        rest = &rest[length..];
    }
    out
}

/// Where a phrase occurs among lower-case words.
fn occurrences(lower: &[String], phrase: &str) -> Vec<Range<usize>> {
    let phrase = phrase.to_lowercase();
    let phrase: Vec<&str> = words(1, &phrase).into_iter().map(|(_, word)| word).collect();
    let places = lower.windows(phrase.len()).enumerate().filter(|(_, found)| *found == phrase);
    places.map(|(at, _)| at..at + phrase.len()).collect()
}

/// The line, the phrase, and what to write instead.
type Found = (usize, &'static str, &'static str);

fn retired(words: &[Word<'_>]) -> Vec<Found> {
    let lower: Vec<String> = words.iter().map(|(_, word)| word.to_lowercase()).collect();
    let fine: Vec<Range<usize>> = FINE.iter().flat_map(|phrase| occurrences(&lower, phrase)).collect();
    let mut found = Vec::new();
    for &(phrase, better) in RETIRED {
        for place in occurrences(&lower, phrase) {
            if !fine.iter().any(|fine| fine.start < place.end && place.start < fine.end) {
                found.push((words[place.start].0, phrase, better));
            }
        }
    }
    found
}

/// Sentences of help that begin as none should, and literals that are riddles.
fn beginnings(kind: Text, words: &[Word<'_>]) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| words[before]);
        // A new line of a transcript may be a new sentence; so may anything with a capital that is not quoted.
        let begins = before.is_none_or(|(_, mark)| !["\"", "(", "'"].contains(&mark));
        let beginning = BEGINNINGS.into_iter().find(|beginning| beginning == word);
        if let Some(beginning) = beginning.filter(|_| kind == Text::Help && begins) {
            found.push((*line, beginning, "a verb first: `Set …`, `Print …`"));
        }
    }
    // The opening quote is a mark of its own.
    if let (Text::Literal, Some((line, "what"))) = (kind, words.get(1)) {
        found.push((*line, "what …", "the name of the thing"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text))
    }

    #[test]
    fn every_retired_phrase_is_found_in_every_kind_of_text() {
        for (phrase, better) in RETIRED {
            let capital = phrase[..1].to_uppercase() + &phrase[1..];
            let broken = phrase.replacen(' ', "\n", 1);
            for (path, text, line) in [
                ("src/a.rs", format!("\nconst A: &str = \"a {phrase} b\";"), 2),
                ("gguf-export/src/a.rs", format!("#[error(\"`{{x}}` {capital} \\n b\")]\nenum A {{}}"), 1),
                ("src/a.rs", format!("fn f() {{ a(r#\"a\n {phrase}.\"#) }}"), 2),
                ("src/a.rs", format!("//! A.\n\n/// A\n/// {phrase}.\nfn f() {{}}"), 4),
                ("src/cli/a.rs", format!("/// A ({capital}).\nfn f() {{}}"), 1),
                ("README.md", format!("# A\n\nA {broken} b"), 3),
                ("CHANGELOG.md", format!("# A\n\n## Unreleased\n\n- {capital}"), 5),
                ("tests/cmd/transcripts/a.trycmd", format!("```console\n$ ggrun\n  {broken}\n```"), 3),
            ] {
                let wrong = judge(path, &text);
                let expected = format!("{path}:{line}: \"{phrase}\" is retired; write {better}");
                assert!(wrong.contains(&expected), "{text}: {wrong:?}");
            }
        }
    }

    #[test]
    fn plain_english_passes() {
        for (path, text) in [
            ("src/a.rs", "const A: &str = \"there is no device `x`, and the file is no longer open\";"),
            ("src/a.rs", "const A: &str = \"it is. No file is read, and it is: none\";"),
            ("src/a.rs", "const A: &str = \"knowsit untold thoughtful reorders_x\";"),
            (
                "src/a.rs",
                "/// Returns `nobody knows`.\n///\n/// ```\n/// a(\"nobody\")\n/// ```\nfn hurry() { thought(); }",
            ),
            ("src/a.rs", "// Nobody sees a plain comment.\nfn f() { g(\"thought\"); }"),
            ("src/a.rs", "#[cfg(test)]\nmod tests {\n    /// Nobody.\n    fn f() { a(\"nobody knows\") }\n}"),
            ("src/a.rs", "/// What it is.\nfn f() { a(\"What is 17 + 25?\") }"),
            (
                "src/cli/a.rs",
                "#[derive(Args)]\nstruct A {\n    /// Set what it is, and how (`What`).\n    a: u8,\n}",
            ),
            ("tests/a.rs", "const A: &str = \"nobody knows\";"),
            ("tests/testkit/src/a.rs", "const A: &str = \"nobody knows\";"),
            ("README.md", "A `nobody` b\n\n```\nnobody\n```\n"),
            ("CHANGELOG.md", "# A\n\n## Unreleased\n\n- B\n\n## 1.0\n\n- Nobody knows\n"),
            ("tests/cmd/transcripts/a.trycmd", "  ggrun run -m model.gguf -p \"What is 17 + 25?\"\n"),
        ] {
            assert_eq!(judge(path, text), [""; 0], "{text}");
        }
    }

    #[test]
    fn no_sentence_of_a_help_text_begins_with_a_question_word() {
        for word in BEGINNINGS {
            let field = format!("#[derive(Debug, Args)]\nstruct A {{\n    /// {word} it is.\n    a: u8,\n}}");
            let later = format!("/// Set it. {word} it is.\n#[derive(Parser)]\nstruct A {{ a: u8 }}");
            let shown = format!("```console\n  -a, --all  {word} it is\n```");
            for (path, text, line) in [
                ("src/cli/a.rs", field, 3),
                ("src/cli/a.rs", later, 1),
                ("tests/cmd/transcripts/a.trycmd", shown, 2),
            ] {
                let expected =
                    format!("{path}:{line}: \"{word}\" is retired; write a verb first: `Set …`, `Print …`");
                assert_eq!(judge(path, &text), [expected], "{text}");
            }
        }
        assert_eq!(judge("src/a.rs", "a(\"what answers there\")").len(), 1);
    }
}
