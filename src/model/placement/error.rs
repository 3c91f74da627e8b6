//! Why a model cannot be placed.

use super::Bill;

/// Why a model cannot be placed as it was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A device that is not there.
    #[error("there is no device `{device}`, only {}", list(known))]
    Device {
        /// What was asked for.
        device: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A buffer type that is not there.
    #[error("there is no buffer type `{buffer}`, only {}", list(known))]
    Buffer {
        /// What was asked for.
        buffer: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An expression over tensor names that is none.
    #[error("`{pattern}` is not an expression: {reason}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// Where it goes wrong.
        reason: String,
    },
    /// Shares of more devices than there are, or none that is not zero.
    #[error("a split of {given} shares for {devices} devices, expected one for each, not all zero")]
    Split {
        /// Shares given.
        given: usize,
        /// Devices used.
        devices: usize,
    },
    /// It does not fit.
    #[error("{}", too_much(.0))]
    Memory(Box<TooMuch>),
}

/// What does not fit, and what would.
#[derive(Debug, Clone, PartialEq)]
pub struct TooMuch {
    /// What it would take, by device.
    pub bill: Bill,
    /// Changes that would make it fit, each as it is typed.
    pub remedies: Vec<String>,
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "the CPU".to_owned();
    }
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn too_much(too_much: &TooMuch) -> String {
    let over = too_much.bill.lines.iter().filter(|line| !line.fits());
    let parts: Vec<String> = over
        .map(|line| {
            format!(
                "{} needs {}, it may use {} of {} free",
                line.device,
                gib(line.sum()),
                gib(line.budget),
                gib(line.free)
            )
        })
        .collect();
    format!("not enough memory: {}", parts.join("; "))
}

fn gib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let number = bytes as f64 / f64::from(1 << 30);
    format!("{number:.2} GiB")
}
