//! Clients that send anything: the worker goes on serving.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ggrun::model::rpc;

use super::Worker;
use super::client::*;

const Q4_0: u32 = 2;
/// Operations by their number in llama.cpp; `GGML_OP_COUNT` is one more than the last.
const MUL_MAT: u32 = 29;
const CUSTOM: [u32; 4] = [92, 93, 94, 95];
const OP_COUNT: u32 = 101;
/// The size of the buffer that messages refer to.
const BYTES: u64 = 4096;

/// Asserts that the worker still serves, and that no client's process ended by a signal.
#[track_caller]
fn survived(worker: Worker) {
    rpc::greet(&worker.endpoint).unwrap();
    Client::of(&worker).is_served();
    worker.signal("INT");
    let (code, _, err) = worker.end();
    assert_eq!(code, Some(130), "{err}");
    assert!(!err.contains("ended with"), "{err}");
}

#[test]
fn a_worker_survives_invalid_messages() {
    let worker = Worker::start();
    let greetings: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        Vec::new(),
        message(HELLO, &[0; 3]),
        message(HELLO, &[0; 1000]),
    ];
    for bytes in greetings {
        Client::silent(&worker).send(&bytes);
        rpc::greet(&worker.endpoint).unwrap();
    }
    let lengths =
        [u64::MAX, 1 << 63, 1 << 60, 1 << 40].map(|n| [&[SET_TENSOR][..], &n.to_le_bytes()].concat());
    let graphs = [u64::MAX, 1 << 40].map(|n| [&[GRAPH_COMPUTE][..], &n.to_le_bytes()].concat());
    let unknown = [message(99, &[]), message(255, &[]), vec![INIT_TENSOR, 1], message(INIT_TENSOR, &[7; 12])];
    for bytes in lengths.into_iter().chain(graphs).chain(unknown) {
        Client::greeted(&worker).send(&bytes);
        rpc::greet(&worker.endpoint).unwrap();
    }
    survived(worker);
}

