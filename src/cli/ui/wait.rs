//! A bar for work that may be short: it appears on a terminal after two seconds.

use std::fmt::Write;
use std::mem;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use console::Term;
use ggrun::session::ChatEvent;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{err, text};

/// Shorter work has no bar.
const DELAY: Duration = Duration::from_secs(2);

/// The work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Loading a model, in bytes.
    Load,
    /// Reading a prompt, in tokens.
    Prompt,
}

/// A bar on standard error. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Wait {
    bar: ProgressBar,
    ended: Arc<Mutex<bool>>,
    /// Dropping it keeps the bar hidden.
    _reveal: Option<Sender<()>>,
}

impl Wait {
    /// Begins to wait.
    pub(crate) fn new(work: Work) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let ended = Arc::new(Mutex::new(false));
        let reveal = err::draws_bars().then(|| {
            let (reveal, dropped) = channel();
            let (bar, ended) = (bar.clone(), Arc::clone(&ended));
            thread::spawn(move || {
                if dropped.recv_timeout(DELAY) == Err(RecvTimeoutError::Timeout) {
                    show(&bar, work, &ended);
                }
            });
            reveal
        });
        Self { bar, ended, _reveal: reveal }
    }

    /// Sets how much is done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        if !*self.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
    }

    /// Follows the prompt of an answer, until something of the answer comes.
    pub(crate) fn follow(&self, event: &ChatEvent) {
        match event {
            ChatEvent::Progress { total, reused, read } => {
                self.set((*read).into(), total.saturating_sub(*reused).into());
            }
            _ => self.end(),
        }
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !mem::replace(&mut ended, true) {
            self.bar.finish_and_clear();
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.end();
    }
}

fn show(bar: &ProgressBar, work: Work, ended: &Mutex<bool>) {
    let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    if *ended {
        return;
    }
    let template = match (work, Term::stderr().size().1) {
        (Work::Load, 80..) => "Loading the model {bar:12}{amount}{left}",
        (Work::Load, _) => "Loading {percent}%{left}",
        (Work::Prompt, 80..) => "Reading the prompt {bar:12}{amount}{left}",
        (Work::Prompt, _) => "Reading {percent}%{left}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates are valid");
    let amount = move |state: &ProgressState, to: &mut dyn Write| {
        let Some(total) = state.len() else { return };
        let amount = match work {
            Work::Load => format!(" {} of {}", text::bytes(state.pos()), text::bytes(total)),
            Work::Prompt => format!(" {} of {}", text::count(state.pos()), text::plural(total, "token")),
        };
        to.write_str(&amount).unwrap_or_default();
    };
    let left = |state: &ProgressState, to: &mut dyn Write| {
        // Without any progress the time is unknown.
        if state.pos() > 0 {
            write!(to, "  {:#} left", HumanDuration(state.eta())).unwrap_or_default();
        }
    };
    bar.set_style(style.progress_chars("=> ").with_key("amount", amount).with_key("left", left));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    err::clear_for_lines(bar);
    bar.enable_steady_tick(Duration::from_millis(200));
}
