//! Looks through values of a template: how large they are, and whether they are such as may be kept.
//!
//! minijinja drops, compares and prints nested values by functions that call themselves, and does not count the text of
//! values that a list holds many times.

use minijinja::value::ObjectRepr;
use minijinja::{Environment, Error, State, Value};

use super::bound::{Bound, NESTING};
use super::observed;
use super::spelled::spelled;

/// The filter on what is assigned to a variable.
pub(super) const SET: &str = "ggrun.set";
/// The filter on what is assigned to an attribute of a namespace, and lasts for longer than a scope.
pub(super) const KEPT: &str = "ggrun.kept";
/// The filter on operands of `~`.
pub(super) const JOINED: &str = "ggrun.joined";
/// The filter on operands of `*`.
pub(super) const REPEATED: &str = "ggrun.repeated";

/// Values for which a step is counted.
const VALUES: u64 = 8;

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_filter(SET, |state: &State, value: Value| settle(state, value, Scope::Block));
    environment.add_filter(KEPT, |state: &State, value: Value| settle(state, value, Scope::Namespace));
    environment.add_filter(JOINED, |state: &State, value: Value| {
        measure(state, &value)?;
        Ok::<_, Error>(spelled(&value).map_or(value, Value::from))
    });
    environment.add_filter(REPEATED, |value: Value| match value.as_object() {
        Some(_) => Err(Error::from(Bound::Repeated)),
        None => Ok(value),
    });
}

/// The number of values in a value, and the bytes of their texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) values: u64,
    pub(super) bytes: usize,
}

/// The size of a value, if it can be written as text.
pub(super) fn measure(state: &State, value: &Value) -> Result<Size, Error> {
    fn visit(state: &State, value: &Value, depth: usize, size: &mut Size) -> Result<(), Error> {
        count(state, &mut size.values, depth)?;
        if let Some(text) = value.as_str() {
            size.bytes += text.len();
            return Ok(Bound::text(size.bytes)?);
        }
        let Some(object) = value.as_object() else { return Ok(()) };
        match object.repr() {
            ObjectRepr::Map => {
                for (key, item) in object.try_iter_pairs().into_iter().flatten() {
                    visit(state, &key, depth + 1, size)?;
                    visit(state, &item, depth + 1, size)?;
                }
            }
            ObjectRepr::Seq | ObjectRepr::Iterable => {
                for item in object.try_iter().into_iter().flatten() {
                    visit(state, &item, depth + 1, size)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
    let mut size = Size::default();
    visit(state, value, 0, &mut size)?;
    Ok(size)
}

/// How long a value lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Block,
    Namespace,
}

/// A value that is to be kept: what would be computed when it is read becomes a list.
fn settle(state: &State, value: Value, scope: Scope) -> Result<Value, Error> {
    Bound::text(value.as_str().map_or(0, str::len))?;
    let settled = settled(state, &value, scope, 0, &mut 0)?;
    Ok(settled.unwrap_or(value))
}

/// The value in another form; `None` if it can be kept as it is.
fn settled(
    state: &State,
    value: &Value,
    scope: Scope,
    depth: usize,
    values: &mut u64,
) -> Result<Option<Value>, Error> {
    count(state, values, depth)?;
    let Some(object) = value.as_object().filter(|_| !observed::is_message(value)) else { return Ok(None) };
    let mut is_new = false;
    let mut item = |item: Value| {
        let settled = settled(state, &item, scope, depth + 1, values)?;
        is_new |= settled.is_some();
        Ok::<_, Error>(settled.unwrap_or(item))
    };
    match object.repr() {
        repr @ (ObjectRepr::Seq | ObjectRepr::Iterable) => {
            let items = object.try_iter().into_iter().flatten().map(item).collect::<Result<Vec<_>, _>>()?;
            Ok((is_new || repr == ObjectRepr::Iterable).then(|| Value::from(items)))
        }
        ObjectRepr::Map if object.type_name() == dictionary() => {
            let pairs = object.try_iter_pairs().into_iter().flatten();
            let pairs = pairs.map(|(key, value)| Ok((item(key)?, item(value)?)));
            let pairs = pairs.collect::<Result<Vec<_>, Error>>()?;
            Ok(is_new.then(|| Value::from_pairs(pairs)))
        }
        _ if scope == Scope::Namespace => Err(Bound::Kept.into()),
        _ => Ok(None),
    }
}

/// The name of the type of minijinja's dictionaries, which is not public.
fn dictionary() -> &'static str {
    let empty = Value::from_pairs(std::iter::empty::<(Value, Value)>());
    empty.as_object().map_or("", |object| object.type_name())
}

fn count(state: &State, values: &mut u64, depth: usize) -> Result<(), Error> {
    if depth > NESTING {
        return Err(Bound::Nesting.into());
    }
    *values += 1;
    if values.is_multiple_of(VALUES) { state.consume_fuel(1) } else { Ok(()) }
}
