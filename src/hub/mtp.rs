//! The MTP layer of a repository, fetched by range requests into a safetensors file of its own, for a checkpoint that
//! lacks one. The hub lists no hash for a part of a file, so the tensors cannot be checked.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gguf_export::arch::MTP_PREFIXES;
use gguf_export::checkpoint::{Dtype, Identity, Shard, TensorInfo, read_header};
use gguf_export::io::{Head, LateFile};
use serde_json::{Map, Value, json};

use super::{CheckpointError, Error, Event, Hub, Listing, Observer, RemoteFile, RepoName, hash, select};

/// The configuration of a checkpoint.
const CONFIG: &str = "config.json";
/// Bytes per request.
const PIECE: u64 = 32 << 20;

/// A tensor and the file that holds it.
struct Found<'l> {
    file: &'l RemoteFile,
    info: TensorInfo,
}

/// Fetches the tensors of the MTP layer into a file in `folder`, resuming an interrupted run, and returns it as a shard.
/// The file's name does not end in `.safetensors`, since `folder` may be a checkpoint. `None` if the repository has no
/// MTP layer. Tensors that need a quantization configuration are fetched only if that of the repository equals `own`.
///
/// # Errors
///
/// When the tensors cannot be fetched, or the file cannot be written.
pub fn mtp_layer(
    hub: &Hub,
    (repo, listing): (&RepoName, &Listing),
    own: Option<&Value>,
    folder: &Path,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Shard>, CheckpointError> {
    let (mut found, mut names) = (Vec::new(), BTreeSet::new());
    for (number, file) in (0..).zip(holders(hub, (repo, listing), stop, observer)?) {
        let head = hub.read_head(repo, listing, file, stop, observer)?;
        let path = Path::new(&file.name);
        let tensors = read_header(path, number, &Head { path, bytes: &head, len: file.bytes })?;
        let of_mtp = |info: &TensorInfo| is_mtp(&info.name);
        // Of two tensors of one name, that of the index counts, whose files come first.
        let is_new = |info: &TensorInfo| names.insert(info.name.clone());
        found.extend(tensors.into_iter().filter(of_mtp).filter(is_new).map(|info| Found { file, info }));
    }
    if let Some(Found { file, info }) = found.iter().find(|found| is_quantized(&found.info))
        && (own.is_none() || quantization(hub, (repo, listing), stop, observer)?.as_ref() != own)
    {
        return Err(CheckpointError::Quantized { file: file.name.clone(), tensor: info.name.clone() });
    }
    // In file order, so that adjacent tensors are fetched together.
    found.sort_by_key(|found| (found.info.shard, found.info.start));
    let Some(first) = found.first() else { return Ok(None) };
    let prefix = first.info.name.split_inclusive("mtp.").next().unwrap_or_default().to_owned();
    let header = header(&found);
    let commit = listing.commit.get(..12).unwrap_or_default();
    let path = folder.join(format!("{}-{commit}.mtp", repo.id().replace('/', "--")));
    let bytes = header.len() as u64 + found.iter().map(|found| found.info.bytes).sum::<u64>();
    if !fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == bytes) {
        fetch(hub, (repo, listing), &found, &header, &path, stop, observer)?;
    }
    let sha256 = hash::sha256(&path, stop).map_err(Error::io("read", &path))?.ok_or(Error::Stopped)?;
    let source = Arc::new(LateFile::new(&path, bytes));
    Ok(Some(Shard {
        path,
        head: header,
        bytes,
        identity: Identity::Content { sha256 },
        source,
        only: Some(prefix),
    }))
}

