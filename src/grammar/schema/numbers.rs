//! Numbers of a schema that llguidance takes exactly. It computes with 64-bit floats and with the decimal digits that
//! they are written with.

use serde_json::{Number, Value};

/// Integers up to this are floats without rounding.
const LARGEST: f64 = 9_007_199_254_740_992.0;
/// Digits after the point.
const DECIMALS: usize = 15;
const FACTOR_DECIMALS: usize = 6;

/// A number in the form that it is compared in: an integer if it is one.
pub(super) fn exact(value: &Value) -> Result<Number, String> {
    let Value::Number(number) = value else { return Err(format!("it is `{value}`, expected a number")) };
    let float = number.as_f64().unwrap_or(f64::INFINITY);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2^53")]
    let rounded = number.as_i64().is_some_and(|integer| integer.unsigned_abs() > LARGEST as u64);
    if rounded || float.abs() > LARGEST {
        return Err(format!("`{number}` is above 2^53, up to which numbers are exact"));
    }
    if decimals(number) > DECIMALS {
        return Err(format!("`{number}` has more than {DECIMALS} decimals"));
    }
    if float.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 2^53")]
        return Ok(Number::from(float as i64));
    }
    Ok(number.clone())
}

/// The number of digits after the point.
fn decimals(number: &Number) -> usize {
    let text = number.as_f64().unwrap_or(0.0).to_string();
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// The value of `multipleOf`.
pub(super) fn factor(value: &Value) -> Result<Number, String> {
    let number = exact(value)?;
    if number.as_f64().unwrap_or(0.0) <= 0.0 {
        return Err(format!("it is `{value}`, expected a number above 0"));
    }
    if decimals(&number) > FACTOR_DECIMALS {
        return Err(format!("`{value}` has more than {FACTOR_DECIMALS} decimals"));
    }
    Ok(number)
}

/// A number without its point, and without its sign.
pub(super) fn digits(number: &Number) -> f64 {
    let text = number.as_f64().unwrap_or(f64::INFINITY).to_string();
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(f64::INFINITY)
}

/// A count: an integer from 0, which may be written as `2.0`.
pub(super) fn count(value: &Value, most: u64) -> Result<u64, String> {
    let float = value.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    let Some(float) = float else { return Err(format!("it is `{value}`, expected an integer from 0")) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is compared next"
    )]
    let count = float as u64;
    if count > most { Err(format!("it is {count}, expected at most {most}")) } else { Ok(count) }
}

/// Bounds of numbers in a whole schema. llguidance takes a bound that it should exclude if another is less than 1 away,
/// so such schemas are refused.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    excluded: Vec<f64>,
    all: Vec<f64>,
}

impl Bounds {
    pub(super) fn add(&mut self, number: &Number, is_excluded: bool) {
        let float = number.as_f64().unwrap_or(f64::INFINITY);
        self.all.push(float);
        if is_excluded && float.fract() == 0.0 {
            self.excluded.push(float);
        }
    }

    pub(super) fn check(mut self) -> Result<(), String> {
        self.all.sort_by(f64::total_cmp);
        for excluded in self.excluded {
            let from = self.all.partition_point(|bound| *bound <= excluded - 1.0);
            let near = self.all[from..].iter().take_while(|bound| **bound < excluded + 1.0);
            if let Some(near) = near.copied().find(|near| near.fract() != 0.0) {
                return Err(format!(
                    "`exclusiveMinimum` or `exclusiveMaximum` is {excluded} and another bound is {near}: \
                     bounds that are less than 1 apart cannot exclude an integer"
                ));
            }
        }
        Ok(())
    }
}
