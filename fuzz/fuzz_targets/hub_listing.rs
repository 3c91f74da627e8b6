//! Reads any bytes as the hub's file listing of a repository. All file names must stay within the cache folder.

#![no_main]

// The module instead of its crate, which depends on llama.cpp.
#[path = "../../src/hub/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the listing parser")]
mod hub;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only the listing parser")]
mod json;

use std::path::{Component, Path};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let repo = "org/name".parse().expect("a repository name");
    let Ok(listing) = hub::Listing::parse(&repo, data) else { return };
    for file in &listing.files {
        let inside = Path::new(&file.name).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside && !file.name.is_empty());
        assert_eq!(listing.find(&file.name), Some(file));
    }
});