/// Whether a tensor belongs to the MTP layer, by its name.
fn is_mtp(name: &str) -> bool {
    MTP_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a tensor has a value only together with others or with a configuration.
fn is_quantized(info: &TensorInfo) -> bool {
    !matches!(info.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32) || info.name.contains("scale")
}

/// The `quantization_config` of a repository.
fn quantization(
    hub: &Hub,
    (repo, listing): (&RepoName, &Listing),
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Value>, Error> {
    let Some(file) = listing.find(CONFIG) else { return Ok(None) };
    let path = hub.fetch_one(repo, listing, file, stop, observer)?;
    let text = fs::read(&path).map_err(Error::io("read", &path))?;
    let wrong = |error| Error::json(format!("{}/{CONFIG}", repo.id()), &error);
    let mut config: Map<String, Value> = serde_json::from_slice(&text).map_err(wrong)?;
    Ok(config.remove("quantization_config").filter(|section| !section.is_null()))
}

/// The shards that contain tensors of the MTP layer by the index, and files that the index does not name.
fn holders<'l>(
    hub: &Hub,
    (repo, listing): (&RepoName, &'l Listing),
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Vec<&'l RemoteFile>, Error> {
    let is_shard = |file: &&RemoteFile| file.name.ends_with(".safetensors") && !file.name.contains('/');
    let shards = listing.files.iter().filter(is_shard);
    let Some(index) = listing.find(select::INDEX) else { return Ok(shards.collect()) };
    let path = hub.fetch_one(repo, listing, index, stop, observer)?;
    let map = select::weight_map(repo, &path)?;
    let of_mtp = map.iter().filter(|(tensor, _)| is_mtp(tensor));
    let names: BTreeSet<&String> = of_mtp.map(|(_, file)| file).collect();
    let missing = |file: &String| listing.missing(&format!("{}/{}", repo.id(), select::INDEX), file);
    let listed = names.into_iter().map(|name| listing.find(name).ok_or_else(|| missing(name)));
    let mut files: Vec<&RemoteFile> = listed.collect::<Result<_, _>>()?;
    let all: BTreeSet<&String> = map.values().collect();
    files.extend(shards.filter(|file| !all.contains(&file.name)));
    Ok(files)
}

/// A safetensors header for these tensors in this order, with its length before it.
fn header(found: &[Found<'_>]) -> Vec<u8> {
    let (mut entries, mut at) = (Map::new(), 0);
    for Found { info, .. } in found {
        let end = at + info.bytes;
        entries.insert(
            info.name.clone(),
            json!({ "dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [at, end] }),
        );
        at = end;
    }
    let text = Value::Object(entries).to_string();
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn fetch(
    hub: &Hub,
    (repo, listing): (&RepoName, &Listing),
    found: &[Found<'_>],
    header: &[u8],
    path: &Path,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let part = part_of(path);
    let mut out = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&part)
        .map_err(Error::io("open", &part))?;
    let mut start = Vec::new();
    (&mut out).take(header.len() as u64).read_to_end(&mut start).map_err(Error::io("read", &part))?;
    // A write may have been cut off anywhere, but the data is valid up to the file's end.
    let mut done = if start == header {
        out.metadata().map_err(Error::io("examine", &part))?.len() - header.len() as u64
    } else {
        0
    };
    let all: u64 = found.iter().map(|found| found.info.bytes).sum();
    if start != header || done > all {
        done = 0;
        out.set_len(0).map_err(Error::io("truncate", &part))?;
        drop(out);
        fs::write(&part, header).map_err(Error::io("write", &part))?;
    }
    let mut out = OpenOptions::new().append(true).open(&part).map_err(Error::io("open", &part))?;
    observer(Event::Planned { files: 1, bytes: all - done, present: done });
    let mut skip = done;
    for run in
        found.chunk_by(|a, b| a.info.shard == b.info.shard && a.info.start + a.info.bytes == b.info.start)
    {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (mut at, end) = (first.info.start, last.info.start + last.info.bytes);
        let skipped = skip.min(end - at);
        (at, skip) = (at + skipped, skip - skipped);
        while at < end {
            let upto = end.min(at + PIECE);
            let bytes = hub.read_range(repo, listing, first.file, at..upto, stop, observer)?;
            out.write_all(&bytes).map_err(Error::io("write", &part))?;
            observer(Event::Received { file: &first.file.name, bytes: upto - at });
            at = upto;
        }
    }
    out.sync_all().map_err(Error::io("sync", &part))?;
    fs::rename(&part, path).map_err(Error::io("rename", &part))
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".part");
    name.into()
}
