//! `--help` and usage errors, word for word, in `tests/cmd/transcripts`. `TRYCMD=overwrite` rewrites them; review the
//! diff.

#[test]
fn help_and_usage_errors_match_the_transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/transcripts");
    let cases = trycmd::TestCases::new();
    cases.default_bin_path(env!("CARGO_BIN_EXE_ggrun")).env("NO_COLOR", "1");
    // The transcripts must not depend on the environment.
    for name in ["COLUMNS", "LLAMA_ARG_MODEL", "LLAMA_ARG_N_PREDICT", "LLAMA_ARG_CTX_SIZE"] {
        assert!(std::env::var_os(name).is_none(), "{name} is set");
    }
    cases.case(format!("{folder}/*.trycmd"));
}
