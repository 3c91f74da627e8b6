//! Every family in every encoding: the GGUF holds the values of the same checkpoint in F32, `verify` finds it equal and
//! finds a flipped bit, and README.md has the types.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]
#![allow(clippy::disallowed_methods, reason = "tests read and write temporary files")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use gguf_export::arch::FAMILIES;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::error::{Error, Inexact};
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::Header;
use gguf_export::io::FileSource;
use gguf_export::plan::{Content, Fidelity, Form, OutType, Piece, TensorPlan};
use gguf_export::quant::Coding;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, Plan, PlanOptions, export, survey};
use testkit::family::folder;
use testkit::rng::Rng;
use testkit::{
    Awq, CtInt8, CtPacked, Encoding, Family, Fp8, Fp8Scale, GIdx, Gptq, Group, Method, Mlx, Model, Mtp,
    NvFp4, ScaleDtype,
};

use common::{GO, data, story, values};

/// The family of each `model_type` that comes first in [`FAMILIES`].
fn family(model_type: &str) -> Family {
    let dir = tempfile::tempdir().unwrap();
    match model_type {
        "qwen3_next" => {
            let int4 = Encoding::Gptq(Gptq::sym(4, 128));
            Model { in_proj_ba: int4, mtp: Mtp::Quantized, ..Model::uniform(int4) }.write(dir.path());
            Family::read(dir.path(), |_| false)
        }
        "deepseek_v3" => {
            testkit::made_up::bf16_checkpoint("deepseek-v3", dir.path());
            Family::read(dir.path(), |module| module.contains("_proj"))
        }
        "mistral3" => Family::read(&folder("mistral3-int4"), |_| false),
        "llama" => Family::read(&folder("llama3-int4"), |_| false),
        "gemma4" => Family::read(&folder("gemma4-moe-int4"), |_| false),
        "qwen3_5" => Family::read(&folder("qwen3_5-int4"), |_| false),
        "qwen3_5_moe" => Family::read(&folder("qwen3_5-moe-int4"), |_| false),
        name => Family::read(&folder(&format!("{}-int4", name.replace('_', "-"))), |_| false),
    }
}

/// An encoding, and the tool that wrote it if it is not the usual one.
struct Format {
    name: &'static str,
    encoding: Encoding,
    method: Option<Method>,
}

/// The formats of README.md's table.
fn columns() -> Vec<Format> {
    let fp8 = |scale| Encoding::Fp8(Fp8::scaled(scale));
    [
        ("int2", Encoding::Gptq(Gptq::sym(2, 128))),
        ("int4", Encoding::Gptq(Gptq::sym(4, 128))),
        ("int8", Encoding::Gptq(Gptq::sym(8, 128))),
        ("int4, asymmetric", Encoding::Gptq(Gptq::asym(4, 128))),
        ("FP8, one scale", fp8(Fp8Scale::Tensor)),
        ("FP8, blocks", fp8(Fp8Scale::Block(64, 64))),
        ("MXFP4", Encoding::MxFp4),
        ("NVFP4", Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: true })),
    ]
    .map(|(name, encoding)| Format { name, encoding, method: None })
    .into()
}

