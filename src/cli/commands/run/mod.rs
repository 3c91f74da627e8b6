//! `ggrun run`: one question, one answer. Only the answer is on stdout; thinking and timings are on stderr.

mod args;
mod screen;

use std::time::Instant;

use anyhow::{Context as _, bail};
use ggrun::chat::{Message, Role};
use ggrun::engine::FinishReason;
use ggrun::session::{Answer, Chat, GenerationOptions, Seed};

pub(crate) use args::RunArgs;
use screen::Screen;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::options::file::{self, Text};
use crate::cli::shared::answer::answer;
use crate::cli::shared::open::{self, Opened};
use crate::cli::shared::{source, stdin};
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::Style;
use crate::cli::ui::when::When;

/// Answers the question of the command line.
///
/// # Errors
///
/// When there is no question, the model cannot be loaded, or the engine fails; [`Interrupted`] when the user stopped
/// it, and [`is_closed`](crate::cli::ui::out::is_closed) when the reader of `out` has gone away.
pub(crate) fn run(args: &RunArgs, out: &mut dyn Stream, err: &mut dyn Stream) -> anyhow::Result<()> {
    args.model.named()?;
    let options = checks::generation(&args.generation, &args.escape)?;
    // Nothing is rendered without a conversation.
    let template = if args.no_conversation { Some(String::new()) } else { args.template.source()? };
    let (system, prompt) = (args.system.text()?, prompt(args)?);
    let interrupt = Interrupt::listen();
    let path = source::model(&args.model, When::Auto)?;
    let begun = Instant::now();
    let Opened { session, model, .. } = &open::open(args.placement.options(&path), template, &interrupt)?;
    if !args.json {
        let loaded =
            format!("loaded in {:.2} s: {}\n", begun.elapsed().as_secs_f64(), model.placement().reason);
        // A closed stderr does not end the run.
        drop(err.dimmed(Style::of_stderr(), &loaded));
    }
    if !args.no_conversation {
        options.check_reasoning(session.template())?;
    }
    let options = options.over(&GenerationOptions::recommended(&model.sampling(0)));
    let random = Seed::draw();
    let chat = if args.no_conversation {
        session.complete(options.text_request(prompt.clone(), random))?
    } else {
        session.chat(options.chat_request(messages(system.as_deref(), &prompt), random))?
    };
    let mut screen = Screen::new(out, err, args, options.rules.as_ref(), Style::of_stderr());
    let answer = follow(chat, &interrupt, &mut screen)?;
    screen.finish(&prompt, &answer, options.params(random).seed)?;
    if answer.reason == FinishReason::Cancelled && interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    Ok(())
}

/// Shows an answer while it is written. What came before an error stays.
fn follow(chat: Chat, interrupt: &Interrupt, screen: &mut Screen<'_>) -> anyhow::Result<Answer> {
    let answer = answer(chat, interrupt, |event| Ok(screen.event(event)?));
    if answer.is_err() {
        screen.break_off();
    }
    answer
}

/// The prompt of the command line, with the text from standard input.
fn prompt(args: &RunArgs) -> anyhow::Result<String> {
    let text = match (&args.prompt, &args.file) {
        (Some(prompt), _) => {
            let prompt = args.escape.text(prompt.clone());
            match stdin::text()?.filter(|more| !more.is_empty()) {
                Some(more) if prompt.is_empty() => more,
                Some(more) => format!("{prompt}\n\n{more}"),
                None => prompt,
            }
        }
        (None, Some(path)) => {
            let text = file::read(path, Text::Prompt)?;
            // The newline at the end of a file is not part of the prompt.
            args.escape.text(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
        }
        (None, None) => {
            stdin::text()?.context("no prompt, expected PROMPT, `-p`, `-f` or text on standard input")?
        }
    };
    if text.trim().is_empty() {
        bail!("the prompt is empty");
    }
    Ok(text)
}

fn messages(system: Option<&str>, prompt: &str) -> Vec<Message> {
    let system = system.into_iter().map(|text| Message::new(Role::System, text));
    system.chain([Message::new(Role::User, prompt)]).collect()
}

#[cfg(test)]
mod tests;
