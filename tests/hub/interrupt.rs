//! Ctrl-C during a conversion that downloads, and the same command after it.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value};

use super::convert::{SHARDS, files_of, hashes, original, shard, shard_bytes, site};
use super::process::said;
use super::server::Fault;
use super::{Site, entries};
use crate::deadline::{finish, wait_for};

/// Interrupts a process when the server has seen a request, asserts its exit code, and returns its standard error.
fn interrupted(site: &Site, child: Child, seen: impl Fn(&Site) -> bool) -> String {
    wait_for("the request", || seen(site).then_some(()));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    said(&output)
}

fn started(site: &Site, words: &[&str]) -> Child {
    site.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_interrupted_conversion_of_a_repository_is_resumed() {
    let (site, folder) = site();
    let right = site.right();
    let lengths = shard_bytes(folder.path());
    let whole = |site: &Site, number: usize| {
        let asked = site.server.asked();
        asked
            .iter()
            .filter(|a| a.path.ends_with(&shard(number)) && a.sent as u64 == lengths[number - 1])
            .count()
    };
    let (first, third) = (whole(&site, 1), site.server.sent(&shard(3)));
    // Shards are fetched one after the other, and the third stalls.
    let stalled = usize::try_from(lengths[2]).unwrap() * 3 / 4;
    site.server.fail_always(&shard(3), Fault::Stall(stalled));
    let out = site.out();
    let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "-j", "1"];
    interrupted(&site, started(&site, &words), |site| site.server.sent(&shard(3)) - third > stalled);
    assert!(!out.exists());
    site.assert_consistent();
    let here = site.shards_here(&hashes(folder.path()));
    assert!((2..SHARDS).contains(&here), "{here} shards were fetched");
    site.server.mend();
    let before = site.server.asked().len();
    let output = site.run(&words);
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read(&out).unwrap() == right);
    assert_eq!(whole(&site, 1) - first, 1, "the first shard was fetched once");
    let asked = site.server.asked();
    let resumed = asked[before..].iter().any(|a| a.path.ends_with(&shard(3)) && a.elsewhere && a.from > 1000);
    assert!(resumed, "the third shard was resumed");
}

/// The header and the data of a safetensors file.
fn parsed(file: &[u8]) -> (Map<String, Value>, &[u8]) {
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    let mut header: Map<String, Value> = serde_json::from_slice(&file[8..8 + length]).unwrap();
    header.remove("__metadata__");
    (header, &file[8 + length..])
}

/// Splits a safetensors file into two with half of the tensors each.
fn halves(file: &[u8]) -> [Vec<u8>; 2] {
    let (header, data) = parsed(file);
    let mut entries: Vec<_> = header.into_iter().collect();
    entries.sort_by_key(|(_, info)| info["data_offsets"][0].as_u64());
    let mut upper = entries.split_off(entries.len() / 2);
    let cut = usize::try_from(upper[0].1["data_offsets"][0].as_u64().unwrap()).unwrap();
    for (_, info) in &mut upper {
        for at in [0, 1] {
            info["data_offsets"][at] = (info["data_offsets"][at].as_u64().unwrap() - cut as u64).into();
        }
    }
    let write = |entries: Vec<(String, Value)>, data: &[u8]| {
        let text = Value::Object(entries.into_iter().collect()).to_string();
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), data].concat()
    };
    [write(entries, &data[..cut]), write(upper, &data[cut..])]
}

#[test]
fn an_interrupted_fetch_of_an_mtp_layer_is_resumed() {
    let (site, folder) = site();
    let index = "model.safetensors.index.json";
    let mut files = files_of(original().path());
    let is_mtp = |(name, bytes): &(String, Vec<u8>)| {
        name.ends_with(".safetensors") && parsed(bytes).0.keys().all(|tensor| tensor.contains("mtp."))
    };
    let at = files.iter().position(is_mtp).unwrap();
    let [one, other] = halves(&files.remove(at).1);
    let (first, second) = ("mtp-1.safetensors", "mtp-2.safetensors");
    let map = files.iter_mut().find(|(name, _)| name == index).unwrap();
    let mut json: Value = serde_json::from_slice(&map.1).unwrap();
    for (name, half) in [(first, &one), (second, &other)] {
        for tensor in parsed(half).0.keys() {
            json["weight_map"][tensor] = name.into();
        }
    }
    map.1 = json.to_string().into_bytes();
    let (data, head) = (parsed(&one).1.len(), other.len() - parsed(&other).1.len());
    files.extend([(first.to_owned(), one), (second.to_owned(), other)]);
    site.server.add_original(files);

    site.server.fail_always(second, Fault::Stall(head));
    let out = site.out();
    let source = folder.path().to_str().unwrap();
    let words = ["convert", source, "-o", out.to_str().unwrap(), "--mtp-from", "org/original"];
    // The header and its length were fetched, then as many bytes of the data.
    interrupted(&site, started(&site, &words), |site| site.server.sent(second) >= 2 * head);
    assert!(entries(site.home.path()).iter().any(|path| path.to_string_lossy().ends_with(".mtp.part")));
    let before = site.server.sent(first);
    assert!(before >= data, "{before} of {data} bytes were fetched");
    site.server.mend();
    let output = site.run(&words);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("proven while written: equal"), "{}", said(&output));
    let again = site.server.sent(first) - before;
    assert!(again < data / 4, "{again} of {data} bytes were fetched again");
}
