//! Facts become sentences that say what to do.

use super::Facts;

/// Bytes of the model that this project is for, as a GGUF.
const MODEL: u64 = 47_000_000_000;
/// Bytes of its weights that one token reads.
const TRAFFIC: f64 = 3.47e9;
/// Main memory below which a machine is better off with a small model.
const SMALL: u64 = 50_000_000_000;

/// Instruction sets without which the kernels of quantised weights are plain loops. Others help by less.
const VITAL: [&str; 7] = ["SSSE3", "AVX", "F16C", "FMA", "AVX2", "NEON", "DOTPROD"];

/// What to do, the most useful first. Nothing if nothing is wrong.
#[must_use]
pub fn advice(facts: &Facts) -> Vec<String> {
    [build(facts), graphics(facts), memory(facts), disks(facts), clock(facts), hub(facts)].concat()
}

fn build(facts: &Facts) -> Vec<String> {
    let unused = facts.processor.unused();
    if unused.is_empty() {
        return Vec::new();
    }
    let vital = unused.iter().any(|name| VITAL.contains(name));
    vec![format!(
        "The processor has {}, and this build does not use {}: build it on this machine, in its own folder, where \
         `target-cpu=native` is set. It {} faster.",
        unused.join(", "),
        if unused.len() == 1 { "it" } else { "them" },
        if vital { "will be several times" } else { "may be" }
    )]
}

fn graphics(facts: &Facts) -> Vec<String> {
    // Vulkan drives the GPUs of every maker.
    let built = |maker| {
        let own = [feature(maker).0, "vulkan"];
        facts.engine.backends.iter().any(|name| own.iter().any(|own| name.eq_ignore_ascii_case(own)))
    };
    let missing = facts.video.iter().filter(|video| !built(video.maker));
    let mut said: Vec<String> = missing
        .filter(|video| video.maker != "Intel")
        .map(|video| {
            let (feature, name) = feature(video.maker);
            format!(
                "There is a GPU of {}, and this build has no {name}: build with `--features {feature}` and dense \
                 weights and the KV cache go there.",
                video.maker
            )
        })
        .collect();
    if facts.gpus.is_empty() && facts.video.iter().any(|v| v.maker == "NVIDIA" && v.driver.is_none()) {
        said.push("The GPU of NVIDIA has no driver: install it first.".to_owned());
    }
    for video in &facts.video {
        if let (true, true, Some(driver)) = (facts.gpus.is_empty(), built(video.maker), &video.driver) {
            said.push(format!(
                "There is a GPU of {} with driver {driver}, and the engine does not see it: the driver may be older \
                 than what this build needs, or `CUDA_VISIBLE_DEVICES` hides it.",
                video.maker
            ));
        }
    }
    said
}

