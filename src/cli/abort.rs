//! The end of a process that llama.cpp, a failed allocation or a thread that cannot start aborts: a message, and exit code 4
//! if memory was short.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, getrlimit};
use signal_hook::consts::SIGABRT;
use signal_hook::{flag, low_level};

use super::exit::NO_RESOURCES;
use super::report;
use super::ui::err;
use super::ui::style::Style;

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
    ggrun::model::on_crash(crashed);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref().is_some_and(|text: &String| text.starts_with(NO_THREAD)) {
            report::usage("cannot start a thread", Some(RAISE));
            low_level::exit(NO_RESOURCES.into());
        }
        if err::is_json() {
            err::error(&info.to_string(), &[], None);
        } else {
            default(info);
        }
    }));
    // Below a limit of the address space, nearly every abort is a failed allocation.
    if getrlimit(Resource::As).current.is_some() {
        let limited = Arc::new(AtomicBool::new(true));
        if let Err(error) = flag::register_conditional_shutdown(SIGABRT, NO_RESOURCES.into(), limited) {
            tracing::warn!(%error, "cannot handle aborts");
        }
    }
}

/// The message if a fault ends the process while it uses devices besides the CPU.
fn crashed(devices: &[String]) -> String {
    let what = if devices.is_empty() {
        "the process crashed while it started the drivers of GPUs".to_owned()
    } else {
        format!("the process crashed while it used {}", devices.join(", "))
    };
    err::failure(Style::Plain, &what, &[], Some(report::WITHOUT_DEVICE))
}

/// The message of the panic of `std::thread::spawn` if the system refuses.
const NO_THREAD: &str = "failed to spawn thread";
const RAISE: &str = "raise the limits that `ulimit -v` and `ulimit -u` show, or use fewer threads with `-t`";

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
        Some("the file may be invalid; if it is not, report this message"),
    );
    low_level::exit(ABORTED);
}

/// The exit code of a shell for a process that SIGABRT ended.
const ABORTED: i32 = 134;
