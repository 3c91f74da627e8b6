//! Shards of a checkpoint of any size, generated from a seed where they are read and never stored.
//!
//! Codes are random, zero points in the middle, and floats have a random sign and mantissa at a magnitude that suits
//! their place, so that a model of them computes finite numbers.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;

use crate::header_only::{HeaderOnly, Outline, divided, shards, write_index};
use crate::rng::Rng;
use crate::safetensors::{self, Dtype};

/// A generated safetensors file.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its file name.
    pub name: String,
    /// The length field and the header.
    head: Vec<u8>,
    /// In file order.
    tensors: Vec<Data>,
}

/// The data of a tensor: eight bytes at a time, random numbers of which some bits are fixed.
#[derive(Clone, Debug)]
struct Data {
    range: Range<u64>,
    key: u64,
    /// The random bits.
    random: u64,
    /// The value of the other bits.
    fixed: u64,
}

impl Shard {
    /// All shards of a model.
    pub fn all(options: &HeaderOnly, seed: u64) -> Vec<Self> {
        let width = |name: &str| if name.contains(".experts.") { 4 } else { 8 };
        let shards = shards(options).into_iter();
        shards.map(|(name, outlines)| Self::new(name, &outlines, width, seed)).collect()
    }

    /// A shard of tensors, of which the packed ones have codes of as many bits as `width` returns for their names.
    fn new(name: String, outlines: &[Outline], width: impl Fn(&str) -> u32, seed: u64) -> Self {
        let header = safetensors::header(outlines.iter().map(|o| (&*o.name, o.dtype, &*o.shape, o.len())));
        let mut head = (header.len() as u64).to_le_bytes().to_vec();
        head.extend_from_slice(header.as_bytes());
        let mut start = head.len() as u64;
        let data = |outline: &Outline| {
            let range = start..start + outline.len();
            start = range.end;
            let (random, fixed) = bits(outline, width(&outline.name));
            Data { range, key: Rng::named(seed, &outline.name).bits(), random, fixed }
        };
        let tensors = outlines.iter().map(data).collect();
        Self { name, head, tensors }
    }

    /// Length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.tensors.last().map_or(self.head.len() as u64, |last| last.range.end)
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = File::create(path)?;
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < self.bytes() {
            let length = (self.bytes() - offset).min(buffer.len() as u64);
            let part = &mut buffer[..length as usize];
            self.read(offset, part);
            file.write_all(part)?;
            offset += length;
        }
        Ok(())
    }

    /// Fills `out` with the bytes of the file from `offset`.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        let end = offset + out.len() as u64;
        assert!(end <= self.bytes(), "bytes {offset} to {end} of `{}`", self.name);
        let head = self.head.get(offset as usize..).unwrap_or_default();
        let head = &head[..head.len().min(out.len())];
        out[..head.len()].copy_from_slice(head);
        let mut done = head.len();
        let first = self.tensors.partition_point(|data| data.range.end <= offset);
        for data in &self.tensors[first..] {
            let from = offset + done as u64;
            if from >= end {
                break;
            }
            let length = (data.range.end.min(end) - from) as usize;
            data.fill(from - data.range.start, &mut out[done..done + length]);
            done += length;
        }
    }
}

/// Writes any tensors, whose packed codes have four bits: so many shards and their index.
pub fn write_int4(dir: &Path, outlines: Vec<Outline>, count: usize, seed: u64) {
    let shards = divided(outlines, count);
    write_index(dir, &shards);
    for (name, outlines) in shards {
        let path = dir.join(&name);
        let shard = Shard::new(name, &outlines, |_| 4, seed);
        shard.write(&path).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    }
}

impl Data {
    fn fill(&self, offset: u64, out: &mut [u8]) {
        let mut index = offset / 8;
        let (partial, rest) = out.split_at_mut(((8 - offset % 8) % 8).min(out.len() as u64) as usize);
        if !partial.is_empty() {
            let skip = (offset % 8) as usize;
            partial.copy_from_slice(&self.at(index).to_le_bytes()[skip..skip + partial.len()]);
            index += 1;
        }
        let (words, end) = rest.as_chunks_mut::<8>();
        for (word, index) in words.iter_mut().zip(index..) {
            *word = self.at(index).to_le_bytes();
        }
        let bytes = self.at(index + words.len() as u64).to_le_bytes();
        end.copy_from_slice(&bytes[..end.len()]);
    }

    /// The eight bytes at a multiple of eight (splitmix64 of a counter).
    fn at(&self, index: u64) -> u64 {
        let mut z = self.key.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) & self.random | self.fixed
    }
}

