//! The location of the shared cache, by the rules of `huggingface_hub`.

use std::ffi::OsString;
use std::path::PathBuf;

/// `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `huggingface/hub` in the user's cache folder.
pub fn root(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
    cache.unwrap_or_else(|| self::home(&variable, home).join("hub"))
}

/// The folder of Hugging Face's tools: `HF_HOME`, or `huggingface` in the user's cache folder.
pub(in crate::hub) fn home(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
    path("HF_HOME").or_else(|| Some(caches()?.join("huggingface"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let check = |variables: &[(&str, &str)], at: &str| {
            let find =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            assert_eq!(root(find, Some("/u".into())), PathBuf::from(at));
        };
        check(&[], "/u/.cache/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")], "/h/hub");
        check(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old");
        check(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new");
        check(&[("HF_HUB_CACHE", "")], "/u/.cache/huggingface/hub");
    }
}
