//! Messages in every form reach the prompt, or the request is refused.

use super::*;
use crate::chat::NotText;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

const TEXTS_ONLY: &str = "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% endif %};{% endfor %}";
const PRINTS: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}";
const FAILS: &str = "{% for m in messages %}{{ '<' + m.role + '>' + m.content + ';' }}{% endfor %}";
const LISTS_TOO: &str = "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}\
    {% for part in m.content %}{{ part.text if part.type == 'text' }}{% endfor %}{% endif %};{% endfor %}";
const LISTS_ONLY: &str = "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{{ part['text'] }}{% endfor %};{% endfor %}";
const FIRST_PART: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content if m.content is string else m.content[0].text }};{% endfor %}";
/// As many templates are: roles that it does not know are left out.
const KNOWN_ROLES: &str = "{% for m in messages %}{% if m.role == 'system' %}<s>{{ m.content }};\
    {% elif m.role == 'user' %}<u>{{ m.content }};{% elif m.role == 'assistant' %}<a>{{ m.content }};{% endif %}{% endfor %}";

fn messages(list: Value) -> Vec<Message> {
    serde_json::from_value(list).unwrap()
}

fn prompt(source: &str, list: Value) -> Result<String, Error> {
    let template = Template::parse(source, "<s>", "</s>").unwrap();
    template.conversation(&messages(list), &RenderOptions::default()).map(|prompt| prompt.text)
}

fn lost(source: &str, list: Value) -> usize {
    match prompt(source, list) {
        Err(Error::LeftOut { number, .. }) => number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parts_of_text_are_joined_unless_the_template_renders_lists() {
    let parts = json!([{"type": "text", "text": "one"}, {"type": "input_text", "text": "two"}]);
    for role in ["system", "user", "assistant", "tool"] {
        let list = json!([{"role": "user", "content": "hi"}, {"role": role, "content": parts}]);
        for source in [TEXTS_ONLY, PRINTS, FAILS, FIRST_PART] {
            let expected = format!("<user>hi;<{role}>one\ntwo;");
            assert_eq!(prompt(source, list.clone()).unwrap(), expected, "{source}");
        }
        let expected = format!("<user>hi;<{role}>onetwo;");
        assert_eq!(prompt(LISTS_TOO, list).unwrap(), expected);
    }
}

#[test]
fn a_text_becomes_a_part_where_the_template_renders_only_lists() {
    let list = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]);
    assert_eq!(prompt(LISTS_ONLY, list).unwrap(), "<system>be brief;<user>hi;");
    let list = json!([{"role": "user", "content": [{"type": "text", "text": "hi"}, {"text": "ho"}]}]);
    assert_eq!(prompt(LISTS_ONLY, list).unwrap(), "<user>hiho;");
}

#[test]
fn a_part_that_is_not_text_is_refused_by_name() {
    let list =
        json!([{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "image_url"}]}]);
    for source in [TEXTS_ONLY, LISTS_TOO, LISTS_ONLY] {
        let error = prompt(source, list.clone()).unwrap_err();
        let part = NotText { number: 1, found: "image_url".to_owned() };
        assert!(matches!(&error, Error::Part { number: 2, part: found } if *found == part), "{error:?}");
    }
}

