//! This machine as a worker.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use std::ffi::{CStr, c_int, c_void};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd as _, OwnedFd};

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use llama_cpp_sys_2 as sys;

use super::{WorkerError, is_built, procedure};
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

/// Listens on an address; port 0 becomes a free port.
///
/// # Errors
///
/// When it is not possible to listen on it.
pub fn listen(address: SocketAddr) -> Result<TcpListener, WorkerError> {
    TcpListener::bind(address).map_err(|source| WorkerError::Listen { address, source })
}

/// The version with which a worker answers a greeting.
///
/// # Errors
///
/// When llama.cpp was built without RPC or without our patch.
pub fn version() -> Result<[u8; 3], WorkerError> {
    let found = patched(c"ggrun_rpc_version")?;
    // SAFETY: our third patch adds this name for three bytes that live as long as the process.
    Ok(unsafe { *found.cast::<[u8; 3]>() })
}

/// Serves devices to the client of a connected socket, whose greeting was answered, until it disconnects. A message for
/// which llama.cpp has no check may end the process.
///
/// # Errors
///
/// When llama.cpp was built without RPC or without our patch.
pub fn serve_socket(socket: OwnedFd, devices: &[Lent], threads: u32) -> Result<(), WorkerError> {
    type Serve = unsafe extern "C" fn(c_int, usize, usize, *mut sys::ggml_backend_dev_t);
    let serve = patched(c"ggrun_rpc_serve_socket")?;
    backend::close_numa();
    // SAFETY: our third patch adds this function under this name with this type.
    let serve = unsafe { std::mem::transmute::<*mut c_void, Serve>(serve) };
    let registry = backend::registry();
    // SAFETY: the index is that of a device, devices are never removed, and the list does not change meanwhile.
    let mut handles: Vec<_> = devices.iter().map(|d| unsafe { sys::ggml_backend_dev_get(d.index) }).collect();
    drop(registry);
    // SAFETY: the list lives until it returns and has the given length, and llama.cpp owns and closes the socket.
    unsafe { serve(socket.into_raw_fd(), threads as usize, handles.len(), handles.as_mut_ptr()) };
    Ok(())
}

/// A name that our patch adds to llama.cpp's RPC.
fn patched(name: &CStr) -> Result<*mut c_void, WorkerError> {
    let missing = || if is_built() { WorkerError::NotPatched } else { WorkerError::NotBuilt };
    procedure(name).ok_or_else(missing)
}
