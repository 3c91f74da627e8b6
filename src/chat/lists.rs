//! Lists in a namespace that a template appends to and takes from, as those of Python can be.
//!
//! transformers refuses to change lists, and some templates do nevertheless. Only text, numbers and such can be appended: a
//! list never holds itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value, functions};

use super::bound::Bound;

/// Values of a list.
const VALUES: usize = 100_000;
/// Steps of a change.
const STEPS: u64 = 8;

/// Makes lists changeable where a template appends to one.
pub(super) fn install(environment: &mut Environment<'_>, source: &str) {
    if source.contains(".append(") {
        environment.add_function("namespace", namespace);
    }
}

fn namespace(defaults: Option<ValueOrKwargs>) -> Result<Value, Error> {
    functions::namespace(defaults.map(|defaults| with_lists(defaults.into_value()).into()))
}

/// The values of a namespace with lists in place of empty ones.
fn with_lists(defaults: Value) -> Value {
    let list = |value: Value| {
        let is_empty = value.kind() == ValueKind::Seq && value.len() == Some(0);
        if is_empty { Value::from_object(List::default()) } else { value }
    };
    let object = defaults.as_object().filter(|object| object.repr() == ObjectRepr::Map);
    match object.and_then(DynObject::try_iter_pairs) {
        Some(pairs) => Value::from_pairs(pairs.map(|(key, value)| (key, list(value)))),
        None => defaults,
    }
}

/// A list that can change.
#[derive(Debug, Default)]
struct List(Mutex<Vec<Value>>);

impl List {
    fn values(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, value: Value) -> Result<Value, Error> {
        if value.as_object().is_some() || self.values().len() >= VALUES {
            return Err(Bound::Appended.into());
        }
        self.values().push(value);
        Ok(Value::from(()))
    }

    fn pop(&self, place: Option<i64>) -> Result<Value, Error> {
        let mut values = self.values();
        let missing = || Error::new(ErrorKind::InvalidOperation, "pop from outside of a list");
        let index = index(place.unwrap_or(-1), values.len()).ok_or_else(missing)?;
        Ok(values.remove(index))
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let values = self.values();
        values.get(index(key.as_i64()?, values.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.values().len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "append" => {
                state.consume_fuel(STEPS)?;
                let (value,) = from_args::<(Value,)>(arguments)?;
                self.append(value)
            }
            "pop" => {
                state.consume_fuel(STEPS + self.values().len() as u64 / STEPS)?;
                let (place,) = from_args::<(Option<i64>,)>(arguments)?;
                self.pop(place)
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// A place in a list of this length; places before zero count from its end.
fn index(place: i64, length: usize) -> Option<usize> {
    let place = if place < 0 { place.checked_add(i64::try_from(length).ok()?)? } else { place };
    usize::try_from(place).ok().filter(|place| *place < length)
}

#[cfg(test)]
mod tests {
    use crate::chat::template::Error;
    use crate::chat::{Message, RenderOptions, Role, Template};

    fn render(source: &str) -> Result<String, Error> {
        let messages = [Message::new(Role::User, "hi"), Message::new(Role::User, "ho")];
        Template::parse(source, "", "")?.render(&messages, &RenderOptions::default())
    }

    #[test]
    fn a_list_in_a_namespace_is_a_queue() {
        let begin = "{% set q = namespace(ids=[], n=0) %}{% for m in messages %}{% set _ = q.ids.append('<' + m.content + '>') %}{% endfor %}";
        for (source, expected) in [
            ("{{ q.ids.pop(0) }}{{ q.ids | length }}{{ q.ids.pop() }}{{ 'x' if q.ids }}", "<hi>1<ho>"),
            (
                "{{ q.ids }} {{ q.ids | tojson }} {{ q.ids[0] }}{{ q.ids[-1] }}",
                "['<hi>', '<ho>'] [\"<hi>\", \"<ho>\"] <hi><ho>",
            ),
            ("{% for id in q.ids %}{{ id }}{% endfor %}{{ q.n }}{{ '<hi>' in q.ids }}", "<hi><ho>0True"),
            ("{% set q.ids = q.ids + ['x'] %}{{ q.ids | join(' ') }}", "<hi> <ho> x"),
            ("{% set q.n = q.ids %}{% set _ = q.n.append(1) %}{{ q.ids | length }}", "3"),
        ] {
            assert_eq!(render(&format!("{begin}{source}")).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn a_list_holds_nothing_that_could_hold_it_and_ends() {
        let begin = "{% set q = namespace(ids=[]) %}";
        for source in [
            "{% set _ = q.ids.append(q.ids) %}",
            "{% set _ = q.ids.append([q.ids]) %}",
            "{% set _ = q.ids.append(q) %}",
            "{% set _ = q.ids.append(messages[0]) %}",
            "{% for i in range(99999) %}{% for j in range(99999) %}{% set _ = q.ids.append(j) %}{% endfor %}{% endfor %}",
        ] {
            assert!(matches!(render(&format!("{begin}{source}")), Err(Error::Bound(_))), "{source}");
        }
        for source in
            ["{{ q.ids.pop() }}", "{{ q.ids.append() }}", "{{ q.ids.sort() }}", "{{ [1].append(2) }}"]
        {
            let source = format!("{begin}{source}{{# .append( #}}");
            assert!(matches!(render(&source), Err(Error::Render(_))), "{source}");
        }
    }
}
