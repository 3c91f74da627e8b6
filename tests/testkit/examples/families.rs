//! Writes the BF16 and the int4 checkpoint of each tiny model, committed or made up, for `tests/data/families/make_llama.py`.
//!
//! ```text
//! cargo run -p testkit --example families -- OUT
//! ```
//!
//! They are `OUT/NAME-bf16` and `OUT/NAME-int4`.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::family::NAMES;
use testkit::made_up::{bf16_checkpoint, int4_checkpoint};

fn main() {
    let out = PathBuf::from(std::env::args().nth(1).expect("usage: families OUT"));
    for name in NAMES {
        write(&out.join(format!("{name}-bf16")), |dir| bf16_checkpoint(name, dir));
        write(&out.join(format!("{name}-int4")), |dir| int4_checkpoint(name, dir));
    }
}

/// Writes a checkpoint to a folder, or copies it if it is somewhere else.
fn write(to: &Path, checkpoint: impl FnOnce(&Path) -> PathBuf) {
    fs::create_dir_all(to).expect("the folder can be created");
    let found = checkpoint(to);
    if found == to {
        return;
    }
    for file in fs::read_dir(found).expect("it can be listed") {
        let file = file.expect("it can be listed");
        fs::copy(file.path(), to.join(file.file_name())).expect("it can be copied");
    }
}
