//! Where the page comes from.

use super::built_in;
use super::folder::Folder;

/// Where the page comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The page of this program.
    BuiltIn,
    /// A page of the user.
    Folder(Folder),
}

impl Page {
    /// Whether it has a file at this path of a URL.
    pub(in crate::serve) fn has(&self, path: &str) -> bool {
        match self {
            Self::BuiltIn => built_in::find(path).is_some(),
            Self::Folder(folder) => folder.has(path),
        }
    }
}
