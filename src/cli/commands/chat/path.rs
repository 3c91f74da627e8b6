//! Paths as they are typed at the prompt.

use std::path::{Path, PathBuf};

/// The path with the home folder for a `~` at its beginning, as shells have it.
pub(super) fn expanded(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), dirs::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = dirs::home_dir().unwrap();
        assert_eq!(expanded(Path::new("~/a")), home.join("a"));
        assert_eq!(expanded(Path::new("a/~")), Path::new("a/~"));
    }
}
