//! Ids of calls for templates that take nine letters and digits only.

use std::collections::BTreeMap;

use super::message::Message;

/// The length of an id.
const LENGTH: usize = 9;

/// The id of a call by its number.
pub(super) fn of(number: usize) -> String {
    format!("call{number:05}")
}

/// Whether there is a call or a result without such an id.
pub(super) fn has_other(messages: &[Message]) -> bool {
    let fits = |id: Option<&String>| {
        id.is_some_and(|id| id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    messages.iter().any(|message| {
        message.tool_calls.iter().any(|call| !fits(call.id.as_ref()))
            || (message.tool_call_id.is_some() && !fits(message.tool_call_id.as_ref()))
    })
}

/// Gives every call such an id, and its result too. A result without an id belongs to the first call that has none yet.
pub(super) fn renumber(messages: &mut [Message]) {
    let (mut number, mut open) = (0, Vec::new());
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for message in messages {
        for call in &mut message.tool_calls {
            let id = of(number);
            number += 1;
            if let Some(old) = call.id.replace(id.clone()) {
                known.insert(old, id.clone());
            }
            open.push(id);
        }
        if message.role == super::message::Role::Tool {
            let id = match message.tool_call_id.take() {
                Some(old) => known.get(&old).cloned().unwrap_or(old),
                None => open.first().cloned().unwrap_or_else(|| of(number)),
            };
            open.retain(|other| *other != id);
            message.tool_call_id = Some(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{RenderOptions, Template};
    use serde_json::json;

    fn messages() -> Vec<Message> {
        let call = |id: Option<&str>| json!({"id": id, "function": {"name": "f", "arguments": {}}});
        serde_json::from_value(json!([
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [call(Some("a")), call(None), call(Some("a-b"))]},
            {"role": "tool", "content": "3", "tool_call_id": "a-b"},
            {"role": "tool", "content": "1"},
            {"role": "tool", "content": "2"},
            {"role": "assistant", "content": "", "tool_calls": [call(Some("a"))]},
            {"role": "tool", "content": "4", "tool_call_id": "a"},
        ]))
        .unwrap()
    }

    #[test]
    fn each_result_keeps_its_call() {
        let mut messages = messages();
        renumber(&mut messages);
        let ids: Vec<_> = messages.iter().filter_map(|message| message.tool_call_id.clone()).collect();
        assert_eq!(ids, [of(2), of(0), of(1), of(3)]);
        let calls = messages.iter().flat_map(|message| &message.tool_calls);
        assert!(calls.map(|call| call.id.clone().unwrap()).eq((0..4).map(of)));
        assert!(!has_other(&messages));
    }

    #[test]
    fn ids_change_only_where_the_template_refuses_them() {
        let shows = "{% for m in messages %}{% for c in m.tool_calls %}{{ c.id }};{% endfor %}{{ m.tool_call_id }}{% endfor %}";
        let refuses = "{% for m in messages %}{% for c in m.tool_calls %}\
            {% if not c.id is defined or c.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}{% endfor %}{% endfor %}";
        let names = "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %}{% endfor %}";
        let rendered = |source: &str| {
            let template = Template::parse(source, "", "").unwrap();
            template.conversation(&messages(), &RenderOptions::default()).unwrap().text
        };
        assert!(rendered(&format!("{names}{shows}")).ends_with("a;;a-b;a-ba;a"));
        let ids = [0, 1, 2].map(|n| of(n) + ";").concat() + &of(2) + &of(0) + &of(1) + &of(3) + ";" + &of(3);
        assert!(rendered(&format!("{refuses}{names}{shows}")).ends_with(&ids));
    }
}
