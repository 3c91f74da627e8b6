//! The log of the library and of llama.cpp, on standard error and in a file.

use std::fmt;
use std::fs::File;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

use super::err;
use super::style::Style;
use super::text::printable;

/// The target under which the binding reports llama.cpp's lines.
pub(crate) const ENGINE: &str = "llama-cpp-2";

/// Installs the log: filtered on standard error, and at the debug level in a file.
pub(crate) fn start(shown: EnvFilter, file: Option<File>) {
    let file = file.map(|file| {
        // A failure to write the log is not reported: a full disk must not flood standard error.
        let layer = tracing_subscriber::fmt::layer().with_writer(Mutex::new(file)).log_internal_errors(false);
        layer.with_ansi(false).with_filter(LevelFilter::DEBUG)
    });
    let log = registry().with(Lines.with_filter(shown)).with(file);
    // It fails only if a subscriber is installed already.
    drop(tracing::subscriber::set_global_default(log));
}

/// A line on standard error for each event.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let origin = if event.metadata().target() == ENGINE { "llama.cpp: " } else { "" };
        err::line(&shown(*event.metadata().level(), origin, &said, Style::of_stderr()));
    }
}

fn shown(level: Level, origin: &str, said: &Said, style: Style) -> String {
    let (word, on) = match level {
        Level::ERROR => ("error", style.error()),
        Level::WARN => ("warning", style.warning()),
        Level::INFO => ("info", style.dim()),
        Level::DEBUG => ("debug", style.dim()),
        Level::TRACE => ("trace", style.dim()),
    };
    let text = [said.message.trim_end(), &said.fields].concat();
    format!("{on}{word}:{} {origin}{}", style.reset(), printable(&text))
}

/// The message of an event, and its other fields as ` name=value`.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            // The function in llama.cpp adds nothing for users.
            "module" => {}
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.extend([" ", name, "=", &format!("{value:?}")]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_level_its_origin_and_its_fields_and_no_control_characters() {
        let said = Said { message: "slow\x1b[2J \n".to_owned(), fields: " ms=7".to_owned() };
        assert_eq!(
            shown(Level::WARN, "llama.cpp: ", &said, Style::Plain),
            "warning: llama.cpp: slow\\u{1b}[2J ms=7"
        );
        assert_eq!(shown(Level::INFO, "", &said, Style::Rich), "\x1b[2minfo:\x1b[0m slow\\u{1b}[2J ms=7");
    }
}
