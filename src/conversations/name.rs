//! The names of conversations: none leads out of their folder.

/// The ending of a conversation's file.
pub(super) const SUFFIX: &str = "jsonl";
/// Bytes of a name, so that the names of the files beside it are short enough, too.
const MOST: usize = 200;
/// Names of devices on Windows, with any ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// A name that is not one of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a conversation name, expected letters, digits, `-`, `_` and `.`, at most {MOST} bytes, and not the \
     name of a device"
)]
pub struct NotAName {
    /// The name.
    pub name: String,
}

/// The file of a conversation with this name, which may have the ending of the file.
pub(super) fn file_name(name: &str) -> Result<String, NotAName> {
    let plain = name.strip_suffix(SUFFIX).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let is_name =
        !plain.is_empty() && plain.len() <= MOST && !plain.starts_with('.') && plain.chars().all(is_plain);
    if is_name && !is_device(plain) {
        Ok(format!("{plain}.{SUFFIX}"))
    } else {
        Err(NotAName { name: name.to_owned() })
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port
        .is_some_and(|port| port.chars().count() == 1 && port.chars().all(|c| "0123456789¹²³".contains(c)));
    is_port || DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn names_are_letters_digits_and_some_signs() {
        for (name, file) in [
            ("a-b.2", "a-b.2.jsonl"),
            ("a.jsonl", "a.jsonl"),
            ("a.state", "a.state.jsonl"),
            ("Grüße", "Grüße.jsonl"),
        ] {
            assert_eq!(file_name(name).as_deref(), Ok(file));
        }
        assert!(
            file_name(&"x".repeat(200)).is_ok() && file_name("command").is_ok() && file_name("com10").is_ok()
        );
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a b",
            "a\0",
            "./a",
            "../a",
            "/a",
            "a/b",
            "a\\b",
            "../a.jsonl",
            ".jsonl",
            "a:b",
            "a\n",
            "%2e%2e",
            "~",
            "a/../b",
            "CON",
            "nul.txt",
            "Com1",
            "lpt9.jsonl",
            "COM²",
        ] {
            assert!(file_name(name).is_err(), "{name:?}");
        }
        assert!(file_name(&"x".repeat(201)).is_err() && file_name(&"ü".repeat(101)).is_err());
    }

    proptest! {
        #[test]
        fn every_name_is_one_file_in_the_folder_or_refused(name in "(\\PC|[./\\\\\0~%:]|\\.\\./|jsonl|state){0,40}") {
            if let Ok(file) = file_name(&name) {
                let path = Path::new("/folder").join(&file);
                prop_assert_eq!(path.parent(), Some(Path::new("/folder")));
                let parts: Vec<Component<'_>> = Path::new(&file).components().collect();
                prop_assert!(matches!(parts[..], [Component::Normal(_)]));
                prop_assert!(file.len() <= 255 - ".state".len() && !file.starts_with('.') && !file.contains('\0'));
                // The same conversation has one name.
                prop_assert_eq!(file_name(&file), Ok(file));
            }
        }
    }
}
