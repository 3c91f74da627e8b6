//! Splits a model name such as `Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound` into its parts.
//!
//! The parts are those of the GGUF naming convention (`docs/gguf.md` of ggml), recognized as in gguf-py. One kind of
//! word is an addition: the encoding of the checkpoint, which the GGUF no longer has.

/// The parts of a name; `None` if absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) basename: Option<String>,
    pub(super) size_label: Option<String>,
    pub(super) finetune: Option<String>,
    pub(super) version: Option<String>,
    /// True if the name contains `AutoRound`.
    pub(super) auto_round: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Version,
    Size,
    Finetune,
    /// A GGUF type, or the encoding of the checkpoint.
    Encoding,
}

impl Parts {
    /// Splits a name without organization. `parameters`, the number of weights, distinguishes sizes from context
    /// lengths; 0 if unknown.
    pub(super) fn of(name: &str, parameters: u64) -> Self {
        if name.contains(' ') {
            return Self::default();
        }
        let mut words: Vec<(String, Kind)> = name
            .split('-')
            .filter(|word| !word.is_empty())
            .enumerate()
            .map(|(i, word)| annotate(i, word, parameters))
            .collect();
        let digits = |w: &str| w.chars().any(|c| c.is_ascii_digit());
        if words.iter().any(|(word, kind)| *kind == Kind::Size && digits(word)) {
            for (_, kind) in words.iter_mut().filter(|(word, kind)| *kind == Kind::Size && !digits(word)) {
                *kind = Kind::Plain; // beside `7B`, `large` is not a size
            }
        }
        let starts_base = |(word, kind): &&(String, Kind)| match kind {
            Kind::Plain => word.starts_with(char::is_alphabetic),
            kind => *kind == Kind::Version,
        };
        let mut base = words.iter().take_while(starts_base).count();
        // A version inside the name, as in `Toy-v2-7B`, is part of the base name; at the end it is the version.
        let versions = words.iter().rev().take_while(|(_, kind)| *kind == Kind::Version).count();
        if base == words.len() {
            base -= versions;
        }
        let joined = |wanted: &[Kind], from: usize| {
            let mut picked: Vec<&str> = Vec::new();
            for (word, kind) in &words[from..] {
                let double = *kind == Kind::Size && picked.contains(&word.as_str());
                if wanted.contains(kind) && !double {
                    picked.push(word);
                }
            }
            (!picked.is_empty()).then(|| picked.join("-"))
        };
        let parts = Self {
            basename: (base > 0)
                .then(|| words[..base].iter().map(|w| w.0.as_str()).collect::<Vec<_>>().join("-")),
            size_label: joined(&[Kind::Size], 0),
            finetune: joined(&[Kind::Plain, Kind::Finetune], base),
            version: joined(&[Kind::Version], base),
            auto_round: words.iter().any(|(word, _)| is_auto_round(word)),
        };
        let ambiguous = parts.size_label.is_none() && parts.finetune.is_none() && parts.version.is_none();
        Self { basename: parts.basename.filter(|_| !ambiguous), ..parts }
    }
}

/// Title case: capitalizes lower-case words, leaves acronyms and versions unchanged.
pub(super) fn title(name: &str) -> String {
    let words = name.split(['-', ' ']).filter(|word| !word.is_empty());
    words.map(capital).collect::<Vec<_>>().join(" ")
}

fn capital(word: &str) -> String {
    let small = word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase);
    if !small
        || word.starts_with(|c: char| c.is_ascii_digit())
        || is_numbers(word.strip_prefix('v').unwrap_or(""))
    {
        return word.to_owned();
    }
    let mut after_letter = false;
    let mut out = String::new();
    for c in word.chars() {
        if after_letter {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        after_letter = c.is_alphabetic();
    }
    out
}

fn annotate(i: usize, word: &str, parameters: u64) -> (String, Kind) {
    let low = word.to_lowercase();
    if is_numbers(low.strip_prefix("iter").or(low.strip_prefix('v')).unwrap_or(&low)) {
        (word.to_owned(), Kind::Version)
    } else if is_encoding(&low) || is_auto_round(word) {
        (word.to_owned(), Kind::Encoding)
    } else if i == 0 {
        (word.to_owned(), Kind::Plain)
    } else if let Some(label) = size(word) {
        let whole = label.trim_end_matches(char::is_alphabetic).parse::<f64>();
        match (whole, context_length(&label, parameters)) {
            (Ok(_), Some(context)) => (context, Kind::Finetune),
            _ => (label, Kind::Size),
        }
    } else if matches!(low.as_str(), "small" | "mini" | "medium" | "large" | "xl" | "xxl") {
        (word.to_owned(), Kind::Size)
    } else if matches!(low.as_str(), "chat" | "instruct" | "vision" | "lora") {
        (word.to_owned(), Kind::Finetune)
    } else {
        (word.to_owned(), Kind::Plain)
    }
}

/// Returns true for numbers separated by dots, `1.5`.
fn is_numbers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn is_auto_round(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "autoround" | "auto_round")
}

