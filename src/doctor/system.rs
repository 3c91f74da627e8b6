//! Processor, memory and video hardware, from the files in which Linux describes them. `root` is the folder above `proc`
//! and `sys`, so that tests can describe any machine.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::model::system::{Limits, MainMemory, field, load_average, text};

/// The processor.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Processor {
    /// The maker's name for it.
    pub name: Option<String>,
    /// Physical cores that this process may use, which is the number of threads that compute.
    pub cores: u32,
    /// The container's CPU limit, in hundredths of a processor.
    pub quota_percent: Option<u64>,
    /// Instruction sets of the processor that llama.cpp can use, in llama.cpp's names.
    pub has: Vec<String>,
    /// Instruction sets that llama.cpp was compiled for, in its own names.
    pub compiled: Vec<String>,
    /// The frequency governor.
    pub governor: Option<String>,
    /// Physical cores of the machine, of which this process may use only some. The load is that of all of them.
    pub machine_cores: u32,
    /// Threads of all programs that ran or waited for a processor in the last minute, on average.
    pub load: Option<f64>,
}

/// Names of instruction sets in llama.cpp and in `/proc/cpuinfo`.
const SETS: [(&str, &str); 19] = [
    ("SSE3", "pni"),
    ("SSSE3", "ssse3"),
    ("AVX", "avx"),
    ("F16C", "f16c"),
    ("FMA", "fma"),
    ("BMI2", "bmi2"),
    ("AVX2", "avx2"),
    ("AVX_VNNI", "avx_vnni"),
    ("AVX512", "avx512f"),
    ("AVX512_VBMI", "avx512vbmi"),
    ("AVX512_VNNI", "avx512_vnni"),
    ("AVX512_BF16", "avx512_bf16"),
    ("AMX_INT8", "amx_int8"),
    ("NEON", "asimd"),
    ("FP16_VA", "asimdhp"),
    ("DOTPROD", "asimddp"),
    ("MATMUL_INT8", "i8mm"),
    ("SVE", "sve"),
    ("SME", "sme"),
];

impl Processor {
    /// Reads the processor's description. `compiled` is what the engine reports about itself.
    pub(super) fn read(root: &Path, cores: u32, limits: Limits, compiled: &[String]) -> Self {
        let info = text(root, "proc/cpuinfo").unwrap_or_default();
        // `Features` is the name on ARM.
        let flags: Vec<&str> = ["flags", "Features"]
            .iter()
            .find_map(|key| field(&info, key))
            .map(|flags| flags.split_whitespace().collect())
            .unwrap_or_default();
        let has = SETS.iter().filter(|(_, flag)| flags.contains(flag)).map(|(name, _)| (*name).to_owned());
        let name = ["model name", "Model", "Hardware"].iter().find_map(|key| field(&info, key));
        Self {
            name: name.map(str::to_owned),
            cores,
            machine_cores: cores,
            quota_percent: limits.quota_percent,
            has: has.collect(),
            compiled: compiled.to_vec(),
            governor: text(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            load: load_average(root),
        }
    }

    /// Whether other programs take half of the machine's cores or more.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.load.is_some_and(|load| load * 2.0 >= f64::from(self.machine_cores))
    }

    /// Instruction sets of the processor that the engine was not compiled for.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        self.has.iter().filter(|name| !self.compiled.contains(name)).map(String::as_str).collect()
    }
}

/// Main memory. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Memory {
    /// Total memory.
    pub total_bytes: Option<u64>,
    /// Memory that is available to programs now.
    pub available_bytes: Option<u64>,
    /// The container's limit.
    pub limit_bytes: Option<u64>,
    /// Swap.
    pub swap_bytes: Option<u64>,
    /// The bandwidth of reading, in bytes per second.
    pub bandwidth: Option<f64>,
    /// The number of threads that measured it.
    pub bandwidth_threads: u32,
}

impl Memory {
    pub(super) fn read(root: &Path, limits: Limits) -> Self {
        let MainMemory { total, available, limit, swap } = MainMemory::read(root, limits);
        Self {
            total_bytes: total,
            available_bytes: available,
            limit_bytes: limit,
            swap_bytes: swap,
            ..Self::default()
        }
    }

    /// The maximum memory that a program can use.
    #[must_use]
    pub fn usable(&self) -> Option<u64> {
        [self.total_bytes, self.limit_bytes].into_iter().flatten().min()
    }
}

/// A GPU, with or without a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Video {
    /// The maker.
    pub maker: &'static str,
    /// The driver's version.
    pub driver: Option<String>,
}

