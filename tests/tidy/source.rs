//! A small lexer of Rust: code without comments, strings and tests. The rules are in the other files.

use std::ops::Range;

/// One file of the repository.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// The path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// Rust only: comments and the insides of literals blanked, line for line.
    pub(crate) code: String,
    /// `code` with everything under `#[cfg(test)]` blanked.
    pub(crate) product: String,
    /// Whether all of it is test code.
    pub(crate) test: bool,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = has_ending(path, "rs");
        let code = if rust { blank(text) } else { String::new() };
        let product = without_tests(&code);
        let all_test = path.starts_with("tests/") && !path.starts_with("tests/testkit/src/")
            || path.contains("/tests/")
            || path.contains("benches/");
        Self { path: path.to_owned(), text: text.to_owned(), code, product, test: all_test }
    }

    pub(crate) fn is_rust(&self) -> bool {
        has_ending(&self.path, "rs")
    }

    /// Whether it is a script or a style sheet of the page or of its tests, and ours.
    pub(crate) fn is_page(&self) -> bool {
        self.path.starts_with("web/")
            && !self.path.starts_with("web/vendor/")
            && ["js", "mjs", "css"].iter().any(|ending| has_ending(&self.path, ending))
    }

    /// Whether it is a crate's source file, which may contain tests.
    pub(crate) fn is_source(&self) -> bool {
        self.is_rust()
            && ["src/", "gguf-export/src/", "tests/testkit/src/"].iter().any(|dir| self.path.starts_with(dir))
    }
}

/// Whether a path has this lower-case file extension.
pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, e)| e == ending)
}

/// The module of a file, from the root of its crate: `a/b.rs` is `[a, b]`, `a/mod.rs` is `[a]`, the roots are empty.
pub(crate) fn module_path(inside: &str) -> Vec<String> {
    let mut path: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let root = path.len() == 1 && matches!(path[0].as_str(), "lib" | "main");
    if root || path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// Marks the files that are declared under `#[cfg(test)]`.
pub(crate) fn mark_tests(files: &mut [File]) {
    let mut stems = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let dir = match file.path.rsplit_once('/') {
            Some((dir, "mod.rs" | "lib.rs" | "main.rs")) => dir.to_owned(),
            _ => file.path.trim_end_matches(".rs").to_owned(),
        };
        stems.extend(test_modules(&file.code).into_iter().map(|name| format!("{dir}/{name}")));
    }
    for file in files {
        let under = |stem: &String| {
            file.path.strip_prefix(stem.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if stems.iter().any(under) {
            file.test = true;
            file.product.clear();
        }
    }
}

/// An identifier, `::`, or one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
    pub(crate) at: usize,
}

/// Splits blanked code.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let len = match bytes[at] {
            b'\n' => {
                line += 1;
                0
            }
            b if b.is_ascii_whitespace() => 0,
            b if is_word(b) => bytes[at..].iter().take_while(|b| is_word(**b)).count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            _ => 1,
        };
        if len > 0 {
            out.push(Token { text: &code[at..at + len], line, at });
        }
        at += len.max(1);
    }
    out
}

pub(crate) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// What a stretch of source outside the code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Comment,
    /// A string, byte string or character.
    Literal,
}

/// Blanks comments and literals, so that only code is left; lines stay.
pub(crate) fn blank(text: &str) -> String {
    let mut out: Vec<u8> = text.bytes().map(|b| if b.is_ascii() { b } else { b' ' }).collect();
    for (_, range) in hidden(text) {
        for byte in out[range].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    String::from_utf8(out).expect("only ASCII is left")
}

/// Comments and literals with their delimiters, in order.
pub(crate) fn hidden(text: &str) -> Vec<(Kind, Range<usize>)> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let skipped = match rest[0] {
            b'/' if rest.starts_with(b"//") => rest.iter().take_while(|b| **b != b'\n').count(),
            b'/' if rest.starts_with(b"/*") => block_comment(rest),
            b'"' => string(rest),
            b'r' if !(at > 0 && is_word(bytes[at - 1]) && !matches!(bytes[at - 1], b'b' | b'c')) => {
                raw_string(rest)
            }
            b'\'' => character(text, at),
            _ => 0,
        };
        if skipped > 0 {
            let kind = if rest[0] == b'/' { Kind::Comment } else { Kind::Literal };
            found.push((kind, at..at + skipped));
        }
        at += skipped.max(1);
    }
    found
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[2 + hashes..];
    let len = body.windows(end.len()).position(|w| w == end).unwrap_or(body.len());
    (2 + hashes + len + end.len()).min(rest.len())
}

/// Length of the character literal at `at`, 0 if it is a lifetime.
fn character(text: &str, at: usize) -> usize {
    let rest = &text[at + 1..];
    let mut chars = rest.char_indices();
    match chars.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(0, |n| n + 4),
        Some(_) => match chars.next() {
            Some((n, '\'')) => n + 2,
            _ => 0,
        },
        None => 0,
    }
}

/// Where items under `#[cfg(test)]` begin and end.
pub(crate) fn test_items(code: &str) -> Vec<Range<usize>> {
    let tokens = tokens(code);
    let mut items = Vec::new();
    let mut i = 0;
    while i + 7 <= tokens.len() {
        if tokens[i..i + 7].iter().map(|t| t.text).eq(["#", "[", "cfg", "(", "test", ")", "]"]) {
            let last = end_of_item(&tokens, i + 7);
            items.push(tokens[i].at..tokens.get(last).map_or(code.len(), |t| t.at + t.text.len()));
            i = last;
        }
        i += 1;
    }
    items
}

