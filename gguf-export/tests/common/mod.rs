//! Shared by the tests of whole exports: a folder with a checkpoint, and functions to export and verify it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses some of it; tests rely on panics")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml;
use gguf_export::gguf::{Array, Header, TensorInfo, Value};
use gguf_export::io::{ByteSource, FileSource};
use gguf_export::verify::{Report, VerifyOptions, verify};
use gguf_export::{ExportOptions, Plan, PlanOptions, Result, export, survey};
use serde_json::Value as Json;
use testkit::Model;

pub(crate) static GO: AtomicBool = AtomicBool::new(false);

/// A temporary folder with a checkpoint in `source`.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.source()).unwrap();
        place
    }

    pub(crate) fn with(model: &Model) -> Self {
        let place = Self::new();
        model.write(&place.source());
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path().join("source")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path().join("out.gguf")
    }

    pub(crate) fn part(&self) -> PathBuf {
        self.path().join("out.gguf.part")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path().join("out.gguf.part.journal")
    }

    /// Names of the files beside the checkpoint's folder.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).filter(|n| n != "source").collect();
        names.sort();
        names
    }

    pub(crate) fn open(&self) -> Checkpoint {
        Checkpoint::open(&self.source()).unwrap()
    }

    /// Exports the checkpoint to [`Place::out`].
    pub(crate) fn export(&self) -> Result<Vec<PathBuf>> {
        self.export_with(&PlanOptions::default())
    }

    pub(crate) fn export_with(&self, options: &PlanOptions) -> Result<Vec<PathBuf>> {
        let checkpoint = Checkpoint::open(&self.source())?;
        let plan = survey(&checkpoint, options, 2, &GO, &|_| {})?;
        let options = ExportOptions { threads: 2, ..ExportOptions::default() };
        export(&checkpoint, &plan, &self.out(), &options, &GO, &|_| {})
    }

    pub(crate) fn verify(&self) -> Result<Report> {
        self.verify_with(VerifyOptions { threads: 2, ..VerifyOptions::default() })
    }

    pub(crate) fn verify_with(&self, options: VerifyOptions) -> Result<Report> {
        verify(&Checkpoint::open(&self.source())?, &self.out(), options, &GO, &|_| {})
    }

    pub(crate) fn header(&self) -> Header {
        Header::read(&self.out(), &FileSource::open(&self.out()).unwrap()).unwrap()
    }
}

/// A complete plan.
pub(crate) fn plan(checkpoint: &Checkpoint) -> Plan {
    survey(checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap()
}

/// A folder of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/data").join(name)
}

/// A file that is a JSON value.
#[allow(clippy::disallowed_methods, reason = "tests read files directly")]
pub(crate) fn json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Changes the configuration of a checkpoint.
#[allow(clippy::disallowed_methods, reason = "tests write temporary files")]
pub(crate) fn configure(dir: &Path, change: impl FnOnce(&mut Json)) {
    let path = dir.join("config.json");
    let mut config = json(&path);
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

/// The type and the value of a key in the form of golden files.
pub(crate) fn golden(value: &Value) -> (&'static str, Json) {
    match value {
        Value::U32(n) => ("UINT32", (*n).into()),
        Value::I32(n) => ("INT32", (*n).into()),
        Value::U64(n) => ("UINT64", (*n).into()),
        Value::F32(n) => ("FLOAT32", f64::from(*n).into()),
        Value::Bool(b) => ("BOOL", (*b).into()),
        Value::Str(s) => ("STRING", s.clone().into()),
        Value::Array(Array::Str(a)) => ("[STRING]", a.clone().into()),
        Value::Array(Array::I32(a)) => ("[INT32]", a.clone().into()),
        Value::Array(Array::U32(a)) => ("[UINT32]", a.clone().into()),
        Value::Array(Array::F32(a)) => ("[FLOAT32]", a.iter().copied().map(f64::from).collect()),
        Value::Array(Array::Bool(a)) => ("[BOOL]", a.clone().into()),
        other => panic!("{other:?} is not among the types of the golden files"),
    }
}

/// The messages of an error and its sources.
pub(crate) fn story(error: &gguf_export::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// The content of a file.
#[allow(clippy::disallowed_methods, reason = "tests read temporary files")]
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Dimensions and values of each tensor of a GGUF.
pub(crate) fn values(path: &Path, header: &Header) -> BTreeMap<String, (Vec<u64>, Vec<f32>)> {
    let source = FileSource::open(path).unwrap();
    let read = |info: &TensorInfo| {
        let mut bytes = vec![0; info.bytes().try_into().unwrap()];
        source.read_at(header.data_offset + info.offset, &mut bytes).unwrap();
        let mut values = vec![0f32; info.elements().try_into().unwrap()];
        ggml::decode_row(info.ty, &bytes, &mut values).unwrap();
        (info.name.clone(), (info.dims.clone(), values))
    };
    header.tensors.iter().map(read).collect()
}
