//! Two devices: the GPU and a worker.

use ggrun::model::{GpuLayers, LoadOptions, Machine, Model, SplitMode};

use super::layouts::TOLERANCE;
use super::{Gpu, float_gguf};
use crate::layouts::{LAYOUTS, Layout, differences, largest};
use crate::rpc::Worker;

#[test]
fn a_gpu_and_a_worker_together_give_the_logits_of_the_cpu() {
    let Some(gpu) = Gpu::find() else { return };
    let all: &Layout = LAYOUTS.iter().find(|layout| layout.flags == "-ngl all").unwrap();
    // The shares, the main GPU, and the devices that hold weights.
    for (split_mode, tensor_split, main_gpu, used) in [
        (SplitMode::Layer, vec![], 0, None),
        (SplitMode::Layer, vec![1.0, 1.0], 0, Some([true, true])),
        (SplitMode::Layer, vec![3.0, 1.0], 0, Some([true, true])),
        (SplitMode::Layer, vec![0.0, 1.0], 0, Some([false, true])),
        (SplitMode::None, vec![], 0, Some([true, false])),
        (SplitMode::None, vec![], 1, Some([false, true])),
    ] {
        let what = format!("{split_mode:?} {tensor_split:?} {main_gpu}");
        let worker = Worker::start();
        let rpc = vec![worker.endpoint.clone()];
        let endpoint = worker.endpoint.to_string();
        let machine = Machine::with(&rpc).unwrap();
        let remote = machine.gpus.iter().find(|gpu| gpu.buffer.contains(&endpoint)).unwrap();
        let model = Model::load(
            LoadOptions {
                devices: Some(vec![gpu.device.name.clone(), remote.name.clone()]),
                rpc,
                gpu_layers: GpuLayers::All,
                split_mode,
                tensor_split,
                main_gpu,
                path: float_gguf(),
                ..gpu.options()
            },
            |_| true,
        )
        .unwrap();
        let lines = &model.placement().bill.lines;
        let found = [1, 2].map(|index| lines[index].dense > 0);
        assert!(used.is_none_or(|used| used == found), "{what}: {found:?}");
        let largest = largest(&differences(all, &model));
        assert!(largest < TOLERANCE, "{what}: largest difference {largest:.2e}");
    }
}
