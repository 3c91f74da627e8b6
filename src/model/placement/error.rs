//! Errors of placing a model.

use gguf_export::size;

use super::bill::Bill;
use super::note::Note;

/// Why a model cannot be placed with the given options.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The machine has no such device.
    #[error("unknown device `{device}`{}", list(known))]
    Device {
        /// The requested device.
        device: String,
        /// The machine's devices.
        known: Vec<String>,
    },
    /// The machine has no such buffer type.
    #[error("unknown buffer type `{buffer}`{}", list(known))]
    Buffer {
        /// The requested buffer type.
        buffer: String,
        /// The machine's buffer types.
        known: Vec<String>,
    },
    /// A pattern for tensor names is not a regular expression.
    #[error("`{pattern}` is not a regular expression: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Experts cannot be read from disk as they are chosen.
    #[error("experts cannot be read from disk as they are chosen: {reason}")]
    Stream {
        /// Why not.
        reason: &'static str,
    },
    /// A split has more shares than there are devices, or only zeros.
    #[error("the split has {given} shares for {devices} devices, expected one per device, not all zero")]
    Split {
        /// The number of shares.
        given: usize,
        /// The number of devices in use.
        devices: usize,
    },
    /// There is no GPU with the number of the main GPU.
    #[error("there is no GPU {index} among the {devices} in use, which are numbered from 0")]
    MainGpu {
        /// The requested number.
        index: u32,
        /// The number of devices in use.
        devices: usize,
    },
    /// Values of the KV cache are quantized without flash attention.
    #[error("`-ctv {}` needs flash attention, which `-fa off` turns off", ty.to_lowercase())]
    CacheValues {
        /// The type.
        ty: &'static str,
    },
    /// Keys and values are one cache, and the types of the two differ.
    #[error(
        "`-ctk {}` and `-ctv {}` differ, expected the same type: in this model, keys and values are one cache",
        keys.to_lowercase(),
        values.to_lowercase()
    )]
    CacheTypes {
        /// The type of the keys.
        keys: &'static str,
        /// The type of the values.
        values: &'static str,
    },
    /// The blocks of a type of the KV cache do not divide a head.
    #[error("`{option} {}` has blocks of {block} values, which do not divide a head of {length}", ty.to_lowercase())]
    CacheBlocks {
        /// The option, as typed.
        option: &'static str,
        /// The type.
        ty: &'static str,
        /// The length of a head.
        length: u64,
        /// The length of a block.
        block: u64,
    },
    /// The model does not fit.
    #[error("{}", not_enough(.0))]
    Memory(Box<OutOfMemory>),
}

/// The memory that is missing, and the changes that would help.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfMemory {
    /// The memory that is needed, by device.
    pub bill: Bill,
    /// Options that would make the model fit, each as typed.
    pub remedies: Vec<String>,
    /// Whether the caller limited the memory, and not only the machine.
    pub is_limited: bool,
    /// Options without effect, or with one that is hardly intended.
    pub notes: Vec<Note>,
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "; this machine has only the CPU".to_owned();
    }
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!(", expected {}", names.join(" or "))
}

fn not_enough(needed: &OutOfMemory) -> String {
    let over = needed.bill.lines.iter().filter(|line| !line.fits());
    let parts: Vec<String> = over
        .map(|line| {
            format!(
                "{} needs {}, limit {} ({} free)",
                line.device,
                size(line.sum()),
                size(line.budget),
                size(line.free)
            )
        })
        .collect();
    format!("not enough memory: {}", parts.join("; "))
}
