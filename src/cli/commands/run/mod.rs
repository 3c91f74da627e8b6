//! `ggrun run`: one question, one answer. Only the answer is on stdout; thinking and timings are on stderr.

mod args;
mod screen;

use std::fs;
use std::io::{self, IsTerminal, Read as _, Write};
use std::time::Instant;

use anyhow::{Context as _, bail};
use ggrun::chat::{Message, Role};
use ggrun::engine::FinishReason;
use ggrun::session::GenerationOptions;

pub(crate) use args::RunArgs;
use screen::Screen;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::answer::answer;
use crate::cli::shared::devices::list_devices;
use crate::cli::shared::open::{self, Opened};
use crate::cli::shared::{seed, source};
use crate::cli::ui::style::Style;
use crate::cli::ui::when::When;

/// Answers the question of the command line.
///
/// # Errors
///
/// When there is no question, the model cannot be loaded, or the engine fails; [`Interrupted`] when the user
/// stopped it, and [`is_closed`](crate::cli::ui::out::is_closed) when the reader of `out` is gone.
pub(crate) fn run(args: &RunArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    if args.placement.list_devices {
        out.write_all(list_devices(&args.placement)?.as_bytes())?;
        return Ok(());
    }
    let (prompt, options) = (prompt(args)?, args.generation.options()?);
    options.check_tool_choice()?;
    let interrupt = Interrupt::listen();
    let path = source::model(&args.model, When::Auto)?;
    let begun = Instant::now();
    let Opened { session, model, .. } = &open::open(args.placement.options(&path), &interrupt)?;
    if !args.json {
        let style = Style::of_stderr();
        let loaded =
            format!("loaded in {:.2} s: {}", begun.elapsed().as_secs_f64(), model.placement().reason);
        // A closed stderr does not end the run.
        drop(writeln!(err, "{}{loaded}{}", style.dim(), style.reset()));
    }
    options.check_reasoning(session.template())?;
    let options = options.over(&GenerationOptions::advised(&model.sampling(0)));
    let request = options.chat_request(messages(args, &prompt), seed::random());
    let seed = request.sampling.seed;
    let mut screen = Screen::new(out, err, args, Style::of_stderr());
    let answer = answer(session, request, &interrupt, |event| Ok(screen.event(event)?))?;
    screen.finish(&prompt, &answer, seed)?;
    if answer.reason == FinishReason::Cancelled && interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    Ok(())
}

fn prompt(args: &RunArgs) -> anyhow::Result<String> {
    let mut text = match (&args.prompt, &args.file) {
        (Some(prompt), _) => return Ok(prompt.clone()),
        (None, Some(file)) => fs::read_to_string(file)
            .with_context(|| format!("cannot read the question from `{}`", file.display()))?,
        (None, None) if io::stdin().is_terminal() => bail!("no question: give one with -p, -f or on stdin"),
        (None, None) => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read the question from stdin")?;
            text
        }
    };
    // The newline at the end of a file is not part of the question.
    if text.ends_with('\n') {
        text.pop();
    }
    if text.trim().is_empty() {
        bail!("no question: the input is empty");
    }
    Ok(text)
}

fn messages(args: &RunArgs, prompt: &str) -> Vec<Message> {
    let system = args.system_prompt.iter().map(|text| Message::new(Role::System, text));
    system.chain([Message::new(Role::User, prompt)]).collect()
}

#[cfg(test)]
mod tests;
