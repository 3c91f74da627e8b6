//! A client that speaks llama.cpp's RPC by hand, to send what llama.cpp never would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::Worker;
use crate::deadline::PATIENCE;

pub(super) const ALLOC_BUFFER: u8 = 0;
pub(super) const GET_ALIGNMENT: u8 = 1;
pub(super) const GET_MAX_SIZE: u8 = 2;
pub(super) const BUFFER_GET_BASE: u8 = 3;
pub(super) const FREE_BUFFER: u8 = 4;
pub(super) const BUFFER_CLEAR: u8 = 5;
pub(super) const SET_TENSOR: u8 = 6;
pub(super) const SET_TENSOR_HASH: u8 = 7;
pub(super) const GET_TENSOR: u8 = 8;
pub(super) const COPY_TENSOR: u8 = 9;
pub(super) const GRAPH_COMPUTE: u8 = 10;
pub(super) const GET_DEVICE_MEMORY: u8 = 11;
pub(super) const INIT_TENSOR: u8 = 12;
pub(super) const GET_ALLOC_SIZE: u8 = 13;
pub(super) const HELLO: u8 = 14;
pub(super) const DEVICE_COUNT: u8 = 15;
pub(super) const GRAPH_RECOMPUTE: u8 = 16;
pub(super) const MEMSET_TENSOR: u8 = 17;

/// A message: command, length, bytes.
pub(super) fn message(command: u8, bytes: &[u8]) -> Vec<u8> {
    [&[command][..], &(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// A connection to a worker.
pub(super) struct Client(TcpStream);

impl Client {
    /// A connection on which nothing was sent.
    pub(super) fn silent(worker: &Worker) -> Self {
        let stream = TcpStream::connect((worker.endpoint.host.as_str(), worker.endpoint.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// A connection after a greeting.
    pub(super) fn greeted(worker: &Worker) -> Self {
        let mut client = Self::silent(worker);
        client.send(&message(HELLO, &[0; 24]));
        assert_eq!(client.answer().unwrap().len(), 28);
        client
    }

    /// A connection that is served.
    pub(super) fn of(worker: &Worker) -> Self {
        let mut client = Self::greeted(worker);
        client.is_served();
        client
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        // The worker may have closed the connection already.
        drop(self.0.write_all(bytes));
    }

    /// The next answer; `None` if the worker closed the connection.
    pub(super) fn answer(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 8];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(length)).unwrap()];
        self.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    #[track_caller]
    pub(super) fn is_served(&mut self) {
        self.send(&message(DEVICE_COUNT, &[]));
        assert_eq!(self.answer().as_deref(), Some(&1u32.to_le_bytes()[..]), "one device");
    }

    /// Waits until the worker closes the connection.
    #[track_caller]
    pub(super) fn ends(mut self) {
        assert!(self.answer().is_none(), "the worker answers");
    }

    /// Allocates a buffer, and returns its handle and its address.
    pub(super) fn buffer(&mut self, bytes: u64) -> (u64, u64) {
        let number = |bytes: Vec<u8>| u64::from_le_bytes(*bytes.first_chunk().unwrap());
        self.send(&message(ALLOC_BUFFER, &[&0u32.to_le_bytes()[..], &bytes.to_le_bytes()].concat()));
        let buffer = number(self.answer().unwrap());
        if buffer == 0 {
            return (0, 0);
        }
        self.send(&message(BUFFER_GET_BASE, &buffer.to_le_bytes()));
        (buffer, number(self.answer().unwrap()))
    }
}

/// A tensor as it is sent. By default a vector of 16 floats.
#[derive(Clone, Copy)]
pub(super) struct Tensor {
    pub(super) id: u64,
    pub(super) ty: u32,
    pub(super) buffer: u64,
    pub(super) data: u64,
    pub(super) ne: [u32; 4],
    pub(super) nb: [u32; 4],
    pub(super) op: u32,
    pub(super) src: [u64; 2],
}

impl Tensor {
    pub(super) fn at((buffer, data): (u64, u64)) -> Self {
        Self { id: 1, ty: 0, buffer, data, ne: [16, 1, 1, 1], nb: [4, 64, 64, 64], op: 0, src: [0; 2] }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_le_bytes().to_vec();
        bytes.extend(self.ty.to_le_bytes());
        bytes.extend(self.buffer.to_le_bytes());
        bytes.extend(self.ne.iter().chain(&self.nb).chain([&self.op]).flat_map(|n| n.to_le_bytes()));
        // Parameters and flags, then the sources, of which there are ten.
        bytes.extend([0; 64 + 4]);
        bytes.extend(self.src.iter().flat_map(|id| id.to_le_bytes()));
        bytes.extend([0; 8 * 8 + 8 + 8]);
        bytes.extend(self.data.to_le_bytes());
        // The name and the number of uses.
        bytes.extend([0; 64 + 4]);
        assert_eq!(bytes.len(), 296);
        bytes
    }
}

/// A graph of these nodes and tensors for the first device.
pub(super) fn graph(nodes: &[u64], tensors: &[Tensor]) -> Vec<u8> {
    let count = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let mut bytes = [count(0), count(nodes.len())].concat();
    bytes.extend(nodes.iter().flat_map(|id| id.to_le_bytes()));
    bytes.extend(count(tensors.len()));
    bytes.extend(tensors.iter().flat_map(Tensor::bytes));
    message(GRAPH_COMPUTE, &bytes)
}
