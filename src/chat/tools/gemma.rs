//! A call in Gemma's notation: `call:NAME{KEY:VALUE,…}`, where texts are between tags and keys are bare.

use serde_json::{Map, Number, Value};

use super::parsed::{Parsed, may_begin_with, name_length};

/// Before the name.
pub(super) const CALL: &str = "call:";
/// Around a text.
pub(super) const QUOTE: &str = "<|\"|>";
/// Lists and objects within each other.
const DEPTH: u32 = 100;

/// Why a text is not a value.
enum Fault {
    /// It ends too early.
    End,
    Other,
}

/// Whether a text begins like a call, as far as it has been written.
pub(super) fn may_begin(text: &str) -> bool {
    let text = text.trim_start();
    let Some(text) = text.strip_prefix(CALL) else { return CALL.starts_with(text) };
    let length = name_length(text);
    let rest = &text[length..];
    rest.is_empty() || (length > 0 && may_begin_with(rest, "{"))
}

pub(super) fn parse(body: &str) -> Parsed {
    let Some(body) = body.trim_start().strip_prefix(CALL) else { return Parsed::Malformed };
    let (name, arguments) = body.split_at(name_length(body));
    if name.is_empty() || !arguments.starts_with('{') {
        return Parsed::Malformed;
    }
    let mut reader = Reader { rest: arguments };
    match reader.object(DEPTH) {
        Ok(arguments) if reader.rest.trim().is_empty() => Parsed::call(name, arguments),
        Err(Fault::End) => Parsed::Incomplete,
        Ok(_) | Err(Fault::Other) => Parsed::Malformed,
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Skips whitespace, then takes a text if it is there.
    fn take(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn fault(&self) -> Fault {
        if self.rest.is_empty() || QUOTE.starts_with(self.rest) { Fault::End } else { Fault::Other }
    }

    fn object(&mut self, depth: u32) -> Result<Map<String, Value>, Fault> {
        let mut object = Map::new();
        self.list('{', "}", |reader| {
            let key = match reader.quoted()? {
                Some(key) => key,
                None => reader.word(&[':'])?.trim_end(),
            };
            if key.is_empty() || !reader.take(":") {
                return Err(reader.fault());
            }
            object.insert(key.to_owned(), reader.value(depth)?);
            Ok(())
        })?;
        Ok(object)
    }

    /// Items between brackets, with commas between them.
    fn list(
        &mut self,
        open: char,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.take(open.encode_utf8(&mut [0; 4])) {
            return Err(self.fault());
        }
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(close) {
                return Ok(());
            }
            if !self.take(",") {
                return Err(self.fault());
            }
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Other)?;
        if let Some(text) = self.quoted()? {
            return Ok(text.into());
        }
        if self.rest.starts_with('{') {
            return Ok(self.object(depth)?.into());
        }
        if self.rest.starts_with('[') {
            let mut items = Vec::new();
            self.list('[', "]", |reader| {
                items.push(reader.value(depth)?);
                Ok(())
            })?;
            return Ok(items.into());
        }
        match self.word(&[',', '}', ']'])?.trim_end() {
            "true" | "True" => Ok(true.into()),
            "false" | "False" => Ok(false.into()),
            "null" | "None" => Ok(Value::Null),
            word => word.parse::<Number>().map(Value::Number).map_err(|_| self.fault()),
        }
    }

    /// A text between tags, if one begins here.
    fn quoted(&mut self) -> Result<Option<&'a str>, Fault> {
        if !self.take(QUOTE) {
            return Ok(None);
        }
        let (text, rest) = self.rest.split_once(QUOTE).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(Some(text))
    }

    /// The text up to one of these characters.
    fn word(&mut self, ends: &[char]) -> Result<&'a str, Fault> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(ends).ok_or(Fault::End)?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_every_kind_are_read() {
        for (body, arguments) in [
            ("call:f{}", json!({})),
            (
                "call:f{a:<|\"|>x, {y}: [z]<|\"|>,b:-1.5,c:true,d:None}",
                json!({"a": "x, {y}: [z]", "b": -1.5, "c": true, "d": null}),
            ),
            (
                " call:f{ a : [ 1 , <|\"|><|\"|> ] , <|\"|>b c<|\"|>: {d:{}} } ",
                json!({"a": [1, ""], "b c": {"d": {}}}),
            ),
        ] {
            assert_eq!(parse(body), Parsed::call("f", arguments.as_object().unwrap().clone()), "{body}");
        }
    }

    #[test]
    fn a_text_without_its_end_continues_and_another_is_no_call() {
        for (body, parsed) in [
            ("call:f{a:<|\"|>x", Parsed::Incomplete),
            ("call:f{a:<|\"|>x<|\"|>", Parsed::Incomplete),
            ("call:f{a", Parsed::Incomplete),
            ("call:f{a:1", Parsed::Incomplete),
            ("call:f{a:1,}", Parsed::Incomplete),
            ("call:f", Parsed::Malformed),
            ("call:{}", Parsed::Malformed),
            ("f{}", Parsed::Malformed),
            ("call:f{a:word}", Parsed::Malformed),
            ("call:f{a:1}x", Parsed::Malformed),
            ("call:f{:1}", Parsed::Malformed),
            ("call:f{a:1 b:2}", Parsed::Malformed),
        ] {
            assert_eq!(parse(body), parsed, "{body}");
        }
        let deep = |depth: usize| format!("call:f{{a:{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(matches!(parse(&deep(90)), Parsed::Calls(_)));
        assert_eq!(parse(&deep(100_000)), Parsed::Malformed);
    }
}
