//! A saved sequence of the engine as a file, from which another process can resume.
//!
//! llama.cpp ends the process on some invalid states, so a state is returned only after length, identity and the digest
//! at the end have been verified.

mod header;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::atomic::{Access, NewFile};
use crate::engine::{Saved, Token};
pub use header::{Broken, Digest, Header, Identity};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It is not a state, or not a complete one.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It belongs to another model, engine or kind of context.
    #[error("it belongs to another {what}")]
    Foreign {
        /// What differs.
        what: &'static str,
    },
    /// Its digest does not match.
    #[error("it is damaged")]
    Damaged,
}

/// Bytes the file of a state takes.
#[must_use]
pub fn file_bytes(saved: &Saved) -> u64 {
    u64::try_from(header_of(saved, &Identity { model: [0; 32], engine: [0; 32], settings: [0; 32] }).length())
        .unwrap_or(u64::MAX)
}

/// Writes a state. A file of this name is replaced once the new one is complete.
///
/// # Errors
///
/// When the folder or the file cannot be written.
pub fn write(path: &Path, identity: &Identity, saved: &Saved) -> io::Result<()> {
    let mut file = NewFile::beside(path, Access::Owner)?;
    write_to(&mut file, identity, saved)?;
    file.commit().map(drop)
}

/// Reads a state that belongs to `identity`.
///
/// # Errors
///
/// When there is no file, it is damaged, or it belongs to something else.
pub fn read(path: &Path, identity: &Identity) -> Result<Saved, Refused> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    read_from(&mut file, length, identity)
}

fn header_of(saved: &Saved, identity: &Identity) -> Header {
    Header { identity: *identity, tokens: saved.tokens().len() as u64, state: saved.state().len() as u64 }
}

/// Reads the header of a file of `length` bytes.
///
/// # Errors
///
/// When it cannot be read, or is not the header of a whole state.
pub fn read_header(from: &mut impl Read, length: u64) -> Result<Header, Refused> {
    if length < Header::BYTES as u64 {
        return Err(Broken::Length { found: length, expected: Header::BYTES as u128 }.into());
    }
    let mut bytes = [0; Header::BYTES];
    from.read_exact(&mut bytes)?;
    Ok(Header::parse(&bytes, length)?)
}

/// Reads the tokens, which follow the header. They are verified only with the whole file.
///
/// # Errors
///
/// When they cannot be read.
pub fn read_tokens(from: &mut impl Read, header: &Header) -> io::Result<Vec<Token>> {
    let bytes = exactly(from, header.tokens.saturating_mul(4))?;
    let (tokens, _) = bytes.as_chunks::<4>();
    Ok(tokens.iter().map(|bytes| Token(i32::from_le_bytes(*bytes))).collect())
}

fn token_bytes(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.0.to_le_bytes()).collect()
}

fn write_to(out: &mut impl Write, identity: &Identity, saved: &Saved) -> io::Result<()> {
    let mut digest = Sha256::new();
    for part in [&header_of(saved, identity).encode()[..], &token_bytes(saved.tokens()), saved.state()] {
        digest.update(part);
        out.write_all(part)?;
    }
    out.write_all(&digest.finalize())
}

/// `length` is that of the file, so no more is allocated than it holds.
fn read_from(from: &mut impl Read, length: u64, identity: &Identity) -> Result<Saved, Refused> {
    let header = read_header(from, length)?;
    let ours = [identity.model, identity.engine, identity.settings];
    let theirs = [header.identity.model, header.identity.engine, header.identity.settings];
    let names = [
        "model",
        "release of the engine",
        "kind of context (its cache types, flash attention, scaling of positions, metadata overrides)",
    ];
    if let Some(index) = (0..3).find(|&index| ours[index] != theirs[index]) {
        return Err(Refused::Foreign { what: names[index] });
    }
    let tokens = read_tokens(from, &header)?;
    let state = exactly(from, header.state)?;
    let mut digest = Sha256::new();
    for part in [&header.encode()[..], &token_bytes(&tokens), &state] {
        digest.update(part);
    }
    if exactly(from, size_of::<Digest>() as u64)?[..] != digest.finalize()[..] {
        return Err(Refused::Damaged);
    }
    Ok(Saved::vouched(tokens, state))
}

fn exactly(from: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    from.take(count).read_to_end(&mut bytes)?;
    if bytes.len() == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Identity = Identity { model: [1; 32], engine: [2; 32], settings: [3; 32] };

    fn file(tokens: Vec<i32>, state: Vec<u8>) -> (Saved, Vec<u8>) {
        let saved = Saved::vouched(tokens.into_iter().map(Token).collect(), state);
        let mut bytes = Vec::new();
        write_to(&mut bytes, &OURS, &saved).unwrap();
        (saved, bytes)
    }

    fn parse(bytes: &[u8], identity: &Identity) -> Result<Saved, Refused> {
        read_from(&mut &bytes[..], bytes.len() as u64, identity)
    }

    #[test]
    fn a_state_of_something_else_is_refused_with_what_differs() {
        let (saved, bytes) = file(vec![1, -2], vec![7; 9]);
        assert_eq!(file_bytes(&saved), bytes.len() as u64);
        for (other, words) in [
            (Identity { model: [0; 32], ..OURS }, "another model"),
            (Identity { engine: [0; 32], ..OURS }, "another release"),
            (Identity { settings: [0; 32], ..OURS }, "another kind of context"),
        ] {
            let error = parse(&bytes, &other).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(parse(b"not a state", &OURS).is_err());
    }

    #[test]
    fn lengths_that_lie_are_refused_before_allocating() {
        let mut bytes = [0; Header::BYTES];
        for (tokens, state) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (1 << 62, 0)] {
            bytes = Header { identity: OURS, tokens, state }.encode();
            let refused = parse(&bytes, &OURS);
            assert!(matches!(refused, Err(Refused::Broken(Broken::Length { .. }))), "{refused:?}");
        }
        assert_eq!(bytes[..5], *b"ggrun");
    }

    #[test]
    fn a_failed_write_leaves_the_old_state_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.state");
        let (saved, bytes) = file(vec![1], vec![2]);
        write(&path, &OURS, &saved).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(read(&path, &OURS).unwrap(), saved);
        std::fs::create_dir(folder.path().join("b.state")).unwrap();
        assert!(write(&folder.path().join("b.state"), &OURS, &saved).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    proptest! {
        #[test]
        fn a_state_cut_or_changed_anywhere_is_refused(
            tokens in prop::collection::vec(any::<i32>(), 0..9),
            state in prop::collection::vec(any::<u8>(), 0..40),
            (at, bit, more) in (any::<prop::sample::Index>(), 0..8_u8, 1..9_usize),
        ) {
            let (saved, bytes) = file(tokens, state);
            prop_assert_eq!(parse(&bytes, &OURS).unwrap(), saved);
            let at = at.index(bytes.len());
            prop_assert!(parse(&bytes[..at], &OURS).is_err());
            let mut changed = bytes.clone();
            changed[at] ^= 1_u8 << bit;
            prop_assert!(parse(&changed, &OURS).is_err());
            changed.clone_from(&bytes);
            changed.extend(vec![0; more]);
            prop_assert!(parse(&changed, &OURS).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes, &OURS).is_err());
        }
    }
}
