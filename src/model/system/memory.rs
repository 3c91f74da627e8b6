//! The size of main memory.

use std::path::Path;

use super::files::{field, smaller, text};
use super::group::Limits;

/// Main memory in bytes, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MainMemory {
    /// Total memory.
    pub total: Option<u64>,
    /// Memory that is available to programs without swapping, within the limits.
    pub available: Option<u64>,
    /// The limit, if it is below the total.
    pub limit: Option<u64>,
    /// Swap.
    pub swap: Option<u64>,
}

impl MainMemory {
    /// Reads the sizes.
    #[must_use]
    pub fn read(root: &Path, limits: Limits) -> Self {
        let info = text(root, "proc/meminfo").unwrap_or_default();
        let kib = |key| field(&info, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024);
        let total = kib("MemTotal");
        Self {
            total,
            available: smaller(smaller(kib("MemAvailable"), limits.left), address_space(root)),
            limit: limits.memory.filter(|limit| total.is_none_or(|total| *limit < total)),
            swap: kib("SwapTotal"),
        }
    }

    /// The maximum memory that a program can use.
    #[must_use]
    pub fn usable(&self) -> Option<u64> {
        smaller(self.total, self.limit)
    }
}

/// Address space kept for stacks, allocators and libraries, in bytes.
const RESERVED: u64 = 128 << 20;

/// The address space that is left below `ulimit -v`, in bytes; `None` without a limit.
fn address_space(root: &Path) -> Option<u64> {
    let limits = text(root, "proc/self/limits")?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = soft.split_whitespace().next()?.parse().ok()?;
    let status = text(root, "proc/self/status").unwrap_or_default();
    let used = field(&status, "VmSize").and_then(|size| size.strip_suffix("kB")?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.unwrap_or(0).saturating_mul(1024)).saturating_sub(RESERVED))
}
