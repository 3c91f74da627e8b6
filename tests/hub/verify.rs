//! `ggrun verify` with a GGUF, a checkpoint or an MTP layer of the hub.

use std::fs;

use super::convert::{files_of, original, site};
use super::process::said;
use super::{Site, entries};

#[test]
fn an_mtp_layer_of_another_repository_is_compared_with_its_source() {
    let (site, folder) = site();
    site.server.add_original(files_of(original().path()));
    let out = site.out();
    let (gguf, source) = (out.to_str().unwrap(), folder.path().to_str().unwrap());
    let mtp_from = ["--mtp-from", "org/original"];
    for source in ["org/name", source] {
        let output = site.run(&[&["convert", source, "-o", gguf, "--force"][..], &mtp_from].concat());
        assert!(output.status.success(), "{}", said(&output));
        let output = site.run(&["verify", gguf, source]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let output = site.run(&[&["verify", gguf, source][..], &mtp_from].concat());
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("equal: "), "{output:?}");
        assert!(!entries(site.home.path()).iter().any(|path| path.to_string_lossy().contains("mtp")));
    }
    // The last bytes of the file, which are of the MTP layer, are compared.
    let mut bytes = fs::read(&out).unwrap();
    let at = bytes.len() - 64;
    bytes[at] ^= 1;
    fs::write(&out, bytes).unwrap();
    let output = site.run(&[&["verify", gguf, source][..], &mtp_from].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("differs: "), "{output:?}");
}

#[test]
fn a_gguf_of_a_repository_is_fetched_and_compared() {
    let (checkpoint, folder) = site();
    assert!(checkpoint.convert(&[]).status.success());
    let gguf = fs::read(checkpoint.out()).unwrap();
    let mut other = gguf.clone();
    let at = other.len() - 64;
    other[at] ^= 1;
    let site = Site::new(&[("m-Q4_0.gguf", gguf), ("m-Q8_0.gguf", other)]);
    let source = folder.path().to_str().unwrap();
    for (name, code) in [("org/name", 0), ("org/name:Q4_0", 0), ("org/name:Q8_0", 3), ("org/name:F16", 1)] {
        let output = site.run(&["verify", name, source]);
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
    }
    // An invalid checkpoint is reported before anything is fetched.
    let asked = site.server.asked().len();
    let output = site.run(&["verify", "org/name", "./nothing"]);
    assert!(said(&output).contains("nothing/config.json"), "{output:?}");
    assert_eq!(site.server.asked().len(), asked);
}
