//! Names and addresses that are read, and texts that are refused with the reason.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<(RepoName, Option<String>), RepoNameError> {
    RepoName::read(text, &["huggingface.co", "hf.co", "mirror:8080/hub", "mirror"].map(str::to_owned))
}

#[test]
fn names_with_and_without_a_revision() {
    let name: RepoName = "Qwen/Qwen3-0.6B".parse().unwrap();
    assert_eq!((name.id(), name.revision()), ("Qwen/Qwen3-0.6B", "main"));
    let name: RepoName = "a/b@refs/pr/1".parse().unwrap();
    assert_eq!(
        (name.id(), name.revision(), name.to_string().as_str()),
        ("a/b", "refs/pr/1", "a/b@refs/pr/1")
    );
}

#[test]
fn an_address_names_the_repository_its_revision_and_its_file() {
    for (address, name, file) in [
        ("https://huggingface.co/a/b", "a/b", None),
        ("https://huggingface.co/a/b/", "a/b", None),
        ("HTTP://HuggingFace.co/a/b", "a/b", None),
        ("hf.co/a/b", "a/b", None),
        ("huggingface.co/a/b", "a/b", None),
        ("http://mirror:8080/hub/a/b", "a/b", None),
        ("mirror:8080/hub/a/b", "a/b", None),
        ("http://mirror/a/b", "a/b", None),
        ("mirror/a", "mirror/a", None),
        ("https://huggingface.co/a/b/tree/main", "a/b@main", None),
        ("https://huggingface.co/a/b/tree/v1.0/", "a/b@v1.0", None),
        ("https://huggingface.co/a/b/tree/refs%2Fpr%2f1", "a/b@refs/pr/1", None),
        ("https://huggingface.co/a/b/tree/refs/pr/1", "a/b@refs/pr/1", None),
        ("https://huggingface.co/a/b/blob/main/c.gguf", "a/b@main", Some("c.gguf")),
        ("https://huggingface.co/a/b/resolve/main/q/c.gguf?download=true", "a/b@main", Some("q/c.gguf")),
        ("https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/c%20d", "a/b@refs/pr/1", Some("c d")),
    ] {
        let (found, found_file) = read(address).unwrap();
        assert_eq!((found.to_string().as_str(), found_file.as_deref()), (name, file), "{address}");
    }
    let file = "https://huggingface.co/a/b/resolve/main/c.gguf".parse::<RepoName>().unwrap_err().to_string();
    assert!(file.ends_with("c.gguf` is a file of `a/b@main`, expected a repository"), "{file}");
}

