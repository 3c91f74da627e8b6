//! Which files of a repository are meant.

use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use ggrun::hub::{Hub, Listing, Observer, RemoteFile};
use glob::Pattern;

use super::Download;

/// How alike names must be for one to be meant by the other, from 0 to 1.
const ALIKE: f64 = 0.7;

/// A pattern as the hub's own tools take it: `*` and `?` stand for slashes, too, and a folder with a slash behind it for
/// all that is in it.
#[derive(Debug, Clone)]
pub(super) struct Glob(Pattern);

impl FromStr for Glob {
    type Err = glob::PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pattern = String::new();
        // Several stars mean no more than one does.
        for c in text.chars().chain(text.ends_with('/').then_some('*')) {
            if c != '*' || !pattern.ends_with('*') {
                pattern.push(c);
            }
        }
        Pattern::new(&pattern).map(Self)
    }
}

/// The files that were named or fit the patterns, or all, or what a conversion needs.
pub(super) fn wanted<'l>(
    args: &Download,
    hub: &Hub,
    listing: &'l Listing,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> anyhow::Result<Vec<&'l RemoteFile>> {
    let (repo, patterns) = (&args.repo, !args.include.is_empty() || !args.exclude.is_empty());
    if !args.files.is_empty() {
        return args.files.iter().map(|name| named(args, listing, name)).collect();
    }
    if args.all || patterns {
        let any = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.0.matches(name));
        let fits = |file: &&RemoteFile| {
            (args.include.is_empty() || any(&args.include, &file.name)) && !any(&args.exclude, &file.name)
        };
        let files: Vec<&RemoteFile> = listing.files.iter().filter(fits).collect();
        anyhow::ensure!(!files.is_empty() || !patterns, "no file of `{repo}` fits the patterns");
        return Ok(files);
    }
    let files = hub.checkpoint_files(repo, listing, stop, observer)?;
    anyhow::ensure!(
        files.iter().any(|file| file.name.ends_with(".safetensors")),
        "`{repo}` has no safetensors files; name the files, or take `--all`"
    );
    Ok(files)
}

fn named<'l>(args: &Download, listing: &'l Listing, name: &str) -> anyhow::Result<&'l RemoteFile> {
    if let Some(file) = listing.find(name) {
        return Ok(file);
    }
    let alike = |file: &&RemoteFile| strsim::jaro_winkler(&file.name.to_lowercase(), &name.to_lowercase());
    let closest = listing.files.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let what = format!("{}/{name}", args.repo.id());
    match closest.filter(|file| alike(file) >= ALIKE) {
        Some(file) => anyhow::bail!("the hub has no `{what}`; is `{}` meant?", file.name),
        None => anyhow::bail!("the hub has no `{what}`; `--all --dry-run` lists what it has"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        let glob: Glob = pattern.parse().unwrap();
        for name in fits {
            assert!(glob.0.matches(name), "{pattern} {name}");
        }
        for name in others {
            assert!(!glob.0.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_are_those_of_the_hubs_own_tools() {
        check("*.gguf", &["a.gguf", "q4/a.gguf", ".gguf"], &["a.GGUF", "a.gguf.json"]);
        check("**/*.gguf", &["q4/a.gguf", "a/b/c.gguf"], &["a.gguf"]);
        check("q4/", &["q4/a", "q4/b/c"], &["q4", "aq4/b"]);
        check("m-0000[1-3]?of*", &["m-00001-of-5", "m-00003/of"], &["m-00004-of-5"]);
        check("[!a]*", &["b"], &["a", "ab"]);
        check("config.json", &["config.json"], &["x/config.json"]);
        assert!("[a".parse::<Glob>().is_err());
    }
}
