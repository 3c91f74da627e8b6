//! Measures how fast a device multiplies quantized weights by one vector, the work of writing an answer.
#![expect(unsafe_code, reason = "computes a graph of ggml, which the binding does not export")]

use std::ptr;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

use super::{backend, devices};

/// The length of the vector, a multiple of every type's block.
const COLUMNS: i64 = 2048;
/// The number of matrices, each of which is a node of the graph.
const MATRICES: usize = 32;
/// The number of nodes by which the time of a node without work is measured.
const EMPTY_NODES: usize = 256;
/// Rows of a matrix that is too small to take time.
const FEW_ROWS: i64 = 8;
/// The minimum number of runs of a graph.
const RUNS: u32 = 3;

/// How fast a device is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceSpeed {
    /// Bytes of weights that it multiplies per second.
    pub bytes_per_second: f64,
    /// Time that each node of a graph takes apart from its weights.
    pub node: Duration,
    /// Time to start a graph and wait for its end: for a worker, one round trip.
    pub start: Duration,
}

/// Measures a device, by its name, for about `time`. It allocates at most `room` bytes on it; `ty` is ggml's number of the
/// weights' type. `None` if there is no such type of weights, or the device cannot compute with it, or fails.
#[must_use]
pub fn measure(device: &str, ty: u32, threads: u32, room: u64, time: Duration) -> Option<DeviceSpeed> {
    let device = devices::find(device)?;
    // Computing starts threads, which read the NUMA setting.
    backend::close_numa();
    let probe = Probe::new(device, ty, threads, room)?;
    let start = probe.time(&probe.graph(&probe.small, 1)?, time / 4)?;
    let empty = probe.time(&probe.graph(&probe.small, EMPTY_NODES)?, time / 4)?;
    let full = probe.time(&probe.graph(&probe.large, MATRICES)?, time / 2)?;
    let nodes = u32::try_from(EMPTY_NODES - 1).unwrap_or(u32::MAX);
    let node = empty.saturating_sub(start) / nodes;
    let overhead = start + node * u32::try_from(MATRICES).unwrap_or(u32::MAX);
    let work = full.saturating_sub(overhead).max(full / 10);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let bytes = probe.bytes as f64;
    Some(DeviceSpeed { bytes_per_second: bytes / work.as_secs_f64(), node, start })
}

/// Whether a number is that of a type of weights, in whole blocks of which a matrix can be filled and multiplied.
fn is_weights(ty: u32) -> bool {
    if ty >= sys::GGML_TYPE_COUNT {
        return false;
    }
    // SAFETY: `ty` is below the number of types, and both tables have an entry for each. An entry for a type that is gone
    // is zero.
    let (block, traits) = unsafe { (sys::ggml_blck_size(ty), sys::ggml_get_type_traits_cpu(ty).as_ref()) };
    block > 0 && COLUMNS % block == 0 && traits.is_some_and(|traits| traits.vec_dot.is_some())
}

/// Tensors on a device.
struct Probe {
    backend: sys::ggml_backend_t,
    context: *mut sys::ggml_context,
    buffer: *mut sys::ggml_backend_buffer,
    vector: *mut sys::ggml_tensor,
    /// The result of every multiplication by each matrix; a graph takes some of them.
    small: Vec<*mut sys::ggml_tensor>,
    large: Vec<*mut sys::ggml_tensor>,
    /// Bytes of the large matrices.
    bytes: u64,
}

/// A graph of a probe, which owns its memory.
struct Graph {
    graph: *mut sys::ggml_cgraph,
    /// The result of its last node.
    last: *mut sys::ggml_tensor,
}

