//! Values that are typed as a pair: a pattern and a buffer, a token and a bias.

/// Parses `REGEX=BUFFER`. The pattern ends at the first `=`.
pub(crate) fn tensor_buffer(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((pattern, buffer)) if !pattern.is_empty() && !buffer.is_empty() => Ok((pattern, buffer)),
        _ => Err("expected REGEX=BUFFER, such as exps=CPU".to_owned()),
    }
}

/// Parses `TOKEN+BIAS` or `TOKEN-BIAS`. The bias is a finite number or minus infinity.
pub(crate) fn token_bias(text: &str) -> Result<(i32, f32), String> {
    let at = text.find(['+', '-']).ok_or("expected a token number, `+` or `-`, and a bias")?;
    let (token, bias) = text.split_at(at);
    let number: f32 = bias.parse().map_err(|_| format!("`{bias}` is not a number"))?;
    if number.is_nan() || number == f32::INFINITY {
        return Err(format!("bias `{bias}` is out of range, expected a number or -inf"));
    }
    Ok((token.parse().map_err(|_| format!("`{token}` is not a token number"))?, number))
}

#[cfg(test)]
#[path = "../../../fuzz/pairs.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use proptest::prelude::*;

    fn seeds(target: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let seed = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path()).unwrap()
        };
        std::fs::read_dir(folder).unwrap().map(seed).collect()
    }

    #[test]
    fn seeds_of_the_fuzz_targets_are_valid_or_refused() {
        let valid = |seeds: Vec<String>, check: &dyn Fn(&str) -> bool| {
            seeds.iter().filter(|text| check(text)).count()
        };
        let buffers = valid(seeds("tensor_buffer"), &|text| {
            fuzz::tensor_buffer(text, tensor_buffer, |_, _| Some(true))
        });
        let biases = valid(seeds("token_bias"), &|text| fuzz::token_bias(text, token_bias));
        assert_eq!((buffers, biases), (7, 3));
    }

    proptest! {
        #[test]
        fn any_text_is_a_pair_or_refused(text in "[0-9a-z=+.\\\\*(){}-]{0,24}") {
            fuzz::tensor_buffer(&text, tensor_buffer, |_, _| None);
            fuzz::token_bias(&text, token_bias);
        }
    }
}
