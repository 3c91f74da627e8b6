//! Options of threads: how many, on which cores, at which priority. llama.cpp's names and meaning.

use std::io;

use anyhow::Context as _;
use clap::ValueEnum;
use ggrun::model::Numa;

/// The number of cores that a mask can select.
const MOST_CORES: usize = 512;

/// Options of threads.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Threads")]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct ThreadArgs {
    /// Compute with N threads [default: one for each performance core]
    #[arg(
        short,
        long,
        value_name = "N",
        env = "LLAMA_ARG_THREADS",
        allow_negative_numbers = true,
        hide_short_help = true
    )]
    threads: Option<i32>,
    /// Process prompts with N threads [default: same as --threads] (also -tb)
    #[arg(
        long,
        value_name = "N",
        env = "LLAMA_ARG_THREADS_BATCH",
        allow_negative_numbers = true,
        hide_short_help = true
    )]
    threads_batch: Option<i32>,
    /// Run only on these cores, given as a hexadecimal mask: 0xff is the first eight
    #[arg(short = 'C', long, value_name = "MASK", value_parser = mask, conflicts_with = "cpu_range",
        hide_short_help = true)]
    cpu_mask: Option<Cores>,
    /// Run only on these cores, given as the first and the last: 0-7 (also -Cr)
    #[arg(long, value_name = "LO-HI", value_parser = range, hide_short_help = true)]
    cpu_range: Option<Cores>,
    /// Set the priority of the process: -1 low, 0 normal, 1 medium, 2 high, 3 realtime
    ///
    /// Values above 0 need permission to raise priorities (CAP_SYS_NICE).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-1..=3),
        hide_short_help = true)]
    prio: Option<i8>,
    /// Spread threads and memory over NUMA nodes with this strategy
    #[arg(long, value_enum, value_name = "STRATEGY", env = "LLAMA_ARG_NUMA", hide_short_help = true)]
    numa: Option<Nodes>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Nodes {
    /// Run threads on all nodes
    Distribute,
    /// Run threads on the node where the process started
    Isolate,
    /// Use the nodes set by numactl
    Numactl,
}

/// Numbers of cores, in order.
type Cores = std::sync::Arc<[usize]>;

impl ThreadArgs {
    pub(super) fn threads(&self) -> Option<u32> {
        positive(self.threads)
    }

    pub(super) fn threads_batch(&self) -> Option<u32> {
        positive(self.threads_batch)
    }

    pub(super) fn numa(&self) -> Option<Numa> {
        self.numa.map(|nodes| match nodes {
            Nodes::Distribute => Numa::Distribute,
            Nodes::Isolate => Numa::Isolate,
            Nodes::Numactl => Numa::Numactl,
        })
    }

    /// Sets the cores and the priority of the process, which threads that start later inherit.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        if let Some(cores) = self.cpu_mask.as_ref().or(self.cpu_range.as_ref()) {
            run_on(cores).with_context(|| format!("cannot run on cores {}", listed(cores)))?;
        }
        if let Some(level) = self.prio {
            let nice = [5, 0, -5, -10, -20][usize::try_from(level + 1).unwrap_or(1)];
            if level != 0 {
                rustix::process::setpriority_process(None, nice)
                    .with_context(|| format!("cannot set the priority to {level} (nice {nice})"))?;
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn run_on(cores: &[usize]) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
fn run_on(_cores: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn positive(n: Option<i32>) -> Option<u32> {
    n.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

fn listed(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn mask(text: &str) -> Result<Cores, String> {
    let expected = || format!("expected a hexadecimal mask of at most {MOST_CORES} cores, such as 0xff");
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > MOST_CORES / 4 {
        return Err(expected());
    }
    let mut cores = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let bits = digit.to_digit(16).ok_or_else(expected)?;
        cores.extend((0..4).filter(|bit| bits >> bit & 1 == 1).map(|bit| place * 4 + bit));
    }
    if cores.is_empty() { Err("expected a mask with at least one core".to_owned()) } else { Ok(cores.into()) }
}

fn range(text: &str) -> Result<Cores, String> {
    let expected = || format!("expected the first and the last of at most {MOST_CORES} cores, such as 0-7");
    let (first, last) = text.split_once('-').ok_or_else(expected)?;
    let first = if first.is_empty() { 0 } else { first.parse().map_err(|_| expected())? };
    let last: usize = last.parse().map_err(|_| expected())?;
    if first > last || last >= MOST_CORES { Err(expected()) } else { Ok((first..=last).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_ranges_name_cores() {
        assert_eq!(*mask("0x5").unwrap(), [0, 2]);
        assert_eq!(*mask("f0").unwrap(), [4, 5, 6, 7]);
        assert_eq!(*mask("100000000").unwrap(), [32]);
        assert_eq!(*range("2-4").unwrap(), [2, 3, 4]);
        assert_eq!(*range("-1").unwrap(), [0, 1]);
    }

    #[test]
    fn other_text_is_refused() {
        for wrong in ["", "0x", "0", "xyz", "-1", &"f".repeat(129)] {
            assert!(mask(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "3", "4-2", "0-512", "a-b", "1-"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
