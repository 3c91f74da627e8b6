//! Devices of other machines.
#![expect(unsafe_code, reason = "calls C functions that the binding does not have")]

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use llama_cpp_sys_2 as sys;

use super::{Endpoint, WorkerError, hello, procedure};
use crate::llama::{devices, log};

/// Timeout of the first answer. A worker that serves another client does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The workers of this process.
struct Workers {
    /// Workers whose devices are registered with llama.cpp, which never unregisters them.
    registered: BTreeSet<CString>,
    /// Open connections.
    open: BTreeMap<CString, Connection>,
}

/// A permanent connection. llama.cpp closes its own after each request, and a worker without a connection accepts the next
/// client.
struct Connection {
    backend: NonNull<sys::ggml_backend>,
    /// Lost connections to the worker before this one.
    losses: usize,
}

// SAFETY: llama.cpp's side of a connection has a thread of its own and takes messages from any other.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the backend was made for this value, and nothing else has it.
        unsafe { sys::ggml_backend_free(self.backend.as_ptr()) }
    }
}

/// Registers the devices of a worker with llama.cpp and returns their names, which begin with `RPC`. They count as GPUs.
/// The connection stays open until the process ends or loses it.
///
/// # Errors
///
/// When the worker does not exist or does not answer.
pub fn connect(endpoint: &Endpoint) -> Result<Vec<String>, WorkerError> {
    static WORKERS: Mutex<Workers> =
        Mutex::new(Workers { registered: BTreeSet::new(), open: BTreeMap::new() });
    let name = CString::new(endpoint.to_string()).map_err(|_| WorkerError::NotBuilt)?;
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = losses(&name);
    workers.open.retain(|kept, connection| *kept != name || connection.losses == before);
    // A worker with an open connection would not answer a second one.
    if !workers.open.contains_key(&name) {
        greet(endpoint)?;
    }
    let (found, log) = log::capture(|| devices_of(&name));
    let empty = || WorkerError::Empty { endpoint: endpoint.clone(), log };
    let (registry, devices) = found?;
    let Some(first) = devices.first() else { return Err(empty()) };
    if workers.registered.insert(name.clone()) {
        // SAFETY: the registry lives as long as the process; llama.cpp gives the same one for the same endpoint, and
        // the set lets it be registered once.
        unsafe { sys::ggml_backend_register(registry) };
    }
    if let Entry::Vacant(entry) = workers.open.entry(name.clone()) {
        // SAFETY: the device is one of the worker's; it takes no parameters.
        let backend = NonNull::new(unsafe { sys::ggml_backend_dev_init(*first, ptr::null()) });
        let connection = backend.map(|backend| Connection { backend, losses: before });
        match connection.filter(|_| losses(&name) == before) {
            Some(connection) => drop(entry.insert(connection)),
            None => return Err(empty()),
        }
    }
    // SAFETY: the devices live as long as the process, and so do their names.
    let text = |device: &_| unsafe { CStr::from_ptr(sys::ggml_backend_dev_name(*device)) };
    Ok(devices.iter().map(|device| text(device).to_string_lossy().into_owned()).collect())
}

type Devices = (sys::ggml_backend_reg_t, Vec<sys::ggml_backend_dev_t>);

/// The devices of a worker; none if it is lost.
fn devices_of(name: &CStr) -> Result<Devices, WorkerError> {
    type AddServer = unsafe extern "C" fn(*const c_char) -> sys::ggml_backend_reg_t;
    let add = procedure(c"ggml_backend_rpc_add_server").ok_or(WorkerError::NotBuilt)?;
    // SAFETY: llama.cpp has this function under this name with this type; the crate is pinned to one version.
    let add = unsafe { std::mem::transmute::<*mut c_void, AddServer>(add) };
    // SAFETY: the name ends with a zero and is copied.
    let registry = unsafe { add(name.as_ptr()) };
    if registry.is_null() {
        return Ok((registry, Vec::new()));
    }
    // SAFETY: the registry is one of llama.cpp's, and the index is below its count.
    let devices = unsafe {
        let count = sys::ggml_backend_reg_dev_count(registry);
        (0..count).map(|index| sys::ggml_backend_reg_dev_get(registry, index)).collect()
    };
    Ok((registry, devices))
}

/// Checks that a worker listens, and disconnects.
///
/// # Errors
///
/// When none listens, or it does not answer.
pub fn greet(endpoint: &Endpoint) -> Result<(), WorkerError> {
    hello::hello(endpoint, PATIENCE)
}

/// The workers of a model, and the number of lost connections to each at its load.
#[derive(Debug, Clone, Default)]
pub(in crate::llama) struct Watch {
    workers: Vec<(CString, usize)>,
}

impl Watch {
    /// Watches the workers of these devices.
    pub(in crate::llama) fn over(devices: &[sys::ggml_backend_dev_t]) -> Self {
        let lenders = devices.iter().filter_map(|device| devices::lender(*device));
        let watched = lenders.filter_map(|endpoint| CString::new(endpoint).ok());
        let with_count = |endpoint: CString| {
            let before = losses(&endpoint);
            (endpoint, before)
        };
        Self { workers: watched.map(with_count).collect() }
    }

    /// The endpoint of a worker that was lost since. llama.cpp's results are zeros then, so they are used only after this
    /// check.
    pub(in crate::llama) fn lost(&self) -> Option<String> {
        let lost = self.workers.iter().find(|(endpoint, before)| losses(endpoint) != *before);
        lost.map(|(endpoint, _)| endpoint.to_string_lossy().into_owned())
    }
}

/// The number of lost connections to a worker. An engine without our patches ends the process instead.
fn losses(endpoint: &CStr) -> usize {
    type Losses = unsafe extern "C" fn(*const c_char) -> usize;
    static FOUND: OnceLock<Option<Losses>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = procedure(c"ggml_backend_rpc_lost")?;
        // SAFETY: our patch adds this function under this name with this type.
        Some(unsafe { std::mem::transmute::<*mut c_void, Losses>(found) })
    });
    // SAFETY: the text ends with a zero, and the function may be called from any thread.
    found.map_or(0, |losses| unsafe { losses(endpoint.as_ptr()) })
}
