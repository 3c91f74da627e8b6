//! `ggrun bench --quality`: perplexity, and the divergence from a reference.

use std::fs::File;
use std::io::{BufReader, BufWriter};

use anyhow::Context as _;
use ggrun::atomic::{Access, NewFile};
use ggrun::bench::{Divergence, Perplexity, Run, measure, save};
use ggrun::engine::{Markup, Vocab as _};
use ggrun::model::Abort;
use serde_json::json;

use super::args::{Bench, Form};
use super::load::{bar, ended, load};
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::options::file::{self, Text};
use crate::cli::ui::out::print;

pub(super) fn run(args: &Bench, interrupt: &Interrupt) -> anyhow::Result<()> {
    let asked = &args.quality;
    let Some(path) = &asked.quality else { return Ok(()) };
    args.model.named()?;
    let source = file::read(path, Text::Sample)?;
    if let Some(path) = &asked.kl {
        checks::input(path).with_context(|| format!("cannot use the reference `{}`", path.display()))?;
    }
    if let Some(path) = &asked.save_logits {
        checks::output(path)?;
    }
    let context = args.placement.context_tokens().unwrap_or(512);
    let (model, _) = load(args, context, interrupt)?;
    let (vocab, size) = (model.vocab(), model.vocab().size());
    let text = vocab.tokenize(&source, Markup::Plain);
    let run = Run { text: &text, begin: vocab.first(), context, chunks: asked.chunks };
    let mut decoder = model.decoder(Abort::of(interrupt.shared()))?;
    let bar = bar("chunks", run.count());
    let progress = |done: u32| {
        bar.set_position(done.into());
        !interrupt.is_raised()
    };
    let found = match (&asked.save_logits, &asked.kl) {
        (Some(path), _) => {
            let failed = || format!("cannot write `{}`", path.display());
            let file = NewFile::beside(path, Access::Usual).with_context(failed)?;
            let mut out = BufWriter::new(file);
            let perplexity = save(&mut decoder, size, run, &mut out, progress).map_err(ended)?;
            let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(failed)?;
            file.commit().with_context(failed)?;
            (perplexity, None)
        }
        (None, Some(path)) => {
            let failed = || format!("cannot use the reference `{}`", path.display());
            file::regular(path)?;
            let file = File::open(path).with_context(failed)?;
            let length = file.metadata().with_context(failed)?.len();
            let reference = Some((BufReader::new(file), length));
            measure(&mut decoder, size, run, reference, progress).map_err(ended).with_context(failed)?
        }
        (None, None) => measure(&mut decoder, size, run, None::<(File, u64)>, progress).map_err(ended)?,
    };
    bar.finish_and_clear();
    let form = if args.json { Form::Json } else { args.output };
    Ok(print(&shown(form, run, &found.0, found.1.as_ref()))?)
}

fn shown(form: Form, run: Run<'_>, perplexity: &Perplexity, divergence: Option<&Divergence>) -> String {
    let mut rows = vec![
        ("chunks", f64::from(run.count())),
        ("context", f64::from(run.context)),
        ("predictions", f64::from(perplexity.count)),
        ("perplexity", perplexity.value()),
        ("perplexity_error", perplexity.error()),
    ];
    if let Some(divergence) = divergence {
        rows.extend([
            ("reference_perplexity", divergence.reference.value()),
            ("perplexity_ratio", perplexity.value() / divergence.reference.value()),
            ("kl_mean", divergence.mean()),
            ("kl_median", divergence.quantile(0.5)),
            ("kl_p99", divergence.quantile(0.99)),
            ("kl_max", divergence.quantile(1.0)),
            ("same_top", divergence.same_top()),
        ]);
    }
    match form {
        Form::Json => {
            let mut object = json!({ "schema_version": 1 });
            for (name, value) in &rows {
                object[name] = json!(value);
            }
            format!("{object:#}\n")
        }
        Form::Csv => {
            let names: Vec<&str> = rows.iter().map(|row| row.0).collect();
            let values: Vec<String> = rows.iter().map(|row| row.1.to_string()).collect();
            format!("{}\n{}\n", names.join(","), values.join(","))
        }
        Form::Md => words(run, perplexity, divergence),
    }
}

fn words(run: Run<'_>, perplexity: &Perplexity, divergence: Option<&Divergence>) -> String {
    let mut lines = vec![format!(
        "perplexity  {:.4} ± {:.4}  ({} predictions in {} chunks of {} tokens)",
        perplexity.value(),
        perplexity.error(),
        perplexity.count,
        run.count(),
        run.context
    )];
    if let Some(found) = divergence {
        let (other, [median, high, most]) = (found.reference, [0.5, 0.99, 1.0].map(|q| found.quantile(q)));
        let ratio = perplexity.value() / other.value();
        lines.extend([
            format!("reference   {:.4} ± {:.4}  (ratio {ratio:.6})", other.value(), other.error()),
            format!(
                "KL in nats  mean {:.3e}, median {median:.3e}, 99 % below {high:.3e}, largest {most:.3e}",
                found.mean()
            ),
            format!("same top    {:.2} %", found.same_top() * 100.0),
        ]);
    }
    lines.join("\n") + "\n"
}
