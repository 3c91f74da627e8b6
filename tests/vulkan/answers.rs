//! Greedy answers with every placement.

use ggrun::model::{GpuLayers, LoadOptions, Model};

use super::{Gpu, ggrun, said};
use crate::layouts::LAYOUTS;
use crate::run::{QUESTIONS, ask, bench_with, collect};

#[track_caller]
fn answers(options: LoadOptions, what: &str) {
    let bench = bench_with(options);
    for (question, answer) in QUESTIONS {
        let (reasoning, content, _) = collect(bench.session.chat(ask(question)).unwrap());
        assert_eq!(content, answer, "{what}: {reasoning}");
    }
}

#[test]
fn every_layout_with_a_gpu_answers_right() {
    let Some(gpu) = Gpu::find() else { return };
    for layout in &LAYOUTS {
        let mut options = gpu.options();
        (layout.set)(&mut options, &gpu.device.buffer);
        answers(options, layout.flags);
    }
}

#[test]
fn the_default_placement_in_little_memory_answers_right() {
    let Some(gpu) = Gpu::find() else { return };
    let within = |gpu_memory| LoadOptions { gpu_memory, margins: vec![0], ..gpu.options() };
    let all = Model::load(LoadOptions { gpu_layers: GpuLayers::All, ..gpu.options() }, |_| true).unwrap();
    let needed = all.placement().bill.lines[1].sum();
    let (mut split, mut none) = (0, 0);
    for share in [24, 22, 20, 18, 16, 14, 8] {
        let options = within(Some(needed * share / 24));
        let placement = Model::load(options.clone(), |_| true).unwrap().placement().clone();
        let [cpu, device] = &placement.bill.lines[..] else { panic!("{placement:?}") };
        assert!(device.sum() <= device.budget, "{placement:?}");
        split += u32::from(cpu.experts > 0 && device.experts > 0);
        none += u32::from(device.experts == 0);
        answers(options, &format!("{share}/24 of {needed} bytes: {}", placement.reason));
    }
    assert!(split > 1 && none > 0, "{split} placements have experts on both, {none} on the CPU alone");
}

#[test]
fn the_options_of_the_command_line_reach_the_gpu() {
    let Some(gpu) = Gpu::find() else { return };
    let listed = ggrun("run", "--list-devices");
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&gpu.device.name), "{}", said(&listed));
    for options in ["-ngl all", "-ngl all -cmoe -nkvo", "--gpu-memory 6M -fitt 0"] {
        let ran = ggrun("run", options);
        assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), QUESTIONS[0].1, "{options}: {}", said(&ran));
        assert!(said(&ran).contains("GPU"), "{options}: {}", said(&ran));
    }
}
