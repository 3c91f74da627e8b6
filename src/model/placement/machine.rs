//! The memory there is to place things in. Not here: how it is found out, except for the machine's own.

use std::path::Path;

use crate::llama::rpc::{self, Endpoint, WorkerError};
use crate::llama::{self, DeviceKind};
use crate::model::system::{MainMemory, limits};

/// A machine's memories. The index of a device in a placement is 0 for main memory, then `gpus` in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Main memory in bytes.
    pub ram_total: u64,
    /// What of it a new process can have without swapping.
    pub ram_available: u64,
    /// Devices with memory of their own, or that share main memory as a GPU.
    pub gpus: Vec<Gpu>,
}

/// A device beside the CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// ggml's name, `CUDA0`.
    pub name: String,
    /// The maker's name.
    pub description: String,
    /// Name of its buffer type.
    pub buffer: String,
    /// Memory in bytes.
    pub total: u64,
    /// What is free of it.
    pub free: u64,
    /// Whether weights for the CPU go to a buffer that it reads quickly, where they are not reordered.
    pub host_buffer: bool,
}

impl Machine {
    /// This machine as it is now, with what these workers lend. A GPU that shares main memory counts only where there is
    /// no other.
    ///
    /// # Errors
    ///
    /// When a worker cannot be reached.
    pub fn with(workers: &[Endpoint]) -> Result<Self, WorkerError> {
        for worker in workers {
            rpc::connect(worker)?;
        }
        Ok(Self::of(llama::devices(workers)))
    }

    fn of(devices: Vec<llama::Device>) -> Self {
        let (mut gpus, mut shared, mut cpu) = (Vec::new(), Vec::new(), (0, 0));
        for device in devices {
            let (total, free, kind) = (device.total, device.free, device.kind);
            let gpu = Gpu {
                name: device.name,
                description: device.description,
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
        // ggml counts free pages without what the page cache would give back on some systems.
        let (total, available) = system_memory().unwrap_or(cpu);
        Self { ram_total: total, ram_available: available, gpus }
    }

    /// The name of a device of a placement.
    #[must_use]
    pub fn name(&self, device: usize) -> &str {
        device.checked_sub(1).and_then(|index| self.gpus.get(index)).map_or("CPU", |gpu| gpu.name.as_str())
    }
}

/// Total and available main memory in bytes, as Linux tells it and within what the process's groups may have.
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
