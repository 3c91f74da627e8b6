//! Decompresses zstd files of several frames.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The frames of a zstd file, in order.
pub(super) struct Frames<R: BufRead> {
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
    file: Option<R>,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(file: R) -> Self {
        Self { frame: None, file: Some(file) }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(out)?;
                if read > 0 || out.is_empty() {
                    return Ok(read);
                }
                self.file = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut file) = self.file.take() else { return Ok(0) };
            if file.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(file).map_err(io::Error::other)?);
        }
    }
}
