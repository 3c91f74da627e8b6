//! Any bytes as the hub's listing of a repository. Whatever is read of it stays in the cache's folder.

#![no_main]

// The module and not its crate, which would bring llama.cpp along.
#[path = "../../src/hub/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only listings are read")]
mod hub;

use std::path::{Component, Path};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let repo = "org/name".parse().expect("a name");
    let Ok(listing) = hub::Listing::parse(&repo, data) else { return };
    for file in &listing.files {
        let inside = Path::new(&file.name).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside && !file.name.is_empty());
        assert_eq!(listing.find(&file.name), Some(file));
    }
});
