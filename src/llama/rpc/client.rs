//! Devices of other machines.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use llama_cpp_sys_2 as sys;

use super::{Endpoint, WorkerError, hello, procedure};
use crate::llama::{backend, devices, log};

/// The time in which a worker must answer a greeting. One that serves as many clients as it accepts does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The workers that this process has connected to.
struct Workers {
    /// Those whose devices are in llama.cpp's registry, from which nothing is removed.
    registered: BTreeSet<CString>,
    /// Those with an open connection.
    open: BTreeMap<CString, Connection>,
}

/// A connection that stays open. llama.cpp closes its own connection when nothing uses it, and the worker may then serve
/// another client in its place.
struct Connection {
    backend: NonNull<sys::ggml_backend>,
    /// The number of connections to its worker that had been lost before.
    losses: usize,
}

// SAFETY: the backend is a name and a shared pointer to the connection (`rpc_dispatcher`), which any thread may use and
// drop: its messages go through a locked queue to a thread of its own.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the backend was made for this value, which is its only owner.
        unsafe { sys::ggml_backend_free(self.backend.as_ptr()) }
    }
}

/// Registers the devices of a worker with llama.cpp and returns their names, which begin with `RPC`. They count as GPUs.
/// The worker stays connected until the process ends or the connection is lost.
///
/// # Errors
///
/// When the endpoint is not a worker, or does not answer.
pub fn connect(endpoint: &Endpoint) -> Result<Vec<String>, WorkerError> {
    static WORKERS: Mutex<Workers> =
        Mutex::new(Workers { registered: BTreeSet::new(), open: BTreeMap::new() });
    let name = CString::new(endpoint.to_string()).map_err(|_| WorkerError::NotBuilt)?;
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = losses(&name);
    workers.open.retain(|worker, connection| *worker != name || connection.losses == before);
    // A worker that accepts one client would not answer a second connection.
    if !workers.open.contains_key(&name) {
        greet(endpoint)?;
    }
    let (found, log) = log::capture(|| devices_of(&name));
    let empty = || WorkerError::Empty { endpoint: endpoint.clone(), log };
    let (registry, devices) = found?;
    let Some(first) = devices.first() else { return Err(empty()) };
    if workers.registered.insert(name.clone()) {
        let _registry = backend::registry_mut();
        // SAFETY: the worker's registry lives as long as the process. llama.cpp has one for each endpoint, which the set
        // lets through once, and nothing reads the list of registries meanwhile.
        unsafe { sys::ggml_backend_register(registry) };
    }
    if let Entry::Vacant(entry) = workers.open.entry(name.clone()) {
        // SAFETY: the device is one of the worker's, and takes no parameters.
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

/// A worker's devices; empty if the connection is lost.
fn devices_of(name: &CStr) -> Result<Devices, WorkerError> {
    type AddServer = unsafe extern "C" fn(*const c_char) -> sys::ggml_backend_reg_t;
    let add = procedure(c"ggml_backend_rpc_add_server").ok_or(WorkerError::NotBuilt)?;
    // SAFETY: b11434 has this function under this name with this type (`ggml-rpc.h`), and the version is pinned.
    let add = unsafe { std::mem::transmute::<*mut c_void, AddServer>(add) };
    // SAFETY: the name ends with a zero, and llama.cpp copies it.
    let registry = unsafe { add(name.as_ptr()) };
    if registry.is_null() {
        return Ok((registry, Vec::new()));
    }
    // SAFETY: the registry was returned above and lives as long as the process, its devices do not change, and the index is
    // below their count.
    let devices = unsafe {
        let count = sys::ggml_backend_reg_dev_count(registry);
        (0..count).map(|index| sys::ggml_backend_reg_dev_get(registry, index)).collect()
    };
    Ok((registry, devices))
}

/// Checks that an endpoint is a worker, and disconnects.
///
/// # Errors
///
/// When it is not, or does not answer.
pub fn greet(endpoint: &Endpoint) -> Result<(), WorkerError> {
    hello::hello(endpoint, PATIENCE)
}

/// The workers of a model, and how often each had been lost before.
#[derive(Debug, Clone, Default)]
pub(in crate::llama) struct Watch {
    workers: Vec<(CString, usize)>,
}

impl Watch {
    /// Watches the workers of these devices from now on.
    pub(in crate::llama) fn over(devices: &[sys::ggml_backend_dev_t]) -> Self {
        let lenders = devices.iter().filter_map(|device| devices::lender(*device));
        let watched = lenders.filter_map(|endpoint| CString::new(endpoint).ok());
        let with_count = |endpoint: CString| {
            let before = losses(&endpoint);
            (endpoint, before)
        };
        Self { workers: watched.map(with_count).collect() }
    }

    /// The endpoint of a worker that was lost since. llama.cpp returns zeros then, so check this before using results.
    pub(in crate::llama) fn lost(&self) -> Option<String> {
        let lost = self.workers.iter().find(|(endpoint, before)| losses(endpoint) != *before);
        lost.map(|(endpoint, _)| endpoint.to_string_lossy().into_owned())
    }
}

/// The number of connections to a worker that were lost so far. llama.cpp without our patches ends the process instead.
fn losses(endpoint: &CStr) -> usize {
    type Losses = unsafe extern "C" fn(*const c_char) -> usize;
    static FOUND: OnceLock<Option<Losses>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = procedure(c"ggml_backend_rpc_lost")?;
        // SAFETY: our second patch adds this function under this name with this type.
        Some(unsafe { std::mem::transmute::<*mut c_void, Losses>(found) })
    });
    // SAFETY: the text ends with a zero, and the function locks the counts that it reads.
    found.map_or(0, |losses| unsafe { losses(endpoint.as_ptr()) })
}