/// The other formats.
fn others() -> Vec<Format> {
    let usual = |name, encoding| Format { name, encoding, method: None };
    let by = |name, method, encoding| Format { name, encoding, method: Some(method) };
    let fp8 = |scale| Encoding::Fp8(Fp8::scaled(scale));
    vec![
        usual("int3", Encoding::Gptq(Gptq::sym(3, 64))),
        usual("int5", Encoding::Gptq(Gptq::sym(5, 32))),
        usual("int6", Encoding::Gptq(Gptq::sym(6, 128))),
        usual("int7, asymmetric", Encoding::Gptq(Gptq::asym(7, 64))),
        usual("int4 in groups of 16", Encoding::Gptq(Gptq::sym(4, 16))),
        usual("int4 by rows", Encoding::Gptq(Gptq { group: Group::PerRow, ..Gptq::sym(4, 0) })),
        usual("int2, asymmetric", Encoding::Gptq(Gptq::asym(2, 64))),
        usual("int8, asymmetric", Encoding::Gptq(Gptq::asym(8, 64))),
        by("GPTQ", Method::Gptq, Encoding::Gptq(Gptq::sym(4, 128))),
        by(
            "GPTQModel",
            Method::GptqModel,
            Encoding::Gptq(Gptq { g_idx: GIdx::Trivial, ..Gptq::asym(4, 128) }),
        ),
        by("desc_act", Method::Gptq, Encoding::Gptq(Gptq { g_idx: GIdx::Shuffled(5), ..Gptq::sym(4, 32) })),
        by("AWQ", Method::Awq, Encoding::Awq(Awq::asym(4, 64))),
        usual("AWQ by AutoRound", Encoding::Awq(Awq { sym: true, ..Awq::asym(4, 128) })),
        by("FP8 of model authors", Method::Fp8, Encoding::Fp8(Fp8::block())),
        by(
            "FP8, powers of two",
            Method::Fp8,
            Encoding::Fp8(Fp8 { scale_dtype: ScaleDtype::E8m0, ..Fp8::block() }),
        ),
        by(
            "FP8 by AutoRound",
            Method::Fp8AutoRound,
            Encoding::Fp8(Fp8 { inv_name: true, ..Fp8::scaled(Fp8Scale::Block(32, 64)) }),
        ),
        usual("FP8 by rows", fp8(Fp8Scale::ChannelColumn)),
        by("FP8 of compressed-tensors", Method::CompressedTensors, fp8(Fp8Scale::Tensor)),
        usual("E5M2 in groups", Encoding::Fp8(Fp8 { e5m2: true, ..Fp8::scaled(Fp8Scale::Group(32)) })),
        usual("packed int4", Encoding::CtPacked(CtPacked::sym(4, 32))),
        usual("packed int3, asymmetric", Encoding::CtPacked(CtPacked { sym: false, ..CtPacked::sym(3, 64) })),
        usual(
            "int8 by rows",
            Encoding::CtInt8(CtInt8 { per_tensor: false, scale: ScaleDtype::F32, zero_point: false }),
        ),
        usual("MLX", Encoding::Mlx(Mlx { bits: 4, group: Group::Size(64) })),
        usual("MXFP8", Encoding::MxFp8),
        usual("MXINT4", Encoding::MxInt4),
        by("MXFP4 of compressed-tensors", Method::CompressedTensors, Encoding::MxFp4),
        usual("NVFP4 of ModelOpt", Encoding::NvFp4(NvFp4 { modelopt: true, power_of_two: false })),
        usual("NVFP4 with E5M3", Encoding::NvFp4E5m3),
        usual("BF16", Encoding::Bf16),
        usual("F16", Encoding::F16),
        usual("F32", Encoding::F32),
    ]
}

fn exported(source: &Path, options: &PlanOptions, out: &Path) -> gguf_export::Result<(Plan, Header)> {
    let checkpoint = Checkpoint::open(source)?;
    let plan = survey(&checkpoint, options, 1, &GO, &|_| {})?;
    let exporting = ExportOptions { threads: 1, ..ExportOptions::default() };
    export(&checkpoint, &plan, out, &exporting, &GO, &|_| {})?;
    Ok((plan, Header::read(out, &FileSource::open(out)?)?))
}

/// The values that llama.cpp computes with: those of matrices multiplied by their factors.
fn effective(plan: &Plan, header: &Header, out: &Path) -> BTreeMap<String, (Vec<u64>, Vec<f32>)> {
    let mut all = values(out, header);
    let is_unscaled =
        |t: &&TensorPlan| t.content == Content::Weights && t.candidates[0].form == Form::Unscaled;
    for tensor in plan.tensors.iter().filter(is_unscaled) {
        let (_, factors) = all.remove(&tensor.scale_name()).unwrap();
        let (_, values) = all.get_mut(&tensor.name).unwrap();
        let size = values.len() / factors.len();
        for (part, factor) in values.chunks_exact_mut(size).zip(factors) {
            for value in part {
                *value *= factor;
            }
        }
    }
    all
}

/// A temporary folder, in memory if possible, because each of hundreds of exports syncs its files.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Converts a family in a format, and checks everything. Returns the plan, or the tensors that no type holds exactly.
fn checked(family: &Family, format: &Format, what: &str) -> Result<Plan, Vec<Inexact>> {
    let dir = in_memory();
    let [source, unquantized] = ["source", "plain"].map(|name| dir.path().join(name));
    let [out, wide] = ["out.gguf", "wide.gguf"].map(|name| dir.path().join(name));
    let built = family.build(format.encoding, format.method);
    built.write(&source);
    family.plain(&built.weights).write(&unquantized);

    let (plan, header) = match exported(&source, &PlanOptions::default(), &out) {
        Ok(done) => done,
        Err(Error::Inexact(list)) => return Err(list),
        Err(error) => panic!("{what}: {}", story(&error)),
    };
    let f32 = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    let (_, f32_header) = exported(&unquantized, &f32, &wide).unwrap();
    let (ours, expected) = (effective(&plan, &header, &out), values(&wide, &f32_header));
    assert!(ours.keys().eq(expected.keys()), "{what}");
    let is_other = |name: &&String| ours[*name] != expected[*name];
    assert_eq!(ours.keys().find(is_other), None, "{what}: its values differ");

    let checkpoint = Checkpoint::open(&source).unwrap();
    let options = VerifyOptions { threads: 1, ..VerifyOptions::default() };
    let report = verify(&checkpoint, &out, options, &GO, &|_| {}).unwrap();
    assert!(report.equal() && report.inexact == 0, "{what}: {:#?}", report.differences);

    let mut rng = Rng::named(0, what);
    let tensor = &header.tensors[rng.below(header.tensors.len())];
    let at = header.data_offset + tensor.offset + rng.below(tensor.bytes().try_into().unwrap()) as u64;
    let mut bytes = std::fs::read(&out).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 1 << rng.below(8);
    std::fs::write(&out, bytes).unwrap();
    let report = verify(&checkpoint, &out, options, &GO, &|_| {}).unwrap();
    let place = report.differences.first().map(|difference| difference.place().to_owned());
    assert_eq!(place.as_deref(), Some(tensor.name.as_str()), "{what}, byte {at}");
    Ok(plan)
}

