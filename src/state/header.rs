//! The front of a state's file: what it is of, and how long its parts are. Pure: bytes in, numbers out.

/// A digest by SHA-256.
pub type Digest = [u8; 32];

/// What must be the same for a state to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The model's files.
    pub model: Digest,
    /// Release and patches of the engine.
    pub engine: Digest,
    /// How the context keeps what it read.
    pub settings: Digest,
}

/// The first [`Header::BYTES`] bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is of.
    pub identity: Identity,
    /// Tokens of the sequence.
    pub tokens: u64,
    /// Bytes of the decoder's state.
    pub state: u64,
}

/// Why the bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Something else is in it.
    #[error("it is no state of ggrun")]
    Magic,
    /// Another program wrote it.
    #[error("it has version {found}, expected {VERSION}")]
    Version {
        /// What is there.
        found: u32,
    },
    /// It was cut short, or something was added.
    #[error("it has {found} bytes, expected {expected}")]
    Length {
        /// What is there.
        found: u64,
        /// What its header says.
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

    /// Reads the front of a file that has `length` bytes.
    ///
    /// # Errors
    ///
    /// When it is something else, or the file has another length than it says.
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

    /// Bytes of the whole file: this, four for each token, the state, a digest of it all.
    #[must_use]
    pub fn length(&self) -> u128 {
        let ends = (Self::BYTES + size_of::<Digest>()) as u128;
        ends + 4 * u128::from(self.tokens) + u128::from(self.state)
    }
}