#[test]
fn a_developers_message_is_the_systems_where_the_template_does_not_mention_the_role() {
    let list = json!([{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]);
    assert_eq!(prompt(KNOWN_ROLES, list.clone()).unwrap(), "<s>be brief;<u>hi;");
    assert_eq!(prompt(PRINTS, list.clone()).unwrap(), "<system>be brief;<user>hi;");
    let knows = format!("{PRINTS}{{# 'developer' #}}");
    assert_eq!(prompt(&knows, list).unwrap(), "<developer>be brief;<user>hi;");
}

#[test]
fn a_later_message_of_the_system_is_the_users_where_the_template_takes_only_the_first() {
    let list = json!([
        {"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"},
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "ho"},
    ]);
    let (kept, asked) = (
        "<system>be kind;<user>hi;<system>be brief;<user>ho;",
        "<system>be kind;<user>hi;<user>be brief;<user>ho;",
    );
    assert_eq!(prompt(PRINTS, list.clone()).unwrap(), kept);
    let refuses = format!(
        "{{% for m in messages if m.role == 'system' and m.content != 'be kind' %}}{{{{ raise_exception('late') }}}}{{% endfor %}}{PRINTS}"
    );
    let leaves_out =
        PRINTS.replace("in messages", "in messages if m.role != 'system' or m.content == 'be kind'");
    for source in [refuses.as_str(), leaves_out.as_str()] {
        assert_eq!(prompt(source, list.clone()).unwrap(), asked, "{source}");
    }
    let first = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]);
    assert!(matches!(prompt(&refuses, first.clone()), Err(Error::Render(_))));
    assert_eq!(lost(&leaves_out, first), 1);
}

#[test]
fn a_message_that_the_template_leaves_out_is_named() {
    let question = json!({"role": "user", "content": "hi there"});
    for text in ["4", "hi", "hi there", "there 4"] {
        for source in [
            KNOWN_ROLES,
            // The content is read, and not written.
            "{% for m in messages %}{% set text = m.content | trim %}{% if m.role != 'tool' %}<{{ m.role }}>{{ text }}\n{% endif %}{% endfor %}",
            "{% for m in messages if m.role != 'tool' %}{{ m.content }}{% endfor %}",
            "{% for m in messages %}{% if m.role != 'tool' %}{{ '<' ~ m.role ~ '>' ~ m.content }}{% endif %}{% endfor %}",
        ] {
            let list = json!([question, {"role": "tool", "content": text}, question]);
            assert_eq!(lost(source, list), 2, "{source} {text}");
        }
    }
    let last_only = "{{ messages[-1].content }}";
    assert_eq!(
        lost(last_only, json!([{"role": "user", "content": "a"}, {"role": "user", "content": "a"}])),
        1
    );
    let first_system = "{{ messages[0].content }}{% for m in messages[1:] if m.role != 'system' %}{{ m.content }}{% endfor %}";
    let system = json!({"role": "system", "content": "x"});
    assert_eq!(lost(first_system, json!([system, {"role": "developer", "content": "y"}, question])), 2);
    let error = prompt(KNOWN_ROLES, json!([question, {"role": "tool", "content": "4"}])).unwrap_err();
    assert_eq!(error.to_string(), "the chat template leaves out message 2, which has the role `tool`");
}

#[test]
fn calls_that_the_template_leaves_out_are_named() {
    let call = json!({"type": "function", "function": {"name": "add", "arguments": {"a": 1}}});
    let list = json!([{"role": "user", "content": "add"}, {"role": "assistant", "content": null, "tool_calls": [call]}]);
    assert_eq!(lost(KNOWN_ROLES, list.clone()), 2);
    let calls =
        format!("{KNOWN_ROLES}{{% for c in messages[1].tool_calls %}}{{{{ c | tojson }}}}{{% endfor %}}");
    assert!(prompt(&calls, list).is_ok());
}

#[test]
fn content_that_is_null_is_not_written_as_none() {
    let call = json!({"type": "function", "function": {"name": "add", "arguments": {"a": 1}}});
    let list = json!([{"role": "user", "content": "add"}, {"role": "assistant", "content": null, "tool_calls": [call]}]);
    let calls = "{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %};{% endfor %}";
    let start = "{% for m in messages %}<{{ m.role }}>";
    for content in
        ["{{ m.content }}", "{{ m.content if m.content is not none else '' }}", "{{ '' + m.content }}"]
    {
        let source = format!("{start}{content}{calls}");
        assert_eq!(prompt(&source, list.clone()).unwrap(), "<user>add;<assistant>add;", "{content}");
    }
}