/// The messages that refer to a buffer of [`BYTES`] bytes and that a worker refuses, with a name.
fn impossible(buffer: (u64, u64)) -> Vec<(String, Vec<u8>)> {
    let (handle, base) = buffer;
    let plain = Tensor::at(buffer);
    let two = Tensor { id: 2, ..plain };
    let mut all = Vec::new();
    let mut add = |name: &str, message: Vec<u8>| all.push((name.to_owned(), message));
    let tensors = [
        ("a product over 2^63", Tensor { ne: [u32::MAX; 4], ..plain }),
        ("a product of 2^64", Tensor { ne: [1 << 16; 4], nb: [4, 0, 0, 0], ..plain }),
        ("a product over 2^63 of blocks", Tensor { ty: Q4_0, ne: [1 << 31; 4], ..plain }),
        ("strides over 2^63", Tensor { ne: [u32::MAX, u32::MAX, 1, 1], nb: [u32::MAX; 4], ..plain }),
        ("more than the buffer", Tensor { ne: [2000, 1, 1, 1], ..plain }),
        ("a stride out of the buffer", Tensor { ne: [1, 2, 1, 1], nb: [4, u32::MAX, 4, 4], ..plain }),
        ("data after the buffer", Tensor { data: base + BYTES, ..plain }),
        ("data before the buffer", Tensor { data: base - 4, ..plain }),
        ("data at the end of memory", Tensor { data: u64::MAX - 8, ..plain }),
        ("a part of a block", Tensor { ty: Q4_0, ne: [33, 1, 1, 1], ..plain }),
        ("an unknown type", Tensor { ty: 77, ..plain }),
        ("a removed type", Tensor { ty: 4, ..plain }),
        ("an unknown operation", Tensor { op: OP_COUNT, ..plain }),
        ("an operation of u32::MAX", Tensor { op: u32::MAX, ..plain }),
    ];
    for (name, tensor) in tensors {
        add(&format!("INIT_TENSOR with {name}"), message(INIT_TENSOR, &tensor.bytes()));
        let with_source = Tensor { id: 2, op: MUL_MAT, src: [1, 1], ..plain };
        add(&format!("GRAPH_COMPUTE with a source with {name}"), graph(&[2], &[tensor, with_source]));
    }
    // Every other command that takes a tensor.
    for (name, tensor) in [tensors[0], tensors[3], tensors[8]] {
        let bytes = tensor.bytes();
        let part: Vec<u8> = [0u64, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
        add(&format!("SET_TENSOR with {name}"), message(SET_TENSOR, &[&bytes[..], &[0; 9 + 4]].concat()));
        add(&format!("GET_TENSOR with {name}"), message(GET_TENSOR, &[&bytes[..], &part].concat()));
        add(
            &format!("MEMSET_TENSOR with {name}"),
            message(MEMSET_TENSOR, &[&bytes[..], &part, &[0]].concat()),
        );
        add(
            &format!("COPY_TENSOR from {name}"),
            message(COPY_TENSOR, &[bytes.clone(), two.bytes()].concat()),
        );
        add(&format!("COPY_TENSOR to {name}"), message(COPY_TENSOR, &[two.bytes(), bytes.clone()].concat()));
        let sized = [&[0; 4][..], &bytes, &[0; 296 * 10]].concat();
        add(&format!("GET_ALLOC_SIZE of {name}"), message(GET_ALLOC_SIZE, &sized));
        add(&format!("GRAPH_COMPUTE with {name}"), graph(&[1], &[tensor]));
    }
    // Inside of the buffer, outside of the tensor.
    let part = |offset: u64, size: u64| {
        [plain.bytes(), offset.to_le_bytes().to_vec(), size.to_le_bytes().to_vec()].concat()
    };
    for (offset, size) in
        [(0, 65), (64, 1), (u64::MAX, 1), (u64::MAX, 2), (8, u64::MAX), (0, u64::MAX), (1 << 63, 1 << 63)]
    {
        add(&format!("GET_TENSOR of {size} from {offset}"), message(GET_TENSOR, &part(offset, size)));
        let memset = [part(offset, size), vec![1]].concat();
        add(&format!("MEMSET_TENSOR of {size} from {offset}"), message(MEMSET_TENSOR, &memset));
    }
    for (offset, size) in [(0, 65), (64, 1), (u64::MAX, 1), (u64::MAX, 2), (1 << 63, 8)] {
        let bytes = [plain.bytes(), vec![0], u64::to_le_bytes(offset).to_vec(), vec![7; size]].concat();
        add(&format!("SET_TENSOR of {size} from {offset}"), message(SET_TENSOR, &bytes));
    }
    for op in CUSTOM {
        add(&format!("a custom operation {op}"), graph(&[1], &[Tensor { op, ..plain }]));
    }
    add("a graph without nodes", graph(&[], &[]));
    add("a graph without its tensors", graph(&[1, 2, 3], &[]));
    add("a node without an id", graph(&[0], &[plain]));
    add("a node that occurs twice", graph(&[1, 1], &[plain]));
    add("a source that is missing", graph(&[1], &[Tensor { src: [9, 9], op: MUL_MAT, ..plain }]));
    let chain: Vec<Tensor> = (1..=20_000).map(|id| Tensor { id, src: [id + 1, 0], ..plain }).collect();
    add("a chain of 20,000 tensors", graph(&[1], &chain));
    for (name, nodes, tensors) in [("nodes", u32::MAX, 0), ("tensors", 0, u32::MAX)] {
        let counts = [0, nodes, tensors].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        add(&format!("a graph of 2^32 {name} that are missing"), message(GRAPH_COMPUTE, &counts));
    }
    for n in [0, 1, 4, 11] {
        add(&format!("a graph of {n} bytes"), message(GRAPH_COMPUTE, &vec![0; n]));
        add(&format!("SET_TENSOR of {n} bytes"), message(SET_TENSOR, &vec![0; n]));
    }
    for wrong in [0, handle + 8] {
        let bytes = wrong.to_le_bytes();
        add(&format!("FREE_BUFFER of {wrong}"), message(FREE_BUFFER, &bytes));
        add(&format!("BUFFER_CLEAR of {wrong}"), message(BUFFER_CLEAR, &[&bytes[..], &[0]].concat()));
        add(&format!("BUFFER_GET_BASE of {wrong}"), message(BUFFER_GET_BASE, &bytes));
    }
    for device in [1u32] {
        let bytes = device.to_le_bytes();
        for command in [GET_ALIGNMENT, GET_MAX_SIZE, GET_DEVICE_MEMORY, GRAPH_RECOMPUTE] {
            add(&format!("command {command} for device {device}"), message(command, &bytes));
        }
        add(
            &format!("ALLOC_BUFFER on device {device}"),
            message(ALLOC_BUFFER, &[&bytes[..], &[0; 8]].concat()),
        );
        add(
            &format!("GET_ALLOC_SIZE on device {device}"),
            message(GET_ALLOC_SIZE, &[&bytes[..], &[0; 296 * 11]].concat()),
        );
    }
    add("GRAPH_RECOMPUTE without a graph", message(GRAPH_RECOMPUTE, &0u32.to_le_bytes()));
    add("a second HELLO", message(HELLO, &[0; 24]));
    all
}

#[test]
fn impossible_messages_are_refused() {
    let worker = Worker::start();
    let count = impossible((0, BYTES)).len();
    assert!(count > 90, "{count}");
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count) {
            let mut client = Client::greeted(&worker);
            let buffer = client.buffer(BYTES);
            let (name, bytes) = impossible(buffer).swap_remove(index);
            client.send(&bytes);
            // An answer to the next command would say that the message was taken.
            client.send(&message(DEVICE_COUNT, &[]));
            assert!(client.answer().is_none(), "{name}");
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    survived(worker);
}

#[test]
fn a_buffer_that_memory_does_not_have_is_not_allocated_and_possible_messages_are_answered() {
    let worker = Worker::start();
    let mut client = Client::of(&worker);
    for bytes in [u64::MAX, u64::MAX - 31, u64::MAX - 63, 1 << 63, 1 << 50] {
        assert_eq!(client.buffer(bytes), (0, 0), "{bytes}");
    }
    let tensor = Tensor::at(client.buffer(BYTES));
    let numbers: Vec<u8> = (0..64).collect();
    client.send(&message(INIT_TENSOR, &tensor.bytes()));
    client.send(&message(SET_TENSOR, &[&tensor.bytes()[..], &[0; 9], &numbers].concat()));
    let part = [24u64, 40].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    client.send(&message(GET_TENSOR, &[tensor.bytes(), part].concat()));
    assert_eq!(client.answer().unwrap(), numbers[24..]);
    client.send(&message(SET_TENSOR_HASH, &[&tensor.bytes()[..], &[0; 16]].concat()));
    assert_eq!(client.answer().unwrap(), [0], "there is no cache");
    client.is_served();
    survived(worker);
}

#[test]
fn a_client_that_ends_its_process_ends_no_other() {
    let worker = Worker::start();
    let mut other = Client::of(&worker);
    let kept = other.buffer(BYTES);
    let mut client = Client::greeted(&worker);
    let buffer = client.buffer(BYTES);
    // A product without factors, which llama.cpp does not check.
    client.send(&graph(&[1], &[Tensor { op: MUL_MAT, ..Tensor::at(buffer) }]));
    client.ends();
    other.send(&message(BUFFER_GET_BASE, &kept.0.to_le_bytes()));
    assert_eq!(other.answer().unwrap(), kept.1.to_le_bytes());
    Client::of(&worker).is_served();
    worker.signal("INT");
    let (_, _, err) = worker.end();
    assert_eq!(
        err.matches("warning: client disconnected: the process that served it ended with signal").count(),
        1,
        "{err}"
    );
}
