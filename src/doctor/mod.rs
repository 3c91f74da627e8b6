//! Facts about this machine, this build and the hub's settings, and advice on them. Reads files and queries the engine;
//! sends no request and changes nothing. Not here: printing.

mod advice;
mod facts;
mod hub;
mod system;

pub use advice::advice;
pub use facts::{Disk, Engine, Facts, Gpu, Kernels, gather};
pub use hub::{Hub, Token};
pub use system::{Memory, Processor, Video};
