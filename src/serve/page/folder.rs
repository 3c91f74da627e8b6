//! A page of the user: the files of a folder.

use std::io;
use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use percent_encoding::percent_decode_str;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

/// A folder with a page. Hidden files, and links that lead out of it, are not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// A folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be served as a page: it has no file `index.html` that can be read", .folder.display())]
pub struct FolderError {
    /// The folder.
    folder: PathBuf,
    source: io::Error,
}

impl Folder {
    /// The page in this folder.
    ///
    /// # Errors
    ///
    /// When it has no `index.html` that can be read.
    pub fn new(folder: &Path) -> Result<Self, FolderError> {
        let error = |source| FolderError { folder: folder.to_owned(), source };
        std::fs::File::open(folder.join("index.html")).map_err(error)?;
        Ok(Self(folder.canonicalize().map_err(error)?))
    }

    /// Whether a path of a URL is that of a file in it, or of a folder with an `index.html`.
    pub(super) fn has(&self, path: &str) -> bool {
        let Some(relative) = relative(path) else { return false };
        self.found(&relative).is_some()
    }

    /// The file that is sent for a path: that of a folder is its `index.html`.
    fn found(&self, relative: &Path) -> Option<PathBuf> {
        let within = |path: PathBuf| path.canonicalize().ok().filter(|found| found.starts_with(&self.0));
        let found = within(self.0.join(relative))?;
        if found.is_dir() { within(found.join("index.html")) } else { Some(found) }
    }

    /// The file that a request asks for, read as it is sent.
    pub(super) async fn answer(&self, request: Request<Body>) -> Option<Response> {
        if !self.has(request.uri().path()) {
            return None;
        }
        let response = ServeDir::new(&self.0).oneshot(request).await.unwrap_or_else(|never| match never {});
        (response.status() != StatusCode::NOT_FOUND).then(|| response.map(Body::new))
    }
}

/// The path of a file, from one of a URL: only names, none of them hidden.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    let relative = PathBuf::from(decoded.as_ref());
    let is_plain = |part: Component| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
    (!decoded.contains(['\\', '\0']) && relative.components().all(is_plain)).then_some(relative)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::serve::Settings;
    use crate::serve::page::Page;
    use crate::serve::router::open_paths;
    use crate::serve::testing::{app, get, served};

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let page = top.path().join("page");
        for (path, text) in [
            ("page/index.html", "<!doctype html>mine"),
            ("page/a b/c.js", "export {}"),
            ("page/health", "a file with the path of an endpoint"),
            ("page/.git/config", "hidden"),
            ("secret.txt", "treasure"),
            ("page-2/secret.txt", "treasure"),
        ] {
            let file = top.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        (top, page)
    }

    fn served_page(folder: &Path) -> axum::Router {
        let page = Some(Page::Folder(Folder::new(folder).unwrap()));
        served(app("", Settings { page, ..Settings::default() }))
    }

    #[test]
    fn the_files_of_a_folder_are_served_behind_the_endpoints() {
        let (_top, page) = folder();
        let router = served_page(&page);
        let found = get(&router, "/");
        assert_eq!((found.status.as_u16(), found.text.as_str()), (200, "<!doctype html>mine"));
        assert_eq!(found.headers["x-content-type-options"], "nosniff");
        assert!(!found.headers.contains_key("content-security-policy"), "the page has rules of its own");
        let found = get(&router, "/a%20b/c.js");
        assert_eq!(
            (found.text.as_str(), &found.headers["content-type"]),
            ("export {}", &"text/javascript".parse().unwrap())
        );
        assert_eq!(get(&router, "/health").json()["status"], "ok");
        assert_eq!(get(&router, "/v1/nothing").status.as_u16(), 404);
        // It is read anew for each request.
        fs::write(page.join("index.html"), "changed").unwrap();
        assert_eq!(get(&router, "/").text, "changed");
    }

    #[test]
    fn no_path_and_no_link_leads_out_of_the_folder() {
        let (top, page) = folder();
        #[cfg(unix)]
        {
            let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, page.join(name)).unwrap();
            link(&top.path().join("secret.txt"), "link.txt");
            link(top.path(), "up");
            link(&page.join("index.html"), "inside.html");
            fs::create_dir(page.join("sub")).unwrap();
            link(&top.path().join("secret.txt"), "sub/index.html");
        }
        let router = served_page(&page);
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/a%20b/../../secret.txt",
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "/../page-2/secret.txt",
            "//secret.txt",
            "/%2fetc/passwd",
            "//etc/passwd",
            "/link.txt",
            "/up/secret.txt",
            "/up/",
            "/sub/",
            "/sub/index.html",
            "/.git/config",
            "/%2egit/config",
            "/index.html%00",
            "/%ff",
            "/none.js",
            "/a%20b/",
        ] {
            let found = get(&router, path);
            assert_eq!((found.status.as_u16(), found.text.contains("treasure")), (404, false), "{path}");
            assert_eq!(found.json()["error"]["type"], "not_found_error", "{path}");
        }
        #[cfg(unix)]
        assert_eq!(get(&router, "/inside.html").status.as_u16(), 200);
    }

    #[test]
    fn only_files_of_the_page_need_no_key() {
        let (_top, page) = folder();
        let open = open_paths(Some(Page::Folder(Folder::new(&page).unwrap())));
        let open = |path: &str| open.contains(&http::Method::GET, path);
        assert!(open("/") && open("/index.html") && open("/a%20b/c.js") && open("/health"));
        for path in ["/none.js", "/.git/config", "/../secret.txt", "/v1/models", "/metrics"] {
            assert!(!open(path), "{path}");
        }
        // A file cannot open the endpoint that has its path.
        for path in ["v1/models", "api/conversations", "metrics", "slots"] {
            let file = page.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
            assert!(!open(&format!("/{path}")), "{path}");
        }
    }

    #[test]
    fn a_folder_without_a_page_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        let error = Folder::new(empty.path()).unwrap_err().to_string();
        assert!(error.contains("no file `index.html`"), "{error}");
        assert!(Folder::new(&empty.path().join("none")).is_err());
    }
}