fn feature(maker: &str) -> (&'static str, &'static str) {
    if maker == "NVIDIA" { ("cuda", "CUDA") } else { ("vulkan", "Vulkan") }
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn memory(facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let gpus: u64 = facts.gpus.iter().map(|gpu| gpu.total_bytes).sum();
    if let Some(usable) = facts.memory.usable()
        && usable.saturating_add(gpus) < SMALL
    {
        said.push(format!(
            "{:.0} GB of memory do not hold the 80B model ({:.0} GB): it would be read from the disk all the time. \
             `ggrun plan -m FILE` says what fits.",
            gb(usable.saturating_add(gpus)),
            gb(MODEL)
        ));
    }
    if let (Some(limit), Some(total)) = (facts.memory.limit_bytes, facts.memory.total_bytes) {
        said.push(format!(
            "The container allows {:.0} of {:.0} GB of memory: raise its limit if the model does not fit.",
            gb(limit),
            gb(total)
        ));
    }
    // Fewer threads than will compute do not read all that the memory gives.
    let all = facts.memory.bandwidth_threads >= facts.processor.cores;
    if let Some(bandwidth) = facts.memory.bandwidth.filter(|bandwidth| all && *bandwidth < 20e9) {
        said.push(format!(
            "Memory gives {:.0} GB/s, and the 80B model reads {:.1} GB for each token: expect at most {:.1} tokens a \
             second from it. More memory channels help, more cores do not.",
            bandwidth / 1e9,
            TRAFFIC / 1e9,
            bandwidth / TRAFFIC
        ));
    }
    said
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn disks(facts: &Facts) -> Vec<String> {
    let short = facts.disks.iter().filter_map(|disk| Some((disk, disk.free_bytes?)));
    // Folders of one file system are one disk.
    let mut told: Vec<u64> = Vec::new();
    short
        .filter(|(_, free)| {
            let fresh = !told.contains(free);
            told.push(*free);
            fresh && *free < MODEL
        })
        .map(|(disk, free)| {
            format!(
                "`{}` ({}) has {:.0} GB free: the 80B model takes {:.0} GB as a GGUF.",
                disk.folder.display(),
                disk.purpose,
                free as f64 / 1e9,
                MODEL as f64 / 1e9
            )
        })
        .collect()
}

fn clock(facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    if facts.processor.governor.as_deref() == Some("powersave") {
        said.push(
            "The processor saves power: `cpupower frequency-set -g performance` may make it faster."
                .to_owned(),
        );
    }
    if let Some(percent) = facts.processor.quota_percent
        && percent < u64::from(facts.processor.cores) * 100
    {
        said.push(format!(
            "The container allows {}.{:02} processors, and {} threads would compute: give `-t {}`.",
            percent / 100,
            percent % 100,
            facts.processor.cores,
            (percent / 100).max(1)
        ));
    }
    said
}

fn hub(facts: &Facts) -> Vec<String> {
    let refused = facts.hub.refused.iter().map(|why| format!("Mend or unset this: {why}."));
    let offline = || "HF_HUB_OFFLINE is set: nothing is downloaded.".to_owned();
    refused.chain(facts.hub.offline.then(offline)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Disk, Engine, Hub, Memory, Processor, Token, Video};
    use super::*;

    /// A workstation with which nothing is wrong.
    fn good() -> Facts {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Facts {
            processor: Processor {
                cores: 8,
                has: names(&["AVX", "AVX2"]),
                compiled: names(&["AVX", "AVX2", "FMA"]),
                ..Processor::default()
            },
            memory: Memory {
                total_bytes: Some(64 << 30),
                available_bytes: Some(60 << 30),
                bandwidth: Some(60e9),
                bandwidth_threads: 8,
                ..Memory::default()
            },
            disks: vec![Disk {
                purpose: "this folder",
                folder: "/".into(),
                free_bytes: Some(500 << 30),
                total_bytes: Some(1 << 40),
            }],
            gpus: Vec::new(),
            video: Vec::new(),
            engine: Engine {
                ggrun: "0",
                llama_cpp: "b1".to_owned(),
                patches: Vec::new(),
                backends: names(&["CPU", "RPC"]),
            },
            hub: Hub {
                token: Token::None,
                endpoint: String::new(),
                offline: false,
                refused: Vec::new(),
                cache: "/".into(),
                repositories: 0,
                bytes: 0,
                counted: true,
            },
        }
    }

    fn one(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = good();
        change(&mut facts);
        let said = advice(&facts);
        assert_eq!(said.len(), 1, "{said:?}");
        said.concat()
    }

    #[test]
    fn nothing_is_said_of_a_good_machine() {
        assert_eq!(advice(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_fault_has_its_sentence() {
        let bare = one(|facts| facts.processor.compiled.clear());
        assert!(bare.contains("AVX, AVX2") && bare.contains("native"), "{bare}");
        assert!(bare.contains("several times"), "{bare}");
        let little = one(|facts| facts.processor.has.push("AVX512_BF16".to_owned()));
        assert!(little.contains("AVX512_BF16") && little.contains("may be faster"), "{little}");
        let video = |maker, driver: Option<&str>| Video { maker, driver: driver.map(str::to_owned) };
        let cuda = one(|facts| facts.video = vec![video("NVIDIA", Some("550.1"))]);
        assert!(cuda.contains("--features cuda"), "{cuda}");
        assert!(one(|facts| facts.video = vec![video("AMD", None)]).contains("--features vulkan"));
        let blind = one(|facts| {
            facts.video = vec![video("NVIDIA", Some("470.1"))];
            facts.engine.backends.push("CUDA".to_owned());
        });
        assert!(blind.contains("470.1") && blind.contains("does not see it"), "{blind}");
        let laptop = one(|facts| facts.memory.total_bytes = Some(16 << 30));
        assert!(laptop.contains("17 GB") && laptop.contains("ggrun plan"), "{laptop}");
        let limited = one(|facts| facts.memory.limit_bytes = Some(60 << 30));
        assert!(limited.contains("64 of 69 GB"), "{limited}");
        let slow = one(|facts| facts.memory.bandwidth = Some(10e9));
        assert!(slow.contains("10 GB/s") && slow.contains("2.9 tokens"), "{slow}");
        let full = one(|facts| facts.disks[0].free_bytes = Some(12_000_000_000));
        assert!(full.contains("12 GB free"), "{full}");
        assert!(one(|facts| facts.processor.governor = Some("powersave".to_owned())).contains("cpupower"));
        let quota = one(|facts| facts.processor.quota_percent = Some(150));
        assert!(quota.contains("1.50 processors") && quota.contains("-t 1"), "{quota}");
        assert!(one(|facts| facts.hub.refused = vec!["`X` is no Y".to_owned()]).contains("`X` is no Y."));
        assert!(one(|facts| facts.hub.offline = true).contains("HF_HUB_OFFLINE"));
    }

    #[test]
    fn a_bandwidth_that_few_threads_measured_is_not_judged() {
        let mut facts = good();
        facts.memory.bandwidth = Some(10e9);
        facts.memory.bandwidth_threads = 2;
        assert_eq!(advice(&facts), Vec::<String>::new());
    }

    #[test]
    fn a_gpu_counts_as_memory() {
        let mut facts = good();
        facts.memory.total_bytes = Some(32 << 30);
        facts.gpus = vec![super::super::Gpu {
            name: "CUDA0".to_owned(),
            description: String::new(),
            backend: "CUDA".to_owned(),
            free_bytes: 24 << 30,
            total_bytes: 24 << 30,
        }];
        facts.engine.backends.push("CUDA".to_owned());
        facts.video = vec![Video { maker: "NVIDIA", driver: Some("1.0".to_owned()) }];
        assert_eq!(advice(&facts), Vec::<String>::new());
    }
}
