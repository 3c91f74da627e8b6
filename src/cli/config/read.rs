//! Finds and reads the configuration file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::entry::{Config, LONGEST, WrongConfig};
use super::file::parse;

/// The variable that selects another file.
pub(crate) const VARIABLE: &str = "GGRUN_CONFIG";

/// Reads the requested file, or the user's if there is one.
///
/// # Errors
///
/// When it cannot be read, or names something that `root`, which must be built, does not have.
pub(crate) fn read(
    root: &clap::Command,
    asked: Option<PathBuf>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Config, WrongConfig> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = asked.or_else(|| set(VARIABLE));
    let must = named.is_some();
    let Some(path) = named.or_else(|| place(set("XDG_CONFIG_HOME"), set("HOME"))) else {
        return Ok(Config::default());
    };
    match text(&path) {
        Err(WrongConfig::Read { source, .. })
            if !must && matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            Ok(Config::default())
        }
        text => parse(root, &path, &text?),
    }
}

/// The file of a user, by the XDG conventions.
fn place(config_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let config_home = config_home.filter(|path| path.is_absolute());
    let folder = config_home.or_else(|| home.map(|home| home.join(".config")))?;
    Some(folder.join("ggrun").join("config.toml"))
}

fn text(path: &Path) -> Result<String, WrongConfig> {
    let failed = |source| WrongConfig::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(WrongConfig::Long { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| WrongConfig::Encoding { path: path.to_owned() })
}
