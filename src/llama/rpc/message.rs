//! The first messages of llama.cpp's RPC, as bytes: the greeting of a client and the answer of a worker. Numbers are
//! little-endian, as in llama.cpp's memory.

/// The first command in every version.
const HELLO: u8 = 14;
/// Bytes that describe the transports of either side; zeros mean plain TCP.
const TRANSPORTS: usize = 24;
/// Bytes before the content of a greeting: the command and a length.
const HEAD: usize = 1 + 8;
/// Bytes before the content of an answer: a length.
pub(super) const ANSWER_HEAD: usize = 8;
/// The content of an answer: a version of three numbers, an unused byte, and the transports.
pub(super) const ANSWER: usize = 4 + TRANSPORTS;
/// Bytes of a greeting.
pub const GREETING: usize = HEAD + TRANSPORTS;

/// What the first bytes of a client are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// A greeting of [`GREETING`] bytes.
    Whole,
    /// The beginning of a greeting.
    Partial,
    /// Something else, such as an HTTP request.
    Other,
}

impl Greeting {
    /// Judges the first bytes of a client.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let length = (TRANSPORTS as u64).to_le_bytes();
        let head = std::iter::once(HELLO).chain(length);
        if bytes.iter().zip(head).any(|(found, expected)| *found != expected) {
            return Self::Other;
        }
        if bytes.len() < GREETING { Self::Partial } else { Self::Whole }
    }
}

/// The greeting of a client that uses plain TCP.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = vec![HELLO];
    bytes.extend((TRANSPORTS as u64).to_le_bytes());
    bytes.extend([0; TRANSPORTS]);
    bytes
}

/// The answer of a worker that uses plain TCP.
#[must_use]
pub fn answer(version: [u8; 3]) -> Vec<u8> {
    let mut bytes = (ANSWER as u64).to_le_bytes().to_vec();
    bytes.extend(version);
    bytes.resize(ANSWER_HEAD + ANSWER, 0);
    bytes
}

/// The length of the content that the head of an answer announces is that of a worker.
pub(super) fn is_answer(head: [u8; ANSWER_HEAD]) -> bool {
    u64::from_le_bytes(head) == ANSWER as u64
}

/// The major and minor version in the content of an answer.
pub(super) fn version(answer: &[u8; ANSWER]) -> [u8; 2] {
    [answer[0], answer[1]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_has_the_version_that_is_read_from_it() {
        let bytes = answer([7, 3, 9]);
        let (head, content) = bytes.split_first_chunk().unwrap();
        assert!(is_answer(*head) && !is_answer(*b"HTTP/1.1"));
        assert_eq!(version(content.try_into().unwrap()), [7, 3]);
    }

    #[test]
    fn every_beginning_of_a_greeting_is_partial_and_other_bytes_are_not() {
        let whole = greeting();
        assert_eq!((whole.len(), Greeting::of(&whole)), (GREETING, Greeting::Whole));
        for end in 0..whole.len() {
            assert_eq!(Greeting::of(&whole[..end]), Greeting::Partial, "{end}");
        }
        for other in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x0e\x17", &[0xff; 64], &[14, 24, 0, 0, 0, 0, 0, 0, 1]]
        {
            assert_eq!(Greeting::of(other), Greeting::Other, "{other:?}");
        }
    }

    #[test]
    fn seeds_are_what_their_names_say() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/rpc_hello");
        let seed = |name: &str| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(Greeting::of(&seed("greeting")), Greeting::Whole);
        assert_eq!(Greeting::of(&seed("partial")), Greeting::Partial);
        assert_eq!(Greeting::of(&seed("http")), Greeting::Other);
        assert_eq!(Greeting::of(&seed("long")), Greeting::Other);
        assert_eq!(seed("answer"), answer([7, 0, 0]));
    }

    proptest! {
        #[test]
        fn more_bytes_never_make_other_bytes_a_greeting(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(14), Just(24), any::<u8>()], 0..40)) {
            let mut other = false;
            for end in 0..=bytes.len() {
                let found = Greeting::of(&bytes[..end]);
                prop_assert!(!other || found == Greeting::Other);
                prop_assert_eq!(found == Greeting::Whole, found != Greeting::Other && end >= GREETING);
                other |= found == Greeting::Other;
            }
        }
    }
}
