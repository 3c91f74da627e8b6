//! The files of a repository at a commit, as the hub lists them. The listing is validated: nothing in it is trusted.

use serde::Deserialize;

use super::{Error, RepoName};

/// The largest number of files in a listing.
const MAX_FILES: usize = 100_000;

/// The files of a repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit: 40 or 64 hexadecimal digits.
    pub commit: String,
    /// Sorted by name.
    pub files: Vec<RemoteFile>,
    /// Set if these are the files of the cache, with the reason why the hub was not asked. Others are not fetched.
    pub only_cached: Option<String>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path in the repository, with `/`.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 for large files, git's SHA-1 of a blob for others; lower-case hexadecimal.
    pub hash: String,
}

impl Listing {
    /// Parses the hub's response to `api/models/ORG/NAME/revision/REVISION?blobs=true`, in which every file has a size and
    /// a hash.
    ///
    /// # Errors
    ///
    /// When the response is not such a listing, or a file's name could lead out of a folder.
    pub fn parse(repo: &RepoName, response: &[u8]) -> Result<Self, Error> {
        Listed::parse(repo, response)?.complete(|file| {
            let reason = format!("size or hash of `{}` missing", file.name);
            Err(Error::Response { what: repo.to_string(), reason })
        })
    }

    /// The file of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&RemoteFile> {
        let at = self.files.binary_search_by(|file| file.name.as_str().cmp(name)).ok()?;
        self.files.get(at)
    }

    /// Fails if these are only the files of the cache: what they lack may be on the hub.
    ///
    /// # Errors
    ///
    /// [`Error::Offline`] for `what`, a repository or a file.
    pub fn needs(&self, what: &str) -> Result<(), Error> {
        match &self.only_cached {
            Some(reason) => Err(Error::Offline { what: what.to_owned(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// The error of a file that `what` names and the listing lacks.
    pub(super) fn missing(&self, what: &str, file: &str) -> Error {
        let absent = || Error::Missing { what: what.to_owned(), file: file.to_owned() };
        self.needs(file).err().unwrap_or_else(absent)
    }
}

/// A listing as a hub or a mirror sends it: sizes and hashes may be missing.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) commit: String,
    pub(super) files: Vec<ListedFile>,
}

#[derive(Debug)]
pub(super) struct ListedFile {
    pub(super) name: String,
    pub(super) bytes: Option<u64>,
    pub(super) hash: Option<String>,
}

impl Listed {
    pub(super) fn parse(repo: &RepoName, response: &[u8]) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Response { what: repo.to_string(), reason };
        let Response { sha, siblings } =
            serde_json::from_slice(response).map_err(|error| Error::json(repo.to_string(), &error))?;
        if ![40, 64].contains(&sha.len()) || !is_hex(&sha) {
            return Err(wrong("`sha` is not a commit".to_owned()));
        }
        if siblings.len() > MAX_FILES {
            return Err(wrong(format!("more than {MAX_FILES} files")));
        }
        let mut files = Vec::with_capacity(siblings.len());
        for Sibling { rfilename: name, size, blob_id, lfs } in siblings {
            if !is_safe(&name) {
                let name = name.chars().take(200).flat_map(char::escape_debug).collect();
                return Err(Error::FileName { repo: repo.to_string(), name });
            }
            let (bytes, hash) = match lfs {
                Some(Lfs { sha256, size: stored }) => (stored.or(size), sha256),
                None => (size, blob_id),
            };
            let hash = match hash.as_deref().filter(|hash| !hash.is_empty()).map(git_or_sha256) {
                None => None,
                Some(Some(hash)) => Some(hash),
                Some(None) => return Err(wrong(format!("invalid hash of `{name}`"))),
            };
            files.push(ListedFile { name, bytes, hash });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some([one, _]) = files.array_windows().find(|[a, b]| a.name == b.name) {
            return Err(wrong(format!("`{}` listed twice", one.name)));
        }
        Ok(Self { commit: sha.to_ascii_lowercase(), files })
    }

    /// The listing, with the size and the hash of `describe` for a file that lacks one of them.
    pub(super) fn complete(
        self,
        mut describe: impl FnMut(&ListedFile) -> Result<(u64, String), Error>,
    ) -> Result<Listing, Error> {
        let whole = |file: ListedFile| {
            let (bytes, hash) = match (file.bytes, &file.hash) {
                (Some(bytes), Some(hash)) => (bytes, hash.clone()),
                _ => describe(&file)?,
            };
            Ok(RemoteFile { name: file.name, bytes, hash })
        };
        let files = self.files.into_iter().map(whole).collect::<Result<Vec<_>, Error>>()?;
        Ok(Listing { commit: self.commit, files, only_cached: None })
    }
}

impl ListedFile {
    pub(super) fn is_described(&self) -> bool {
        self.bytes.is_some() && self.hash.is_some()
    }
}

/// A SHA-256 or git's SHA-1 in lower case; `None` if the text is neither.
pub(super) fn git_or_sha256(text: &str) -> Option<String> {
    ([40, 64].contains(&text.len()) && is_hex(text)).then(|| text.to_ascii_lowercase())
}

#[derive(Deserialize)]
struct Response {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "oid")]
    sha256: Option<String>,
    size: Option<u64>,
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a path stays inside the folder that it is appended to. A name that only Windows forbids is refused on
/// Windows, when the file is fetched.
fn is_safe(name: &str) -> bool {
    name.len() <= 1000
        && !name.chars().any(|c| c.is_control() || c == '\\')
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn read(response: &str) -> Result<Listing, Error> {
        Listing::parse(&"a/b".parse().unwrap(), response.as_bytes())
    }

    #[test]
    fn files_have_the_hash_that_names_their_blob() {
        let sha = "ab".repeat(32);
        let found = read(&format!(
            r#"{{"sha": "{COMMIT}", "id": "a/b", "siblings": [
                {{"rfilename": "x/m.safetensors", "size": 9, "blobId": "{COMMIT}", "lfs": {{"sha256": "{sha}", "size": 9, "pointerSize": 1}}}},
                {{"rfilename": "config.json", "size": 5, "blobId": "{COMMIT}"}}]}}"#
        ))
        .unwrap();
        assert_eq!(found.commit, COMMIT);
        assert_eq!(
            found.find("x/m.safetensors").map(|file| (file.bytes, file.hash.as_str())),
            Some((9, &*sha))
        );
        assert_eq!(found.find("config.json").map(|file| file.hash.as_str()), Some(COMMIT));
        assert_eq!(found.find("config"), None);
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in ["../x", "/etc/x", "a/../../x", "a//x", "", ".", "..", "a\\b", "a\\u0000b", "a/"] {
            let response = format!(
                r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "{name}", "size": 1, "blobId": "{COMMIT}"}}]}}"#
            );
            let response = response.replace("a\\b", "a\\\\b");
            assert!(matches!(read(&response), Err(Error::FileName { .. })), "{name}");
        }
    }

    #[test]
    fn an_unusual_name_is_accepted() {
        for name in ["a?.png", "x:y", "C:x", "<a>|*.txt", "..."] {
            let response = format!(
                r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "{name}", "size": 1, "blobId": "{COMMIT}"}}]}}"#
            );
            assert!(read(&response).unwrap().find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn other_responses_are_refused() {
        let file = |more: &str| format!(r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "x"{more}}}]}}"#);
        let twice = format!(
            r#", "size": 1, "blobId": "{COMMIT}"}}, {{"rfilename": "x", "size": 1, "blobId": "{COMMIT}""#
        );
        for response in [
            "",
            "[]",
            "{}",
            r#"{"sha": "main"}"#,
            r#"{"sha": "../../../../../../../../../../../../../x"}"#,
            &file(""),
            &file(r#", "size": 1"#),
            &file(r#", "size": -1, "blobId": "0""#),
            &file(r#", "size": 1, "blobId": "../../x""#),
            &file(&twice),
        ] {
            assert!(matches!(read(response), Err(Error::Response { .. })), "{response}");
        }
    }

    #[test]
    fn a_listing_without_sizes_or_hashes_is_completed_by_another_source() {
        let response = format!(
            r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "a"}}, {{"rfilename": "b", "size": 1}},
                {{"rfilename": "c", "blobId": "{COMMIT}"}}, {{"rfilename": "d", "lfs": {{"size": 3}}}},
                {{"rfilename": "e", "size": 2, "blobId": "{COMMIT}"}}, {{"rfilename": "f", "size": 4, "blobId": ""}},
                {{"rfilename": "g", "size": 4, "lfs": {{"sha256": "", "size": 4}}}}]}}"#
        );
        assert!(read(&response).unwrap_err().to_string().contains("size or hash of `a` missing"));
        let listed = Listed::parse(&"a/b".parse().unwrap(), response.as_bytes()).unwrap();
        let mut asked = Vec::new();
        let whole = listed.complete(|file| {
            asked.push(file.name.clone());
            Ok((7, "ab".repeat(32)))
        });
        let sizes: Vec<u64> = whole.unwrap().files.iter().map(|file| file.bytes).collect();
        assert_eq!((asked.join(""), sizes), ("abcdfg".to_owned(), vec![7, 7, 7, 7, 2, 7, 7]));
    }

    #[test]
    fn seeds_are_parsed_and_truncated_or_damaged_ones_do_not_panic() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/hub_listing");
        let repo = "a/b".parse().unwrap();
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            read += u32::from(Listing::parse(&repo, &bytes).is_ok());
            for at in 0..bytes.len() {
                assert!(Listing::parse(&repo, &bytes[..at]).is_err());
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x15;
                drop(Listing::parse(&repo, &damaged));
            }
        }
        assert_eq!(read, 1, "one seed is a valid listing");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "\\PC{0,20}") {
            drop(Listing::parse(&"a/b".parse().unwrap(), &bytes));
            let name = serde_json::to_string(&name).unwrap();
            let response = format!(r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": {name}, "size": 1, "blobId": "{COMMIT}"}}]}}"#);
            if let Ok(listing) = read(&response) {
                let path = std::path::Path::new(&listing.files[0].name);
                #[cfg(unix)] // On Windows `C:` is a drive; the cache refuses it.
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
