//! The speeds of devices: measured in a fraction of a second, and kept in the user's cache folder for the next process.
//!
//! Workers are measured briefly and again each time: their speed includes the network and what else they do, and both
//! change. Copies to them are not measured, because that would send a lot of data and weights of main memory are never
//! copied to them. What is measured while other programs use the processors is not kept.

mod file;
mod rate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use file::{Kept, Key};
pub use rate::{Origin, Rate};

use super::system::{driver, kernel, load_average};
use super::{DeviceSpeed, Multiplication, caps, machine_cores, measure};
use crate::llama::measure_transfer;
use crate::model::placement::Gpu;

/// Measured speeds, with those that earlier processes kept.
#[derive(Debug)]
pub struct Rates {
    path: Option<PathBuf>,
    kept: Kept,
    is_changed: bool,
    is_busy: bool,
    machine: String,
    engine: String,
    isa: String,
}

/// Time for which a device or a copy is measured.
const TIME: Duration = Duration::from_millis(200);
/// Bytes of weights with which a GPU is measured first.
const FEW: u64 = 16 << 20;

impl Rates {
    /// Those that earlier processes of this user, engine and version kept.
    #[must_use]
    pub fn of_user() -> Self {
        Self::at(dirs::cache_dir().map(|folder| folder.join("ggrun/rates.json")))
    }

    /// Those of a file. Without one, nothing is kept.
    pub(crate) fn at(path: Option<PathBuf>) -> Self {
        let engine = caps();
        let isa =
            engine.kernels.as_ref().map_or_else(|| "no kernels".to_owned(), |kernels| kernels.isa.clone());
        let engine = format!("{} {}", engine.build, engine.patches.join(" "));
        let kept = path.as_deref().map(|path| Kept::read(path, &engine)).unwrap_or_default();
        let root = Path::new("/");
        let system = [kernel(root), driver(root)].into_iter().flatten().collect::<Vec<_>>().join(", NVIDIA ");
        let is_busy = load_average(root).is_some_and(|load| load > f64::from(machine_cores()));
        Self { path, kept, is_changed: false, is_busy, machine: system, engine, isa }
    }

    /// The file in which speeds are kept.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How fast the CPU multiplies weights: from an earlier process or measured with at most `room` bytes.
    pub fn cpu(&mut self, what: Multiplication, threads: u32, room: u64) -> Option<Rate<DeviceSpeed>> {
        let key = self.cpu_key(what, threads);
        self.get_or(key, || measure(CPU, what, threads, room, TIME))
    }

    /// How fast a GPU multiplies weights. A worker's is measured each time.
    pub fn gpu(&mut self, gpu: &Gpu, what: Multiplication, room: u64) -> Option<Rate<DeviceSpeed>> {
        let measure = || measure_gpu(&gpu.name, what, room);
        if gpu.is_remote() {
            return Some(Rate { value: measure()?, origin: Origin::Measured });
        }
        let key = self.gpu_key(gpu, &words(what));
        self.get_or(key, measure)
    }

    /// Bytes per second that are copied from main memory to a GPU of this machine; `None` for a worker.
    pub fn transfer(&mut self, gpu: &Gpu, room: u64) -> Option<Rate<f64>> {
        if gpu.is_remote() {
            return None;
        }
        let key = self.gpu_key(gpu, "copy from main memory");
        let measure = || {
            let bytes_per_second = measure_transfer(&gpu.name, room, TIME)?;
            Some(DeviceSpeed { bytes_per_second, node: Duration::ZERO, start: Duration::ZERO })
        };
        let Rate { value, origin } = self.get_or(key, measure)?;
        Some(Rate { value: value.bytes_per_second, origin })
    }

    /// Keeps what was measured for the next process, as far as the folder can be written.
    pub fn save(&mut self) {
        let Some(path) = self.path.as_deref().filter(|_| self.is_changed) else { return };
        if let Err(error) = self.kept.write(path, &self.engine) {
            tracing::debug!(%error, path = %path.display(), "measured speeds are not kept");
        }
        self.is_changed = false;
    }

    fn get_or(
        &mut self,
        key: Key,
        measure: impl FnOnce() -> Option<DeviceSpeed>,
    ) -> Option<Rate<DeviceSpeed>> {
        if let Some(value) = self.kept.get(&key) {
            return Some(Rate { value, origin: Origin::Kept });
        }
        let value = measure()?;
        if !self.is_busy {
            self.kept.set(key, value);
            self.is_changed = true;
        }
        Some(Rate { value, origin: Origin::Measured })
    }