/// What became of a family in a format: a cell of the table.
fn cells(formats: &[Format]) -> Vec<Vec<String>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Vec<String>>> = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(own) = FAMILIES.get(index) else { return };
            let name = own.model_types[0];
            let family = family(name);
            let cell = |format: &Format| match checked(&family, format, &format!("{name} in {}", format.name))
            {
                Ok(plan) => cell(&plan),
                Err(list) => refused(&list),
            };
            let cells = formats.iter().map(cell).collect();
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, cells);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    done.into_inner().unwrap().into_values().collect()
}

/// How the cell of a refused conversion ends.
const NOT_EXACT: &str = "not exact";

/// The part of a tensor's name that all layers share.
fn place(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap_or(name).splitn(3, '.').last().unwrap()
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn refused(list: &[Inexact]) -> String {
    format!("{} {NOT_EXACT}", listed(&list.iter().map(|one| place(&one.tensor)).collect()))
}

/// The types of the quantized weights of a plan: the most frequent, then others with their tensors.
fn cell(plan: &Plan) -> String {
    let mut by_type: BTreeMap<String, (usize, BTreeSet<&str>)> = BTreeMap::new();
    let is_quantized =
        |piece: &Piece| !matches!(plan.weights[piece.weight as usize].coding, Coding::Plain { .. });
    for tensor in plan.tensors.iter().filter(|tensor| tensor.content == Content::Weights) {
        if !tensor.pieces.iter().any(is_quantized) {
            continue;
        }
        let mut ty = tensor.ty().name().to_owned();
        if tensor.candidates[0].form == Form::Unscaled {
            ty += " and `.scale`";
        }
        if tensor.fidelity == Some(Fidelity::Checked) {
            ty += " (checked)";
        }
        let (count, names) = by_type.entry(ty).or_default();
        *count += 1;
        names.insert(place(&tensor.name));
    }
    let mut list: Vec<_> = by_type.into_iter().collect();
    list.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let clause = |(i, (ty, (_, names))): (usize, &(String, (usize, BTreeSet<&str>)))| match i {
        0 => ty.clone(),
        _ => format!("{} {ty}", listed(names)),
    };
    list.iter().enumerate().map(clause).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_family_is_exact_in_the_formats_of_the_readme() {
    let formats = columns();
    let mut table = "| models |".to_owned();
    for format in &formats {
        write!(table, " {} |", format.name).unwrap();
    }
    table += "\n|---|";
    table += &"---|".repeat(formats.len());
    for (family, cells) in FAMILIES.iter().zip(cells(&formats)) {
        write!(table, "\n| {} | {} |", family.models, cells.join(" | ")).unwrap();
    }
    let readme = std::fs::read_to_string(data("../../README.md")).unwrap();
    assert!(readme.contains(&table), "README.md lacks this table:\n{table}");
}

#[test]
fn every_family_is_exact_in_every_other_format() {
    let formats = others();
    let mut refusals = Vec::new();
    for (family, cells) in FAMILIES.iter().zip(cells(&formats)) {
        let refused = formats.iter().zip(&cells).filter(|(_, cell)| cell.ends_with(NOT_EXACT));
        refusals.extend(refused.map(|(format, _)| (family.model_types[0], format.name)));
    }
    // A factor of 24 bits fits in no product; llama.cpp multiplies by it in all graphs of the other families.
    let expected = [
        "qwen3_next",
        "qwen3_5",
        "qwen3_5_moe",
        "glm4_moe",
        "gpt_oss",
        "glm4_moe_lite",
        "deepseek_v3",
        "minimax_m2",
        "gemma4",
    ];
    assert_eq!(refusals, expected.map(|family| (family, "NVFP4 of ModelOpt")));
}
