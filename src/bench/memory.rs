//! The most memory that this process took.

use std::fs;

use crate::model::Device;

/// Bytes at the worst moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// Main memory, resident; `None` where the system does not tell.
    pub ram: Option<u64>,
    /// Memory of all GPUs, by how much less of it is free than there was; `None` without a GPU.
    pub vram: Option<u64>,
}

/// The peak so far. `before` and `now` are the devices before anything was loaded and at this moment: GPUs do not tell
/// what they held in between, but llama.cpp gives nothing back while a context lives.
#[must_use]
pub fn peak_memory(before: &[Device], now: &[Device]) -> Peak {
    let taken = |name: &str, free: u64| {
        let device = now.iter().find(|device| device.name == name);
        device.map_or(0, |device| free.saturating_sub(device.free))
    };
    let gpus: Vec<u64> =
        before.iter().filter(|d| d.kind.is_gpu()).map(|device| taken(&device.name, device.free)).collect();
    let ram = fs::read_to_string("/proc/self/status").ok().and_then(|status| high_water(&status));
    Peak { ram, vram: (!gpus.is_empty()).then(|| gpus.iter().sum()) }
}

/// The line of `/proc/self/status`, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 7 kB\n"), Some(1234 << 10));
        for broken in ["", "VmHWM:", "VmHWM: 12", "VmHWM: 99999999999999999999 kB", "VmHWM: -1 kB"] {
            assert_eq!(high_water(broken), None, "{broken:?}");
        }
    }
}