impl Video {
    pub(super) fn read(root: &Path) -> Vec<Self> {
        let nvidia = text(root, "proc/driver/nvidia/version").map(|text| driver_version(&text));
        let mut found = Vec::new();
        if let Some(driver) = &nvidia {
            found.push(Self { maker: "NVIDIA", driver: driver.clone() });
        }
        let list =
            |folder: &str| fs::read_dir(root.join(folder)).into_iter().flatten().filter_map(Result::ok);
        let cards = list("sys/class/drm").map(|card| card.path().join("device"));
        // A card without a screen and without a driver is not in `drm`. Class 3 is display.
        let display = |device: &PathBuf| text(device, "class").is_some_and(|class| class.starts_with("0x03"));
        let devices = list("sys/bus/pci/devices").map(|device| device.path()).filter(display);
        let mut makers: Vec<&str> = cards
            .chain(devices)
            .filter_map(|device| text(&device, "vendor"))
            .filter_map(|vendor| match vendor.as_str() {
                "0x10de" if nvidia.is_none() => Some("NVIDIA"),
                "0x1002" => Some("AMD"),
                "0x8086" => Some("Intel"),
                _ => None,
            })
            .collect();
        makers.sort_unstable();
        makers.dedup();
        found.extend(makers.into_iter().map(|maker| Self { maker, driver: None }));
        found
    }
}

/// The version in `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  ...`.
fn driver_version(text: &str) -> Option<String> {
    let version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.lines().next()?.split_whitespace().find(version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::system::{limits, tests::machine};
    use proptest::prelude::*;

    #[test]
    fn a_machine_in_a_container_is_read() {
        let root = machine(&[
            (
                "proc/cpuinfo",
                "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx avx2 avx512f\n",
            ),
            ("proc/meminfo", "MemTotal:       65536000 kB\nMemAvailable:   32768000 kB\nSwapTotal:  0 kB\n"),
            ("sys/fs/cgroup/memory.max", "17179869184\n"),
            ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
            (
                "proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  R\n",
            ),
            ("sys/class/drm/card0/device/vendor", "0x1002\n"),
        ]);
        let limits = limits(root.path());
        let processor = Processor::read(root.path(), 4, limits, &["AVX".to_owned()]);
        assert_eq!(processor.name.as_deref(), Some("Some CPU @ 3 GHz"));
        assert_eq!((processor.quota_percent, processor.unused()), (Some(150), vec!["AVX2", "AVX512"]));
        let memory = Memory::read(root.path(), limits);
        assert_eq!(memory.total_bytes, Some(65_536_000 << 10));
        assert_eq!((memory.limit_bytes, memory.usable()), (Some(16 << 30), Some(16 << 30)));
        assert_eq!(memory.available_bytes, Some(16 << 30), "no more than the container allows");
        let video = Video::read(root.path());
        assert_eq!(video[0], Video { maker: "NVIDIA", driver: Some("550.54.14".to_owned()) });
        assert_eq!(video[1], Video { maker: "AMD", driver: None });
    }

    #[test]
    fn missing_files_leave_everything_unknown() {
        let root =
            machine(&[("sys/fs/cgroup/memory.max", "max\n"), ("sys/fs/cgroup/cpu.max", "max 100000\n")]);
        let limits = limits(root.path());
        assert_eq!(Memory::read(root.path(), limits), Memory::default());
        let processor = Processor::read(root.path(), 1, limits, &[]);
        assert_eq!(processor, Processor { cores: 1, machine_cores: 1, ..Processor::default() });
        assert!(Video::read(root.path()).is_empty());
    }

    #[test]
    fn an_arm_processor_is_read() {
        let info = "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp i8mm\n";
        let root = machine(&[("proc/cpuinfo", info)]);
        let processor = Processor::read(root.path(), 4, Limits::default(), &["NEON".to_owned()]);
        assert_eq!(processor.unused(), ["FP16_VA", "DOTPROD", "MATMUL_INT8"]);
    }

    #[test]
    fn a_card_without_a_screen_and_a_driver_is_found_and_its_sound_device_is_not() {
        let root = machine(&[
            ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
            ("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n"),
            ("sys/bus/pci/devices/0000:02:00.1/vendor", "0x1002\n"),
            ("sys/bus/pci/devices/0000:02:00.1/class", "0x040300\n"),
        ]);
        assert_eq!(Video::read(root.path()), [Video { maker: "NVIDIA", driver: None }]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(garbage in "[ -~\t\n]{0,200}") {
            drop(driver_version(&garbage));
            let files = ["proc/meminfo", "proc/cpuinfo", "proc/self/cgroup", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.stat"];
            let root = machine(&files.map(|file| (file, garbage.as_str())));
            let limits = limits(root.path());
            drop((Memory::read(root.path(), limits), Processor::read(root.path(), 1, limits, &[])));
        }
    }
}
