//! This machine's devices for others.
#![expect(unsafe_code, reason = "calls a C function that the binding does not have")]

use std::ffi::{CString, c_char, c_void};
use std::net::{SocketAddr, TcpListener};
use std::ptr;

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use llama_cpp_sys_2 as sys;

use super::{Endpoint, WorkerError, procedure};
use crate::llama::backend;

/// A device that a worker lends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    index: usize,
    /// ggml's name.
    pub name: String,
    /// The maker's name.
    pub description: String,
    /// All of its memory in bytes.
    pub total: u64,
    /// What is free of it.
    pub free: u64,
}

/// The devices of these names; where none is named, all but the processor, or the processor where there is no other.
///
/// # Errors
///
/// When there is no device of a name.
pub fn lendable(names: &[String]) -> Result<Vec<Lent>, WorkerError> {
    backend::backend();
    let all = list_llama_ggml_backend_devices();
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

/// Finds out whether an address can be listened on, and which port it is if that is left open with 0.
///
/// # Errors
///
/// When it cannot.
pub fn listenable(address: SocketAddr) -> Result<SocketAddr, WorkerError> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|source| WorkerError::Listen { address, source })
}

/// Serves devices at an address, one client after the other, and returns only when it cannot begin.
///
/// llama.cpp prints to standard output meanwhile.
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
    // SAFETY: llama.cpp has this function under this name with this type; the crate is pinned to one version.
    let start = unsafe { std::mem::transmute::<*mut c_void, Start>(start) };
    // SAFETY: the index was that of a device, and devices are never taken out.
    let mut handles: Vec<_> = devices.iter().map(|d| unsafe { sys::ggml_backend_dev_get(d.index) }).collect();
    // SAFETY: the strings and the list live until it returns; a null is no cache.
    unsafe { start(text.as_ptr(), ptr::null(), threads as usize, handles.len(), handles.as_mut_ptr()) };
    WorkerError::Ended
}
