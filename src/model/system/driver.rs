//! The versions that the speed of a GPU depends on, besides those of this program.

use std::path::Path;

use super::text;

/// The release of the kernel, which has most drivers of GPUs.
#[must_use]
pub fn kernel(root: &Path) -> Option<String> {
    text(root, "proc/sys/kernel/osrelease").filter(|text| !text.is_empty())
}

/// The version of NVIDIA's driver, which has releases of its own.
#[must_use]
pub fn driver(root: &Path) -> Option<String> {
    text(root, "sys/module/nvidia/version").filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::system::tests::machine;

    #[test]
    fn versions_are_read_where_there_are_any() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "6.18.44\n"),
            ("sys/module/nvidia/version", "580.95.05\n"),
        ]);
        assert_eq!(kernel(root.path()).as_deref(), Some("6.18.44"));
        assert_eq!(driver(root.path()).as_deref(), Some("580.95.05"));
        let none = machine(&[("sys/module/nvidia/version", "\n")]);
        assert_eq!((kernel(none.path()), driver(none.path())), (None, None));
    }
}