#[test]
fn content_that_is_null_beside_reasoning_is_empty() {
    let list = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "reasoning_content": "hm"}]);
    let calls =
        "{% if m.tool_calls %}{{ m.content if m.content is not none }}{% else %}{{ m.content }}{% endif %}";
    for content in ["{{ m.content }}", "{{ '' + m.content }}", calls] {
        let source = format!("{{% for m in messages %}}<{{{{ m.role }}}}>{content};{{% endfor %}}");
        assert_eq!(prompt(&source, list.clone()).unwrap(), "<user>hi;<assistant>;", "{content}");
    }
}

#[test]
fn content_that_is_omitted_is_rendered_as_if_it_was_empty() {
    let call = json!({"type": "function", "function": {"name": "add", "arguments": {"a": 1}}});
    let calls = "{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %};{% endfor %}";
    for content in [
        "{{ m.content }}",
        "{{ m.content if m.content is not none else '' }}",
        "{{ '' + m.content }}",
        "{{ '' if m.content is none else '' + m.content }}",
        "{{ m.content.split('x')[0] }}",
        "{{ '' + m['content'] }}",
    ] {
        let source = format!("{{% for m in messages %}}<{{{{ m.role }}}}>{content}{calls}");
        let list = json!([{"role": "user", "content": "add"}, {"role": "assistant", "tool_calls": [call]}]);
        assert_eq!(prompt(&source, list).unwrap(), "<user>add;<assistant>add;", "{content}");
        let list =
            json!([{"role": "user", "content": "add"}, {"role": "assistant", "reasoning_content": "hm"}]);
        assert_eq!(prompt(&source, list).unwrap(), "<user>add;<assistant>;", "{content}");
    }
}

#[test]
fn text_that_is_moved_merged_trimmed_or_changed_is_not_left_out() {
    let list = json!([
        {"role": "system", "content": " Be \"brief\" and kind. "},
        {"role": "user", "content": "Hi\n\nthere"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHo.", "reasoning_content": "hm"},
        {"role": "system", "content": "x"},
        {"role": "user", "content": "x"},
        {"role": "user", "content": " \n"},
    ]);
    for source in [
        "{% for m in messages if m.role == 'system' %}{{ m.content | trim }}\n{% endfor %}\
            {% for m in messages if m.role != 'system' %}{{ m.content.split('</think>')[-1].strip() }}\n{% endfor %}",
        "{% for m in messages | reverse %}{{ m.content }}{% endfor %}",
        "{% set ns = namespace(all='') %}{% for m in messages %}{% set ns.all = ns.all ~ m.content | trim %}{% endfor %}{{ ns.all }}",
        "{% for m in messages %}{{ m.content | tojson }}{% endfor %}",
        "{% for m in messages %}{{ m.content | tojson(ensure_ascii=true) }}{% endfor %}",
        "{{ messages | tojson }}",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ m.content.replace('brief', 'short') | replace('\\n', ' ') }}{% endfor %}",
        "{% for m in messages %}{{ m.content.replace('x', '') ~ m.content }}{% endfor %}",
        "{{ messages | map(attribute='content') | join('|') }}",
    ] {
        prompt(source, list.clone()).unwrap_or_else(|error| panic!("{error}: {source}"));
    }
}

#[test]
fn an_answer_without_its_reasoning_in_tags_of_the_template_is_not_left_out() {
    let source =
        "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</hm>')[-1].lstrip() }};{% endfor %}";
    let answer = format!("<hm>\n{}</hm>\n\n42", "six times seven, ".repeat(40));
    let list = json!([{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "content": answer}]);
    assert_eq!(prompt(source, list.clone()).unwrap(), "<user>6 * 7?;<assistant>42;");
    assert_eq!(lost("{% for m in messages %}{{ m.content if m.role == 'user' }}{% endfor %}", list), 2);
}

