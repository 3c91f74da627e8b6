//! Values that are typed: yes or no.

/// llama.cpp's words for yes and no.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "on" | "enabled" | "true" | "1" => Ok(true),
        "off" | "disabled" | "false" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}
