//! The configuration file, completion scripts and manual pages, as processes.

use super::Sandbox;

#[test]
fn options_of_the_users_file_count_and_are_shown_with_their_origin() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("xdg/ggrun");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("config.toml"),
        "model = 'q'\n[aliases]\nq = 'missing.gguf'\n[run]\ntop-k = 7\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        super::sandbox::Ran::of(sandbox.command(arguments).env("XDG_CONFIG_HOME", sandbox.path("xdg")))
    };
    let json = run(&["run", "--print-config", "--json", "--top-p", "0.5"]).json();
    let option = |name: &str| {
        json["options"].as_array().unwrap().iter().find(|option| option["name"] == name).unwrap().clone()
    };
    assert_eq!((&option("top-k")["values"][0], &option("top-k")["line"]), (&"7".into(), &5.into()));
    assert_eq!(option("top-p")["origin"], "flag");
    assert_eq!(option("min-p")["origin"], "default");
    assert_eq!(option("model")["values"][0], "missing.gguf");
    run(&["plan"]).refused(1, &["`missing.gguf`"]);
    run(&["plan", "--no-config"]).refused(2, &["no model"]);
    std::fs::write(sandbox.path("other.toml"), "top-q = 1").unwrap();
    let says = ["error: `other.toml`, line 1: unknown key `top-q`", "hint: did you mean `top-"];
    run(&["plan", "--config", "other.toml"]).refused(2, &says);
    run(&["plan", "--config", "none.toml"]).refused(2, &["cannot read the configuration file `none.toml`"]);
}

#[test]
fn every_shell_has_a_script() {
    let sandbox = Sandbox::new();
    for (shell, has) in [
        ("bash", "complete -F _ggrun"),
        ("zsh", "#compdef ggrun"),
        ("fish", "complete -c ggrun"),
        ("elvish", "edit:completion:arg-completer[ggrun]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ran = sandbox.run(&["completions", shell]);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{shell}");
        assert!(ran.out.contains(has) && ran.out.contains("split-max-size"), "{shell}: {}", ran.out);
    }
    sandbox.run(&["completions", "tcsh"]).refused(2, &["tcsh"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("man")).unwrap();
    let ran = sandbox.run(&["man", "man"]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    for name in [
        "ggrun",
        "ggrun-convert",
        "ggrun-verify",
        "ggrun-inspect",
        "ggrun-run",
        "ggrun-chat",
        "ggrun-batch",
        "ggrun-plan",
        "ggrun-bench",
        "ggrun-worker",
        "ggrun-download",
        "ggrun-cache",
        "ggrun-cache-ls",
        "ggrun-cache-rm",
        "ggrun-cache-verify",
        "ggrun-cache-prune",
        "ggrun-doctor",
        "ggrun-demo",
        "ggrun-completions",
        "ggrun-man",
    ] {
        let page = String::from_utf8(sandbox.read(&format!("man/{name}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains("SYNOPSIS"), "{name}: {page}");
        assert!(ran.out.contains(&format!("man/{name}.1\n")), "{}", ran.out);
    }
    assert_eq!(std::fs::read_dir(sandbox.path("man")).unwrap().count(), ran.out.lines().count());
    sandbox.run(&["man", "no/such"]).refused(1, &["`no/such` is not a folder"]);
}
