//! Values that are typed: on or off.

/// llama.cpp's words for on and off.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "on" | "enabled" | "true" | "1" => Ok(true),
        "off" | "disabled" | "false" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}
