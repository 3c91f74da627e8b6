//! Pages that weights lie in.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use ggrun::model::{LoadMode, LoadOptions, Model, can_stream};
use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;

use crate::support::{data, exported};

/// Bytes of each mapping of this process that may have large pages, and the file that it maps.
fn advised() -> Vec<(u64, String)> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut mapping = (0, String::new());
    let mut found = Vec::new();
    for line in maps.lines() {
        let head = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        if let Some((from, to)) = head {
            let at = |text| u64::from_str_radix(text, 16).unwrap();
            mapping = (at(to) - at(from), line.splitn(6, ' ').nth(5).unwrap_or("").trim().to_owned());
        } else if line.starts_with("VmFlags:") && line.split(' ').any(|flag| flag == "hg") {
            found.push(mapping.clone());
        }
    }
    found
}

fn load(gguf: &Path, load: LoadMode) -> Vec<(u64, String)> {
    let options = LoadOptions { load: Some(load), repack: Some(false), threads: 1, ..LoadOptions::new(gguf) };
    let _model = Model::load(options, |_| true).unwrap();
    advised()
}

#[test]
fn mapped_and_read_weights_may_lie_in_large_pages() {
    assert!(can_stream(), "the patches are missing");
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return;
    }
    let options = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    let gguf = exported(&data("tiny-thinker"), "large-pages", &options);
    let bytes = fs::metadata(&gguf).unwrap().len();

    let mapped = load(&gguf, LoadMode::Map);
    assert!(mapped.iter().any(|(_, file)| Path::new(file) == gguf), "{mapped:?}");
    let read = load(&gguf, LoadMode::Read);
    // In a mapping without a path, or in the heap.
    let is_file = |path: &str| path.starts_with('/');
    assert!(read.iter().any(|(size, path)| !is_file(path) && *size > bytes / 2), "{read:?}");
    fs::remove_file(gguf).unwrap();
}