impl Probe {
    fn new(device: sys::ggml_backend_dev_t, ty: u32, threads: u32, room: u64) -> Option<Self> {
        if !is_weights(ty) {
            return None;
        }
        // SAFETY: `ty` is a type of ggml, and COLUMNS is a multiple of its block.
        let row = unsafe { sys::ggml_row_size(ty, COLUMNS) } as u64;
        let rows = i64::try_from(room / row / (MATRICES as u64 + 1)).ok()?.min(1 << 20);
        if rows < FEW_ROWS {
            return None;
        }
        // SAFETY: the device comes from the registry, and null means no parameters.
        let backend = unsafe { sys::ggml_backend_dev_init(device, ptr::null()) };
        if backend.is_null() {
            return None;
        }
        let nodes = MATRICES + EMPTY_NODES;
        // SAFETY: both only compute sizes.
        let size = unsafe {
            sys::ggml_tensor_overhead() * (2 * nodes + 8)
                + 4 * sys::ggml_graph_overhead_custom(nodes + 8, false)
        };
        let params = sys::ggml_init_params { mem_size: size, mem_buffer: ptr::null_mut(), no_alloc: true };
        // SAFETY: ggml allocates the memory itself.
        let context = unsafe { sys::ggml_init(params) };
        let mut probe = Self {
            backend,
            context,
            buffer: ptr::null_mut(),
            vector: ptr::null_mut(),
            small: Vec::new(),
            large: Vec::new(),
            bytes: row * u64::try_from(rows).ok()? * MATRICES as u64,
        };
        if context.is_null() {
            return None;
        }
        // SAFETY: the context is valid and has room for these tensors; 0 is F32.
        unsafe {
            if sys::ggml_backend_is_cpu(backend) {
                sys::ggml_backend_cpu_set_n_threads(
                    backend,
                    i32::try_from(threads.max(1)).unwrap_or(i32::MAX),
                );
            }
            probe.vector = sys::ggml_new_tensor_2d(context, sys::GGML_TYPE_F32, COLUMNS, 1);
            let few = sys::ggml_new_tensor_2d(context, ty, COLUMNS, FEW_ROWS);
            for _ in 0..EMPTY_NODES {
                probe.small.push(sys::ggml_mul_mat(context, few, probe.vector));
            }
            for _ in 0..MATRICES {
                let matrix = sys::ggml_new_tensor_2d(context, ty, COLUMNS, rows);
                probe.large.push(sys::ggml_mul_mat(context, matrix, probe.vector));
            }
            if !sys::ggml_backend_dev_supports_op(device, probe.large[0]) {
                return None;
            }
            probe.buffer = sys::ggml_backend_alloc_ctx_tensors(context, backend);
            if probe.buffer.is_null() {
                return None;
            }
            // Zeros are valid weights of every type, and every page is written, so that it exists.
            sys::ggml_backend_buffer_clear(probe.buffer, 0);
        }
        Some(probe)
    }

    /// The graph of the first `count` results.
    fn graph(&self, results: &[*mut sys::ggml_tensor], count: usize) -> Option<Graph> {
        // SAFETY: the context is valid, and has room for four graphs of this size.
        let graph = unsafe { sys::ggml_new_graph_custom(self.context, MATRICES + EMPTY_NODES + 8, false) };
        if graph.is_null() {
            return None;
        }
        let results = results.get(..count)?;
        for &result in results {
            // SAFETY: the graph and the tensor are of this context.
            unsafe { sys::ggml_build_forward_expand(graph, result) };
        }
        Some(Graph { graph, last: *results.last()? })
    }

    /// The shortest time of a run, which other processes disturb least.
    fn time(&self, graph: &Graph, time: Duration) -> Option<Duration> {
        self.run(graph)?;
        let (begin, mut best, mut runs) = (Instant::now(), Duration::MAX, 0);
        while runs < RUNS || begin.elapsed() < time {
            let start = Instant::now();
            self.run(graph)?;
            best = best.min(start.elapsed());
            runs += 1;
        }
        Some(best)
    }

    fn run(&self, graph: &Graph) -> Option<()> {
        // SAFETY: all tensors of the graph are allocated on this backend.
        let status = unsafe { sys::ggml_backend_graph_compute(self.backend, graph.graph) };
        if status != sys::GGML_STATUS_SUCCESS {
            return None;
        }
        // A worker answers only when it is asked for the result.
        let mut value = 0f32;
        // SAFETY: the result is a tensor of F32 with at least one element, and `value` has room for one.
        unsafe { sys::ggml_backend_tensor_get(graph.last, (&raw mut value).cast(), 0, size_of::<f32>()) };
        Some(())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: each is null, which is allowed for all but the backend, or valid and owned by this probe; graphs of the
        // context are not used any longer.
        unsafe {
            if !self.buffer.is_null() {
                sys::ggml_backend_buffer_free(self.buffer);
            }
            if !self.context.is_null() {
                sys::ggml_free(self.context);
            }
            sys::ggml_backend_free(self.backend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::kernel_tests::default_version;

    /// ggml's number of `Q8_0`.
    const Q8_0: u32 = 8;

    #[test]
    fn the_cpu_is_measured() {
        let _version = default_version();
        let speed = measure("CPU", Q8_0, 2, 16 << 20, Duration::from_millis(40)).unwrap();
        assert!((1e7..1e13).contains(&speed.bytes_per_second), "{speed:?}");
        assert!(speed.start < Duration::from_secs(1) && speed.node < Duration::from_millis(50), "{speed:?}");
    }

    #[test]
    fn without_memory_or_a_device_nothing_is_measured() {
        let time = Duration::from_millis(1);
        assert_eq!(measure("CPU", Q8_0, 1, 1000, time), None);
        assert_eq!(measure("CUDA99", Q8_0, 1, 1 << 20, time), None);
    }

    #[test]
    fn only_types_of_weights_are_measured() {
        // One that is gone, `I32`, the number of types, and others above it.
        for ty in [4, 26, sys::GGML_TYPE_COUNT, 1000, u32::MAX] {
            assert_eq!(measure("CPU", ty, 1, 1 << 20, Duration::from_millis(1)), None, "{ty}");
        }
    }
}
