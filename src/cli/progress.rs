//! Draws the library's progress on standard error, if that is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use gguf_export::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::When;

/// A bar with bytes, rate, time left and the tensor at work; invisible where nobody would see it.
pub(crate) struct Bar {
    bar: ProgressBar,
    verb: &'static str,
}

impl Bar {
    pub(crate) fn new(verb: &'static str, when: When) -> Self {
        let shown = match when {
            When::Auto => std::io::stderr().is_terminal(),
            When::Always => true,
            When::Never => false,
        };
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = "{prefix} {bar:24} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(verb);
        Self { bar, verb }
    }

    pub(crate) fn observe(&self, progress: Progress<'_>) {
        match progress {
            Progress::Surveying { bytes, .. } => {
                self.bar.set_prefix("Checking");
                self.start(bytes, 0);
            }
            Progress::Planned { bytes, resumed, .. } => {
                self.bar.set_prefix(self.verb);
                self.start(bytes, resumed);
            }
            Progress::Advanced { tensor, bytes } => {
                self.bar.set_message(tensor.to_owned());
                self.bar.inc(bytes);
            }
            Progress::Syncing => self.bar.set_message("waiting for the disk"),
            Progress::Finished => self.clear(),
            _ => {}
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn start(&self, bytes: u64, done: u64) {
        self.bar.reset();
        self.bar.set_length(bytes);
        self.bar.set_position(done);
        // What an earlier run did must not count as speed.
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }
}
