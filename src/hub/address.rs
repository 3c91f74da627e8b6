//! Web addresses of repositories: `https://huggingface.co/ORG/NAME`, with a revision and a file where there is one.

/// The parts of an address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// `ORG/NAME`, unchecked.
    pub(super) id: String,
    /// Unchecked.
    pub(super) revision: Option<String>,
    /// The path of a file in the repository.
    pub(super) file: Option<String>,
}

/// Reads an address below one of `bases` (`HOST/PREFIX`); `None` if the text is not an address.
///
/// # Errors
///
/// Why the address does not name a repository, in words that follow the address and `is`.
pub(super) fn parse(text: &str, bases: &[String]) -> Option<Result<Address, String>> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| has_prefix(text, scheme));
    let rest = &text[scheme.map_or(0, str::len)..];
    // Without a scheme, `mirror/ORG` could be a name, but `hf.co/ORG` could hardly be one.
    let may_begin = |base: &&String| scheme.is_some() || base.contains(['.', ':']);
    let below = |base: &String| {
        let path = has_prefix(rest, base).then(|| &rest[base.len()..])?;
        (path.is_empty() || path.starts_with(['/', '?', '#'])).then_some(path)
    };
    match (bases.iter().filter(may_begin).find_map(below), scheme) {
        (Some(path), _) => Some(read(path)),
        (None, Some(_)) => Some(Err(format!(
            "not an address of the hub (expected https://{}/ORG/NAME; HF_ENDPOINT names another hub)",
            bases.first().map_or("huggingface.co", String::as_str)
        ))),
        (None, None) => None,
    }
}

/// Reads the path of an address: `/ORG/NAME`, and more.
fn read(path: &str) -> Result<Address, String> {
    let wrong = |what: &str| Err(format!("not the address of a repository ({what})"));
    let (path, query) = path.find(['?', '#']).map_or((path, ""), |at| path.split_at(at));
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["datasets", ..] => return Err("a dataset, not a model".to_owned()),
        ["spaces", ..] => return Err("a Space, not a model".to_owned()),
        _ => {}
    }
    let [org, name, ref more @ ..] = parts[..] else { return wrong("expected ORG/NAME") };
    let mut address = Address { id: format!("{org}/{name}"), ..Address::default() };
    if let [page, ref more @ ..] = *more {
        if !["tree", "blob", "resolve"].contains(&page) {
            return wrong("expected nothing, or `/tree/REVISION`, after ORG/NAME");
        }
        // The slashes of `refs/pr/1` may be percent-encoded or not.
        let length = if let ["refs", "pr" | "convert", ..] = more { 3 } else { 1 };
        let Some((revision, file)) = more.split_at_checked(length) else {
            return wrong("the revision is incomplete");
        };
        let decoded = |parts: &[&str]| decode(&parts.join("/"));
        let (Some(revision), Some(file)) = (decoded(revision), decoded(file)) else {
            return wrong("a percent sign does not begin a valid character");
        };
        if !file.is_empty() && file.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            return wrong("the name of the file is invalid");
        }
        match (page, file.is_empty()) {
            ("tree", false) => return wrong("it names a folder of the repository"),
            ("blob" | "resolve", true) => return wrong("the name of the file is missing"),
            _ => {}
        }
        address.revision = Some(revision);
        address.file = Some(file).filter(|file| !file.is_empty());
    }
    match query {
        "" => Ok(address),
        "?download=true" if address.file.is_some() => Ok(address),
        _ => wrong(&format!("unexpected `{query}` at its end")),
    }
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Encodes the characters of a file's path that have a meaning in an address, or after it.
pub(super) fn encode(path: &str) -> String {
    let special = [("%", "%25"), ("?", "%3F"), ("#", "%23"), (":", "%3A")];
    special.iter().fold(path.to_owned(), |path, (plain, encoded)| path.replace(plain, encoded))
}

/// Replaces `%2F` and the like; `None` if the result is not UTF-8 or a percent sign has no two digits.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
