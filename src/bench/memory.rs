//! The peak memory of this process.

use std::fs;

use crate::model::Device;

/// Peak memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// Resident main memory; `None` if the system does not report it.
    pub ram: Option<u64>,
    /// Memory of all GPUs, measured by the decrease of free memory; `None` without a GPU.
    pub vram: Option<u64>,
}

/// The peak so far. `before` and `now` are the devices before loading and at present. GPUs do not report a peak, but
/// llama.cpp frees nothing during the life of a context.
#[must_use]
pub fn peak_memory(before: &[Device], now: &[Device]) -> Peak {
    let used = |name: &str, free: u64| {
        let device = now.iter().find(|device| device.name == name);
        device.map_or(0, |device| free.saturating_sub(device.free))
    };
    let gpus: Vec<u64> =
        before.iter().filter(|d| d.kind.is_gpu()).map(|device| used(&device.name, device.free)).collect();
    let ram = fs::read_to_string("/proc/self/status").ok().and_then(|status| high_water(&status));
    Peak { ram, vram: (!gpus.is_empty()).then(|| gpus.iter().sum()) }
}

/// `VmHWM` of `/proc/self/status`, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmhwm_is_converted_to_bytes() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 7 kB\n"), Some(1234 << 10));
        for broken in ["", "VmHWM:", "VmHWM: 12", "VmHWM: 99999999999999999999 kB", "VmHWM: -1 kB"] {
            assert_eq!(high_water(broken), None, "{broken:?}");
        }
    }
}
