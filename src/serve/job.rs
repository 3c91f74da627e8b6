//! A request that was submitted.

use super::encoder::Encoder;
use super::running::Listed;
use crate::session::Chat;

/// A request that was submitted.
pub(super) struct Job {
    /// Its answers.
    pub(super) chats: Vec<Chat>,
    /// Writes them.
    pub(super) encoder: Box<dyn Encoder>,
    /// Whether they are streamed.
    pub(super) is_stream: bool,
    /// Fields that were ignored.
    pub(super) ignored: Vec<String>,
    /// Its entry in the list of answers that are being written.
    pub(super) listed: Option<Listed>,
}
