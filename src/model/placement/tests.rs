//! Placement on simulated machines.

use std::fmt::Write as _;
use std::path::Path;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Metadata, Value};
use proptest::prelude::*;

use super::*;
use crate::llama::{Kernels, LoadMode, Override, SplitMode};
use crate::model::{CacheType, ContextSize, GpuLayers, HParams, Header, LoadOptions, Mla};

mod prefill;
mod refused;
mod speed;
mod stream;

const GIB: u64 = 1 << 30;

/// The header of Qwen3-Next 80B as `ggrun convert` writes it: experts in Q4_0, the rest in Q8_0, head in BF16.
fn wide(layers: u32) -> (Header, HParams) {
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", Value::Str("qwen3next".into()));
    for (key, number) in [
        ("block_count", layers),
        ("context_length", 262_144),
        ("embedding_length", 2048),
        ("vocab_size", 151_936),
        ("expert_count", 512),
        ("expert_used_count", 10),
        ("attention.head_count", 16),
        ("attention.head_count_kv", 2),
        ("attention.key_length", 256),
        ("attention.value_length", 256),
        ("full_attention_interval", 4),
        ("ssm.conv_kernel", 4),
        ("ssm.state_size", 128),
        ("ssm.group_count", 16),
        ("ssm.time_step_rank", 32),
        ("ssm.inner_size", 4096),
    ] {
        metadata.push(format!("qwen3next.{key}"), Value::U32(number));
    }
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![2048, 151_936], GgmlType::BF16),
        ("output.weight".to_owned(), vec![2048, 151_936], GgmlType::BF16),
    ];
    for layer in 0..layers {
        let mut add =
            |rest: &str, dims: &[u64], ty| tensors.push((format!("blk.{layer}.{rest}"), dims.to_vec(), ty));
        for matrix in ["ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"] {
            add(matrix, &[2048, 512, 512], GgmlType::Q4_0);
        }
        add("ffn_gate_inp.weight", &[2048, 512], GgmlType::F32);
        add("ffn_gate_shexp.weight", &[2048, 1536], GgmlType::Q8_0);
        if layer % 4 == 3 {
            add("attn_q.weight", &[2048, 9216], GgmlType::Q8_0);
            add("attn_output.weight", &[4096, 2048], GgmlType::Q8_0);
        } else {
            add("attn_qkv.weight", &[2048, 12_288], GgmlType::Q8_0);
            add("ssm_out.weight", &[4096, 2048], GgmlType::Q8_0);
        }
    }
    let header = gguf::Header::layout(metadata, tensors).unwrap();
    let header = Header::join(Path::new("model.gguf"), vec![("model.gguf".into(), header)]);
    let hparams = HParams::read(&header).unwrap();
    (header, hparams)
}

fn machine(ram: u64, gpus: &[u64]) -> Machine {
    let gpu = |(index, bytes): (usize, &u64)| Gpu {
        name: format!("CUDA{index}"),
        description: String::new(),
        backend: "CUDA".to_owned(),
        buffer: format!("CUDA{index}"),
        total: *bytes,
        free: *bytes,
        host_buffer: true,
    };
    Machine {
        ram_total: ram,
        ram_available: ram,
        gpus: gpus.iter().enumerate().map(gpu).collect(),
        kernels: None,
        can_stream: false,
        can_set_copies: true,
        batch: None,
    }
}

fn tokens(context: u32) -> LoadOptions {
    LoadOptions { context: ContextSize::Tokens(context), threads: 8, ..LoadOptions::new("model.gguf") }
}

