//! Devices and drivers that fail, made to by a Vulkan layer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use super::{Gpu, output, said, to_run};
use crate::deadline::{finish, wait_for};
use crate::run::QUESTIONS;

/// The folder with the compiled layer and its manifest.
fn layer() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vulkan-faults");
        std::fs::create_dir_all(&folder).unwrap();
        let library = folder.join("libfaults.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-I"]).arg(here.join("target/vulkan/usr/include"));
        let compiled = output(compiler.arg(here.join("tests/vulkan/faults.c")).arg("-o").arg(&library));
        assert!(compiled.status.success(), "{}", said(&compiled));
        let manifest = serde_json::json!({"file_format_version": "1.2.0", "layer": {
            "name": "VK_LAYER_GGRUN_faults", "type": "GLOBAL", "library_path": library,
            "api_version": "1.3.0", "implementation_version": "1", "description": "fails"}});
        std::fs::write(folder.join("faults.json"), manifest.to_string()).unwrap();
        folder
    })
}

/// `ggrun run` with a device that fails from some call on.
fn failing(options: &str, fault: &str, after: u32) -> Command {
    let mut command = to_run("run", options);
    command.env("VK_LAYER_PATH", layer()).env("VK_INSTANCE_LAYERS", "VK_LAYER_GGRUN_faults");
    command.env("GGRUN_FAULT", fault).env("GGRUN_FAULT_AFTER", after.to_string());
    command
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn the_layer_alone_changes_nothing() {
    let Some(_gpu) = Gpu::find() else { return };
    let ran = output(&mut failing("-ngl all", "none", 1));
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), QUESTIONS[0].1, "{}", said(&ran));
}

#[test]
fn a_device_that_is_lost_is_an_error_that_names_it() {
    let Some(gpu) = Gpu::find() else { return };
    // While weights are copied to it, in the first step, and in the middle of an answer.
    let submits = [1, 40, 120];
    let mut decoding = 0;
    for after in submits {
        let ran = output(&mut failing("-ngl all", "lost", after));
        let text = said(&ran);
        assert_eq!(ran.status.code(), Some(1), "{after}: {text}");
        assert!(text.contains(&gpu.device.name) && text.contains("DeviceLost"), "{after}: {text}");
        decoding += u32::from(text.contains(&format!("caused by: device failed: {}: ", gpu.device.name)));
    }
    assert!(decoding > 0);
}

#[test]
fn a_driver_that_crashes_is_an_error_that_names_the_device() {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(gpu) = Gpu::find() else { return };
    let mut command = failing("-ngl all", "crash", 40);
    let ran = output(&mut command);
    let text = said(&ran);
    assert_eq!(ran.status.signal(), Some(11), "{text}");
    let error = format!("error: the process crashed while it used {} (", gpu.device.name);
    assert!(text.contains(&error) && text.contains("\n\nhint: its driver may be faulty"), "{text}");
}

#[test]
fn a_device_without_memory_is_exit_code_4() {
    let Some(gpu) = Gpu::find() else { return };
    for after in (1..).step_by(2) {
        let ran = output(&mut failing("-ngl all", "memory", after));
        let text = said(&ran);
        if ran.status.success() {
            // A run makes fewer allocations.
            assert!(after > 4, "{after}: {text}");
            break;
        }
        assert_eq!(ran.status.code(), Some(4), "{after}: {text}");
        assert!(text.contains(&gpu.device.name), "{after}: {text}");
        assert!(text.contains("hint: use less memory of the device with `--gpu-memory`"), "{after}: {text}");
    }
}

/// Sends a signal while a shader is compiled, which does not end.
fn interrupted(signal: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mut command = failing("-ngl all", "hang", 1);
    let mut child =
        command.env("GGRUN_FAULT_MARK", &mark).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("a shader to be compiled", || {
        (mark.exists() || child.try_wait().unwrap().is_some()).then_some(())
    });
    send(&child, signal);
    finish(child)
}

#[test]
fn a_signal_ends_the_process_while_shaders_are_compiled() {
    let Some(_gpu) = Gpu::find() else { return };
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let ran = interrupted(signal);
        assert_eq!(ran.status.code(), Some(code), "{signal}: {}", said(&ran));
        assert!(ran.stdout.is_empty());
    }
}
