//! The end of a process that llama.cpp or a failed allocation aborts: a message, and exit code 4 if memory was short.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, getrlimit};
use signal_hook::consts::SIGABRT;
use signal_hook::{flag, low_level};

use super::exit::NO_RESOURCES;
use super::report;

/// Texts of ggml's messages after an allocation or the start of a thread failed.
const SHORT: [&str; 6] = [
    "mem_buffer != NULL",
    "rc == 0",
    "out of memory",
    "insufficient memory",
    "failed to allocate",
    "bad_alloc",
];

/// Sets up messages and exit codes. Must be called before any thread is started.
pub(crate) fn prepare() {
    ggrun::model::on_abort(aborted);
    // Below a limit of the address space, nearly every abort is a failed allocation.
    if getrlimit(Resource::As).current.is_some() {
        let limited = Arc::new(AtomicBool::new(true));
        if let Err(error) = flag::register_conditional_shutdown(SIGABRT, NO_RESOURCES.into(), limited) {
            tracing::warn!(%error, "cannot handle aborts");
        }
    }
}

/// Prints ggml's message and ends the process, without destructors: other threads are still running.
fn aborted(message: &str) {
    // The path is one of the machine that built the program.
    let place = message.rsplit_once("/src/").map_or(message, |(_, place)| place).trim_end();
    if SHORT.iter().any(|text| place.contains(text)) {
        report::usage(
            &format!("llama.cpp ran out of memory ({place})"),
            Some("reduce the context with `-c`, or raise the limit that `ulimit -v` shows"),
        );
        low_level::exit(NO_RESOURCES.into());
    }
    report::usage(
        &format!("llama.cpp aborted: {place}"),
        Some("the file may be invalid; report it with this message if it is not"),
    );
    low_level::exit(ABORTED);
}

/// The exit code of a shell for a process that SIGABRT ended.
const ABORTED: i32 = 134;