/// Bytes of weights on GPUs.
fn on_gpus(placement: &Placement) -> u64 {
    placement.bill.lines[1..].iter().map(|line| line.dense + line.experts).sum()
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn the_80b_model_on_common_machines() {
    let (header, hparams) = wide(48);
    let mut table = String::new();
    for gpus in [&[][..], &[8], &[12], &[16], &[24], &[80], &[24, 24], &[12, 24]] {
        let gpus: Vec<u64> = gpus.iter().map(|n| n * GIB).collect();
        let placed = place(&header, &hparams, &machine(64 * GIB, &gpus), &tokens(32_768)).unwrap();
        let sizes: Vec<String> = gpus.iter().map(|n| (n / GIB).to_string()).collect();
        let used: Vec<String> =
            placed.bill.lines.iter().map(|line| format!("{:.1}", line.sum() as f64 / GIB as f64)).collect();
        let Placement { gpu_layers, cpu_experts, load, repack, ref tensor_split, .. } = placed;
        writeln!(
            table,
            "{:>5}  ngl {gpu_layers} ncmoe {cpu_experts} ts {tensor_split:?} {load:?} {repack}  {} GiB",
            sizes.join("+"),
            used.join(" + ")
        )
        .unwrap();
    }
    assert_eq!(table, include_str!("tests/common_machines.txt"), "\n{table}");
}

#[test]
fn on_the_cpu_there_is_one_copy_of_the_weights() {
    let (header, hparams) = wide(48);
    let read = place(&header, &hparams, &machine(64 * GIB, &[]), &tokens(4096)).unwrap();
    assert_eq!((read.load, read.repack, read.bill.lines[0].second_copy), (LoadMode::Read, true, 0));
    // Little memory is left: the system may drop pages of a mapped file, so no margin is needed.
    let tight = place(&header, &hparams, &machine(44 * GIB + GIB / 2, &[]), &tokens(4096)).unwrap();
    assert_eq!((tight.load, tight.repack, tight.bill.lines[0].second_copy), (LoadMode::Map, false, 0));
    // With both options, llama.cpp has two copies of the weights that it repacks.
    let asked = LoadOptions { load: Some(LoadMode::Map), repack: Some(true), ..tokens(4096) };
    let line = place(&header, &hparams, &machine(64 * GIB, &[]), &asked).unwrap().bill.lines.remove(0);
    assert_eq!((line.second_copy, line.mapped), (line.experts, line.dense + line.experts));
    let mapped = LoadOptions { load: Some(LoadMode::Map), ..tokens(4096) };
    let mapped = place(&header, &hparams, &machine(64 * GIB, &[]), &mapped).unwrap();
    assert!(!mapped.repack, "{mapped:?}");
}

/// The machine with kernels for these types.
fn with_kernels(machine: Machine, types: &[GgmlType]) -> Machine {
    let types = types.iter().map(|ty| ty.id()).collect();
    Machine { kernels: Some(Kernels { isa: "avx512-vnni".to_owned(), types }), ..machine }
}

const IN_PLACE: [GgmlType; 2] = [GgmlType::Q4_0, GgmlType::Q8_0];

#[test]
fn with_kernels_the_file_is_mapped_and_not_repacked() {
    let (header, hparams) = wide(48);
    let kernels = "(avx512-vnni kernels for Q4_0, Q8_0)";
    for gpus in [&[][..], &[12 * GIB], &[24 * GIB, 24 * GIB]] {
        let machine = with_kernels(machine(64 * GIB, gpus), &IN_PLACE);
        let placed = place(&header, &hparams, &machine, &tokens(4096)).unwrap();
        let line = &placed.bill.lines[0];
        assert_eq!((placed.load, placed.repack, line.second_copy), (LoadMode::Map, false, 0));
        assert_eq!(line.mapped, line.dense + line.experts);
        let on_cpu = line.experts > 0;
        assert_eq!(placed.reason.contains("kernels for Q4_0"), on_cpu, "{}", placed.reason);
        assert!(placed.reason.contains("; file mapped and weights not repacked, one copy in memory"));
        if gpus.is_empty() {
            assert!(placed.reason.ends_with(kernels), "{}", placed.reason);
        }
    }
}

#[test]
fn an_explicit_way_to_load_is_taken_and_says_what_it_costs() {
    let (header, hparams) = wide(8);
    let with = with_kernels(machine(64 * GIB, &[]), &IN_PLACE);
    let without = machine(64 * GIB, &[]);
    let kernels = " (avx512-vnni kernels for Q4_0, Q8_0)";
    let slow_load = ": loads more slowly than a mapped file";
    let more = " (avx512-vnni kernels for Q8_0): loads more slowly than a mapped file and computes Q4_0 more slowly than mapped weights";
    let less = ": computes Q4_0 more slowly than repacked weights";
    let (read, map) = (LoadMode::Read, LoadMode::Map);
    for (load, repack, chosen, held, suffixes) in [
        (None, Some(true), (read, true), "weights repacked for this CPU, one copy in memory", [more, ""]),
        (
            Some(map),
            Some(true),
            (map, true),
            "file mapped and weights repacked, two copies in memory",
            [more, ""],
        ),
        (
            Some(map),
            None,
            (map, false),
            "file mapped and weights not repacked, one copy in memory",
            [kernels, less],
        ),
        (
            Some(read),
            Some(false),
            (read, false),
            "weights not repacked, one copy in memory",
            [&format!("{kernels}{slow_load}"), less],
        ),
    ] {
        for (machine, suffix) in [&with, &without].into_iter().zip(suffixes) {
            let options = LoadOptions { load, repack, ..tokens(4096) };
            let placed = place(&header, &hparams, machine, &options).unwrap();
            assert_eq!((placed.load, placed.repack), chosen);
            assert_eq!(placed.reason, format!("CPU only; {held}{suffix}"));
        }
    }
    // The defaults of the other option depend on the kernels.
    let chosen = |machine, load, repack| {
        let placed =
            place(&header, &hparams, machine, &LoadOptions { load, repack, ..tokens(4096) }).unwrap();
        (placed.load, placed.repack)
    };
    assert_eq!(chosen(&with, Some(read), None), (read, false));
    assert_eq!(chosen(&without, Some(read), None), (read, true));
    assert_eq!(chosen(&with, None, Some(false)), (map, false));
    assert_eq!(chosen(&without, None, Some(false)), (read, false));
}

#[test]
fn a_file_is_repacked_if_most_bytes_of_a_token_gain_only_by_that() {
    let (header, hparams) = wide(8);
    let chosen = |types: &[GgmlType], header: &Header| {
        let placed =
            place(header, &hparams, &with_kernels(machine(64 * GIB, &[]), types), &tokens(4096)).unwrap();
        (placed.load, placed.repack, placed.reason)
    };
    // By the whole file, experts in Q4_0 would be more; a token reads ten of 512.
    let (load, repack, reason) = chosen(&[GgmlType::Q8_0], &header);
    assert_eq!((load, repack), (LoadMode::Map, false));
    assert!(reason.ends_with("(avx512-vnni kernels for Q8_0)"), "{reason}");
    let (_, dense) = wide(8);
    let dense = HParams { experts: 1, experts_used: 1, ..dense };
    let machine = with_kernels(machine(64 * GIB, &[]), &[GgmlType::Q8_0]);
    let placed = place(&header, &dense, &machine, &tokens(4096)).unwrap();
    assert_eq!((placed.load, placed.repack), (LoadMode::Read, true), "every token reads all of Q4_0");
    // Neither gains: nothing speaks against mapping.
    let tensors =
        header.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.dims.clone(), GgmlType::BF16));
    let plain = gguf::Header::layout(header.metadata.clone(), tensors.collect()).unwrap();
    let plain = Header::join(Path::new("model.gguf"), vec![("model.gguf".into(), plain)]);
    let (load, repack, reason) = chosen(&IN_PLACE, &plain);
    assert_eq!((load, repack), (LoadMode::Map, false));
    assert_eq!(reason, "CPU only; file mapped and weights not repacked, one copy in memory");
    // Panels are 16 rows of 256 columns.
    let narrow = header.tensors.iter().map(|tensor| {
        let mut dims = tensor.dims.clone();
        if tensor.ty == GgmlType::Q4_0 || tensor.ty == GgmlType::Q8_0 {
            dims[1] -= 8;
        }
        (tensor.name.clone(), dims, tensor.ty)
    });
    let narrow = gguf::Header::layout(header.metadata.clone(), narrow.collect()).unwrap();
    let narrow = Header::join(Path::new("model.gguf"), vec![("model.gguf".into(), narrow)]);
    assert!(chosen(&IN_PLACE, &narrow).1);
}

