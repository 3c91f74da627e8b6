//! `ggrun inspect`.

mod hub;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use ggrun::inspect::{Description, Kind, Part, inspect};
use gguf_export::gguf::{Array, Value};
use serde_json::json;

use crate::cli::exit::Outcome;
use crate::cli::options::hub::model;
use crate::cli::ui::out::print;
use crate::cli::ui::text;

/// Describes a GGUF or a checkpoint: metadata, tensors, sizes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun inspect model.gguf
  ggrun inspect ./checkpoint --tensors
  ggrun inspect ORG/NAME-GGUF:Q4_0            reads headers only, downloads no weights
  ggrun inspect model.gguf --json | jq .metadata")]
pub(crate) struct Inspect {
    /// GGUF file, checkpoint folder, or ORG/NAME[@REVISION][:QUANT] on the hub
    pub(crate) path: PathBuf,
    /// List every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Print one JSON object with metadata and tensors
    #[arg(long)]
    pub(crate) json: bool,
}

/// Characters of a metadata value that are shown.
const WIDTH: usize = 72;

pub(crate) fn run(args: &Inspect) -> anyhow::Result<Outcome> {
    let found = match model(&args.path)? {
        Some(model) => hub::inspect(&model)?,
        None => inspect(&args.path).with_context(|| format!("cannot inspect `{}`", args.path.display()))?,
    };
    let out = if args.json { format!("{:#}\n", describe(&found)) } else { show(&found, args.tensors) };
    print(&out)?;
    Ok(Outcome::Success)
}

fn show(found: &Description, tensors: bool) -> String {
    let bytes = found.files.iter().map(|f| f.1).sum();
    let what = match found.kind {
        Kind::Gguf => "GGUF",
        Kind::Checkpoint => "checkpoint",
    };
    let values: u64 = found.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum();
    let files = text::plural(found.files.len() as u64, "file");
    let count = text::plural(found.tensors.len() as u64, "tensor");
    let mut out =
        format!("{what}: {files}, {}, {count}, {} values\n\n", text::bytes(bytes), text::count(values));
    let rows: Vec<Vec<String>> = found.metadata.iter().map(|(k, v)| vec![k.to_owned(), brief(v)]).collect();
    out += &text::table(&rows, &[]);
    out.push('\n');
    out += &sizes(found, "by type", |t| t.ty.clone());
    out.push('\n');
    out += &sizes(found, "by part", |t| Part::of(&t.name).name().to_owned());
    if tensors {
        let rows: Vec<Vec<String>> = found
            .tensors
            .iter()
            .map(|t| vec![t.name.clone(), format!("{:?}", t.dims), text::bytes(t.bytes), t.ty.clone()])
            .collect();
        out.push('\n');
        out += &text::table(&rows, &[2]);
    }
    out
}

fn sizes(found: &Description, title: &str, key: impl Fn(&ggrun::inspect::Tensor) -> String) -> String {
    let mut groups: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for t in &found.tensors {
        let group = groups.entry(key(t)).or_default();
        *group = (group.0 + 1, group.1 + t.bytes);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let mut rows = vec![vec![title.to_owned(), "tensors".to_owned(), "size".to_owned()]];
    rows.extend(groups.into_iter().map(|(name, (n, bytes))| vec![name, text::count(n), text::bytes(bytes)]));
    text::table(&rows, &[1, 2])
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Str(s) => s.escape_debug().to_string(),
        Value::Array(a) => {
            let shown: Vec<String> =
                (0..a.len().min(6)).filter_map(|i| a.get(i)).map(|v| brief(&v)).collect();
            let more = if a.len() > 6 { ", …" } else { "" };
            format!("{} × {}: {}{more}", text::count(a.len() as u64), a.element_type_name(), shown.join(", "))
        }
        other => json_value(other).to_string(),
    };
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn describe(found: &Description) -> serde_json::Value {
    let files: Vec<_> =
        found.files.iter().map(|(p, n)| json!({ "path": p.display().to_string(), "bytes": n })).collect();
    let tensors: Vec<_> = found
        .tensors
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "type": t.ty, "dims": t.dims, "bytes": t.bytes, "part": Part::of(&t.name).name(),
            })
        })
        .collect();
    let metadata: serde_json::Map<String, serde_json::Value> =
        found.metadata.iter().map(|(k, v)| (k.to_owned(), json_value(v))).collect();
    let kind = match found.kind {
        Kind::Gguf => "gguf",
        Kind::Checkpoint => "checkpoint",
    };
    json!({ "schema_version": 1, "kind": kind, "files": files, "metadata": metadata, "tensors": tensors })
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::U8(n) => json!(n),
        Value::I8(n) => json!(n),
        Value::U16(n) => json!(n),
        Value::I16(n) => json!(n),
        Value::U32(n) => json!(n),
        Value::I32(n) => json!(n),
        Value::U64(n) => json!(n),
        Value::I64(n) => json!(n),
        Value::F32(n) => ggrun::json::number(*n),
        Value::F64(n) => json!(n),
        Value::Bool(b) => json!(b),
        Value::Str(s) => json!(s),
        Value::Array(a) => array(a),
    }
}

fn array(a: &Array) -> serde_json::Value {
    (0..a.len()).filter_map(|i| a.get(i)).map(|v| json_value(&v)).collect()
}
