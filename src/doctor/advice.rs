//! Advice on what to change, one sentence each.

use super::facts::Facts;

/// Size of the 80B model as a GGUF, in bytes.
const MODEL: u64 = 47_000_000_000;
/// Bytes of its weights that are read for one token.
const TRAFFIC: f64 = 3.47e9;
/// Memory that it takes without its experts, in bytes.
const DENSE: u64 = 5_000_000_000;
/// Memory below which a smaller model is the better choice, in bytes.
const SMALL: u64 = 50_000_000_000;

/// Bytes in a GiB.
const GIB: f64 = 1_073_741_824.0;

/// Instruction sets without which the kernels for quantized weights are plain loops. Others matter less.
const VITAL: [&str; 7] = ["SSSE3", "AVX", "F16C", "FMA", "AVX2", "NEON", "DOTPROD"];

/// Recommended actions, the most useful first. Empty if nothing is wrong.
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
        "This build does not use {} of the processor: build ggrun on this machine, in its own folder, which sets \
         `target-cpu=native`. It {} faster.",
        unused.join(", "),
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
                "This build does not support the {} GPU: build with `--features {feature}` ({name}) to offload dense \
                 weights and the KV cache.",
                video.maker
            )
        })
        .collect();
    if facts.gpus.is_empty() && facts.video.iter().any(|v| v.maker == "NVIDIA" && v.driver.is_none()) {
        said.push("The NVIDIA GPU has no driver: install one first.".to_owned());
    }
    for video in &facts.video {
        if let (true, true, Some(driver)) = (facts.gpus.is_empty(), built(video.maker), &video.driver) {
            said.push(format!(
                "The engine does not find the {} GPU with driver {driver}: the driver may be too old for this build, or \
                 `CUDA_VISIBLE_DEVICES` hides the GPU.",
                video.maker
            ));
        }
    }
    said
}

fn feature(maker: &str) -> (&'static str, &'static str) {
    if maker == "NVIDIA" { ("cuda", "CUDA") } else { ("vulkan", "Vulkan") }
}

fn memory(facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    let gpus: u64 = facts.gpus.iter().map(|gpu| gpu.total_bytes).sum();
    if let Some(usable) = facts.memory.usable()
        && usable.saturating_add(gpus) < SMALL
    {
        let how = if facts.engine.streams && usable.saturating_add(gpus) > DENSE {
            "its experts would be read from disk as they are chosen: `ggrun plan -m FILE` measures the disk and shows the \
             speed to expect."
        } else {
            "it would be read from disk continuously: `ggrun plan -m FILE` shows what fits."
        };
        said.push(format!(
            "The 80B model ({:.0} GiB) does not fit in {:.0} GiB of memory, and {how}",
            gib(MODEL),
            gib(usable.saturating_add(gpus))
        ));
    }
    if let (Some(limit), Some(total)) = (facts.memory.limit_bytes, facts.memory.total_bytes) {
        said.push(format!(
            "The container is limited to {:.0} of {:.0} GiB of memory: raise the limit if the model does not fit.",
            gib(limit),
            gib(total)
        ));
    }
    // Fewer threads than compute do not reach the full bandwidth.
    let all = facts.memory.bandwidth_threads >= facts.processor.cores;
    let slow = facts.memory.bandwidth.filter(|bandwidth| all && *bandwidth < 20e9);
    if let (Some(_), true, Some(load)) = (slow, facts.processor.is_busy(), facts.processor.load) {
        said.push(format!(
            "Other programs keep the processor busy (load {load:.1} on {} cores), so the memory bandwidth says little: run \
             `ggrun doctor` again on an idle machine.",
            facts.processor.machine_cores
        ));
    } else if let Some(bandwidth) = slow {
        said.push(format!(
            "The memory bandwidth is {:.0} GiB/s, and the 80B model reads {:.1} GiB per token: expect at most {:.1} tokens \
             per second. More memory channels help, more cores do not.",
            bandwidth / GIB,
            TRAFFIC / GIB,
            bandwidth / TRAFFIC
        ));
    }
    said
}

