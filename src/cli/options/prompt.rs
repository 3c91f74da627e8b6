//! Options for the prompt: the system prompt, the chat template, escape sequences. llama.cpp's names.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use ggrun::chat::Template;
use ggrun::session::GenerationOptions;

use super::file::{self, Text};

/// The help heading of options for the prompt.
pub(crate) const PROMPT: &str = "Prompt";

/// Options of the system prompt.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = PROMPT)]
pub(crate) struct SystemArgs {
    /// Set the system prompt (also -sys)
    ///
    /// In a batch it applies to conversations without a system message.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "system_prompt_file")]
    system_prompt: Option<String>,
    /// Read the system prompt from a file (also -sysf)
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    system_prompt_file: Option<PathBuf>,
}

impl SystemArgs {
    /// The system prompt, without the newline at the end of its file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(crate) fn text(&self) -> anyhow::Result<Option<String>> {
        match &self.system_prompt_file {
            None => Ok(self.system_prompt.clone()),
            Some(path) => {
                let text = file::read(path, Text::SystemPrompt)?;
                Ok(Some(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)))
            }
        }
    }
}

/// Options of the chat template.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = PROMPT)]
pub(crate) struct TemplateArgs {
    /// Use this Jinja chat template instead of the model's
    ///
    /// llama.cpp's names of built-in templates are not supported.
    #[arg(
        long,
        value_name = "JINJA",
        env = "LLAMA_ARG_CHAT_TEMPLATE",
        conflicts_with = "chat_template_file",
        hide_short_help = true
    )]
    chat_template: Option<String>,
    /// Use the Jinja chat template in this file instead of the model's
    #[arg(long, value_name = "FILE", env = "LLAMA_ARG_CHAT_TEMPLATE_FILE", hide_short_help = true)]
    chat_template_file: Option<PathBuf>,
}

impl TemplateArgs {
    /// The template, if one is set.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the template is not valid Jinja.
    pub(crate) fn source(&self) -> anyhow::Result<Option<String>> {
        let source = match (&self.chat_template, &self.chat_template_file) {
            (Some(source), _) if !source.contains("{{") && !source.contains("{%") => {
                bail!(
                    "`{source}` is not a Jinja template; pass its text, or its file with `--chat-template-file`"
                )
            }
            (Some(source), _) => source.clone(),
            (None, Some(path)) => file::read(path, Text::Template)?,
            (None, None) => return Ok(None),
        };
        Template::parse(&source, "", "").context("the chat template is not valid")?;
        Ok(Some(source))
    }
}

/// Escape sequences in texts of the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct EscapeArgs {
    /// Replace \n, \r, \t, \', \", \\ and \xHH in texts of options, such as -p, -r and --template
    ///
    /// llama.cpp does so unless --no-escape is given.
    #[arg(short = 'e', long, overrides_with = "no_escape", conflicts_with = "no_escape", help_heading = PROMPT,
        hide_short_help = true)]
    escape: bool,
    /// Keep backslashes as they are, which is the default
    #[arg(long, overrides_with = "escape", help_heading = PROMPT, hide_short_help = true)]
    no_escape: bool,
}

impl EscapeArgs {
    /// A text with its escape sequences replaced, if requested.
    pub(crate) fn text(&self, text: String) -> String {
        if self.escape && !self.no_escape { unescaped(&text) } else { text }
    }

    /// Replaces escape sequences in the texts that end an answer or a repetition.
    pub(crate) fn apply(&self, options: &mut GenerationOptions) {
        let texts = options.stop.iter_mut().chain(&mut options.sampling.dry_breakers).flatten();
        for text in texts {
            *text = self.text(std::mem::take(text));
        }
    }
}

/// Unescapes as llama.cpp does: an unknown sequence is left unchanged.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let plain = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let (byte, length) = match tail {
            [b'n', ..] if *first == b'\\' => (b'\n', 2),
            [b'r', ..] if *first == b'\\' => (b'\r', 2),
            [b't', ..] if *first == b'\\' => (b'\t', 2),
            [quoted @ (b'\'' | b'"' | b'\\'), ..] if *first == b'\\' => (*quoted, 2),
            [b'x', digits @ ..] if *first == b'\\' && digits.get(..2).is_some_and(plain) => {
                (digits.get(..2).and_then(hex).unwrap_or_default(), 4)
            }
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn escape_sequences_are_llama_cpps() {
        assert_eq!(unescaped(r#"a\nb\tc\r\\n\'\"\x41\x4"#), "a\nb\tc\r\\n'\"A\\x4");
        assert_eq!(unescaped(r"\q é \"), r"\q é \");
        assert_eq!(unescaped(r"\xc3\xa9"), "é");
    }

    #[test]
    fn escape_sequences_are_replaced_where_that_is_asked_for() {
        let ask = EscapeArgs { escape: true, no_escape: false };
        assert_eq!(ask.text(r"a\n".to_owned()), "a\n");
        assert_eq!(EscapeArgs::default().text(r"a\n".to_owned()), r"a\n");
        let mut options =
            GenerationOptions { stop: Some(vec![r"\n".to_owned()]), ..GenerationOptions::default() };
        options.sampling.dry_breakers = Some(vec![r"\t".to_owned()]);
        ask.apply(&mut options);
        assert_eq!(options.stop, Some(vec!["\n".to_owned()]));
        assert_eq!(options.sampling.dry_breakers, Some(vec!["\t".to_owned()]));
    }

    #[test]
    fn a_template_is_jinja_in_the_option_or_a_file() {
        let named = |chat_template: Option<&str>, chat_template_file: Option<PathBuf>| {
            TemplateArgs { chat_template: chat_template.map(str::to_owned), chat_template_file }.source()
        };
        assert_eq!(named(None, None).unwrap(), None);
        let source = "{{ messages[0].content }}";
        assert_eq!(named(Some(source), None).unwrap().as_deref(), Some(source));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), source).unwrap();
        assert_eq!(named(None, Some(file.path().to_owned())).unwrap().as_deref(), Some(source));
        for (template, says) in [("chatml", "is not a Jinja template"), ("{% if %}", "not valid")] {
            let error = format!("{:#}", named(Some(template), None).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
