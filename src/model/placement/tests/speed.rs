//! The speed that is expected of a placement.

use std::time::Duration;

use super::*;
use crate::llama::DeviceSpeed;

#[test]
fn a_device_starts_a_graph_wherever_the_weights_change_devices() {
    let (header, hparams) = wide(48);
    let starts = |gpus: &[u64], options: LoadOptions| {
        let placed = place(&header, &hparams, &machine(64 * GIB, gpus), &options).unwrap();
        placed.work.iter().map(|work| work.starts).collect::<Vec<_>>()
    };
    assert_eq!(starts(&[], tokens(4096)), [1]);
    let all = |layers| LoadOptions { cpu_experts: Some(layers), gpu_layers: GpuLayers::All, ..tokens(4096) };
    assert_eq!(starts(&[80 * GIB], all(0)), [0, 1]);
    // Experts of five layers in main memory, between dense weights on the GPU.
    assert_eq!(starts(&[80 * GIB], all(5)), [5, 6]);
    let last = LoadOptions { gpu_layers: GpuLayers::Last(9), ..tokens(4096) };
    assert_eq!(starts(&[80 * GIB], last), [1, 1]);
}

#[test]
fn starting_graphs_takes_time() {
    let (header, hparams) = wide(48);
    let options = LoadOptions { cpu_experts: Some(5), gpu_layers: GpuLayers::All, ..tokens(4096) };
    let placed = place(&header, &hparams, &machine(64 * GIB, &[80 * GIB]), &options).unwrap();
    let seconds = |start: Duration| {
        let device = DeviceSpeed { bytes_per_second: 100e9, node: Duration::ZERO, start };
        1.1 / placed.speed(&[Some(device); 2], None).unwrap().most
    };
    let more = seconds(Duration::from_millis(1)) - seconds(Duration::ZERO);
    assert!((more - 11e-3).abs() < 1e-6, "{more}");
}

#[test]
fn each_device_is_known_by_the_type_that_it_reads_most() {
    let (header, hparams) = wide(48);
    let options = LoadOptions { cpu_experts: Some(48), gpu_layers: GpuLayers::All, ..tokens(4096) };
    let placed = place(&header, &hparams, &machine(64 * GIB, &[24 * GIB]), &options).unwrap();
    let types: Vec<_> = placed.work.iter().map(|work| work.ty.unwrap()).collect();
    assert_eq!(types, [GgmlType::Q4_0, GgmlType::Q8_0]);
}
