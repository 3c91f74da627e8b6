//! Where prefill computes with weights in main memory.

use std::time::Duration;

use super::*;
use crate::llama::DeviceSpeed;
use crate::model::place_measured;
use crate::model::rates::{Origin, Rates};

/// Bytes of the largest weight in main memory: one matrix of a layer's experts.
const LARGEST: u64 = 512 * 512 * 2048 / 32 * 18;

fn speed(bytes_per_second: f64) -> DeviceSpeed {
    DeviceSpeed { bytes_per_second, node: Duration::ZERO, start: Duration::ZERO }
}

/// A CPU that multiplies by 16 vectors at this speed, and copies to a fast GPU.
fn rates(cpu: f64, transfer: f64) -> BatchRates {
    BatchRates {
        cpu: PerByte::of(speed(40e9), speed(cpu)),
        gpu: Some(PerByte::of(speed(900e9), speed(600e9))),
        transfer,
        origin: Origin::Measured,
    }
}

fn with(machine: Machine, rates: BatchRates) -> Machine {
    Machine { batch: Some(rates), ..machine }
}

fn placed(machine: &Machine, options: &LoadOptions) -> Placement {
    let (header, hparams) = wide(48);
    place(&header, &hparams, machine, options).unwrap()
}

fn copies_from(placed: &Placement) -> Option<u32> {
    placed.prefill.as_ref().unwrap().copies_from
}

#[test]
fn copies_over_a_slow_link_are_not_made_and_take_no_memory() {
    let slow = with(machine(64 * GIB, &[12 * GIB]), rates(30e9, 3e9));
    let found = placed(&slow, &tokens(8192));
    assert_eq!(copies_from(&found), None);
    assert!(found.command(&tokens(8192)).contains(" --no-op-offload "), "{}", found.command(&tokens(8192)));
    let says = "prefill computes with weights in main memory on the CPU (512 tokens: CPU ";
    assert!(found.reason.contains(says), "{}", found.reason);
    let asked = LoadOptions { op_offload: Some(true), cpu_experts: Some(found.cpu_experts), ..tokens(8192) };
    let copied = placed(&with(machine(64 * GIB, &[13 * GIB]), rates(30e9, 3e9)), &asked);
    assert_eq!(copied.bill.lines[1].compute - found.bill.lines[1].compute, LARGEST);
    assert_eq!(copies_from(&copied), Some(32), "{}", copied.reason);
    assert!(copied.reason.contains("(as set by an option)"), "{}", copied.reason);
    assert!(!copied.command(&asked).contains("op-offload"), "{}", copied.command(&asked));
}

#[test]
fn weights_are_copied_from_the_number_of_tokens_that_is_faster() {
    let from = |cpu: f64, transfer: f64, ubatch: u32| {
        let machine = with(machine(64 * GIB, &[12 * GIB]), rates(cpu, transfer));
        let options = LoadOptions { ubatch: Some(ubatch), ..tokens(8192) };
        let found = placed(&machine, &options);
        let Prefill { copies_from, tokens, reason, .. } = found.prefill.unwrap();
        let PrefillReason::Faster { cpu, copied, origin: Origin::Measured } = reason else {
            panic!("{reason:?}");
        };
        assert_eq!((copies_from.is_some(), tokens), (copied < cpu, ubatch), "{reason:?}");
        copies_from
    };
    // With 512 experts of which 10 are chosen, 512 tokens give each expert 10 vectors.
    let (slow, slower) = (from(8e9, 12e9, 512).unwrap(), from(2e9, 12e9, 512).unwrap());
    assert!(32 < slower && slower < slow && slow < 512, "{slower} {slow}");
    assert_eq!(from(8e9, 12e9, 2048), Some(slow), "the batch does not change what is faster");
    assert!(from(8e9, 24e9, 512).unwrap() < slow, "with a faster link");
    assert_eq!(from(20e9, 12e9, 64), None, "the CPU is faster for small batches");
    assert!(from(20e9, 12e9, 4096).is_some(), "and copies are for large ones");
}

