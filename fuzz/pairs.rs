//! The fuzz targets `tensor_buffer` (`-ot`) and `token_bias` (`--logit-bias`).

/// Parses an override of tensors and its pattern. Returns true if both are valid.
pub(crate) fn tensor_buffer(
    text: &str,
    parse: impl Fn(&str) -> Result<(&str, &str), String>,
    matches: impl Fn(&str, &str) -> Option<bool>,
) -> bool {
    let Ok((pattern, buffer)) = parse(text) else { return false };
    assert_eq!(format!("{pattern}={buffer}"), text);
    assert!(!pattern.is_empty() && !buffer.is_empty() && !pattern.contains('='));
    matches(pattern, "blk.12.ffn_down_exps.weight").is_some()
}

/// Parses a bias. It must be a number that can be added to a logit. Returns true if it is valid.
pub(crate) fn token_bias(text: &str, parse: impl Fn(&str) -> Result<(i32, f32), String>) -> bool {
    let Ok((token, bias)) = parse(text) else { return false };
    assert!(!bias.is_nan() && bias < f32::INFINITY, "{text}: {token}, {bias}");
    true
}
