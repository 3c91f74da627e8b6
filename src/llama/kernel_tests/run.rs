//! Computes one operation on the CPU backend.
#![expect(unsafe_code, reason = "builds and computes graphs of ggml, which the binding does not export")]

use std::cell::Cell;
use std::ptr;

use llama_cpp_sys_2 as sys;

use crate::llama::backend;

/// The tensors and graph nodes that an operation may consist of.
const NODES: usize = 64;

/// A tensor that an operation takes.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// ggml's number of its type.
    pub(super) ty: u32,
    /// The numbers of its elements, the innermost first.
    pub(super) shape: [usize; 4],
    pub(super) bytes: Vec<u8>,
}

impl Input {
    pub(super) fn f32(shape: [usize; 4], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { ty: sys::GGML_TYPE_F32, shape, bytes }
    }

    pub(super) fn i32(shape: [usize; 4], values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { ty: sys::GGML_TYPE_I32, shape, bytes }
    }
}

/// An operation: its inputs, and the function that makes its result of their tensors.
pub(super) struct Op<'a> {
    pub(super) inputs: Vec<Input>,
    pub(super) build: Build<'a>,
}

/// Makes the result, a contiguous tensor of F32, which is the last node of the graph. It may add nodes before it.
pub(super) type Build<'a> =
    &'a dyn Fn(*mut sys::ggml_context, &[*mut sys::ggml_tensor]) -> *mut sys::ggml_tensor;

/// The result of an operation, computed by this number of threads.
pub(super) fn run(op: &Op<'_>, threads: usize) -> Vec<f32> {
    run_in_place(op, threads).0
}

/// The result of an operation, and the bytes of its inputs afterwards.
pub(super) fn run_in_place(op: &Op<'_>, threads: usize) -> (Vec<f32>, Vec<Vec<u8>>) {
    let graph = Graph::new(op, threads);
    (graph.compute(), graph.inputs.iter().map(|&input| read(input)).collect())
}

/// The result of an operation, and the bytes of the node before it that `build` has put into the cell. All bits are set
/// in a node that was not computed.
pub(super) fn run_with_node(
    op: &Op<'_>,
    threads: usize,
    node: &Cell<*mut sys::ggml_tensor>,
) -> (Vec<f32>, Vec<u8>) {
    let graph = Graph::new(op, threads);
    (graph.compute(), read(node.get()))
}

fn read(tensor: *mut sys::ggml_tensor) -> Vec<u8> {
    // SAFETY: the tensor is valid, contiguous and allocated, and the buffer has its size.
    unsafe {
        let mut bytes = vec![0u8; sys::ggml_nbytes(tensor)];
        sys::ggml_backend_tensor_get(tensor, bytes.as_mut_ptr().cast(), 0, bytes.len());
        bytes
    }
}

/// The graph of one operation, with its inputs set.
struct Graph {
    backend: sys::ggml_backend_t,
    context: *mut sys::ggml_context,
    buffer: *mut sys::ggml_backend_buffer,
    nodes: *mut sys::ggml_cgraph,
    inputs: Vec<*mut sys::ggml_tensor>,
    result: *mut sys::ggml_tensor,
}

impl Graph {
    fn new(op: &Op<'_>, threads: usize) -> Self {
        // Computing starts threads, which read the NUMA setting.
        backend::close_numa();
        let threads = i32::try_from(threads).expect("a small number");
        // SAFETY: the calls only compute sizes, create objects that nothing else has, and set the number of threads. The
        // context has room for `NODES` tensors and one graph.
        let (backend, context) = unsafe {
            let backend = sys::ggml_backend_cpu_init();
            sys::ggml_backend_cpu_set_n_threads(backend, threads);
            let mem_size =
                sys::ggml_tensor_overhead() * NODES + sys::ggml_graph_overhead_custom(NODES, false);
            let params = sys::ggml_init_params { mem_size, mem_buffer: ptr::null_mut(), no_alloc: true };
            (backend, sys::ggml_init(params))
        };
        assert!(!backend.is_null() && !context.is_null());
        let mut graph = Self {
            backend,
            context,
            buffer: ptr::null_mut(),
            nodes: ptr::null_mut(),
            inputs: op.inputs.iter().map(|input| tensor(context, input)).collect(),
            result: ptr::null_mut(),
        };
        graph.result = (op.build)(context, &graph.inputs);
        // SAFETY: the result is a valid tensor of the context, which has room for a graph.
        unsafe {
            assert_eq!((*graph.result).type_, sys::GGML_TYPE_F32);
            assert!(sys::ggml_is_contiguous(graph.result));
            graph.nodes = sys::ggml_new_graph_custom(context, NODES, false);
            sys::ggml_build_forward_expand(graph.nodes, graph.result);
            graph.buffer = sys::ggml_backend_alloc_ctx_tensors(context, backend);
            assert!(!graph.buffer.is_null());
            // Every value is NaN until it is written.
            sys::ggml_backend_buffer_clear(graph.buffer, 0xff);
        }
        for (&tensor, input) in graph.inputs.iter().zip(&op.inputs) {
            // SAFETY: the tensor is allocated, and has as many bytes.
            unsafe {
                assert_eq!(sys::ggml_nbytes(tensor), input.bytes.len());
                sys::ggml_backend_tensor_set(tensor, input.bytes.as_ptr().cast(), 0, input.bytes.len());
            }
        }
        graph
    }

    /// The values of the result.
    fn compute(&self) -> Vec<f32> {
        // SAFETY: all tensors of the graph are allocated on this backend.
        let status = unsafe { sys::ggml_backend_graph_compute(self.backend, self.nodes) };
        assert_eq!(status, sys::GGML_STATUS_SUCCESS);
        let bytes = read(self.result);
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

fn tensor(context: *mut sys::ggml_context, input: &Input) -> *mut sys::ggml_tensor {
    let shape = input.shape.map(|n| i64::try_from(n).expect("a small number"));
    // SAFETY: the context is valid and has room for the tensor, and the shape has four numbers.
    unsafe { sys::ggml_new_tensor(context, input.ty, 4, shape.as_ptr()) }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: each is null, which freeing buffers allows, or valid and owned by this graph, whose tensors are not
        // used any longer.
        unsafe {
            sys::ggml_backend_buffer_free(self.buffer);
            sys::ggml_free(self.context);
            sys::ggml_backend_free(self.backend);
        }
    }
}

#[test]
fn an_operation_is_computed_and_its_inputs_are_read_back() {
    let (a, b) = (Input::f32([3, 1, 1, 1], &[1.0, 2.0, 3.0]), Input::f32([3, 1, 1, 1], &[0.5, 4.0, -3.0]));
    let bytes = [a.bytes.clone(), b.bytes.clone()];
    // SAFETY: both tensors are of the context and of the same shape.
    let add = |context, inputs: &[_]| unsafe { sys::ggml_add(context, inputs[0], inputs[1]) };
    let (values, inputs) = run_in_place(&Op { inputs: vec![a, b], build: &add }, 2);
    assert_eq!(values, [1.5, 6.0, 0.0]);
    assert_eq!(inputs, bytes);
}
