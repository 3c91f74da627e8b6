//! Results in the formats of llama-bench, with its columns and names.

use ggrun::bench::{Measured, Peak};
use serde_json::{Value, json};

use super::args::Form;
use super::load::Subject;
use crate::cli::ui::text;

/// The rows so far.
pub(super) struct Table {
    form: Form,
    pub(super) subject: Subject,
    rows: Vec<Value>,
}

/// Widths of the Markdown columns before the last, which rows of one run share.
const COLUMNS: [(&str, usize); 10] = [
    ("model", 30),
    ("size", 10),
    ("params", 10),
    ("backend", 10),
    ("ngl", 3),
    ("threads", 7),
    ("test", 15),
    ("t/s", 20),
    ("peak RAM", 10),
    ("peak VRAM", 10),
];

impl Table {
    pub(super) fn new(form: Form, subject: Subject) -> Self {
        Self { form, subject, rows: Vec::new() }
    }

    /// Adds a row and returns the text to print.
    pub(super) fn add(&mut self, measured: &Measured, hit_rate: Option<f64>, peak: Peak) -> String {
        let first = self.rows.is_empty();
        let object = self.object(measured, hit_rate, peak);
        let out = match self.form {
            Form::Md if first => self.head() + &self.line(measured, peak),
            Form::Md => self.line(measured, peak),
            Form::Csv if first => {
                csv(&object, |name, _| name.to_owned()) + &csv(&object, |_, value| cell(value))
            }
            Form::Csv => csv(&object, |_, value| cell(value)),
            Form::Json => String::new(),
        };
        self.rows.push(object);
        out
    }

    /// The text to print at the end.
    pub(super) fn end(&self) -> String {
        match self.form {
            Form::Json => format!("{:#}\n", Value::Array(self.rows.clone())),
            Form::Md | Form::Csv => String::new(),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &'static (&'static str, usize)> {
        let without = if self.subject.before.iter().any(|d| d.kind.is_gpu()) { "" } else { "peak VRAM" };
        COLUMNS.iter().filter(move |(name, _)| *name != without)
    }

    fn head(&self) -> String {
        let names = self.columns().enumerate().map(|(at, (name, width))| pad(name, *width, at > 0));
        let rules = self.columns().enumerate().map(|(at, (_, width))| {
            if at == 0 { format!(" {} ", "-".repeat(*width)) } else { format!(" {}:", "-".repeat(*width)) }
        });
        format!("|{}|\n|{}|\n", names.collect::<Vec<_>>().join("|"), rules.collect::<Vec<_>>().join("|"))
    }

    fn line(&self, measured: &Measured, peak: Peak) -> String {
        let model = &self.subject.model;
        let unknown = || "?".to_owned();
        let cells = [
            model.description.clone(),
            text::bytes(model.size),
            parameters(model.parameters),
            model.backend.clone(),
            model.gpu_layers.to_string(),
            model.options.threads.to_string(),
            measured.test.name(),
            format!("{:.2} ± {:.2}", measured.mean(), measured.deviation()),
            peak.ram.map_or_else(unknown, text::bytes),
            peak.vram.map_or_else(unknown, text::bytes),
        ];
        let padded = self.columns().zip(cells).enumerate();
        let padded = padded.map(|(at, ((_, width), cell))| pad(&cell, *width, at > 0));
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    }

    fn object(&self, measured: &Measured, hit_rate: Option<f64>, peak: Peak) -> Value {
        let model = &self.subject.model;
        let caps = ggrun::model::caps();
        let nanoseconds: Vec<u64> =
            measured.times.iter().map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).collect();
        json!({
            "build": format!("ggrun {}, llama.cpp {}", env!("CARGO_PKG_VERSION"), caps.build),
            "model_filename": model.path.display().to_string(),
            "model_type": model.description,
            "model_size": model.size,
            "model_n_params": model.parameters,
            "backends": model.backend,
            "devices": model.devices,
            "n_gpu_layers": model.gpu_layers,
            "n_threads": model.options.threads,
            "n_batch": model.batch,
            "n_ubatch": model.ubatch,
            "n_prompt": measured.test.prompt,
            "n_gen": measured.test.answer,
            "n_depth": measured.test.depth,
            "n_slots": measured.test.slots,
            "test": measured.test.name(),
            "avg_ts": measured.mean(),
            "stddev_ts": measured.deviation(),
            "samples_ns": nanoseconds,
            "samples_ts": measured.rates(),
            "tokens_read": measured.tokens_read,
            "expert_hit_rate": hit_rate,
            "load_seconds": self.subject.load.as_secs_f64(),
            "first_token_seconds": (self.subject.load + self.subject.first_token).as_secs_f64(),
            "peak_ram_bytes": peak.ram,
            "planned_ram_bytes": model.planned,
            "peak_vram_bytes": peak.vram,
            "planned_vram_bytes": model.planned_gpu,
        })
    }
}

fn pad(text: &str, width: usize, right: bool) -> String {
    if right { format!(" {text:>width$} ") } else { format!(" {text:<width$} ") }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn parameters(n: u64) -> String {
    if n >= 1_000_000_000 { format!("{:.2} B", n as f64 / 1e9) } else { format!("{:.2} M", n as f64 / 1e6) }
}

/// One line of an object's names or values.
fn csv(object: &Value, each: impl Fn(&str, &Value) -> String) -> String {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, value)| each(name, value)).collect::<Vec<_>>().join(",") + "\n"
}

/// A value as a cell: text and lists in quotes.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_so_that_they_stay_one() {
        assert_eq!(cell(&json!("a, \"b\"")), "\"a, \"\"b\"\"\"");
        assert_eq!(cell(&json!([1, 2])), "\"[1,2]\"");
        assert_eq!((cell(&json!(1.5)), cell(&Value::Null)), ("1.5".to_owned(), String::new()));
    }

    #[test]
    fn parameters_are_in_llama_benchs_units() {
        assert_eq!(parameters(7_210_000_000), "7.21 B");
        assert_eq!(parameters(5_052_248), "5.05 M");
    }
}