/// The random bits of a tensor's data, and the value of the others.
fn bits(outline: &Outline, width: u32) -> (u64, u64) {
    let name = outline.name.as_str();
    let lanes = |lane: u16| u64::from(lane) * 0x0001_0001_0001_0001;
    match (outline.dtype, name.rsplit('.').next()) {
        (Dtype::I32, Some("qzeros")) => (0, if width == 4 { 0x77 } else { 0x7F } * 0x0101_0101_0101_0101),
        (Dtype::I32, _) => (u64::MAX, 0),
        (Dtype::F16, _) => {
            // `[groups, rows]`, in groups of 128 columns.
            let columns = (outline.shape[0] * 128) as f64;
            let scale = 1.7 / columns.sqrt() / f64::from(1 << (width - 1));
            (lanes(0x83FF), lanes(((15 + exponent(scale)) << 10) as u16))
        }
        (Dtype::Bf16, _) => {
            let size = match name {
                _ if name.ends_with("norm.weight") => 0.1,
                _ if name.ends_with("conv1d.weight") => 0.3,
                _ if name.ends_with(".A_log") || name.ends_with(".dt_bias") => 0.5,
                _ if name.ends_with("mlp.gate.weight") => 0.05,
                _ => 0.02,
            };
            (lanes(0x807F), lanes(((127 + exponent(size)) << 7) as u16))
        }
        (other, _) => panic!("`{name}` is {other:?}, expected a tensor of the stand-in"),
    }
}

/// The exponent of the power of two below a number.
fn exponent(x: f64) -> i32 {
    x.log2().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards() -> Vec<Shard> {
        Shard::all(&HeaderOnly { layers: 4, shards: 3, ..HeaderOnly::default() }, 7)
    }

    fn value<'a>(shard: &'a Shard, header: &'a serde_json::Value, name: &str) -> Option<Vec<u8>> {
        let [start, end] = [0, 1].map(|i| header[name]["data_offsets"][i].as_u64());
        let mut out = vec![0; (end? - start?).min(64) as usize];
        shard.read(shard.head.len() as u64 + start?, &mut out);
        Some(out)
    }

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let shard = &shards()[0];
        let start = shard.head.len() as u64 - 40;
        let mut whole = vec![0; 3000];
        shard.read(start, &mut whole);
        for (from, to) in [(0, 1), (39, 41), (40, 3000), (43, 58), (50, 51), (57, 2999), (2999, 3000)] {
            let mut part = vec![0; to - from];
            shard.read(start + from as u64, &mut part);
            assert_eq!(part, whole[from..to], "{from} to {to}");
        }
        // Over the end of a tensor.
        let end = shard.tensors[0].range.end;
        let (mut both, mut first, mut second) = ([0; 24], [0; 11], [0; 13]);
        shard.read(end - 11, &mut both);
        shard.read(end - 11, &mut first);
        shard.read(end, &mut second);
        assert_eq!(both, *[&first[..], &second].concat());
        let mut last = [0; 5];
        shard.read(shard.bytes() - 5, &mut last);
    }

    #[test]
    fn values_suit_their_tensors() {
        let shards = shards();
        let headers: Vec<serde_json::Value> =
            shards.iter().map(|shard| serde_json::from_slice(&shard.head[8..]).unwrap()).collect();
        let find = |name: &str| {
            let found: Vec<_> = shards.iter().zip(&headers).filter_map(|(s, h)| value(s, h, name)).collect();
            assert_eq!(found.len(), 1, "{name}");
            found.into_iter().next().unwrap()
        };
        assert_eq!(find("model.layers.0.mlp.experts.3.up_proj.qzeros"), [0x77; 64]);
        assert_eq!(find("model.layers.0.mlp.shared_expert.up_proj.qzeros"), [0x7F; 64]);
        let codes = find("model.layers.0.mlp.experts.3.up_proj.qweight");
        assert_ne!(codes, find("model.layers.0.mlp.experts.4.up_proj.qweight"));
        let pairs = |bytes: &[u8]| -> Vec<u16> {
            bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
        };
        for bits in pairs(&find("model.layers.0.mlp.experts.3.up_proj.scales")) {
            let scale = half::f16::from_bits(bits).to_f32().abs();
            assert!((0.0039..0.0079).contains(&scale), "{scale}");
        }
        for bits in pairs(&find("model.layers.0.input_layernorm.weight")) {
            let weight = half::bf16::from_bits(bits).to_f32().abs();
            assert!((0.0625..0.125).contains(&weight), "{weight}");
        }
    }
}
