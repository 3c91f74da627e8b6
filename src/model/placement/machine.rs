//! The memories of a machine.

use std::path::Path;

use gguf_export::ggml::GgmlType;

use super::batch::BatchRates;
use crate::llama::rpc::{self, Endpoint, WorkerError};
use crate::llama::{self, DeviceKind, Kernels};
use crate::model::system::{MainMemory, limits};

/// The memories of a machine. In a placement, device 0 is main memory, followed by `gpus` in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Main memory in bytes.
    pub ram_total: u64,
    /// Main memory that is available to a new process without swapping.
    pub ram_available: u64,
    /// GPUs with their own memory or, without such, GPUs that share main memory.
    pub gpus: Vec<Gpu>,
    /// The CPU's kernels for weights in the layout of the file.
    pub kernels: Option<Kernels>,
    /// Whether llama.cpp can read experts from disk as they are chosen.
    pub can_stream: bool,
    /// Whether llama.cpp can start at any number of tokens to copy weights to a GPU.
    pub can_set_copies: bool,
    /// The speeds by which prefill with weights in main memory is placed, if they are known.
    pub batch: Option<BatchRates>,
}

/// A device other than the CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// ggml's name for it, such as `CUDA0`.
    pub name: String,
    /// The maker's name for it.
    pub description: String,
    /// Its backend, such as `CUDA`.
    pub backend: String,
    /// The name of its buffer type.
    pub buffer: String,
    /// Total memory in bytes.
    pub total: u64,
    /// Free memory in bytes.
    pub free: u64,
    /// Whether weights for the CPU are put into a buffer that this device reads fast, in which they are not repacked.
    pub host_buffer: bool,
}

impl Gpu {
    /// A GPU that is not there.
    #[must_use]
    pub fn assumed(index: usize, bytes: u64) -> Self {
        Self {
            name: format!("GPU{index}"),
            description: String::new(),
            backend: ASSUMED.to_owned(),
            buffer: format!("GPU{index}"),
            total: bytes,
            free: bytes,
            host_buffer: true,
        }
    }

    /// Whether it is not there.
    #[must_use]
    pub fn is_assumed(&self) -> bool {
        self.backend == ASSUMED
    }

    /// Whether it is a worker's.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.backend == "RPC"
    }
}

/// The backend of GPUs that are not there.
const ASSUMED: &str = "assumed";

impl Machine {
    /// This machine in its present state, with the devices of RPC workers. A GPU that shares main memory counts only if
    /// there is no other.
    ///
    /// # Errors
    ///
    /// When a worker cannot be reached.
    pub fn with(workers: &[Endpoint]) -> Result<Self, WorkerError> {
        for worker in workers {
            rpc::connect(worker)?;
        }
        Ok(Self::of(llama::devices(workers), llama::kernels()))
    }

    fn of(devices: Vec<llama::Device>, kernels: Option<Kernels>) -> Self {
        let (mut gpus, mut shared, mut cpu) = (Vec::new(), Vec::new(), (0, 0));
        for device in devices {
            let (total, free, kind) = (device.total, device.free, device.kind);
            let gpu = Gpu {
                name: device.name,
                description: device.description,
                backend: device.backend,
                buffer: device.buffer,
                total,
                free,
                host_buffer: device.host_buffer,
            };
            match kind {
                DeviceKind::Gpu => gpus.push(gpu),
                DeviceKind::IntegratedGpu => shared.push(gpu),
                DeviceKind::Cpu => cpu = (total, free),
                DeviceKind::Accelerator => {}
            }
        }
        if gpus.is_empty() {
            gpus = shared;
        }
        // On some systems, ggml does not count reclaimable page cache as free.
        let (total, available) = system_memory().unwrap_or(cpu);
        Self {
            ram_total: total,
            ram_available: available,
            gpus,
            kernels,
            can_stream: llama::can_stream(),
            can_set_copies: llama::can_set_copies(),
            batch: None,
        }
    }

    /// Whether weights on the CPU can be repacked: not in a buffer that a GPU reads fast.
    pub(super) fn can_repack(&self) -> bool {
        !self.gpus.iter().any(|gpu| gpu.host_buffer)
    }

    /// The GPU to which weights of main memory are copied for a batch: llama.cpp takes the first, and never a worker's.
    pub(super) fn copier(&self) -> Option<usize> {
        self.gpus.iter().position(|gpu| !gpu.is_remote())
    }

    /// The name of a device in a placement.
    #[must_use]
    pub fn name(&self, device: usize) -> &str {
        device.checked_sub(1).and_then(|index| self.gpus.get(index)).map_or("CPU", |gpu| gpu.name.as_str())
    }
}

impl Kernels {
    /// The names of the types that they take.
    #[must_use]
    pub fn type_names(&self) -> Vec<&'static str> {
        self.types.iter().filter_map(|id| GgmlType::from_id(*id)).map(GgmlType::name).collect()
    }
}

/// Total and available main memory in bytes, on Linux, within the limits of this process's control groups.
fn system_memory() -> Option<(u64, u64)> {
    let root = Path::new("/");
    let memory = MainMemory::read(root, limits(root));
    Some((memory.usable()?, memory.available?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let machine = Machine::with(&[]).unwrap();
        assert!(machine.ram_total >= machine.ram_available && machine.ram_available > 0, "{machine:?}");
        assert_eq!((machine.name(0), machine.name(99)), ("CPU", "CPU"));
    }
}
