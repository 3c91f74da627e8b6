//! Assigns tensors to output files, and tiles to file offsets.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::gguf::{self, Header, Metadata};
use crate::plan::Plan;
use crate::tile::tiles;

/// An output file of an export.
#[derive(Debug)]
pub struct OutputFile {
    /// Its final path.
    pub path: PathBuf,
    /// Its header.
    pub header: Header,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its tensors, as indices into the plan.
    pub tensors: Range<usize>,
}

/// A tile with its position in the output.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) tensor: usize,
    pub(super) rows: Range<u64>,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

pub(super) fn files(plan: &Plan, out: &Path, most: Option<u64>) -> Result<Vec<OutputFile>> {
    let ranges = split(plan, most.unwrap_or(u64::MAX));
    let count = ranges.len();
    let mut files = Vec::new();
    for (number, tensors) in ranges.into_iter().enumerate() {
        let (path, metadata) = if count == 1 {
            (out.to_owned(), plan.metadata.clone())
        } else {
            let own = if number == 0 { plan.metadata.clone() } else { Metadata::default() };
            let (no, of) = (small(number), small(count));
            (gguf::shard_path(out, u32::from(no) + 1, of.into()), with_split(own, no, of, plan.tensors.len()))
        };
        let listed =
            plan.tensors[tensors.clone()].iter().map(|t| (t.name.clone(), t.dims.clone(), t.ty())).collect();
        let header = Header::layout(metadata, listed)?;
        files.push(OutputFile { path, bytes: header.file_len(), header, tensors });
    }
    Ok(files)
}

fn with_split(mut metadata: Metadata, no: u16, count: u16, tensors: usize) -> Metadata {
    metadata.push(gguf::keys::SPLIT_NO, no);
    metadata.push(gguf::keys::SPLIT_COUNT, count);
    metadata.push(gguf::keys::SPLIT_TENSORS_COUNT, i32::try_from(tensors).unwrap_or(i32::MAX));
    metadata
}

fn small(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Splits the tensors, in order, into files with at most `most` bytes of data each, unless a single tensor is larger.
fn split(plan: &Plan, most: u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for (index, tensor) in plan.tensors.iter().enumerate() {
        if index > start && bytes.saturating_add(tensor.bytes()) > most {
            ranges.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += tensor.bytes();
    }
    ranges.push(start..plan.tensors.len());
    ranges
}

pub(super) fn places(plan: &Plan, files: &[OutputFile]) -> Vec<Place> {
    let mut places = Vec::new();
    for (file, output) in files.iter().enumerate() {
        for (tensor, info) in output.tensors.clone().zip(&output.header.tensors) {
            let row_bytes = plan.tensors[tensor].row_bytes();
            let start = output.header.data_offset + info.offset;
            places.extend(tiles(&plan.tensors[tensor]).into_iter().map(|rows| Place {
                file,
                tensor,
                offset: start + rows.start * row_bytes,
                bytes: (rows.end - rows.start) * row_bytes,
                rows,
            }));
        }
    }
    places
}
