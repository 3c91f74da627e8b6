//! llama.cpp's spelling of options, which clap cannot express: one dash and several letters.

use std::ffi::OsString;

/// What is typed there, and the option it means.
const SPELLINGS: [(&str, &str); 31] = [
    ("-sys", "--system-prompt"),
    ("-sysf", "--system-prompt-file"),
    ("-ngl", "--n-gpu-layers"),
    ("-np", "--parallel"),
    ("-pg", "--pg"),
    ("-ub", "--ubatch-size"),
    ("-tb", "--threads-batch"),
    ("-fa", "--flash-attn"),
    ("-ctk", "--cache-type-k"),
    ("-ctv", "--cache-type-v"),
    ("-cram", "--cache-ram"),
    ("-ot", "--override-tensor"),
    ("-cmoe", "--cpu-moe"),
    ("-ncmoe", "--n-cpu-moe"),
    ("-dev", "--device"),
    ("-lm", "--load-mode"),
    ("-nr", "--no-repack"),
    ("-ts", "--tensor-split"),
    ("-sm", "--split-mode"),
    ("-mg", "--main-gpu"),
    ("-nkvo", "--no-kv-offload"),
    ("-kvo", "--kv-offload"),
    ("-fit", "--fit"),
    ("-fitt", "--fit-target"),
    ("-fitc", "--fit-ctx"),
    ("-hf", "--hf-repo"),
    ("-hfr", "--hf-repo"),
    ("-hff", "--hf-file"),
    ("-st", "--single-turn"),
    ("-rea", "--reasoning"),
    ("-jf", "--json-schema-file"),
];

/// Options whose value is free text and may look like an option.
const TEXTS: [&str; 7] =
    ["-p", "--prompt", "-sys", "--system-prompt", "-r", "--reverse-prompt", "--reasoning-budget-message"];

/// Rewrites llama.cpp's single-dash spellings to double-dash ones; everything else stays as it is.
///
/// Values of text options and everything after `--` are left alone.
pub(crate) fn rewrite(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut rewritten = Vec::new();
    let (mut value, mut over) = (false, false);
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        let plain = value || over;
        over |= !value && text == "--";
        value = !plain && TEXTS.contains(&text);
        rewritten.push(if plain { argument } else { long(text).unwrap_or(argument) });
    }
    rewritten
}

fn long(argument: &str) -> Option<OsString> {
    let (name, value) = argument.split_once('=').map_or((argument, None), |(n, v)| (n, Some(v)));
    let &(_, long) = SPELLINGS.iter().find(|(short, _)| *short == name)?;
    Some(value.map_or_else(|| long.to_owned(), |value| format!("{long}={value}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, meant: &str) {
        let rewritten = rewrite(typed.split(' ').map(OsString::from));
        assert_eq!(rewritten, meant.split(' ').map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn single_dash_spellings_become_long_options() {
        check("ggrun run -sys Hi -ngl 99", "ggrun run --system-prompt Hi --n-gpu-layers 99");
        check("ggrun run -ngl=99 -m a.gguf", "ggrun run --n-gpu-layers=99 -m a.gguf");
    }

    #[test]
    fn text_that_looks_like_an_option_stays_text() {
        check("ggrun run -p -sys -sys -ngl", "ggrun run -p -sys --system-prompt -ngl");
        check("ggrun run -p -- -sys x", "ggrun run -p -- --system-prompt x");
        check("ggrun run -- -sys", "ggrun run -- -sys");
    }

    #[test]
    fn other_options_stay_as_they_are() {
        check("ggrun run -s 3 -systems -n -1", "ggrun run -s 3 -systems -n -1");
    }
}
