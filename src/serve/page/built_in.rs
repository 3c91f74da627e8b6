//! The page of this program: its files, with what a browser needs to keep them.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// The file at `/`.
const INDEX: &str = "index.html";

/// A file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// Its path in `web`.
    path: &'static str,
    pub(super) bytes: &'static [u8],
    made: OnceLock<Made>,
}

/// What is made of a file when it is first asked for.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) tag: HeaderValue,
    pub(super) gzip: Bytes,
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(File {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $path)),
            made: OnceLock::new(),
        }),*]
    };
}

static FILES: [File; 56] = files![
    "index.html",
    "icon.svg",
    "style.css",
    "app/actions.js",
    "app/announcer.js",
    "app/answer.js",
    "app/api.js",
    "app/clipboard.js",
    "app/conversations.js",
    "app/decorate.js",
    "app/dialogs.js",
    "app/format.js",
    "app/highlight.js",
    "app/highlighter.js",
    "app/main.js",
    "app/markdown.js",
    "app/metrics.js",
    "app/preferences.js",
    "app/route.js",
    "app/server.js",
    "app/settings.js",
    "app/shortcuts.js",
    "app/sse.js",
    "app/store.js",
    "app/texts.js",
    "app/tree.js",
    "app/ui.js",
    "app/view/app.js",
    "app/view/banner.js",
    "app/view/chart.js",
    "app/view/composer.js",
    "app/view/dialogs.js",
    "app/view/empty.js",
    "app/view/figures.js",
    "app/view/icons.js",
    "app/view/markdown.js",
    "app/view/menu.js",
    "app/view/message.js",
    "app/view/modal.js",
    "app/view/problem.js",
    "app/view/reasoning.js",
    "app/view/rich.js",
    "app/view/settings.js",
    "app/view/sidebar.js",
    "app/view/status.js",
    "app/view/thread.js",
    "app/view/tool_calls.js",
    "texts/en.js",
    "vendor/LICENSES.txt",
    "vendor/dompurify.js",
    "vendor/highlight.js",
    "vendor/htm.js",
    "vendor/marked.js",
    "vendor/preact.js",
    "vendor/signals.js",
    "vendor/temml.js",
];

/// The file at a path of a URL.
pub(super) fn find(path: &str) -> Option<&'static File> {
    let path = match path.strip_prefix('/')? {
        "" => INDEX,
        path => path,
    };
    FILES.iter().find(|file| file.path == path)
}

impl File {
    /// Its media type.
    pub(super) fn kind(&self) -> HeaderValue {
        HeaderValue::from_static(match self.path.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        })
    }

    /// Its tag, and its bytes compressed.
    pub(super) fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let gzip = encoder.write_all(self.bytes).and_then(|()| encoder.finish());
            let digest = u64::from_be_bytes(Sha256::digest(self.bytes).as_chunks::<8>().0[0]);
            Made {
                tag: HeaderValue::try_from(format!("\"{digest:016x}\"")).expect("hexadecimal digits"),
                gzip: gzip.expect("memory takes what is written").into(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The files in `web` that a browser loads.
    fn in_folder() -> BTreeSet<String> {
        fn visit(folder: &Path, top: &Path, out: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, top, out);
                } else {
                    out.insert(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut out = BTreeSet::new();
        for folder in ["app", "texts", "vendor"] {
            visit(&web.join(folder), &web, &mut out);
        }
        out.extend([INDEX, "icon.svg", "style.css"].map(str::to_owned));
        out.remove("vendor/README.md");
        out
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let served: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(served, in_folder());
        assert_eq!(FILES.len(), served.len(), "each once");
    }

    #[test]
    fn vendored_files_are_those_that_were_made() {
        let list = include_str!("../../../web/vendor/README.md");
        for file in FILES.iter().filter(|file| file.path.starts_with("vendor/")) {
            let bytes = Sha256::digest(file.bytes);
            let digest = bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            let name = file.path.trim_start_matches("vendor/");
            let line = format!("| `{name}` | {} | `{digest}` |", file.bytes.len());
            assert!(list.contains(&line), "web/vendor/README.md has no line {line}");
        }
    }

    /// Adds a script and those that it imports at once.
    fn with_imports(path: &str, out: &mut BTreeSet<String>) {
        if !out.insert(path.to_owned()) {
            return;
        }
        let file =
            FILES.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is not served"));
        let text = std::str::from_utf8(file.bytes).unwrap();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let begins = [" from \"", "}from\"", "import \""].into_iter();
        for target in begins.flat_map(|begin| text.split(begin).skip(1)) {
            let target = target.split('"').next().unwrap();
            let mut parts: Vec<&str> = folder.split('/').collect();
            for part in target.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    name => parts.push(name),
                }
            }
            with_imports(&parts.join("/"), out);
        }
    }

    #[test]
    fn the_page_is_small() {
        let mut first = ["index.html", "icon.svg", "style.css"].map(str::to_owned).into();
        with_imports("app/main.js", &mut first);
        assert!(first.contains("vendor/signals.js") && !first.contains("vendor/temml.js"));
        let gzip = |file: &File| file.made().gzip.len();
        let before: usize = FILES.iter().filter(|file| first.contains(file.path)).map(gzip).sum();
        // Licences are not loaded.
        let all: usize = FILES.iter().filter(|file| !has_ending(file.path, "txt")).map(gzip).sum();
        assert!(before <= 75 << 10, "{before} bytes before the first answer");
        assert!(all <= 190 << 10, "{all} bytes in all");
    }

    fn has_ending(path: &str, ending: &str) -> bool {
        path.rsplit_once('.').is_some_and(|(_, found)| found == ending)
    }
}
