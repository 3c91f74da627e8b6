//! Measures how fast a device multiplies quantized weights by one vector, the work of writing an answer, or by several.
#![expect(unsafe_code, reason = "computes a graph of ggml, which the binding does not export")]

use std::ffi::{CStr, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

use super::{backend, busy, devices};

/// The length of the vector, a multiple of every type's block.
const COLUMNS: i64 = 2048;
/// The number of matrices, each of which is a node of the graph.
const MATRICES: usize = 32;
/// The number of nodes by which the time of a node without work is measured.
const EMPTY_NODES: usize = 256;
/// Rows of a matrix that is too small to take time. Kernels take whole multiples of this.
const FEW_ROWS: i64 = 16;
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

/// What a device multiplies when it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplication {
    /// ggml's number of the weights' type.
    pub ty: u32,
    /// Whether the weights are repacked for the CPU.
    pub repacked: bool,
    /// The number of vectors that they are multiplied by together.
    pub vectors: u32,
}

impl Multiplication {
    /// The work of one token: by one vector, in the layout of a file.
    #[must_use]
    pub fn one_token(ty: u32) -> Self {
        Self { ty, repacked: false, vectors: 1 }
    }

    /// Many vectors take time enough with few matrices.
    fn matrices(self) -> usize {
        (MATRICES / self.vectors.max(1) as usize).max(1)
    }
}

/// Measures a device, by its name, for about `time`. It allocates at most `room` bytes of weights on it. `None` if there is no
/// such type of weights, or the device cannot compute with it, or fails.
#[must_use]
pub fn measure(
    device: &str,
    what: Multiplication,
    threads: u32,
    room: u64,
    time: Duration,
) -> Option<DeviceSpeed> {
    busy::calling(|| measured(devices::find(device)?, what, threads, room, time))
}

