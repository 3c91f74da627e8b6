//! All facts about this machine and this build.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::model::system::limits;
use crate::model::{Bandwidth, can_stream, caps, default_threads, devices, machine_cores};

use super::hub::{self, Hub};
use super::system::{Memory, Processor, Video};

/// How long memory is read to measure its bandwidth.
const MEASURE: Duration = Duration::from_millis(300);

/// All facts. Sizes are in bytes; an unknown value is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The processor, and which of its instruction sets the engine uses.
    pub processor: Processor,
    /// Main memory.
    pub memory: Memory,
    /// The file systems of folders for models.
    pub disks: Vec<Disk>,
    /// Devices that the engine can compute on, besides the processor.
    pub gpus: Vec<Gpu>,
    /// Video hardware, whether the engine can use it or not.
    pub video: Vec<Video>,
    /// The engine.
    pub engine: Engine,
    /// The hub's settings and its cache.
    pub hub: Hub,
}

/// The file system of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The purpose of the folder.
    pub purpose: &'static str,
    /// The folder, or its nearest ancestor that exists.
    pub folder: PathBuf,
    /// Free space.
    pub free_bytes: Option<u64>,
    /// Total space.
    pub total_bytes: Option<u64>,
}

/// A device of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// ggml's name for it.
    pub name: String,
    /// The maker's name for it.
    pub description: String,
    /// The backend that drives it.
    pub backend: String,
    /// Free memory.
    pub free_bytes: u64,
    /// Total memory.
    pub total_bytes: u64,
}

/// The engine's versions and features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// The version of ggrun.
    pub ggrun: &'static str,
    /// The release of llama.cpp.
    pub llama_cpp: String,
    /// The patches applied to llama.cpp.
    pub patches: Vec<String>,
    /// The backends that it can compute with.
    pub backends: Vec<String>,
    /// Whether it can read experts from disk as they are chosen.
    pub streams: bool,
    /// The kernels that compute on the mapped file; `None` if weights are repacked instead.
    pub kernels: Option<Kernels>,
}

/// Kernels for weights in the layout of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernels {
    /// The instruction set that they use.
    pub isa: String,
    /// The types of weights that they take.
    pub types: Vec<&'static str>,
}

/// Examines this machine. Takes as long as measuring the memory bandwidth.
#[must_use]
pub fn gather() -> Facts {
    let (root, caps, threads) = (Path::new("/"), caps(), default_threads());
    let hub = hub::gather(|name| std::env::var_os(name), dirs::home_dir().as_deref());
    let known = devices(&[]);
    let limits = limits(root);
    // Before anything is measured, which is load too.
    let processor = Processor {
        machine_cores: machine_cores(),
        ..Processor::read(root, threads, limits, &caps.features)
    };
    let mut memory = Memory::read(root, limits);
    memory.bandwidth_threads = readers(threads, memory.available_bytes);
    memory.bandwidth =
        (memory.bandwidth_threads > 0).then(|| Bandwidth::measure(memory.bandwidth_threads, MEASURE).0);
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    Facts {
        processor,
        memory,
        disks: vec![disk("this folder", &here), disk("hub cache", &hub.cache)],
        gpus: known
            .iter()
            .filter(|device| device.kind.is_gpu())
            .map(|device| Gpu {
                name: device.name.clone(),
                description: device.description.clone(),
                backend: device.backend.clone(),
                free_bytes: device.free,
                total_bytes: device.total,
            })
            .collect(),
        video: Video::read(root),
        engine: Engine {
            ggrun: env!("CARGO_PKG_VERSION"),
            llama_cpp: caps.build.to_owned(),
            patches: caps.patches,
            backends: caps.backends,
            streams: can_stream(),
            kernels: caps.kernels.map(|kernels| Kernels { types: kernels.type_names(), isa: kernels.isa }),
        },
        hub,
    }
}

/// The number of threads that measure the bandwidth. They allocate at most a quarter of the free memory, so that a small
/// container is not killed.
fn readers(threads: u32, available: Option<u64>) -> u32 {
    let room = available.map(|bytes| bytes / 4 / Bandwidth::BYTES_PER_THREAD);
    room.map_or(threads, |room| u32::try_from(room).map_or(threads, |room| room.min(threads)))
}

fn disk(purpose: &'static str, folder: &Path) -> Disk {
    let existing = folder.ancestors().find(|above| above.exists()).unwrap_or(folder);
    Disk {
        purpose,
        folder: existing.to_owned(),
        free_bytes: fs4::available_space(existing).ok(),
        total_bytes: fs4::total_space(existing).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurement_uses_only_a_part_of_the_free_memory() {
        assert_eq!(readers(8, Some(64 << 30)), 8);
        assert_eq!(readers(64, Some(4 << 30)), 8);
        assert_eq!((readers(8, Some(100 << 20)), readers(8, Some(0))), (0, 0));
        assert_eq!((readers(8, None), readers(8, Some(u64::MAX))), (8, 8));
    }
}
