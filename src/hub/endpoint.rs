//! Addresses of hubs: the public one, and those that the environment names.

use reqwest::Url;

/// The public hub.
const DEFAULT: &str = "https://huggingface.co";
/// The variables that name a hub; the first that is set is used.
pub(super) const VARIABLES: [&str; 2] = ["HF_ENDPOINT", "MODEL_ENDPOINT"];

/// The hub to use if no variable names one.
pub(super) fn default() -> Url {
    Url::parse(DEFAULT).expect("the constant is a URL")
}

/// The base address of a hub; `None` if the text is not one.
pub(super) fn parse(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim_end_matches('/')).ok()?;
    let usable = ["http", "https"].contains(&url.scheme()) && url.has_host();
    url.set_query(None);
    url.set_fragment(None);
    usable.then_some(url)
}

/// An address without the user name and password that it may contain.
pub(super) fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    match url.set_username("").and(url.set_password(None)) {
        Ok(()) => url.into(),
        Err(()) => host(&url),
    }
}

/// `HOST` or `HOST:PORT` of an address.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The prefixes of addresses of repositories, without the scheme: `huggingface.co`, `localhost:8080/prefix`.
pub(super) fn bases(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let known = ["huggingface.co", "hf.co"].map(str::to_owned);
    let set = VARIABLES.iter().filter_map(|name| parse(&variable(name)?));
    let base = |url: Url| format!("{}{}", host(&url), url.path().trim_end_matches('/'));
    known.into_iter().chain(set.map(base)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_hub_and_those_of_the_variables_are_bases() {
        let find =
            |name: &str| (name == "HF_ENDPOINT").then(|| "http://u:p@localhost:8080/a/?q#f".to_owned());
        assert_eq!(bases(find), ["huggingface.co", "hf.co", "localhost:8080/a"]);
        assert_eq!(bases(|_| Some("nonsense".to_owned())), ["huggingface.co", "hf.co"]);
    }
}