#[test]
fn the_time_of_a_batch_is_that_of_its_bytes() {
    let slow = with(machine(64 * GIB, &[12 * GIB]), rates(10e9, 5e9));
    let options = LoadOptions { ubatch: Some(4096), cpu_experts: Some(48), ..tokens(8192) };
    let found = placed(&slow, &options);
    let experts = 48.0 * 3.0 * f64::from(u32::try_from(LARGEST).unwrap());
    // All experts are used, each by 80 tokens: 79/15 of the way beyond one token that 16 are.
    let per_byte = 1.0 / 40e9 + (1.0 / 10e9 - 1.0 / 40e9) * 79.0 / 15.0;
    let copy = 1.0 / 5e9 + 1.0 / 900e9 + (1.0 / 600e9 - 1.0 / 900e9) * 79.0 / 15.0;
    let PrefillReason::Faster { cpu, copied, .. } = found.prefill.unwrap().reason else { panic!() };
    assert!((cpu / (experts * per_byte) - 1.0).abs() < 1e-3, "{cpu}");
    assert!((copied / (experts * copy) - 1.0).abs() < 1e-3, "{copied}");
}

#[test]
fn options_win_over_what_was_measured() {
    for (rates, asked) in [(rates(30e9, 1e9), true), (rates(1e9, 30e9), false)] {
        let machine = with(machine(64 * GIB, &[12 * GIB]), rates);
        let usual = copies_from(&placed(&machine, &tokens(8192)));
        let options = LoadOptions { op_offload: Some(asked), ..tokens(8192) };
        let found = copies_from(&placed(&machine, &options));
        assert_eq!((found.is_some(), usual.is_some()), (asked, !asked));
    }
}

#[test]
fn there_is_a_choice_only_beside_a_gpu_of_this_machine() {
    let prefill = |machine: &Machine, options: &LoadOptions| placed(machine, options).prefill;
    let cpu = |options| LoadOptions { cpu_experts: Some(48), ..options };
    assert_eq!(prefill(&machine(64 * GIB, &[]), &tokens(4096)), None);
    assert_eq!(prefill(&machine(64 * GIB, &[80 * GIB]), &tokens(4096)), None, "all on the GPU");
    let mut workers = machine(64 * GIB, &[12 * GIB, 12 * GIB]);
    for gpu in &mut workers.gpus {
        gpu.backend = "RPC".to_owned();
    }
    assert_eq!(prefill(&workers, &cpu(tokens(4096))), None);
    workers.gpus[1].backend = "CUDA".to_owned();
    let found = placed(&workers, &cpu(tokens(4096)));
    let Prefill { gpu, copies_from, reason, .. } = found.prefill.clone().unwrap();
    assert_eq!((gpu.as_str(), copies_from, reason), ("CUDA1", Some(32), PrefillReason::Default));
    // All layers are on the worker; the other GPU has the copies and their results.
    let without = placed(&workers, &LoadOptions { op_offload: Some(false), ..cpu(tokens(4096)) });
    let compute = |placed: &Placement| placed.bill.lines.iter().map(|line| line.compute).collect::<Vec<_>>();
    let (found, without) = (compute(&found), compute(&without));
    assert_eq!((&found[..2], without[2]), (&without[..2], 0));
    assert!((LARGEST..LARGEST + (512 << 20)).contains(&found[2]), "{found:?}");
    // A batch is never that large.
    let small = LoadOptions { ubatch: Some(16), ..tokens(4096) };
    assert_eq!(copies_from_of(prefill(&workers, &cpu(small)).as_ref()), None);
}

fn copies_from_of(prefill: Option<&Prefill>) -> Option<u32> {
    prefill.unwrap().copies_from
}

