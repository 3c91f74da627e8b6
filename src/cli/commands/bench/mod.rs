//! `ggrun bench`: measures the speed of a model and its perplexity.

mod args;
mod load;
mod quality;
mod table;

use anyhow::bail;
use ggrun::bench::{Test, first_token, run as measure};
use ggrun::engine::Vocab as _;
use ggrun::model::{Abort, streamed};

pub(crate) use args::Bench;
use args::Form;
use load::{bar, ended, load};

use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::ui::err::remark;
use crate::cli::ui::out::print;

pub(crate) fn run(args: &Bench) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen();
    if args.quality.is_asked() {
        if args.placement.parallel.is_some() {
            remark("`-np` is ignored: perplexity is measured in one slot");
        }
        return quality::run(args, &interrupt).map(|()| Outcome::Success);
    }
    if args.placement.context_tokens().is_some() {
        remark("`-c` is ignored: the context has the size of the longest test");
    }
    let tests = args.tests()?;
    let Some(longest) = tests.iter().map(Test::context).max() else {
        bail!("nothing to measure: `-p` and `-n` are 0");
    };
    let (model, subject) = load(args, longest, &interrupt)?;
    let vocab = model.vocab().size();
    let mut decoder = model.decoder(Abort::of(interrupt.shared()))?;
    let subject = subject.answered(first_token(&mut decoder, vocab).map_err(ended)?);
    let form = if args.json { Form::Json } else { args.output };
    let mut table = table::Table::new(form, subject);
    for test in tests {
        let bar = bar(&test.name(), args.repetitions + 1);
        let mut before = streamed();
        let measured = measure(&mut decoder, vocab, test, args.repetitions, |done| {
            bar.set_position(done.into());
            // Not of the warm-up.
            if done == 1 {
                before = streamed();
            }
            !interrupt.is_raised()
        });
        bar.finish_and_clear();
        let measured = measured.map_err(ended)?;
        if interrupt.is_raised() {
            return Err(Interrupted.into());
        }
        let hit_rate = streamed().hit_rate(before);
        print(&table.add(&measured, hit_rate, table.subject.peak()))?;
    }
    print(&table.end())?;
    Ok(Outcome::Success)
}