#[test]
fn the_work_buffer_of_kernels_is_in_the_bill() {
    let (header, hparams) = wide(8);
    let plain = machine(64 * GIB, &[]);
    let compute = |machine: &Machine, options: &LoadOptions| {
        place(&header, &hparams, machine, options).unwrap().bill.lines[0].compute
    };
    let with = with_kernels(plain.clone(), &IN_PLACE);
    for (ubatch, threads) in [(512, 8), (2048, 2), (1, 1)] {
        let options = LoadOptions { batch: Some(2048), ubatch: Some(ubatch), threads, ..tokens(4096) };
        // The down projection of `wide` has rows of 2048 values, ten for each token.
        let inputs = u64::from(ubatch) * 10;
        let gathered = inputs.min(504);
        let packed = 2048 / 256 * 544;
        let thread = 4 * 9216 + gathered * (256 + packed);
        let expected = inputs * (packed + 8) + u64::from(threads) * thread;
        assert_eq!(compute(&with, &options) - compute(&plain, &options), expected);
    }
    let on_gpu = with_kernels(machine(64 * GIB, &[80 * GIB]), &IN_PLACE);
    let none = machine(64 * GIB, &[80 * GIB]);
    assert_eq!(
        compute(&on_gpu, &tokens(4096)),
        compute(&none, &tokens(4096)),
        "nothing is computed on the CPU"
    );
}

