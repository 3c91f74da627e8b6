//! The memory that the engine takes, as the system sees it.
#![cfg(target_os = "linux")]

use std::fs;

use ggrun::model::{ContextSize, LoadOptions, Model};

use crate::support::tiny_gguf;

/// Bytes of this process for which huge pages were asked.
fn in_huge_pages() -> u64 {
    let (mut bytes, mut size) = (0, 0);
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        if let Some(kib) = line.strip_prefix("Size:") {
            size = kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10;
        } else if line.starts_with("VmFlags:") && line.split_whitespace().any(|flag| flag == "hg") {
            bytes += size;
        }
    }
    bytes
}

#[test]
fn large_buffers_ask_for_huge_pages() {
    if !fs::exists("/sys/kernel/mm/transparent_hugepage/enabled").unwrap() {
        eprintln!("skipped: this system has no huge pages");
        return;
    }
    // Two bytes for each of 64 values of 2 heads, keys and values, in the one layer with attention: 8 MiB.
    let context = ContextSize::Tokens(4096);
    let options = LoadOptions { threads: 1, parallel: 4, context, ..LoadOptions::new(tiny_gguf()) };
    let model = Model::load(options, |_| true).unwrap();
    let _running = model.spawn().unwrap();
    assert!(in_huge_pages() >= 8 << 20, "{} bytes", in_huge_pages());
}