/// Index of the `;` or `}` that ends the item at `i`, whose attributes may come first.
pub(crate) fn end_of_item(tokens: &[Token<'_>], mut i: usize) -> usize {
    let (mut depth, mut import) = (0i32, false);
    while i < tokens.len() {
        match tokens[i].text {
            "use" if depth == 0 => import = true,
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !import {
                    return i;
                }
            }
            ";" if depth == 0 => return i,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Blanks everything under `#[cfg(test)]`.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for item in test_items(code) {
        let blanked: String = code[item.clone()].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out.replace_range(item, &blanked);
    }
    out
}

/// Modules declared with `#[cfg(test)] mod name;`.
fn test_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for item in test_items(code) {
        let tokens = tokens(&code[item]);
        let found = tokens.windows(3).find(|w| w[0].text == "mod" && w[2].text == ";");
        names.extend(found.map(|w| w[1].text.to_owned()));
    }
    names
}

/// A path that code names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Whether it stands in a `use`.
    pub(crate) imported: bool,
}

/// Every path of blanked code: imports one by one, and `a::b` wherever it stands.
pub(crate) fn paths(code: &str) -> Vec<Named> {
    let tokens = tokens(code);
    let (mut out, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        let word = is_word(tokens[i].text.as_bytes()[0]);
        if tokens[i].text == "use" && tokens.get(i + 1).is_some_and(|t| t.text != "<") {
            i += 1;
            tree(&tokens, &mut i, &[], &mut out);
        } else if word && tokens.get(i + 1).is_some_and(|t| t.text == "::") {
            let line = tokens[i].line;
            let mut segments = vec![tokens[i].text.to_owned()];
            while let [sep, name, ..] = &tokens[i + 1..] {
                if sep.text != "::" || !is_word(name.text.as_bytes()[0]) {
                    break;
                }
                segments.push(name.text.to_owned());
                i += 2;
            }
            out.push(Named { line, segments, imported: false });
        }
        i += 1;
    }
    out
}

/// One branch of a `use`; leaves `i` at the `,`, `}` or `;` that ends it.
fn tree(tokens: &[Token<'_>], i: &mut usize, prefix: &[String], out: &mut Vec<Named>) {
    let mut segments = prefix.to_vec();
    let mut braces = false;
    let line = tokens.get(*i).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(*i) {
        match token.text {
            "{" => {
                braces = true;
                loop {
                    *i += 1;
                    tree(tokens, i, &segments, out);
                    if tokens.get(*i).is_none_or(|t| t.text != ",") {
                        break;
                    }
                }
            }
            "," | "}" | ";" => break,
            "as" => *i += 1,
            "::" => {}
            name => segments.push(name.to_owned()),
        }
        *i += 1;
    }
    if segments.len() > 1 && segments.last().is_some_and(|s| s == "self") {
        segments.pop();
    }
    if !braces && segments.len() > prefix.len().saturating_sub(1) && !segments.is_empty() {
        out.push(Named { line, segments, imported: true });
    }
}

#[test]
fn only_code_is_left() {
    let text = "let a = \"unsafe // {\"; // unsafe\n/* unsafe /* { */ */ let b = '\"'; f::<'a>(r#\"\" unsafe\"#, 'ä');";
    assert_eq!(tokens(&blank(text)).iter().filter(|t| t.text == "unsafe").count(), 0);
    assert_eq!(blank(text).lines().count(), 2);
    assert!(tokens(&blank("fn f<'a>() { unsafe {} }")).iter().any(|t| t.text == "unsafe"));
    assert!(tokens(&blank("let q = '\\''; unsafe {}")).iter().any(|t| t.text == "unsafe"));
}

#[test]
fn tests_are_cut_off_and_nothing_else() {
    let code = "fn a() {}\n#[cfg(test)]\nuse x::{y};\n#[cfg(test)]\n#[allow(q)]\nmod tests {\n fn t() { {} }\n}\nfn b() {}";
    let words: Vec<String> = tokens(&without_tests(code)).iter().map(|t| t.text.to_owned()).collect();
    assert_eq!(words.join(""), "fna(){}fnb(){}");
    assert_eq!(without_tests(code).lines().count(), code.lines().count());
    assert_eq!(test_modules("#[cfg(test)]\nmod golden;\nmod real;"), ["golden"]);
    let mut files = [File::new("src/a/mod.rs", "#[cfg(test)] mod t;"), File::new("src/a/t.rs", "fn f() {}")];
    mark_tests(&mut files);
    assert!(files[1].test && !files[0].test);
}

#[test]
fn imports_are_taken_apart() {
    let code = "use crate::{a::{self, B as C}, d::*};\nlet x = super::e::f(std::fs::read(y));\nuse g;";
    let named: Vec<String> =
        paths(code).iter().map(|p| format!("{} {}", p.line, p.segments.join("::"))).collect();
    assert_eq!(
        named,
        ["1 crate::a", "1 crate::a::B", "1 crate::d::*", "2 super::e::f", "2 std::fs::read", "3 g"]
    );
}
