//! Models on a GPU through Vulkan, or on Mesa's device that computes on the CPU; see `scripts/test-vulkan`.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod answers;
mod faults;
mod layouts;
mod memory;
mod states;
mod two;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ggrun::model::{Device, LoadOptions, devices};
use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;

use crate::deadline::{PATIENCE, Watchdog};
use crate::layouts::on_cpu;
use crate::support::{data, exported, tiny_gguf};

/// The bundled model with all matrices in F32: no kernel rounds what it multiplies with them.
fn float_gguf() -> PathBuf {
    static GGUF: OnceLock<PathBuf> = OnceLock::new();
    let options = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    GGUF.get_or_init(|| exported(&data("tiny-thinker"), "tiny-thinker-f32", &options)).clone()
}

/// A device of the Vulkan backend, which one test uses at a time.
struct Gpu {
    device: Device,
    _alone: MutexGuard<'static, ()>,
}

impl Gpu {
    /// The first one. Without one, the test is skipped and says so, or fails if `GGRUN_TEST_VULKAN` is set.
    fn find() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = devices(&[]).into_iter().find(|device| device.backend == "Vulkan");
        if found.is_none() {
            assert!(std::env::var_os("GGRUN_TEST_VULKAN").is_none(), "there is no Vulkan device");
            // Not `eprintln!`, which is shown only if the test fails.
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            writeln!(std::io::stderr(), "skipped {name}: there is no Vulkan device").unwrap();
        }
        found.map(|device| Self { device, _alone: alone })
    }

    /// The bundled model on this device and the CPU.
    fn options(&self) -> LoadOptions {
        LoadOptions { devices: Some(vec![self.device.name.clone()]), ..on_cpu() }
    }
}

/// Runs a command on the bundled model with some options, separated by spaces.
fn ggrun(command: &str, options: &str) -> Output {
    output(&mut to_run(command, options))
}

/// Runs a command that may compile shaders first, for minutes.
fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _watchdog = Watchdog::after(6 * PATIENCE, &child);
    child.wait_with_output().unwrap()
}

fn to_run(command: &str, options: &str) -> Command {
    let mut ggrun = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    ggrun
        .args([command, "--no-config", "-t", "1", "-c", "256"])
        .args(options.split_whitespace())
        .arg("-m")
        .arg(tiny_gguf());
    if command == "run" {
        ggrun.args(["--temp", "0", "-p", crate::run::QUESTIONS[0].0]);
    }
    ggrun.stdin(Stdio::null());
    ggrun
}

/// What it printed on standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