fn measured(
    device: sys::ggml_backend_dev_t,
    what: Multiplication,
    threads: u32,
    room: u64,
    time: Duration,
) -> Option<DeviceSpeed> {
    // Computing starts threads, which read the NUMA setting.
    backend::close_numa();
    let probe = Probe::new(device, what, threads, room)?;
    let start = probe.time(&probe.graph(&probe.small, 1)?, time / 4)?;
    let empty = probe.time(&probe.graph(&probe.small, EMPTY_NODES)?, time / 4)?;
    let full = probe.time(&probe.graph(&probe.large, what.matrices())?, time / 2)?;
    let nodes = u32::try_from(EMPTY_NODES - 1).unwrap_or(u32::MAX);
    let node = empty.saturating_sub(start) / nodes;
    let overhead = start + node * u32::try_from(what.matrices()).unwrap_or(u32::MAX);
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

/// A context for tensors that are allocated elsewhere, and for four graphs of them. Null if there is no memory.
pub(super) fn context(tensors: usize) -> *mut sys::ggml_context {
    // SAFETY: both only compute sizes.
    let size = unsafe {
        sys::ggml_tensor_overhead() * 2 * tensors + 4 * sys::ggml_graph_overhead_custom(tensors, false)
    };
    let params = sys::ggml_init_params { mem_size: size, mem_buffer: ptr::null_mut(), no_alloc: true };
    // SAFETY: ggml allocates the memory itself.
    unsafe { sys::ggml_init(params) }
}

/// The buffer type in which weights are repacked for the CPU.
fn repacking() -> Option<sys::ggml_backend_buffer_type_t> {
    let list = backend::procedure(c"CPU", c"ggml_backend_dev_get_extra_bufts")?;
    let device = devices::find("CPU")?;
    // SAFETY: under this name ggml has a function of this type.
    let list = unsafe { std::mem::transmute::<*mut c_void, ExtraBuffers>(list) };
    // SAFETY: the device is the CPU's, and the function returns null or a list that ends with a null and is never freed.
    let mut next = unsafe { list(device) };
    while !next.is_null() {
        // SAFETY: the list has not ended yet.
        let buffer = unsafe { *next };
        if buffer.is_null() {
            return None;
        }
        // SAFETY: buffer types live as long as the process, and so do their names, which end with a zero.
        if unsafe { CStr::from_ptr(sys::ggml_backend_buft_name(buffer)) } == c"CPU_REPACK" {
            return Some(buffer);
        }
        // SAFETY: the list ends with a null, and this was not the end.
        next = unsafe { next.add(1) };
    }
    None
}

type ExtraBuffers = unsafe extern "C" fn(sys::ggml_backend_dev_t) -> *mut sys::ggml_backend_buffer_type_t;

/// Tensors on a device.
struct Probe {
    backend: sys::ggml_backend_t,
    context: *mut sys::ggml_context,
    buffer: *mut sys::ggml_backend_buffer,
    /// The matrices are apart: they may have a buffer of another type.
    weights: *mut sys::ggml_context,
    weights_buffer: *mut sys::ggml_backend_buffer,
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
    fn new(device: sys::ggml_backend_dev_t, what: Multiplication, threads: u32, room: u64) -> Option<Self> {
        let Multiplication { ty, repacked, vectors } = what;
        if !is_weights(ty) {
            return None;
        }
        let layout = if repacked { Some(repacking()?) } else { None };
        // SAFETY: `ty` is a type of ggml, and COLUMNS is a multiple of its block.
        let row = unsafe { sys::ggml_row_size(ty, COLUMNS) } as u64;
        let rows = i64::try_from(room / row / (MATRICES as u64 + 1)).ok()?.min(1 << 20);
        let rows = rows / FEW_ROWS * FEW_ROWS;
        if rows < FEW_ROWS {
            return None;
        }
        // SAFETY: the device comes from the registry, and null means no parameters.
        let backend = unsafe { sys::ggml_backend_dev_init(device, ptr::null()) };
        if backend.is_null() {
            return None;
        }
        let nodes = MATRICES + EMPTY_NODES;
        let mut probe = Self {
            backend,
            context: context(nodes + 8),
            buffer: ptr::null_mut(),
            weights: context(MATRICES + 8),
            weights_buffer: ptr::null_mut(),
            vector: ptr::null_mut(),
            small: Vec::new(),
            large: Vec::new(),
            bytes: row * u64::try_from(rows).ok()? * what.matrices() as u64,
        };
        let Self { context, weights, .. } = probe;
        if context.is_null() || weights.is_null() {
            return None;
        }
        // SAFETY: the contexts are valid and have room for these tensors; 0 is F32. `layout` is a buffer type of this
        // device, and the buffers live as long as the probe.
        unsafe {
            if sys::ggml_backend_is_cpu(backend) {
                sys::ggml_backend_cpu_set_n_threads(
                    backend,
                    i32::try_from(threads.max(1)).unwrap_or(i32::MAX),
                );
            }
            probe.vector =
                sys::ggml_new_tensor_2d(context, sys::GGML_TYPE_F32, COLUMNS, i64::from(vectors.max(1)));
            let few = sys::ggml_new_tensor_2d(weights, ty, COLUMNS, FEW_ROWS);
            for _ in 0..EMPTY_NODES {
                probe.small.push(sys::ggml_mul_mat(context, few, probe.vector));
            }
            for _ in 0..what.matrices() {
                let matrix = sys::ggml_new_tensor_2d(weights, ty, COLUMNS, rows);
                probe.large.push(sys::ggml_mul_mat(context, matrix, probe.vector));
            }
            probe.weights_buffer = layout.map_or_else(
                || sys::ggml_backend_alloc_ctx_tensors(weights, backend),
                |layout| sys::ggml_backend_alloc_ctx_tensors_from_buft(weights, layout),
            );
            // Only now is it known whether the weights are repacked.
            if probe.weights_buffer.is_null() || !sys::ggml_backend_dev_supports_op(device, probe.large[0]) {
                return None;
            }
            probe.buffer = sys::ggml_backend_alloc_ctx_tensors(context, backend);
            if probe.buffer.is_null() {
                return None;
            }
            // Zeros are valid weights of every type and layout, and every page is written, so that it exists.
            sys::ggml_backend_buffer_clear(probe.weights_buffer, 0);
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
            for buffer in [self.buffer, self.weights_buffer] {
                if !buffer.is_null() {
                    sys::ggml_backend_buffer_free(buffer);
                }
            }
            for context in [self.context, self.weights] {
                if !context.is_null() {
                    sys::ggml_free(context);
                }
            }
            sys::ggml_backend_free(self.backend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::kernel_tests::default_version;

    /// ggml's numbers of types.
    const Q4_0: u32 = 2;
    const Q8_0: u32 = 8;
    const BF16: u32 = 30;

    #[test]
    fn the_cpu_is_measured() {
        let _version = default_version();
        let speed =
            measure("CPU", Multiplication::one_token(Q8_0), 2, 16 << 20, Duration::from_millis(40)).unwrap();
        assert!((1e7..1e13).contains(&speed.bytes_per_second), "{speed:?}");
        assert!(speed.start < Duration::from_secs(1) && speed.node < Duration::from_millis(50), "{speed:?}");
    }

    #[test]
    fn repacked_weights_and_several_vectors_are_measured() {
        let _version = default_version();
        let time = Duration::from_millis(20);
        for (repacked, vectors) in [(false, 64), (true, 1), (true, 64)] {
            let what = Multiplication { ty: Q4_0, repacked, vectors };
            let speed = measure("CPU", what, 2, 16 << 20, time);
            // There is no repacked layout for every processor.
            if cfg!(target_feature = "avx2") || !repacked {
                assert!((1e6..1e13).contains(&speed.unwrap().bytes_per_second), "{what:?}: {speed:?}");
            }
        }
        let never = Multiplication { ty: BF16, repacked: true, vectors: 1 };
        assert_eq!(measure("CPU", never, 1, 16 << 20, time), None);
    }

    #[test]
    fn without_memory_or_a_device_nothing_is_measured() {
        let time = Duration::from_millis(1);
        assert_eq!(measure("CPU", Multiplication::one_token(Q8_0), 1, 1000, time), None);
        assert_eq!(measure("CUDA99", Multiplication::one_token(Q8_0), 1, 1 << 20, time), None);
    }

    #[test]
    fn only_types_of_weights_are_measured() {
        // One that is gone, `I32`, the number of types, and others above it.
        for ty in [4, 26, sys::GGML_TYPE_COUNT, 1000, u32::MAX] {
            assert_eq!(
                measure("CPU", Multiplication::one_token(ty), 1, 1 << 20, Duration::from_millis(1)),
                None,
                "{ty}"
            );
        }
    }
}
