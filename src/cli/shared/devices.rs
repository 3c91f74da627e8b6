//! The table that `--list-devices` prints.

use ggrun::model::rpc::{self, WorkerError};

use crate::cli::options::placement::PlacementArgs;
use crate::cli::ui::text;

/// Connects to the workers and lists all devices.
pub(crate) fn list_devices(args: &PlacementArgs) -> Result<String, WorkerError> {
    for worker in &args.rpc {
        rpc::connect(worker)?;
    }
    let rows: Vec<Vec<String>> = ggrun::model::devices(&args.rpc)
        .into_iter()
        .map(|device| {
            let memory = format!("{} free of {}", text::bytes(device.free), text::bytes(device.total));
            vec![device.name, device.buffer, memory, device.description]
        })
        .collect();
    let head = ["device", "buffer", "memory", "description"].map(str::to_owned).to_vec();
    Ok(text::table(&[vec![head], rows].concat(), &[]))
}
