//! GPUs that cannot compute with some of the weights.

use super::super::place::place_with;
use super::*;
use crate::llama::Matrix;

const HEAD: u64 = 2048 * 151_936 * 2;
const EXPERTS: u64 = 8 * 3 * 512 * 512 * 2048 / 32 * 18;

/// With one thread, since more than the machine has are noted.
fn tokens(context: u32) -> LoadOptions {
    LoadOptions { threads: 1, ..super::tokens(context) }
}

fn placed(options: &LoadOptions, multiplies: fn(&Gpu, &Matrix) -> bool) -> Placement {
    let (header, hparams) = wide(8);
    place_with(&header, &hparams, &machine(64 * GIB, &[24 * GIB]), options, &multiplies).unwrap()
}

fn notes(placement: &Placement) -> Vec<String> {
    placement.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_head_that_is_too_large_for_the_gpu_stays_in_main_memory() {
    let all = placed(&tokens(4096), |_, _| true);
    let without = placed(&tokens(4096), |_, matrix| matrix.rows < 100_000);
    let [[cpu, gpu], [cpu_without, gpu_without]] =
        [&all, &without].map(|placement| [&placement.bill.lines[0], &placement.bill.lines[1]]);
    assert_eq!((cpu_without.dense - cpu.dense, gpu.dense - gpu_without.dense), (HEAD, HEAD));
    // The logits of a batch are there, too.
    let logits = u64::from(without.ubatch) * 151_936 * 4;
    assert!(gpu.compute > logits && gpu_without.compute < logits);
    assert!(cpu_without.compute > logits && cpu.compute < logits);
    assert!(without.work[0].bytes >= all.work[0].bytes + HEAD, "{:?}", without.work);
    assert_eq!(without.work[0].starts, 1);
    let begin = "all layers on the GPU, except for tensors that it cannot compute with; ";
    assert!(without.reason.starts_with(begin), "{}", without.reason);
    assert_eq!(
        notes(&without),
        ["CUDA0 cannot compute with `output.weight` (BF16, 593.50 MiB): left in main memory"]
    );
    assert_eq!(notes(&all), Vec::<String>::new());
}

#[test]
fn experts_of_a_type_without_a_kernel_stay_in_main_memory_and_are_not_copied() {
    let options = LoadOptions { op_offload: Some(true), ..tokens(4096) };
    let placement = placed(&options, |_, matrix| matrix.experts_used.is_none());
    let [cpu, gpu] = &placement.bill.lines[..] else { panic!("{placement:?}") };
    assert_eq!((cpu.experts, gpu.experts), (EXPERTS, 0));
    assert!(
        placement.reason.starts_with("dense weights and the experts of 0 of 8 layers on the GPU; "),
        "{}",
        placement.reason
    );
    assert_eq!(
        notes(&placement),
        [
            "CUDA0 cannot compute with 24 tensors (6.75 GiB), such as `blk.7.ffn_down_exps.weight` (Q4_0): left in main \
             memory",
            "`--op-offload` has no effect: the GPU cannot compute with the weights in main memory",
        ]
    );
}

#[test]
fn an_override_is_followed_and_noted() {
    let overrides = vec![Override { pattern: "output.weight".to_owned(), buffer: "CUDA0".to_owned() }];
    let options = LoadOptions { overrides, ..tokens(4096) };
    let placement = placed(&options, |_, matrix| matrix.rows < 100_000);
    assert!(placement.bill.lines[1].dense >= HEAD, "{:?}", placement.bill);
    assert_eq!(
        notes(&placement),
        [
            "CUDA0 cannot compute with `output.weight` (BF16, 593.50 MiB): copied to main memory for every batch, which is \
             slow"
        ]
    );
}

#[test]
fn each_gpu_is_asked_once_about_each_shape() {
    let (header, hparams) = wide(48);
    let asked = std::cell::RefCell::new(Vec::new());
    let multiplies = |gpu: &Gpu, matrix: &Matrix| {
        asked.borrow_mut().push((gpu.name.clone(), *matrix));
        true
    };
    let machine = machine(64 * GIB, &[24 * GIB, 8 * GIB]);
    place_with(&header, &hparams, &machine, &tokens(4096), &multiplies).unwrap();
    let mut asked = asked.into_inner();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all);
    let experts =
        Matrix { ty: GgmlType::Q4_0.id(), columns: 2048, rows: 512, count: 512, experts_used: Some(10) };
    for gpu in ["CUDA0", "CUDA1"] {
        assert!(asked.contains(&(gpu.to_owned(), experts)), "{asked:?}");
    }
}