#[test]
fn a_context_that_grows_leaves_a_margin_beside_a_mapped_file() {
    let (header, hparams) = wide(48);
    let default = LoadOptions { threads: 8, ..LoadOptions::new("model.gguf") };
    let placed =
        |ram| place(&header, &hparams, &with_kernels(machine(ram, &[]), &IN_PLACE), &default).unwrap();
    let grown = placed(46 * GIB);
    assert!((8192..262_144).contains(&grown.context), "{}", grown.context);
    let line = &grown.bill.lines[0];
    assert!(line.sum() <= line.budget && line.budget < line.budget_mapped, "{line:?}");
    let tight = placed(44 * GIB + GIB / 2);
    assert!(
        tight.bill.lines[0].sum() > tight.bill.lines[0].budget,
        "pages may be dropped rather than refuse"
    );
}

#[test]
fn the_default_context_is_what_memory_allows_beside_the_weights() {
    let (header, hparams) = wide(48);
    let placed = |ram, gpus: &[u64], options: &LoadOptions| {
        place(&header, &hparams, &machine(ram, gpus), options).unwrap()
    };
    let default = LoadOptions { threads: 8, ..LoadOptions::new("model.gguf") };
    assert_eq!(placed(64 * GIB, &[], &default).context, 262_144, "as it was trained");
    assert_eq!(placed(64 * GIB, &[80 * GIB], &default).context, 262_144);
    for (ram, gpus) in [(46 * GIB, &[][..]), (64 * GIB, &[24 * GIB]), (64 * GIB, &[12 * GIB, 24 * GIB])] {
        let found = placed(ram, gpus, &default);
        let usual = placed(ram, gpus, &tokens(ContextSize::USUAL));
        assert!((8192..262_144).contains(&found.context) && found.bill.fits(), "{}", found.context);
        // No weights make room for it.
        let homes = |placed: &Placement| {
            (placed.gpu_layers, placed.cpu_experts, placed.load, placed.tensor_split.clone())
        };
        assert_eq!(homes(&found), homes(&usual));
        let more = LoadOptions {
            gpu_layers: GpuLayers::Last(found.gpu_layers),
            cpu_experts: Some(found.cpu_experts),
            ..tokens(found.context + 256)
        };
        let more = LoadOptions {
            load: Some(found.load),
            repack: Some(found.repack),
            tensor_split: found.tensor_split.clone(),
            op_offload: found.prefill.as_ref().map(|prefill| prefill.copies_from.is_some()),
            ..more
        };
        assert!(place(&header, &hparams, &machine(ram, gpus), &more).is_err(), "256 tokens more do not fit");
        assert!(
            found.reason.contains(&format!("context reduced from 262144 to {}", found.context)),
            "{}",
            found.reason
        );
    }
    let unchecked = LoadOptions { fit: false, ..default.clone() };
    assert_eq!(placed(8 * GIB, &[], &unchecked).context, 262_144, "as llama.cpp does");
    let tight = placed(44 * GIB + 2 * GIB / 5, &[], &default);
    assert_eq!((tight.context, tight.load), (4096, LoadMode::Map), "no fewer than `-fitc`");
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_remedies() {
    let (header, hparams) = wide(48);
    let refused =
        |ram, gpus: &[u64], options| match place(&header, &hparams, &machine(ram * GIB, gpus), &options)
            .unwrap_err()
        {
            PlaceError::Memory(needed) => needed,
            other => panic!("{other}"),
        };
    let small = refused(32, &[], tokens(4096));
    assert!(small.remedies.iter().any(|r| r.starts_with("-lm mmap -nr")), "{:?}", small.remedies);
    let long = refused(48, &[], tokens(262_144));
    assert!(long.remedies.contains(&"-c 131072".to_owned()), "{:?}", long.remedies);
    let all = LoadOptions { gpu_layers: GpuLayers::All, ..tokens(4096) };
    let all = refused(64, &[12 * GIB], all);
    assert!(all.remedies.iter().any(|r| r.starts_with("-ngl 49 -ncmoe ")), "{:?}", all.remedies);
    let text = PlaceError::Memory(all).to_string();
    assert!(
        text.starts_with("not enough memory: CUDA0 needs 4") && text.contains("(12.00 GiB free)"),
        "{text}"
    );
}

#[test]
fn a_model_that_needs_several_changes_is_refused_with_the_cheapest_of_them() {
    let (header, hparams) = wide(48);
    let refused =
        |ram: u64, options: &LoadOptions| match place(&header, &hparams, &machine(ram, &[]), options) {
            Err(PlaceError::Memory(needed)) => needed.remedies,
            other => panic!("{other:?}"),
        };
    let options = LoadOptions { state_cache: 4 * GIB, load: Some(LoadMode::Read), ..tokens(262_144) };
    let enough = place(&header, &hparams, &machine(80 * GIB, &[]), &options).unwrap().bill.lines[0].sum();
    let ram = |less: u64| (enough - less) + GIB;
    assert_eq!(refused(ram(3 * GIB), &options)[0], "-cram 0 (frees 4096 MiB of state cache)");
    let both = refused(ram(7 * GIB), &options);
    assert_eq!(both[0], "-cram 0 (frees 4096 MiB of state cache) -c 131072", "{both:?}");
    assert_eq!(refused(GIB / 16, &options), Vec::<String>::new());
}

#[test]
fn the_reason_says_where_the_experts_are() {
    let (header, hparams) = wide(8);
    let reason = |options: LoadOptions| {
        place(&header, &hparams, &machine(64 * GIB, &[24 * GIB]), &options).unwrap().reason
    };
    let over = |pattern: &str, buffer: &str| {
        vec![Override { pattern: pattern.to_owned(), buffer: buffer.to_owned() }]
    };
    for (options, begin) in [
        (tokens(4096), "all on the GPU; "),
        (
            LoadOptions { overrides: over("exps", "CPU"), ..tokens(4096) },
            "dense weights and the experts of 0 of 8 layers on the GPU; ",
        ),
        (
            LoadOptions { overrides: over(r"blk\.[0-2]\.ffn_up_exps", "CPU"), ..tokens(4096) },
            "dense weights and the experts of 5 of 8 layers on the GPU; ",
        ),
        (
            LoadOptions { overrides: over("attn|ssm", "CPU"), ..tokens(4096) },
            "all layers on the GPU, except for overridden tensors; ",
        ),
        (LoadOptions { overrides: over(".", "CPU"), ..tokens(4096) }, "all in main memory; "),
        (LoadOptions { gpu_layers: GpuLayers::Last(0), ..tokens(4096) }, "all in main memory; "),
        (
            LoadOptions { gpu_layers: GpuLayers::Last(0), overrides: over("exps", "CUDA0"), ..tokens(4096) },
            "overridden tensors on the GPU, the rest in main memory; ",
        ),
        (
            LoadOptions { gpu_layers: GpuLayers::Last(3), ..tokens(4096) },
            "the last 3 of 9 layers on the GPU; ",
        ),
        (
            LoadOptions { gpu_layers: GpuLayers::Last(3), cpu_experts: Some(7), ..tokens(4096) },
            "the last 3 of 9 layers on the GPU, with the experts of 1; ",
        ),
    ] {
        let text = reason(options);
        assert!(text.starts_with(begin), "{begin}: {text}");
    }
}

#[test]
fn the_embedding_is_not_read_wherever_it_is_placed() {
    let (header, hparams) = wide(4);
    let place =
        |options: &LoadOptions| place(&header, &hparams, &machine(64 * GIB, &[24 * GIB]), options).unwrap();
    let over = Override { pattern: "token_embd".to_owned(), buffer: "CUDA0".to_owned() };
    let moved = place(&LoadOptions { overrides: vec![over], ..tokens(4096) });
    assert_eq!(moved.work, place(&tokens(4096)).work);
}

#[test]
fn a_longer_context_than_most_use_does_not_slow_the_estimate() {
    let (header, hparams) = wide(4);
    let work = |context| place(&header, &hparams, &machine(64 * GIB, &[]), &tokens(context)).unwrap().work;
    assert_eq!(work(ContextSize::USUAL), work(262_144));
    assert!(work(1024)[0].bytes < work(ContextSize::USUAL)[0].bytes);
}

#[test]
fn notes_and_limits_come_with_a_refusal() {
    let (header, hparams) = wide(48);
    let over = Override { pattern: "nomatch".to_owned(), buffer: "CPU".to_owned() };
    let options = LoadOptions { overrides: vec![over], cpu_memory: Some(GIB / 16), ..tokens(4096) };
    match place(&header, &hparams, &machine(64 * GIB, &[]), &options) {
        Err(PlaceError::Memory(refused)) => {
            assert!(refused.is_limited);
            assert!(refused.notes[0].to_string().contains("nomatch"), "{:?}", refused.notes);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn explicit_options_take_precedence() {
    let (header, hparams) = wide(8);
    let machine = machine(64 * GIB, &[24 * GIB, 24 * GIB]);
    let placed = |options: &LoadOptions| place(&header, &hparams, &machine, options).unwrap();
    let experts = |line: &Line| line.experts / (864 << 20);
    let options = LoadOptions { gpu_layers: GpuLayers::Last(3), ..tokens(4096) };
    let three = placed(&options);
    assert_eq!((three.gpu_layers, three.cpu_experts, experts(&three.bill.lines[0])), (3, 0, 6));
    let options = LoadOptions { cpu_experts: Some(5), ..tokens(4096) };
    assert_eq!(experts(&placed(&options).bill.lines[0]), 5);
    let pattern = r"blk\.(0|1)\.ffn_.*_exps".to_owned();
    let over = Override { pattern, buffer: "CUDA1".to_owned() };
    let options = LoadOptions { overrides: vec![over], tensor_split: vec![1.0, 0.0], ..tokens(4096) };
    assert_eq!(placed(&options).bill.lines.iter().map(experts).collect::<Vec<_>>(), [0, 6, 2]);
    let options = LoadOptions { kv_offload: false, ..tokens(4096) };
    let kept = placed(&options);
    assert!(kept.bill.lines[0].kv > 0 && kept.bill.lines[1].kv == 0);
    let options = LoadOptions { devices: Some(Vec::new()), ..tokens(4096) };
    assert_eq!(placed(&options).bill.lines.len(), 1);
    let options = LoadOptions { split_mode: SplitMode::None, main_gpu: 1, ..tokens(4096) };
    assert_eq!(placed(&options).bill.lines[1].dense, 0);
    let options = LoadOptions { cache_k: CacheType::Q8_0, cache_v: CacheType::Q4_0, ..tokens(4096) };
    let kv: u64 = placed(&options).bill.lines.iter().map(|line| line.kv).sum();
    assert_eq!(kv, 2 * 4096 * (2 * 256 / 32) * (34 + 18), "two layers with attention");
}

#[test]
fn invalid_options_are_named() {
    let (header, hparams) = wide(4);
    let two = machine(64 * GIB, &[24 * GIB, 24 * GIB]);
    let machine = machine(64 * GIB, &[24 * GIB]);
    let wrong = |options: LoadOptions| place(&header, &hparams, &machine, &options).unwrap_err().to_string();
    let over = |pattern: &str, buffer: &str| {
        let over = Override { pattern: pattern.to_owned(), buffer: buffer.to_owned() };
        LoadOptions { overrides: vec![over], ..tokens(4096) }
    };
    let devices = LoadOptions { devices: Some(vec!["CUDA7".to_owned()]), ..tokens(4096) };
    assert_eq!(wrong(devices), "unknown device `CUDA7`, expected `CUDA0`");
    assert_eq!(wrong(over("exps", "CUDA7")), "unknown buffer type `CUDA7`, expected `CPU` or `CUDA0`");
    assert!(wrong(over("(exps", "CPU")).starts_with("`(exps` is not a regular expression: "));
    let split = LoadOptions { tensor_split: vec![0.0], ..tokens(4096) };
    assert!(wrong(split).starts_with("the split has 1 shares for 1 devices"));
    let main = LoadOptions { split_mode: SplitMode::None, main_gpu: 2, ..tokens(4096) };
    let error = place(&header, &hparams, &two, &main).unwrap_err().to_string();
    assert_eq!(error, "there is no GPU 2 among the 2 in use, which are numbered from 0");
}

#[test]
fn the_command_is_equivalent_in_llama_cpp() {
    let (header, hparams) = wide(48);
    let options = LoadOptions { parallel: 2, kv_offload: false, ..tokens(8192) };
    let placed = place(&header, &hparams, &machine(64 * GIB, &[12 * GIB]), &options).unwrap();
    let line = placed.command(&options);
    let expected = format!(
        "llama-server -m model.gguf -dev CUDA0 -ngl 49 -ncmoe {} -c 16384 -np 2 -b 512 -ub 512 -t 8 -lm none -nkvo -cram 512 -fit off",
        placed.cpu_experts
    );
    assert_eq!(line, expected);
    // llama.cpp's default is left out.
    for (mib, part) in [(0, " -cram 0 "), (100, " -cram 100 "), (8192, " -nkvo -fit ")] {
        let options = LoadOptions { state_cache: mib << 20, ..options.clone() };
        let line = placed.command(&options);
        assert!(line.contains(part), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_budget_is_exceeded_and_more_memory_never_places_less_on_gpus(
        gpus in prop::collection::vec(1u64..30, 0..3),
        ram in 4u64..64,
        context in 256u32..65_536,
        parallel in 1u32..4,
        more in 0u64..20,
    ) {
        let (header, hparams) = wide(12);
        let options = LoadOptions { parallel, ..tokens(context) };
        let gpus: Vec<u64> = gpus.iter().map(|n| n * GIB).collect();
        let placed = place(&header, &hparams, &machine(ram * GIB, &gpus), &options);
        if let Ok(placed) = &placed {
            for line in &placed.bill.lines {
                let most = if line.mapped > 0 { line.budget_mapped } else { line.budget };
                prop_assert!(line.sum() <= most && most <= line.free, "{line:?}");
                prop_assert!(line.sum() - line.mapped <= line.budget, "{line:?}");
            }
            let all: u64 = placed.bill.lines.iter().map(|line| line.dense + line.experts).sum();
            prop_assert_eq!(all, header.tensors.iter().map(gguf::TensorInfo::bytes).sum::<u64>());
        }
        let richer: Vec<u64> = gpus.iter().map(|n| n + more * GIB).collect();
        let richer = place(&header, &hparams, &machine(ram * GIB, &richer), &options);
        match (placed, richer) {
            (Ok(placed), Ok(richer)) => prop_assert!(on_gpus(&richer) >= on_gpus(&placed)),
            (Ok(_), Err(error)) => prop_assert!(false, "{error}"),
            (Err(_), _) => {}
        }
    }

    #[test]
    fn a_model_that_fits_on_the_gpu_is_wholly_offloaded(context in 256u32..65_536, gpu in 20u64..80) {
        let (header, hparams) = wide(12);
        let placed = place(&header, &hparams, &machine(64 * GIB, &[gpu * GIB]), &tokens(context)).unwrap();
        prop_assert_eq!((placed.gpu_layers, placed.cpu_experts), (13, 0));
    }
}

#[test]
fn options_without_effect_are_noted() {
    let (header, hparams) = wide(4);
    let over = |pattern: &str| Override { pattern: pattern.to_owned(), buffer: "CPU".to_owned() };
    let notes = |gpus: &[u64], options: LoadOptions| {
        let placed = place(&header, &hparams, &machine(64 * GIB, gpus), &options).unwrap();
        placed.notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let options = || LoadOptions { threads: 1, ..tokens(1024) };
    let quiet = LoadOptions { overrides: vec![over("exps"), over("shexp")], ..options() };
    assert!(notes(&[], quiet).is_empty());
    let shadowed = LoadOptions { overrides: vec![over("ffn"), over("exps"), over("nothing")], ..options() };
    let both = [
        "`-ot exps=…` has no effect: earlier patterns match its tensors first",
        "`-ot nothing=…` matches no tensor of the model",
    ];
    assert_eq!(notes(&[], shadowed), both);
    let layers = LoadOptions { gpu_layers: GpuLayers::Last(99), ..options() };
    assert_eq!(notes(&[], layers.clone()), ["`-ngl` has no effect: no GPU is in use"]);
    assert!(notes(&[24 * GIB], layers).is_empty());
    assert!(notes(&[], LoadOptions { gpu_layers: GpuLayers::Last(0), ..options() }).is_empty());
    let experts = LoadOptions { cpu_experts: Some(u32::MAX), ..options() };
    assert_eq!(notes(&[], experts), ["`-cmoe` has no effect: no GPU is in use"]);
    let shares = LoadOptions { tensor_split: vec![1.0], ..options() };
    assert_eq!(notes(&[24 * GIB], shares), ["`-ts` has no effect: only one GPU is in use"]);
    let long = LoadOptions { context: ContextSize::Tokens(262_145), ..options() };
    let says = notes(&[], long.clone());
    assert!(
        matches!(&says[..], [one] if one.contains("262145 tokens is longer than the 262144")),
        "{says:?}"
    );
    let stretched = crate::llama::Rope { freq_scale: Some(0.5), ..crate::llama::Rope::default() };
    assert!(notes(&[], LoadOptions { rope: stretched, ..long }).is_empty());
    let threads = notes(&[], LoadOptions { threads: 5000, threads_batch: Some(6000), ..options() });
    assert!(threads.len() == 2 && threads[1].starts_with("`-tb 6000` is more than the"), "{threads:?}");
}

#[test]
fn a_cache_that_llama_cpp_refuses_is_refused_before_the_load() {
    use crate::llama::Flash;
    let (header, mut hparams) = wide(4);
    let error =
        |hparams: &HParams, options| place(&header, hparams, &machine(64 * GIB, &[]), &options).unwrap_err();
    let values = LoadOptions { cache_v: CacheType::Q4_0, flash: Flash::Off, ..tokens(1024) };
    let says = "`-ctv q4_0` needs flash attention, which `-fa off` turns off";
    assert_eq!(error(&hparams, values.clone()).to_string(), says);
    let keys = LoadOptions { cache_k: CacheType::Q4_0, flash: Flash::Off, ..tokens(1024) };
    assert!(place(&header, &hparams, &machine(64 * GIB, &[]), &keys).is_ok());
    hparams.key_length = 80;
    let says = "`-ctk q4_0` has blocks of 32 values, which do not divide a head of 80";
    assert_eq!(error(&hparams, LoadOptions { flash: Flash::Auto, ..keys.clone() }).to_string(), says);
    hparams.mla = Some(Mla { key_length: 256, value_length: 256 });
    let says = "`-ctk q4_0` and `-ctv f16` differ, expected the same type: in this model, keys and values are one cache";
    assert_eq!(error(&hparams, keys).to_string(), says);
}