/// Returns true for GGUF types (`Q4_0`, `BF16`) and encodings of checkpoints: `int4`, `w4a16`, `4bit`, `g128`, `mixed`,
/// `gptq`.
fn is_encoding(low: &str) -> bool {
    const WORDS: [&str; 16] = [
        "mixed", "gptq", "awq", "fp8", "fp4", "mxfp4", "mxfp8", "mxint4", "nvfp4", "sym", "asym", "f16",
        "f32", "fp16", "fp32", "bf16",
    ];
    let number = |text: &str| text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    let after = |prefix: &str| low.strip_prefix(prefix).is_some_and(number);
    let bits = low.strip_suffix("bits").or(low.strip_suffix("bit")).is_some_and(number);
    let widths = low.strip_prefix('w').and_then(|rest| rest.split_once('a'));
    let ggml = low.strip_prefix('i').unwrap_or(low).strip_prefix('q').and_then(|rest| rest.split_once('_'));
    WORDS.contains(&low)
        || after("int")
        || after("g")
        || after("w")
        || bits
        || widths.is_some_and(|(w, a)| number(w) && number(a))
        || ggml.is_some_and(|(n, _)| n.len() == 1 && number(n))
}

/// Recognizes sizes (`80B`, `A3B`, `8x7B`, `1_5b`, `7b1`) and returns them in the notation of the convention.
fn size(word: &str) -> Option<String> {
    let number = word.strip_prefix(['A', 'a']).or_else(|| {
        let (experts, rest) = word.split_once(['x', 'X'])?;
        is_digits(experts).then_some(rest)
    });
    let body = number.unwrap_or(word);
    let head = &word[..word.len() - body.len()];
    let unit = body.find(|c: char| c.is_ascii_alphabetic())?;
    let (amount, rest) = body.split_at(unit);
    let amount = amount.replace('_', ".");
    let mut rest = rest.chars();
    let suffix = rest.next().map(|c| c.to_ascii_uppercase()).filter(|c| "KMBT".contains(*c))?;
    let tenth = rest.as_str();
    let plain =
        is_digits(&amount) || amount.split_once('.').is_some_and(|(a, b)| is_digits(a) && is_digits(b));
    match tenth {
        "" if plain => Some(format!("{head}{amount}{suffix}")),
        t if plain && t.len() == 1 && is_digits(t) => Some(format!("{head}{amount}.{t}{suffix}")),
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The label as a context length, `128k`, if it is far from the number of parameters.
fn context_length(label: &str, parameters: u64) -> Option<String> {
    if parameters == 0 {
        return None;
    }
    let (amount, suffix) = label.split_at(label.len() - 1);
    let unit = match suffix {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        _ => 1e12,
    };
    #[expect(clippy::cast_precision_loss, reason = "a rough comparison")]
    let total = parameters as f64;
    let far = (amount.parse::<f64>().ok()? * unit - total).abs() > 7.0 * total / 8.0;
    far.then(|| label.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str, parameters: u64) -> [Option<String>; 4] {
        let p = Parts::of(name, parameters);
        [p.basename, p.size_label, p.finetune, p.version]
    }

    fn some(texts: [&str; 4]) -> [Option<String>; 4] {
        texts.map(|t| (!t.is_empty()).then(|| t.to_owned()))
    }

    /// Expected values are those of gguf-py, except for names that contain the encoding of the checkpoint.
    #[test]
    fn names_are_split_into_their_parts() {
        let b = 1_000_000_000;
        for (name, parameters, expected) in [
            ("Qwen3-Next-80B-A3B-Thinking", 80 * b, ["Qwen3-Next", "80B-A3B", "Thinking", ""]),
            ("Qwen3-Next-80B-A3B-Instruct", 80 * b, ["Qwen3-Next", "80B-A3B", "Instruct", ""]),
            (
                "Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound",
                80 * b,
                ["Qwen3-Next", "80B-A3B", "Thinking", ""],
            ),
            ("Toy-Next-8x7B-v0.1", 0, ["Toy-Next", "8x7B", "", "v0.1"]),
            ("Toy-v2-7b-Chat-128k", 7 * b, ["Toy-v2", "7B", "Chat-128k", ""]),
            ("Toy-7b1", 7 * b, ["Toy", "7.1B", "", ""]),
            ("Toy-1_5B-Q4_0", 0, ["Toy", "1.5B", "", ""]),
            ("Toy-large-7B-7B", 0, ["Toy-large", "7B", "", ""]),
            ("Toy-large-7B-v1", 0, ["Toy-large", "7B", "", "v1"]),
            ("Toy-v2", 0, ["Toy", "", "", "v2"]),
            ("A-1-2-7B", 0, ["A-1-2", "7B", "", ""]),
            ("Qwen2.5-1.5B-Instruct-1M", 3 * b / 2, ["Qwen2.5", "1.5B", "Instruct-1m", ""]),
            ("tiny-thinker", 0, ["", "", "", ""]),
            ("a sentence-7B", 0, ["", "", "", ""]),
            ("", 0, ["", "", "", ""]),
            ("7B", 0, ["", "", "7B", ""]),
        ] {
            assert_eq!(parts(name, parameters), some(expected), "{name}");
        }
        assert!(Parts::of("A-7B-int4-AutoRound", 0).auto_round);
    }

    #[test]
    fn titles_leave_acronyms_unchanged() {
        assert_eq!(title("source-bf16"), "Source Bf16");
        assert_eq!(
            title("Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound"),
            "Qwen3 Next 80B A3B Thinking Int4 Mixed AutoRound"
        );
        assert_eq!(title("pile-10k v2.1"), "Pile 10k v2.1");
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_split_without_a_panic(name in "[a-zA-Z0-9._xé -]{0,24}", parameters: u64) {
            drop(Parts::of(&name, parameters));
            drop(title(&name));
        }
    }
}
