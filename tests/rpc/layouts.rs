//! The logits do not depend on the placement of the layers.

use ggrun::model::{LoadOptions, Model};

use super::Worker;
use crate::layouts::{LAYOUTS, TOLERANCE, differences, largest, logits, on_cpu};

#[test]
fn every_layout_with_a_worker_gives_the_logits_of_the_cpu() {
    for layout in &LAYOUTS {
        let mut worker = Worker::start();
        let mut options = LoadOptions { devices: None, rpc: vec![worker.endpoint.clone()], ..on_cpu() };
        (layout.set)(&mut options, &format!("RPC0[{}]", worker.endpoint));
        let model = Model::load(options, |_| true).unwrap();
        let largest = largest(&differences(layout, &model));
        assert!(largest < TOLERANCE, "{}: largest difference {largest:.2e}", layout.flags);
        worker.kill();
        assert_eq!(logits(&model).is_err(), layout.is_used, "{}: the part of the worker", layout.flags);
    }
}
