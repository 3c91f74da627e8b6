//! Values for a template that record how much of the prompt is written when the template reads them.
//!
//! A template reads a message and then writes it, so the message begins at that length. This works with any template
//! and any text, where a search for the text of the message would not.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, Serde};
use minijinja::{Environment, Error, Value};
use serde_json::{Map, Value as Json};

use super::bound::Bound;

/// The variable that a template reads before it writes the beginning of an answer.
const ANSWER: &str = "add_generation_prompt";
/// The field of a message that a template also reads when it writes another.
const ROLE: &str = "role";

/// The length of the prompt so far, and the lengths at which something was read.
#[derive(Debug, Default)]
pub(super) struct Observer {
    length: AtomicUsize,
    reads: Mutex<Vec<Read>>,
}

#[derive(Debug, Clone, Copy)]
struct Read {
    /// `None` is the beginning of the answer.
    message: Option<usize>,
    length: usize,
}

impl Observer {
    fn note(&self, message: Option<usize>) {
        let length = self.length.load(Ordering::Relaxed);
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(Read { message, length });
    }

    /// Where each of this many messages begins, then where the answer does.
    ///
    /// A message begins where it was first read after the last read of an earlier one, and the first message where it was
    /// last read before the next: templates may look through all messages before they write any.
    fn begins(&self, messages: usize) -> Vec<Option<usize>> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let index = |read: &Read| read.message.unwrap_or(messages);
        let mut places = vec![Vec::new(); messages + 1];
        for (at, read) in reads.iter().enumerate() {
            places[index(read)].push(at);
        }
        // Behind the last read of an earlier message.
        let mut later = 0;
        let first_read = |places: &Vec<usize>| {
            let last = places.last()?;
            let first = places.get(places.partition_point(|at| *at < later)).unwrap_or(last);
            later = later.max(last + 1);
            Some(reads[*first].length)
        };
        let mut begins: Vec<_> = places.iter().map(first_read).collect();
        let next = begins.iter().skip(1).flatten().next().copied().unwrap_or(usize::MAX);
        if let Some(first) = reads.iter().rfind(|read| index(read) == 0 && read.length <= next) {
            begins[0] = Some(first.length);
        }
        begins
    }
}

/// A message that notes when it is read.
#[derive(Debug)]
struct Message {
    fields: Value,
    index: usize,
    observer: Arc<Observer>,
}

/// Whether a value is a message, which no template made.
pub(super) fn is_message(value: &Value) -> bool {
    value.downcast_object_ref::<Message>().is_some()
}

impl Object for Message {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() != Some(ROLE) {
            self.observer.note(Some(self.index));
        }
        self.fields.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.fields.try_iter().map_or(Enumerator::Empty, |keys| Enumerator::Values(keys.collect()))
    }
}

/// The variables of a template.
#[derive(Debug)]
struct Variables {
    values: Value,
    observer: Arc<Observer>,
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() == Some(ANSWER) {
            self.observer.note(None);
        }
        self.values.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.values.try_iter().map_or(Enumerator::Empty, |keys| Enumerator::Values(keys.collect()))
    }
}

/// Counts what a template writes.
struct Counted<'a> {
    text: &'a mut Vec<u8>,
    observer: &'a Observer,
}

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Bound::text(self.text.len() + bytes.len()).map_err(io::Error::other)?;
        self.text.extend_from_slice(bytes);
        self.observer.length.store(self.text.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Renders a template; `variables` makes the others from the messages. The second result is where each message begins,
/// then where the answer does.
pub(super) fn render(
    environment: &Environment<'_>,
    template: &str,
    messages: Vec<Map<String, Json>>,
    variables: impl FnOnce(Value) -> Value,
) -> Result<(String, Vec<Option<usize>>), Error> {
    let observer = Arc::new(Observer::default());
    let count = messages.len();
    let seen = messages.into_iter().enumerate().map(|(index, fields)| {
        let fields = Value::from(Serde(fields));
        Value::from_object(Message { fields, index, observer: Arc::clone(&observer) })
    });
    let values = variables(seen.collect::<Vec<_>>().into());
    let context = Value::from_object(Variables { values, observer: Arc::clone(&observer) });
    let mut text = Vec::new();
    let written = Counted { text: &mut text, observer: &observer };
    drop(environment.get_template(template)?.render_captured_to(context, written)?);
    let text = String::from_utf8(text).expect("a template writes whole strings");
    Ok((text, observer.begins(count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// [`Observer::begins`] with a search for each message.
    fn naive(reads: &[Read], messages: usize) -> Vec<Option<usize>> {
        let index = |read: &Read| read.message.unwrap_or(messages);
        let first_read = |message: usize| {
            let earlier = reads.iter().rposition(|read| index(read) < message).map_or(0, |at| at + 1);
            let read = reads[earlier..].iter().find(|read| index(read) == message);
            read.or_else(|| reads.iter().rfind(|read| index(read) == message)).map(|read| read.length)
        };
        let mut begins: Vec<_> = (0..=messages).map(first_read).collect();
        let next = begins.iter().skip(1).flatten().next().copied().unwrap_or(usize::MAX);
        if let Some(first) = reads.iter().rfind(|read| index(read) == 0 && read.length <= next) {
            begins[0] = Some(first.length);
        }
        begins
    }

    fn observer(reads: Vec<Read>) -> Observer {
        Observer { length: AtomicUsize::new(0), reads: Mutex::new(reads) }
    }

    proptest! {
        #[test]
        fn one_pass_finds_the_beginnings_that_a_search_for_each_message_finds(
            order in prop::collection::vec((prop::option::of(0_usize..5), 0_usize..3), 0..20),
        ) {
            let mut length = 0;
            let reads: Vec<_> = order.into_iter().map(|(message, more)| {
                length += more;
                Read { message, length }
            }).collect();
            prop_assert_eq!(observer(reads.clone()).begins(5), naive(&reads, 5));
        }
    }

    #[test]
    fn many_messages_take_no_search_each() {
        let count = 200_000;
        let reads = (0..count).rev().chain(0..count).map(|at| Read { message: Some(at), length: at });
        let begins = observer(reads.collect()).begins(count);
        assert!(begins[..count].iter().copied().eq((0..count).map(Some)));
    }
}