#[test]
fn other_addresses_are_refused_with_the_reason() {
    for (text, reason) in [
        ("https://huggingface.co/datasets/a/b", "is a dataset, not a model"),
        ("https://huggingface.co/spaces/a/b/tree/main", "is a Space, not a model"),
        ("datasets/a", "is a dataset, not a model"),
        ("spaces/a", "is a Space, not a model"),
        ("https://huggingface.co", "expected ORG/NAME"),
        ("https://huggingface.co/gpt2", "expected ORG/NAME"),
        ("hf.co/a", "expected ORG/NAME"),
        ("https://huggingface.co/a/b/discussions", "expected nothing, or `/tree/REVISION`, after ORG/NAME"),
        ("https://huggingface.co/a/b/tree", "the revision is incomplete"),
        ("https://huggingface.co/a/b/tree/refs/pr", "the revision is incomplete"),
        ("https://huggingface.co/a/b/tree/main/folder", "names a folder"),
        ("https://huggingface.co/a/b/blob/main", "the name of the file is missing"),
        ("https://huggingface.co/a/b/blob/main/c//", "the name of the file is invalid"),
        ("https://huggingface.co/a/b/resolve/main/../c", "the name of the file is invalid"),
        ("https://huggingface.co/a/b/resolve/main/%2e%2e/c", "the name of the file is invalid"),
        ("https://huggingface.co/a/b/tree/%", "percent sign"),
        ("https://huggingface.co/a/b/tree/%ff", "percent sign"),
        ("https://huggingface.co/a/b/tree/%2e%2e", "is not a branch, a tag or a commit"),
        ("https://huggingface.co/a/../b", "after ORG/NAME"),
        ("https://huggingface.co/a/b//", "after ORG/NAME"),
        ("https://huggingface.co//a/b", "after ORG/NAME"),
        ("https://huggingface.co/a/b?x=y", "unexpected `?x=y`"),
        ("https://huggingface.co/a/b#files", "unexpected `#files`"),
        ("https://huggingface.co/a/b?download=true", "unexpected `?download=true`"),
        ("https://huggingface.co/a/b@v1", "expected ORG/NAME of letters"),
        ("https://me:secret@huggingface.co/a/b", "not an address of the hub"),
        ("https://huggingface.co.example/a/b", "not an address of the hub"),
        ("https://huggingface.co:8443/a/b", "not an address of the hub"),
        ("https://mirror:8080/a/b", "not an address of the hub"),
        ("https://a/b", "HF_ENDPOINT names another hub"),
        ("hf.co/hf.co/a", "begins with the hub's address"),
        ("ftp://huggingface.co/a/b", "not a repository name"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is ")) && error.contains(reason), "{error}");
    }
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        "a",
        "a/",
        "/a",
        "a/b/c",
        "../b",
        "./b",
        "a/..",
        "a/b@",
        "a/b@..",
        "a/b@x/../y",
        "a/b@/x",
        "a b/c",
        "a/b--c",
        "a/.b",
        "a/b.",
        "a\\b/c",
        "a/b@x y",
        "~/b",
        "a/b?c",
        "a/b#c",
        "a/b%2f",
    ] {
        assert!(text.parse::<RepoName>().is_err(), "{text}");
    }
    assert!(format!("a/{}", "b".repeat(95)).parse::<RepoName>().is_err());
    let error = "foo".parse::<RepoName>().unwrap_err();
    assert_eq!(error.to_string(), "`foo` is not a repository name (expected ORG/NAME)");
}

proptest! {
    #[test]
    fn a_name_is_displayed_as_it_was_read(text in "[a-zA-Z0-9_./@ -]{0,40}") {
        if let Ok((name, file)) = read(&text)
            && !RepoName::is_address(&text)
        {
            prop_assert_eq!((name.to_string(), file), (text, None));
        }
    }

    #[test]
    fn every_name_has_an_address(
        id in "[a-zA-Z0-9]{1,5}/[a-zA-Z0-9._]{0,5}[a-z]",
        revision in proptest::option::of("[a-z0-9.+_-]{1,6}|refs/pr/[0-9]{1,3}"),
        encoded: bool,
        slash in "/?",
        base in "(https://|http://|)(huggingface\\.co|hf\\.co)|https?://mirror:8080/hub",
    ) {
        let typed = revision.as_ref().map_or(id.clone(), |revision| format!("{id}@{revision}"));
        let tail = revision.as_ref().map_or(String::new(), |revision| {
            format!("/tree/{}", if encoded { revision.replace('/', "%2F") } else { revision.clone() })
        });
        let address = read(&format!("{base}/{id}{tail}{slash}"));
        prop_assert_eq!(address.ok(), read(&typed).ok());
    }

    /// No part of an address is dropped: one that is read can be put together again from what was read.
    #[test]
    fn no_part_of_an_address_is_dropped(parts in proptest::collection::vec("[a-c]{1,2}|tree|blob|resolve|refs|@|:|%2F|\\?|#|\\.\\.|", 0..8)) {
        let address = format!("https://hf.co/{}", parts.join("/"));
        if let Ok((name, file)) = read(&address) {
            let mut made = format!("https://hf.co/{}", name.id());
            if name.to_string().contains('@') {
                let pages = if file.is_some() { &["blob", "resolve"][..] } else { &["tree"] };
                let page = pages.iter().find(|page| address.starts_with(&format!("{made}/{page}/")));
                made = format!("{made}/{}/{}", page.expect("a page with revisions"), name.revision());
            }
            made.extend(file.iter().flat_map(|file| ["/", file.as_str()]));
            let decoded = address.replace("%2F", "/");
            prop_assert_eq!(made.trim_end_matches('/'), decoded.trim_end_matches('/'));
        }
    }
}
