//! What this machine, this build and the folders of the hub are like, and what to do about it. Reads files and asks the
//! engine; opens no connection and changes nothing. Not here: anything that is printed.

mod advice;
mod hub;
mod system;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::model::system::limits;
use crate::model::{Bandwidth, caps, default_threads, devices};

pub use advice::advice;
pub use hub::{Hub, Token};
pub use system::{Memory, Processor, Video};

/// How long memory is read to know its bandwidth.
const MEASURE: Duration = Duration::from_millis(300);

/// Everything that was found out. Sizes are bytes; what could not be found out is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The processor, and what of it the engine uses.
    pub processor: Processor,
    /// Main memory.
    pub memory: Memory,
    /// File systems of the folders that hold models.
    pub disks: Vec<Disk>,
    /// Devices that the engine can compute on, beside the processor.
    pub gpus: Vec<Gpu>,
    /// Video hardware that the system has, whether the engine can use it or not.
    pub video: Vec<Video>,
    /// The engine.
    pub engine: Engine,
    /// The hub's settings and its cache.
    pub hub: Hub,
}

/// The file system of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// What the folder is for.
    pub purpose: &'static str,
    /// The folder, or the nearest one above it that exists.
    pub folder: PathBuf,
    /// What is free there.
    pub free_bytes: Option<u64>,
    /// What there is.
    pub total_bytes: Option<u64>,
}

/// A device of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// ggml's name.
    pub name: String,
    /// The maker's name.
    pub description: String,
    /// What drives it.
    pub backend: String,
    /// What is free of its memory.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// What the engine was built from and with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Our own version.
    pub ggrun: &'static str,
    /// The release of llama.cpp.
    pub llama_cpp: String,
    /// Our patches to it.
    pub patches: Vec<String>,
    /// What it can compute with.
    pub backends: Vec<String>,
}

/// Looks at this machine. Takes as long as measuring the memory does.
#[must_use]
pub fn look() -> Facts {
    let (root, caps, threads) = (Path::new("/"), caps(), default_threads());
    let hub = hub::look(|name| std::env::var_os(name), dirs::home_dir().as_deref());
    let known = devices(&[]);
    let limits = limits(root);
    let mut memory = Memory::read(root, limits);
    memory.bandwidth_threads = readers(threads, memory.available_bytes);
    memory.bandwidth =
        (memory.bandwidth_threads > 0).then(|| Bandwidth::measure(memory.bandwidth_threads, MEASURE).0);
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    Facts {
        processor: Processor::read(root, threads, limits, &caps.features),
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
        },
        hub,
    }
}

/// Threads that read memory to measure it: no more than a quarter of what is free has room for, since looking at a small
/// container must not end in its being killed.
fn readers(threads: u32, available: Option<u64>) -> u32 {
    let room = available.map(|bytes| bytes / 4 / Bandwidth::BYTES_OF_A_THREAD);
    room.map_or(threads, |room| u32::try_from(room).map_or(threads, |room| room.min(threads)))
}

fn disk(purpose: &'static str, folder: &Path) -> Disk {
    let there = folder.ancestors().find(|above| above.exists()).unwrap_or(folder);
    Disk {
        purpose,
        folder: there.to_owned(),
        free_bytes: fs4::available_space(there).ok(),
        total_bytes: fs4::total_space(there).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_measured_within_what_is_free() {
        assert_eq!(readers(8, Some(64 << 30)), 8);
        assert_eq!(readers(64, Some(4 << 30)), 8);
        assert_eq!((readers(8, Some(100 << 20)), readers(8, Some(0))), (0, 0));
        assert_eq!((readers(8, None), readers(8, Some(u64::MAX))), (8, 8));
    }
}
