//! The header of a state file: the identity of the state, and the lengths of its parts. Pure: bytes in, numbers out.

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The identity of a state. A state can be used only if all of it is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The model's files.
    pub model: Digest,
    /// Release and patches of llama.cpp.
    pub engine: Digest,
    /// Settings of the context, such as the types of the KV cache, and overridden metadata.
    pub settings: Digest,
}

/// The first [`Header::BYTES`] bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The identity of the state.
    pub identity: Identity,
    /// Tokens of the sequence.
    pub tokens: u64,
    /// Bytes of the decoder's state.
    pub state: u64,
}

/// Why the bytes are not a valid header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The file has another format.
    #[error("it is not a state file of ggrun")]
    Magic,
    /// The file has another version of the format.
    #[error("it has format version {found}, expected {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// The file is truncated, or has surplus bytes.
    #[error("it has {found} bytes, expected {expected}")]
    Length {
        /// The length of the file.
        found: u64,
        /// The length by its header.
        expected: u128,
    },
}

const MAGIC: [u8; 8] = *b"ggrunkv\0";
const VERSION: u32 = 1;

impl Header {
    /// Length of a header.
    pub const BYTES: usize = 128;

    /// Magic, version, four zeros, three digests, two lengths; numbers are little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let Self { identity: Identity { model, engine, settings }, tokens, state } = self;
        let mut bytes = [0; Self::BYTES];
        let version = u64::from(VERSION).to_le_bytes();
        let fields: [&[u8]; 7] =
            [&MAGIC, &version, model, engine, settings, &tokens.to_le_bytes(), &state.to_le_bytes()];
        for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// Reads the header of a file of `length` bytes.
    ///
    /// # Errors
    ///
    /// When it is not a valid header, or its length differs from that of the file.
    pub fn parse(bytes: &[u8; Self::BYTES], length: u64) -> Result<Self, Broken> {
        let digest = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(Broken::Magic);
        }
        let found = u32::from_le_bytes(std::array::from_fn(|i| bytes[8 + i]));
        if found != VERSION || bytes[12..16] != [0; 4] {
            return Err(Broken::Version { found });
        }
        let identity = Identity { model: digest(16), engine: digest(48), settings: digest(80) };
        let header = Self { identity, tokens: number(112), state: number(120) };
        if header.length() != u128::from(length) {
            return Err(Broken::Length { found: length, expected: header.length() });
        }
        Ok(header)
    }

    /// Bytes of the whole file: header, four for each token, state, and a digest of all these.
    #[must_use]
    pub fn length(&self) -> u128 {
        let ends = (Self::BYTES + size_of::<Digest>()) as u128;
        ends + 4 * u128::from(self.tokens) + u128::from(self.state)
    }
}
