//! The tokens and channels of Harmony, the form of gpt-oss's answers.

pub(super) const START: &str = "<|start|>";
pub(super) const CHANNEL: &str = "<|channel|>";
pub(super) const CONSTRAIN: &str = "<|constrain|>";
pub(super) const MESSAGE: &str = "<|message|>";
pub(super) const END: &str = "<|end|>";
pub(super) const CALL: &str = "<|call|>";
pub(super) const RETURN: &str = "<|return|>";

/// The tokens in a header, by their names in grammars.
pub(super) const HEADER: [(&str, &str); 4] =
    [("begin", START), ("channel", CHANNEL), ("constrain", CONSTRAIN), ("message", MESSAGE)];

/// Has reasoning.
pub(super) const ANALYSIS: &str = "analysis";
/// Has calls, and content beside them.
pub(super) const COMMENTARY: &str = "commentary";
/// Has the answer.
pub(super) const FINAL: &str = "final";
/// The author of an answer.
pub(super) const ASSISTANT: &str = "assistant";
/// Before the name of a function that a message is for.
pub(super) const FUNCTIONS: &str = "functions.";

/// The forms of the header of an answer.
pub(super) fn headers() -> Vec<String> {
    let forms = [String::new(), format!(" {CONSTRAIN}json"), format!("{CONSTRAIN}json"), " json".to_owned()];
    let headers = forms.map(|form| format!("{CHANNEL}{FINAL}{form}{MESSAGE}"));
    let started = headers.clone().map(|header| format!("{START}{ASSISTANT}{header}"));
    headers.into_iter().chain(started).collect()
}
