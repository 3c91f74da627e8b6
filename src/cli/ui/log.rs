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
use super::style::{Style, Verbatim};

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
        let (word, colour) = title(*event.metadata().level(), Style::of_stderr());
        err::titled(colour, word, &[origin, &said.text()].concat());
    }
}

/// The word for a level, and its color.
fn title(level: Level, style: Style) -> (&'static str, Verbatim<'static>) {
    match level {
        Level::ERROR => ("error", style.error()),
        Level::WARN => ("warning", style.warning()),
        Level::INFO => ("info", style.dim()),
        Level::DEBUG => ("debug", style.dim()),
        Level::TRACE => ("trace", style.dim()),
    }
}

/// The message of an event, and its other fields as ` name=value`.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn text(&self) -> String {
        [self.message.trim_end(), &self.fields].concat()
    }
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
    fn a_line_has_its_level_and_its_fields() {
        let said = Said { message: "slow \n".to_owned(), fields: " ms=7".to_owned() };
        assert_eq!(said.text(), "slow ms=7");
        assert_eq!(title(Level::WARN, Style::Rich), ("warning", Style::Rich.warning()));
        assert_eq!(title(Level::INFO, Style::Plain), ("info", Style::Plain.dim()));
    }
}
