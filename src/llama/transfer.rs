//! Measures how fast main memory is copied to a device.
#![expect(unsafe_code, reason = "copies to a tensor of ggml, which the binding does not export")]

use std::ptr;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

use super::{busy, devices, probe};

/// Bytes of a copy: about an expert tensor of a large model, and more than most caches.
const COPY: usize = 64 << 20;
/// Blocks of main memory that are copied in turn, so that none is in a cache.
const BLOCKS: usize = 2;
/// The minimum number of copies.
const RUNS: usize = 3;

/// Bytes per second that are copied from main memory to a device, by its name, measured for about `time`. It allocates at
/// most `room` bytes there. `None` if there is no such device, or if it has no room.
///
/// The memory is not pinned: neither is a mapped file, from which weights are copied.
#[must_use]
pub fn measure_transfer(device: &str, room: u64, time: Duration) -> Option<f64> {
    let bytes = COPY.min(usize::try_from(room).unwrap_or(usize::MAX)) / size_of::<f32>() * size_of::<f32>();
    if bytes == 0 {
        return None;
    }
    busy::calling(|| measured(devices::find(device)?, bytes, time))
}

fn measured(device: sys::ggml_backend_dev_t, bytes: usize, time: Duration) -> Option<f64> {
    let target = Target::new(device, bytes)?;
    let blocks = vec![1u8; BLOCKS * bytes];
    let mut blocks = blocks.chunks_exact(bytes).cycle();
    // The first copy may set up buffers of the driver.
    target.copy(blocks.next()?);
    let (begin, mut best, mut runs) = (Instant::now(), Duration::MAX, 0);
    while runs < RUNS || begin.elapsed() < time {
        let start = Instant::now();
        target.copy(blocks.next()?);
        best = best.min(start.elapsed());
        runs += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = bytes as f64 / best.as_secs_f64().max(1e-9);
    Some(rate)
}

/// A tensor of F32 on a device.
struct Target {
    backend: sys::ggml_backend_t,
    context: *mut sys::ggml_context,
    buffer: *mut sys::ggml_backend_buffer,
    tensor: *mut sys::ggml_tensor,
    bytes: usize,
}

impl Target {
    fn new(device: sys::ggml_backend_dev_t, bytes: usize) -> Option<Self> {
        let length = i64::try_from(bytes / size_of::<f32>()).ok()?;
        // SAFETY: the device comes from the registry, and null means no parameters.
        let backend = unsafe { sys::ggml_backend_dev_init(device, ptr::null()) };
        if backend.is_null() {
            return None;
        }
        let context = probe::context(1);
        let mut target = Self { backend, context, buffer: ptr::null_mut(), tensor: ptr::null_mut(), bytes };
        if context.is_null() {
            return None;
        }
        // SAFETY: the context has room for a tensor, and the backend lives as long as the buffer.
        unsafe {
            target.tensor = sys::ggml_new_tensor_1d(context, sys::GGML_TYPE_F32, length);
            target.buffer = sys::ggml_backend_alloc_ctx_tensors(context, backend);
        }
        (!target.buffer.is_null()).then_some(target)
    }

    /// Copies a block of the tensor's size, and waits until it is there.
    fn copy(&self, block: &[u8]) {
        assert_eq!(block.len(), self.bytes, "as long as the tensor");
        // SAFETY: the tensor is allocated, and the block has as many bytes as it. The first call returns when the block can
        // be changed, the second when the device has it.
        unsafe {
            sys::ggml_backend_tensor_set(self.tensor, block.as_ptr().cast(), 0, block.len());
            sys::ggml_backend_synchronize(self.backend);
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // SAFETY: each is null or valid, owned by this value, and not used any longer.
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

    #[test]
    fn a_copy_to_a_device_is_measured() {
        // The CPU is a device, too.
        let rate = measure_transfer("CPU", 8 << 20, Duration::from_millis(10)).unwrap();
        assert!((1e7..1e13).contains(&rate), "{rate}");
    }

    #[test]
    fn without_memory_or_a_device_no_copy_is_measured() {
        let time = Duration::from_millis(1);
        assert_eq!(measure_transfer("CPU", 0, time), None);
        assert_eq!(measure_transfer("CUDA99", 1 << 20, time), None);
    }
}