#[test]
fn where_copies_do_not_fit_prefill_is_on_the_cpu() {
    let fast = rates(1e9, 30e9);
    let all = LoadOptions { cpu_experts: Some(48), gpu_layers: GpuLayers::All, ..tokens(4096) };
    let need = placed(&with(machine(64 * GIB, &[12 * GIB]), fast), &all).bill.lines[1].sum();
    let tight = |bytes: u64, options: &LoadOptions| {
        let (header, hparams) = wide(48);
        let options = LoadOptions { gpu_memory: Some(bytes), ..options.clone() };
        place(&header, &hparams, &with(machine(64 * GIB, &[12 * GIB]), fast), &options)
    };
    assert!(copies_from(&tight(need, &all).unwrap()).is_some());
    let without = tight(need - 1, &all).unwrap();
    assert_eq!(copies_from(&without), None);
    assert_eq!(without.prefill.unwrap().reason, PrefillReason::Memory);
    assert!(without.reason.contains("(copies to CUDA0 do not fit)"), "{}", without.reason);
    assert!(tight(need - LARGEST - 1, &all).is_err());
    let asked = LoadOptions { op_offload: Some(true), ..all };
    assert!(tight(need - 1, &asked).is_err());
}

#[test]
fn an_engine_that_cannot_start_at_any_number_of_tokens_starts_at_its_own() {
    let machine = with(machine(64 * GIB, &[12 * GIB]), rates(8e9, 12e9));
    let fixed = Machine { can_set_copies: false, ..machine };
    assert_eq!(copies_from(&placed(&fixed, &tokens(8192))), Some(32));
}

/// Why prefill is where it is beside this GPU, if devices are measured, and how often something was done before that.
fn measured(gpu: Gpu, options: &LoadOptions) -> (Option<PrefillReason>, u32) {
    let (header, hparams) = wide(48);
    let machine = Machine { gpus: vec![gpu], ..machine(64 * GIB, &[]) };
    let mut count = 0;
    let before = || {
        count += 1;
        Ok::<(), PlaceError>(())
    };
    let mut rates = Rates::at(None);
    let placed = place_measured(&header, &hparams, &machine, options, &mut rates, before).unwrap();
    (placed.prefill.map(|prefill| prefill.reason), count)
}

#[test]
fn devices_are_measured_where_it_makes_a_difference() {
    let gpu = |name: &str, bytes: u64| Gpu {
        name: name.to_owned(),
        backend: "CUDA".to_owned(),
        ..Gpu::assumed(0, bytes)
    };
    let origin = |(reason, count): (Option<PrefillReason>, u32)| match reason {
        Some(PrefillReason::Faster { origin, cpu, copied }) if cpu > 0.0 && copied > 0.0 => (origin, count),
        _ => panic!("{reason:?}"),
    };
    // The CPU stands for a GPU that can be measured.
    assert_eq!(origin(measured(gpu("CPU", 12 * GIB), &tokens(4096))), (Origin::Measured, 1));
    assert_eq!(origin(measured(Gpu::assumed(0, 12 * GIB), &tokens(4096))), (Origin::Assumed, 1));
    assert_eq!(measured(gpu("missing", 12 * GIB), &tokens(4096)), (Some(PrefillReason::Default), 1));
    let asked = LoadOptions { op_offload: Some(false), ..tokens(4096) };
    assert_eq!(measured(gpu("CPU", 12 * GIB), &asked), (Some(PrefillReason::Option), 0));
    assert_eq!(measured(gpu("CPU", 80 * GIB), &tokens(4096)), (None, 0), "all on the GPU");
}

#[test]
fn an_option_for_copies_that_are_not_made_is_named() {
    let asked = LoadOptions { op_offload: Some(true), cpu_experts: Some(48), ..tokens(8192) };
    let reasons = |machine: &Machine, options: &LoadOptions| {
        let notes = placed(machine, options).notes;
        notes.iter().map(ToString::to_string).filter(|note| note.contains("--op-offload")).collect::<Vec<_>>()
    };
    let gpu = machine(64 * GIB, &[24 * GIB]);
    assert!(reasons(&gpu, &asked).is_empty());
    let small = LoadOptions { ubatch: Some(16), ..asked.clone() };
    assert_eq!(reasons(&gpu, &small), ["`--op-offload` has no effect: batches have fewer than 32 tokens"]);
    let all = LoadOptions { cpu_experts: Some(0), gpu_layers: GpuLayers::All, ..asked };
    let large = machine(64 * GIB, &[80 * GIB]);
    assert_eq!(reasons(&large, &all), ["`--op-offload` has no effect: no weights are in main memory"]);
}
