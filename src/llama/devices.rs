//! The devices in ggml's registry: CPU, GPUs, and those of connected workers.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use std::ffi::{CStr, CString, c_char};

use llama_cpp_sys_2 as sys;

use super::backend;
use super::busy;
use super::crash::InUse;
use super::rpc::Endpoint;

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU; its memory is main memory.
    Cpu,
    /// A GPU with memory of its own, on this machine or a worker.
    Gpu,
    /// A GPU that shares main memory.
    IntegratedGpu,
    /// An accelerator that works in main memory.
    Accelerator,
}

impl DeviceKind {
    /// Whether layers can be offloaded to it.
    #[must_use]
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Gpu | Self::IntegratedGpu)
    }
}

/// A device and its present memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// ggml's name, such as `CUDA0`.
    pub name: String,
    /// The vendor's name.
    pub description: String,
    /// Its backend, such as `CUDA`.
    pub backend: String,
    /// The name of its buffer type, for `-ot`.
    pub buffer: String,
    /// Its kind.
    pub kind: DeviceKind,
    /// Total memory in bytes; 0 if unknown.
    pub total: u64,
    /// Free memory in bytes.
    pub free: u64,
    /// Whether it has a host buffer: pinned main memory, where weights on the CPU are then placed and not repacked.
    pub host_buffer: bool,
}

/// Every device of this machine and of these workers, which must be connected, in ggml's order.
#[must_use]
pub fn devices(workers: &[Endpoint]) -> Vec<Device> {
    // Describing a device sends a request to its worker.
    let wanted = |device: &sys::ggml_backend_dev_t| {
        lender(*device).is_none_or(|lender| workers.iter().any(|worker| worker.to_string() == lender))
    };
    all().into_iter().filter(wanted).map(describe).collect()
}

/// The endpoint of a device's worker.
pub(super) fn lender(device: sys::ggml_backend_dev_t) -> Option<String> {
    // SAFETY: the device comes from the registry, and has the backend that registered it.
    let backend = text(unsafe { sys::ggml_backend_reg_name(sys::ggml_backend_dev_backend_reg(device)) });
    // SAFETY: the device comes from the registry. The description of a worker's device is the worker's endpoint.
    (backend == "RPC").then(|| text(unsafe { sys::ggml_backend_dev_description(device) }))
}

/// The handle of a device.
pub(super) fn find(name: &str) -> Option<sys::ggml_backend_dev_t> {
    let name = CString::new(name).ok()?;
    backend::backend();
    let _registry = backend::registry();
    // SAFETY: the registry is filled and does not change meanwhile, and `name` ends with a zero.
    let device = unsafe { sys::ggml_backend_dev_by_name(name.as_ptr()) };
    (!device.is_null()).then_some(device)
}

/// The buffer type with a name, as in `-ot`: the default one of a device.
pub(super) fn buffer_type(name: &str) -> Option<sys::ggml_backend_buffer_type_t> {
    // A worker's buffer has the worker's name: no other worker is queried.
    let may = |device: &sys::ggml_backend_dev_t| lender(*device).is_none_or(|lender| name.contains(&lender));
    all().into_iter().filter(may).map(buffer).find(|&buffer| !buffer.is_null() && buffer_name(buffer) == name)
}

fn all() -> Vec<sys::ggml_backend_dev_t> {
    backend::backend();
    let _registry = backend::registry();
    let _starting = cfg!(any(feature = "cuda", feature = "vulkan")).then(|| InUse::these(&[]));
    // SAFETY: the registry is filled and does not change meanwhile.
    let count = unsafe { sys::ggml_backend_dev_count() };
    // SAFETY: as above, and the index is below the count. Devices are never removed: nothing unloads a backend.
    (0..count).map(|index| unsafe { sys::ggml_backend_dev_get(index) }).collect()
}

fn buffer(device: sys::ggml_backend_dev_t) -> sys::ggml_backend_buffer_type_t {
    // SAFETY: the device comes from the registry.
    unsafe { sys::ggml_backend_dev_buffer_type(device) }
}

fn buffer_name(buffer: sys::ggml_backend_buffer_type_t) -> String {
    // SAFETY: buffer types of registered devices live as long as the process, and so do their names.
    text(unsafe { sys::ggml_backend_buft_name(buffer) })
}

/// The name and the description of a device.
pub(super) fn label(device: sys::ggml_backend_dev_t) -> String {
    // SAFETY: the device comes from the registry.
    let (name, description) = unsafe {
        (text(sys::ggml_backend_dev_name(device)), text(sys::ggml_backend_dev_description(device)))
    };
    format!("{name} ({description})")
}

fn describe(device: sys::ggml_backend_dev_t) -> Device {
    // Asking for its memory and buffers starts its driver.
    // SAFETY: the device comes from the registry.
    let is_cpu = unsafe { sys::ggml_backend_dev_type(device) } == sys::GGML_BACKEND_DEVICE_TYPE_CPU;
    let _in_use = (!is_cpu).then(|| InUse::these(&[label(device)]));
    let (mut free, mut total) = (0usize, 0usize);
    // SAFETY: the device comes from the registry; the pointers are to locals of the right type.
    busy::calling(|| unsafe { sys::ggml_backend_dev_memory(device, &raw mut free, &raw mut total) });
    // SAFETY: the device comes from the registry.
    let (name, description, kind, host, registry) = unsafe {
        (
            text(sys::ggml_backend_dev_name(device)),
            text(sys::ggml_backend_dev_description(device)),
            sys::ggml_backend_dev_type(device),
            sys::ggml_backend_dev_host_buffer_type(device),
            sys::ggml_backend_dev_backend_reg(device),
        )
    };
    // SAFETY: every registered device has a registry.
    let backend = text(unsafe { sys::ggml_backend_reg_name(registry) });
    let buffer = busy::calling(|| buffer(device));
    Device {
        name,
        description,
        backend,
        buffer: if buffer.is_null() { String::new() } else { buffer_name(buffer) },
        kind: match kind {
            sys::GGML_BACKEND_DEVICE_TYPE_CPU => DeviceKind::Cpu,
            sys::GGML_BACKEND_DEVICE_TYPE_IGPU => DeviceKind::IntegratedGpu,
            sys::GGML_BACKEND_DEVICE_TYPE_GPU => DeviceKind::Gpu,
            _ => DeviceKind::Accelerator,
        },
        total: total as u64,
        free: free as u64,
        host_buffer: !host.is_null(),
    }
}

fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: ggml's names end with a zero and live as long as what they name, which is as long as the process.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_cpu_with_memory() {
        let devices = devices(&[]);
        let cpu = devices.iter().find(|d| d.kind == DeviceKind::Cpu).unwrap();
        assert_eq!(cpu.buffer, "CPU");
        assert!(cpu.total >= cpu.free && cpu.free > 0, "{cpu:?}");
        assert!(find(&cpu.name).is_some() && find("no such device").is_none());
        assert!(buffer_type("CPU").is_some() && buffer_type("nothing").is_none());
    }
}
