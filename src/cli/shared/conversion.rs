//! Conversions and verifications: summaries and errors.

use ggrun::convert;
use gguf_export::plan::{Fidelity, Plan};
use gguf_export::verify::Report;

use crate::cli::ui::text;

/// The number of tensors and their fidelity in one line.
pub(crate) fn summary(plan: &Plan) -> String {
    let of = |f| plan.tensors.iter().filter(|t| t.fidelity == Some(f)).count() as u64;
    let mut parts = vec![format!("{} exact by construction", text::count(of(Fidelity::Exact)))];
    if of(Fidelity::Checked) > 0 {
        parts.push(format!("{} exact as checked", text::count(of(Fidelity::Checked))));
    }
    if of(Fidelity::Rounded) > 0 {
        parts.push(format!("{} rounded", text::count(of(Fidelity::Rounded))));
    }
    let mtp = if plan.mtp_layers > 0 { "; has its MTP layer" } else { "" };
    format!("{}: {}{mtp}", text::plural(plan.tensors.len() as u64, "tensor"), parts.join(", "))
}

/// What a conversion changes besides the format: first weights that grow, then what the GGUF lacks.
pub(crate) fn remarks(plan: &Plan) -> Vec<String> {
    let grown = plan.expanded().map(|grown| {
        let flag = if grown.source.starts_with("FP8") { "--fp8" } else { "--outtype" };
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        let times = grown.to as f64 / grown.from.max(1) as f64;
        format!(
            "{} of {} become F32, {times:.1} times the size ({} from {}), because no smaller type holds them exactly; \
             `{flag} bf16` or `{flag} q8_0` rounds them",
            text::plural(grown.tensors, "tensor"),
            grown.source,
            text::bytes(grown.to),
            text::bytes(grown.from),
        )
    });
    grown.into_iter().chain(plan.notes.iter().cloned()).collect()
}

/// Tensors and bytes of each type, the largest first.
pub(crate) fn by_type(plan: &Plan) -> String {
    let mut groups: std::collections::BTreeMap<(&str, &str), (u64, u64)> = std::collections::BTreeMap::new();
    for t in &plan.tensors {
        let group = groups.entry((t.ty().name(), t.source.as_str())).or_default();
        *group = (group.0 + 1, group.1 + t.bytes());
    }
    let mut rows: Vec<_> = groups.into_iter().collect();
    rows.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let row = |((ty, source), (n, bytes)): ((&str, &str), (u64, u64))| {
        vec![source.to_owned(), "->".to_owned(), ty.to_owned(), text::plural(n, "tensor"), text::bytes(bytes)]
    };
    text::table(&rows.into_iter().map(row).collect::<Vec<_>>(), &[3, 4])
}

/// The result of a verification in one line.
pub(crate) fn sentence(report: &Report) -> String {
    let tensors = text::plural(report.tensors as u64, "tensor");
    let values = text::plural(report.values, "value");
    let keys = text::plural(report.keys as u64, "metadata key");
    if !report.equal() && report.not_accepted == report.count {
        let rounded = text::plural(report.not_accepted, "tensor");
        return format!(
            "differs by rounding: {rounded} of {tensors}, as the file declares; `--allow-rounding` accepts them; the first ones:"
        );
    }
    if !report.equal() {
        let differences = text::plural(report.count, "difference");
        return format!("differs: {differences} in {tensors}, {values}, {keys}; the first ones:");
    }
    let rounded = match report.rounded {
        0 => String::new(),
        n => format!("; {} rounded, as the file declares", text::plural(n as u64, "tensor")),
    };
    let left_out = match report.left_out {
        0 => String::new(),
        n => {
            format!("; {} of the checkpoint left out, as the file declares", text::plural(n as u64, "tensor"))
        }
    };
    let other_parts = match report.other_parts {
        0 => String::new(),
        n => {
            format!(
                "; {} outside the language model left out (vision, audio)",
                text::plural(n as u64, "tensor")
            )
        }
    };
    let copies = match report.second_copies.as_slice() {
        [] => String::new(),
        names => format!("; not compared, as a second copy of the weights: `{}`", names.join("`, `")),
    };
    let ignored = match report.ignored_keys.as_slice() {
        [] => String::new(),
        names => format!("; not considered, as the file declares: `{}`", names.join("`, `")),
    };
    format!("equal: {tensors}, {values}, {keys}{rounded}{left_out}{other_parts}{copies}{ignored}")
}

/// The error of a conversion without its wrapper, so that it is found by its own type.
pub(crate) fn unwrapped(error: convert::Error) -> anyhow::Error {
    match error {
        convert::Error::Hub(error) | convert::Error::Shard(error) => error.into(),
        convert::Error::Export(error) => error.into(),
        error => error.into(),
    }
}