fn disks(facts: &Facts) -> Vec<String> {
    let known = facts.disks.iter().filter_map(|disk| Some((disk, disk.free_bytes?)));
    // Two folders with the same free space are on one file system.
    let mut seen: Vec<u64> = Vec::new();
    known
        .filter(|(_, free)| {
            let is_new = !seen.contains(free);
            seen.push(*free);
            is_new && *free < MODEL
        })
        .map(|(disk, free)| {
            format!(
                "`{}` ({}) has {:.0} GiB of free space: the 80B model needs {:.0} GiB as a GGUF.",
                disk.folder.display(),
                disk.purpose,
                gib(free),
                gib(MODEL)
            )
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "no fraction is shown")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB
}

fn clock(facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    if facts.processor.governor.as_deref() == Some("powersave") {
        said.push(
            "The processor's governor is `powersave`: `cpupower frequency-set -g performance` may make it faster."
                .to_owned(),
        );
    }
    if let Some(percent) = facts.processor.quota_percent
        && percent < u64::from(facts.processor.cores) * 100
    {
        said.push(format!(
            "The container is limited to {}.{:02} processors, fewer than the {} threads that compute: use `-t {}`.",
            percent / 100,
            percent % 100,
            facts.processor.cores,
            (percent / 100).max(1)
        ));
    }
    said
}

fn hub(facts: &Facts) -> Vec<String> {
    let invalid = facts.hub.refused.iter().map(|error| format!("Correct this setting or unset it: {error}."));
    let offline = || "`HF_HUB_OFFLINE` is set: unset it to download models.".to_owned();
    invalid.chain(facts.hub.offline.then(offline)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Disk, Engine, Gpu, Hub, Memory, Processor, Token, Video};
    use super::*;

    /// A workstation that needs no advice.
    fn good() -> Facts {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Facts {
            processor: Processor {
                cores: 8,
                machine_cores: 8,
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
                streams: false,
                kernels: None,
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
    fn a_good_machine_gets_no_advice() {
        assert_eq!(advice(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_problem_has_its_advice() {
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
        assert!(blind.contains("470.1") && blind.contains("does not find"), "{blind}");
        let laptop = one(|facts| facts.memory.total_bytes = Some(16 << 30));
        assert!(laptop.contains("16 GiB") && laptop.contains("ggrun plan"), "{laptop}");
        assert!(laptop.contains("continuously"), "{laptop}");
        let streams = one(|facts| {
            facts.memory.total_bytes = Some(16 << 30);
            facts.engine.streams = true;
        });
        assert!(streams.contains("as they are chosen") && streams.contains("16 GiB"), "{streams}");
        let limited = one(|facts| facts.memory.limit_bytes = Some(60 << 30));
        assert!(limited.contains("60 of 64 GiB"), "{limited}");
        let busy = one(|facts| {
            facts.memory.bandwidth = Some(10e9);
            facts.processor.load = Some(4.0);
        });
        assert!(busy.contains("load 4.0 on 8 cores") && !busy.contains("channels"), "{busy}");
        let slow = one(|facts| {
            facts.memory.bandwidth = Some(10e9);
            facts.processor.load = Some(3.9);
        });
        assert!(
            slow.contains("9 GiB/s") && slow.contains("3.2 GiB per token") && slow.contains("2.9 tokens"),
            "{slow}"
        );
        let full = one(|facts| facts.disks[0].free_bytes = Some(12_000_000_000));
        assert!(full.contains("11 GiB of free space"), "{full}");
        assert!(one(|facts| facts.processor.governor = Some("powersave".to_owned())).contains("cpupower"));
        let quota = one(|facts| facts.processor.quota_percent = Some(150));
        assert!(quota.contains("1.50 processors") && quota.contains("-t 1"), "{quota}");
        assert!(
            one(|facts| facts.hub.refused = vec!["`X` is not a Y".to_owned()]).contains("`X` is not a Y.")
        );
        assert!(one(|facts| facts.hub.offline = true).contains("HF_HUB_OFFLINE"));
    }

    #[test]
    fn a_bandwidth_measured_by_few_threads_gets_no_advice() {
        let mut facts = good();
        facts.memory.bandwidth = Some(10e9);
        facts.memory.bandwidth_threads = 2;
        assert_eq!(advice(&facts), Vec::<String>::new());
    }

    #[test]
    fn a_gpu_counts_as_memory() {
        let mut facts = good();
        facts.memory.total_bytes = Some(32 << 30);
        facts.gpus = vec![Gpu {
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
