//! The input: a file, compressed or not, or a stream.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::error::Error;
use super::lines::Lines;

/// The lines of an input. They can be read on another thread.
pub type Source = Lines<Box<dyn BufRead + Send>>;

/// Bytes of the read buffer.
const BUFFER: usize = 1 << 16;

/// Opens a file, and decompresses it if its name ends in `.gz`, `.zst` or `.zstd`; `-` is standard input.
///
/// # Errors
///
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<Source, Error> {
    let wrong = |source| Error::Read { path: path.to_owned(), source };
    if path.as_os_str() == "-" {
        return Ok(Lines::new(Box::new(BufReader::with_capacity(BUFFER, io::stdin()))));
    }
    let file = BufReader::with_capacity(BUFFER, File::open(path).map_err(wrong)?);
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    let input: Box<dyn Read + Send> = match ending.as_deref() {
        // Compressed files may be concatenated.
        Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Some("zst" | "zstd") => Box::new(Frames { frame: None, file: Some(file) }),
        _ => return Ok(Lines::new(Box::new(file))),
    };
    Ok(Lines::new(Box::new(BufReader::with_capacity(BUFFER, input))))
}

/// The frames of a zstd file, in order.
struct Frames {
    frame: Option<ruzstd::decoding::StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>>,
    file: Option<BufReader<File>>,
}

impl Read for Frames {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(out)?;
                if read > 0 || out.is_empty() {
                    return Ok(read);
                }
                self.file = self.frame.take().map(ruzstd::decoding::StreamingDecoder::into_inner);
            }
            let Some(mut file) = self.file.take() else { return Ok(0) };
            if file.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?);
        }
    }
}
