//! Methods of strings and dictionaries, as Python has them, after a check of the size of their result: minijinja counts
//! it only when it is there.

use minijinja::{Error, State, Value};
use minijinja_contrib::pycompat;

use super::bound::{Bound, WIDTH};
use super::walk::{Size, measure};

/// Bytes of a text for which a step is counted.
const BYTES: usize = 64;

/// Calls a method that minijinja does not have.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        check(state, text, method, arguments)?;
    }
    pycompat::unknown_method_callback(state, value, method, arguments)
}

fn check(state: &State<'_, '_>, text: &str, method: &str, arguments: &[Value]) -> Result<(), Error> {
    steps(state, text.len() / BYTES)?;
    let argument = |index: usize| arguments.get(index).and_then(Value::as_str);
    match (method, arguments) {
        ("replace", _) => {
            let (old, new) = (argument(0).unwrap_or_default(), argument(1).unwrap_or_default());
            let count = text.matches(old).count();
            let most = arguments.get(2).and_then(Value::as_usize).unwrap_or(count);
            let added = count.min(most).saturating_mul(new.len());
            Bound::text(text.len().saturating_add(added))?;
            steps(state, added / BYTES)
        }
        // Each part is a value.
        ("split", _) => steps(state, argument(0).map_or(text.len() / 2, |at| text.matches(at).count())),
        ("splitlines", _) => steps(state, text.matches('\n').count()),
        ("join", [list, ..]) => repeated(state, &measure(state, list)?, text),
        ("format", arguments) => fields(state, text, arguments, &['{']),
        // They look for these characters at every place.
        ("strip" | "lstrip" | "rstrip", _) => steps(state, argument(0).unwrap_or_default().len()),
        _ => Ok(()),
    }
}

/// Checks the arguments of the filter `join`.
pub(super) fn joined(state: &State<'_, '_>, arguments: &[Value]) -> Result<(), Error> {
    let [list, others @ ..] = arguments else { return Ok(()) };
    let between = others.first().and_then(Value::as_str).unwrap_or_default();
    repeated(state, &measure(state, list)?, between)
}

/// Checks the arguments of the filter `format`.
pub(super) fn formatted(state: &State<'_, '_>, arguments: &[Value]) -> Result<(), Error> {
    let [text, arguments @ ..] = arguments else { return Ok(()) };
    fields(state, text.as_str().unwrap_or_default(), arguments, &['%'])
}

fn repeated(state: &State<'_, '_>, list: &Size, between: &str) -> Result<(), Error> {
    let times = usize::try_from(list.values).unwrap_or(usize::MAX);
    let bytes = times.saturating_mul(between.len()).saturating_add(list.bytes);
    Bound::text(bytes)?;
    steps(state, bytes / BYTES)
}

/// Each field of a format may have every argument, and the width that it names.
fn fields(state: &State<'_, '_>, text: &str, arguments: &[Value], begin: &[char]) -> Result<(), Error> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    if numbers.any(|digits| digits.parse().is_ok_and(|width: usize| width > WIDTH) || digits.len() > 18) {
        return Err(Bound::Width.into());
    }
    let mut bytes = 0_usize;
    for argument in arguments {
        bytes = bytes.saturating_add(measure(state, argument)?.bytes);
    }
    let fields = text.matches(begin).count();
    let most = fields.saturating_mul(bytes.saturating_add(WIDTH)).saturating_add(text.len());
    Bound::text(most)?;
    steps(state, fields)
}

fn steps(state: &State<'_, '_>, steps: usize) -> Result<(), Error> {
    state.consume_fuel(steps as u64)
}