#[test]
fn a_refusal_of_the_template_is_its_own() {
    let source = "{{ raise_exception('roles must alternate') }}";
    let error = prompt(source, json!([{"role": "user", "content": "x"}])).unwrap_err();
    assert!(matches!(error, Error::Render(_)), "{error:?}");
}

#[derive(serde::Deserialize)]
struct Row {
    template: String,
    name: String,
    messages: Vec<Message>,
    tools: Option<Vec<Value>>,
    kwargs: Map<String, Value>,
    with_prompt: Option<String>,
}

#[test]
fn the_corpus_is_rendered_as_by_transformers_but_for_parts_and_developers() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let rows = std::fs::read(root.join("golden/chat_template.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&rows).unwrap();
    let (mut changed, mut changed_forms) = (Vec::new(), Vec::new());
    for row in &rows {
        let Some(golden) = &row.with_prompt else { continue };
        let source = std::fs::read_to_string(root.join("data").join(&row.template)).unwrap();
        let template = Template::parse(&source, "", "<|im_end|>").unwrap();
        let options = RenderOptions {
            tools: row.tools.clone().unwrap_or_default(),
            variables: row.kwargs.clone(),
            now: SystemTime::UNIX_EPOCH,
            ..RenderOptions::default()
        };
        let found = template.conversation(&row.messages, &options);
        if found.as_ref().ok().map(|prompt| &prompt.text) != Some(golden) {
            let found = found.map(|prompt| prompt.text).map_err(|error| error.to_string());
            match row.template.strip_prefix("templates/").filter(|name| *name != "switch.jinja") {
                Some(form) => changed_forms.push((form, row.name.as_str(), found.is_ok())),
                None => changed.push((row.template.as_str(), row.name.as_str(), found)),
            }
        }
    }
    let (thinker, switch) = ("tiny-thinker/chat_template.jinja", "templates/switch.jinja");
    let shown = |text: &str| Ok(text.to_owned());
    let assistant = "assistant:\n<seed:think>";
    let expected = [
        (
            thinker,
            "a developer's prompt",
            shown(
                "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n",
            ),
        ),
        (
            switch,
            "parts",
            shown(&format!(
                "[]\n1|User|a: Look \nhere. - False Loo\n2|Assistant|bI \nsee.<|im_end|>\n3|User|a: Well? - False Wel\n{assistant}"
            )),
        ),
        (
            switch,
            "a system prompt of parts",
            shown(&format!("[]\n# Be  Brief. (1)\n1|User|a: Hi - False Hi\n{assistant}")),
        ),
        (switch, "an image", Err("message 1 cannot be rendered".to_owned())),
        (
            switch,
            "no parts",
            shown(&format!("[]\n1|User|a:  - False \n2|Assistant|b<|im_end|>\n{assistant}")),
        ),
        (
            switch,
            "a developer's prompt",
            shown(&format!("[]\n# Be Kind. (1)\n1|User|a: Hi - False Hi\n{assistant}")),
        ),
    ];
    assert_eq!(changed, expected);
    let developer = "a developer's prompt";
    // What a template leaves out is refused.
    let forms = [
        ("deepseek.jinja", developer, true),
        ("deepseek_fenced.jinja", developer, true),
        ("gemma.jinja", "names", false),
        ("glm.jinja", developer, true),
        ("harmony.jinja", "ids of nine characters", true),
        ("kimi.jinja", developer, true),
        ("llama.jinja", "call with text and thinking", false),
        ("llama.jinja", "parts", true),
        ("llama.jinja", developer, true),
        ("minimax.jinja", developer, true),
        ("mistral_list.jinja", "call with text and thinking", false),
    ];
    // There, a call without an id gets one.
    changed_forms.retain(|(form, _, is_ok)| *form != "mistral_list.jinja" || !is_ok);
    assert_eq!(changed_forms, forms);
}
