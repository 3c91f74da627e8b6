//! The identity and the file name of a state.

use sha2::{Digest as _, Sha256};

use super::blocks::Blocks;
use crate::engine::Namespace;
use crate::state::Identity;

const SUFFIX: &str = ".state";
/// Hexadecimal digits before it.
const DIGITS: usize = 32;

/// The identity of the states of a namespace. Files of one namespace are refused in another.
pub(super) fn identity_of(identity: &Identity, namespace: Namespace) -> Identity {
    if namespace == Namespace::default() {
        return *identity;
    }
    let mut digest = Sha256::new();
    digest.update(b"namespace\0");
    digest.update(namespace.0.to_le_bytes());
    digest.update(identity.settings);
    Identity { settings: digest.finalize().into(), ..*identity }
}

/// The name of a file: the same state has the same name in every process.
pub(super) fn file_name(identity: &Identity, blocks: &Blocks) -> String {
    let mut digest = Sha256::new();
    for part in [&identity.model[..], &identity.engine, &identity.settings, &blocks.whole()] {
        digest.update(part);
    }
    digest.update((blocks.length() as u64).to_le_bytes());
    let digest = digest.finalize();
    let number = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
    format!("{number:032x}{SUFFIX}")
}

/// Whether a file has the name of a state.
pub(super) fn is_name(name: &str) -> bool {
    let digits = name.strip_suffix(SUFFIX);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Token;
    use std::collections::BTreeSet;

    #[test]
    fn identity_namespace_and_tokens_are_part_of_the_name() {
        let ours = Identity { model: [1; 32], engine: [2; 32], settings: [3; 32] };
        let blocks = |length| Blocks::of(&vec![Token(7); length]);
        let mut names = BTreeSet::new();
        for identity in [
            ours,
            Identity { model: [0; 32], ..ours },
            Identity { engine: [0; 32], ..ours },
            Identity { settings: [0; 32], ..ours },
            identity_of(&ours, Namespace(1)),
            identity_of(&ours, Namespace(2)),
        ] {
            for length in [1, 2, 256, 257] {
                let name = file_name(&identity, &blocks(length));
                assert!(is_name(&name), "{name}");
                assert!(names.insert(name));
            }
        }
        assert_eq!(identity_of(&ours, Namespace::default()), ours);
    }

    #[test]
    fn other_files_are_left_alone() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(is_name(&format!("{digits}.state")));
        for name in ["", ".state", "lock", "notes.state", digits] {
            assert!(!is_name(name), "{name}");
        }
        let others =
            [digits.to_uppercase(), digits[1..].to_owned(), format!("{digits}0"), format!("../{digits}")];
        assert!(others.iter().all(|name| !is_name(&format!("{name}.state"))));
    }
}