    fn cpu_key(&self, what: Multiplication, threads: u32) -> Key {
        let cpu = super::devices(&[]).into_iter().find(|device| device.name == CPU);
        let name = cpu.map(|cpu| cpu.description).unwrap_or_default();
        Key {
            device: format!("{CPU}: {name}, {}, {threads} threads, {}", self.isa, self.machine),
            work: words(what),
        }
    }

    fn gpu_key(&self, gpu: &Gpu, work: &str) -> Key {
        let Gpu { name, description, backend, total, .. } = gpu;
        Key {
            device: format!("{backend} {name}: {description}, {total} bytes, {}", self.machine),
            work: work.to_owned(),
        }
    }
}

/// Measures with all of the room only where it can be read in [`TIME`]: a slow device would take many seconds.
fn measure_gpu(name: &str, what: Multiplication, room: u64) -> Option<DeviceSpeed> {
    let few = measure(name, what, 1, room.min(FEW), TIME)?;
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    let is_slow = room as f64 / few.bytes_per_second > TIME.as_secs_f64();
    if room <= FEW || is_slow { Some(few) } else { measure(name, what, 1, room, TIME) }
}

/// ggml's name of the CPU.
const CPU: &str = "CPU";

fn words(what: Multiplication) -> String {
    let Multiplication { ty, repacked, vectors } = what;
    format!("type {ty}{} by {vectors}", if repacked { " repacked" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPU: &str = "CPU";

    /// The CPU as a GPU of this machine: there may be no other.
    fn gpu(backend: &str, description: &str) -> Gpu {
        Gpu {
            name: GPU.to_owned(),
            description: description.to_owned(),
            backend: backend.to_owned(),
            buffer: GPU.to_owned(),
            total: 1 << 30,
            free: 1 << 30,
            host_buffer: false,
        }
    }

    #[test]
    fn a_device_is_measured_once_for_each_driver_and_engine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/rates.json");
        let at = || Rates { is_busy: false, ..Rates::at(Some(path.clone())) };
        let (mut first, device) = (at(), gpu("CUDA", "a card"));
        let rate = first.transfer(&device, 1 << 20).unwrap();
        assert_eq!(rate.origin, Origin::Measured);
        assert_eq!(first.transfer(&device, 1 << 20).unwrap(), Rate { origin: Origin::Kept, ..rate });
        first.save();
        assert_eq!(at().transfer(&device, 1 << 20).unwrap(), Rate { origin: Origin::Kept, ..rate });
        let origin = |mut rates: Rates, device: &Gpu| rates.transfer(device, 1 << 20).unwrap().origin;
        assert_eq!(origin(at(), &gpu("CUDA", "another card")), Origin::Measured);
        assert_eq!(origin(Rates { machine: "another driver".to_owned(), ..at() }, &device), Origin::Measured);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("b11434", "b11435")).unwrap();
        assert_eq!(origin(at(), &device), Origin::Measured, "of another engine");
    }

    #[test]
    fn a_worker_is_measured_each_time_and_its_copies_never() {
        let mut rates = Rates { is_busy: false, ..Rates::at(None) };
        let worker = gpu("RPC", "127.0.0.1:50052");
        let one = Multiplication::one_token(8);
        for _ in 0..2 {
            assert_eq!(rates.gpu(&worker, one, 4 << 20).unwrap().origin, Origin::Measured);
        }
        assert_eq!(rates.transfer(&worker, 1 << 20), None);
    }

    #[test]
    fn the_cpu_is_measured_for_each_number_of_threads() {
        let mut rates = Rates { is_busy: false, ..Rates::at(None) };
        let one = Multiplication::one_token(8);
        assert_eq!(rates.cpu(one, 1, 4 << 20).unwrap().origin, Origin::Measured);
        assert_eq!(rates.cpu(one, 1, 4 << 20).unwrap().origin, Origin::Kept);
        assert_eq!(rates.cpu(one, 2, 4 << 20).unwrap().origin, Origin::Measured);
    }

    #[test]
    fn what_is_measured_on_a_busy_machine_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates.json");
        let mut rates = Rates { is_busy: true, ..Rates::at(Some(path.clone())) };
        for _ in 0..2 {
            assert_eq!(rates.transfer(&gpu("CUDA", "a card"), 1 << 20).unwrap().origin, Origin::Measured);
        }
        rates.save();
        assert!(!path.exists());
    }
}
