//! This machine as a worker.
#![expect(unsafe_code, reason = "calls a C function that the binding does not export")]

use std::ffi::{CString, c_char, c_void};
use std::net::{SocketAddr, TcpListener};
use std::ptr;

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use llama_cpp_sys_2 as sys;

use super::{Endpoint, WorkerError, procedure};
use crate::llama::backend;

/// A device that a worker offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    index: usize,
    /// ggml's name.
    pub name: String,
    /// The vendor's name.
    pub description: String,
    /// Total memory in bytes.
    pub total: u64,
    /// Free memory in bytes.
    pub free: u64,
}

/// The devices with these names; without names all GPUs, or the CPU of a machine without a GPU.
///
/// # Errors
///
/// When a name is unknown.
pub fn lendable(names: &[String]) -> Result<Vec<Lent>, WorkerError> {
    backend::backend();
    let registry = backend::registry();
    let all = list_llama_ggml_backend_devices();
    drop(registry);
    let lent = |device: &LlamaBackendDevice| Lent {
        index: device.index,
        name: device.name.clone(),
        description: device.description.clone(),
        total: device.memory_total as u64,
        free: device.memory_free as u64,
    };
    if names.is_empty() {
        use LlamaBackendDeviceType::{Cpu, Gpu, IntegratedGpu};
        let of = |types: &[LlamaBackendDeviceType]| -> Vec<Lent> {
            all.iter().filter(|d| types.contains(&d.device_type)).map(lent).collect()
        };
        let gpus = of(&[Gpu, IntegratedGpu]);
        return Ok(if gpus.is_empty() { of(&[Cpu]) } else { gpus });
    }
    let find = |name: &String| {
        let known = || all.iter().map(|d| d.name.clone()).collect();
        let found = all.iter().find(|d| d.name == *name).map(lent);
        found.ok_or_else(|| WorkerError::Device { name: name.clone(), known: known() })
    };
    names.iter().map(find).collect()
}

/// Checks that it is possible to listen on an address; port 0 becomes a free port.
///
/// # Errors
///
/// When it is not possible to listen on it.
pub fn listenable(address: SocketAddr) -> Result<SocketAddr, WorkerError> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|source| WorkerError::Listen { address, source })
}

/// Serves devices at an address, one client at a time. Returns only when it cannot start.
///
/// llama.cpp prints to standard output.
#[must_use]
pub fn serve(endpoint: &Endpoint, devices: &[Lent], threads: u32) -> WorkerError {
    type Start =
        unsafe extern "C" fn(*const c_char, *const c_char, usize, usize, *mut sys::ggml_backend_dev_t);
    let (Some(start), Ok(text)) =
        (procedure(c"ggml_backend_rpc_start_server"), CString::new(endpoint.to_string()))
    else {
        return WorkerError::NotBuilt;
    };
    backend::close_numa();
    // SAFETY: b11434 has this function under this name with this type (`ggml-rpc.h`), and the version is pinned.
    let start = unsafe { std::mem::transmute::<*mut c_void, Start>(start) };
    let registry = backend::registry();
    // SAFETY: the index is that of a device, devices are never removed, and the list does not change meanwhile.
    let mut handles: Vec<_> = devices.iter().map(|d| unsafe { sys::ggml_backend_dev_get(d.index) }).collect();
    drop(registry);
    // SAFETY: text and list live until it returns, the list has the given length, and a null folder means no cache.
    unsafe { start(text.as_ptr(), ptr::null(), threads as usize, handles.len(), handles.as_mut_ptr()) };
    WorkerError::Ended
}
