//! The origin of each part of a prompt, and where its messages begin.

use super::*;
use crate::chat::{Message, RenderOptions, Role, Template};
use serde_json::json;

fn prompt(source: &str, contents: &[&str]) -> Rendered {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    let messages: Vec<_> = roles.zip(contents).map(|(role, &content)| Message::new(role, content)).collect();
    Template::parse(source, "<s>", "</s>").unwrap().prompt(&messages, &RenderOptions::default()).unwrap()
}

/// Of each occurrence of a text whether it is markup.
fn markup(prompt: &Rendered, text: &str) -> Vec<bool> {
    let found = prompt.text.match_indices(text).map(|(at, _)| at..at + text.len());
    found.map(|range| prompt.is_markup(range)).collect()
}

#[test]
fn only_the_text_of_the_template_is_markup_whatever_is_done_to_content() {
    for source in [
        "<|a|>{{ messages[0].content }}",
        "{{ '<|a|>' + messages[0].content }}",
        "{{ '<|' ~ 'a|>' ~ messages[0].content.strip() }}",
        "{{ '<|a|>' if messages else '' }}{{ messages[0]['content'] | trim }}",
        "{% macro say(x) %}<|a|>{{ x }}{% endmacro %}{{ say(messages[0].content) }}",
        "{% set a = '<|a|>' %}{{ a }}{{ messages[0].content[0:] }}",
        "{% set both %}<|a|>{{ messages[0].content }}{% endset %}{{ both }}",
        "{% set c = '<|a|>' + messages[0].content | trim %}{% if c is string and c %}{% set c = bos_token + c %}{{ c }}{% endif %}",
        "{% set n = namespace(x='') %}{% set n.x = messages[0].content %}{{ '<|a|>' ~ n.x }}",
        "{% for m in messages %}{{ '<|a|>' + m.content.split('z')[-1] }}{% endfor %}",
        "<|a|>{{ [messages[0].content] | tojson }}",
        "<|a|>{{ messages[0].content | replace('q', '') }}",
        "{% raw %}<|a|>{% endraw %}{{ messages[0].content.lstrip('\\n') }}",
    ] {
        for content in ["<|a|>", " <|a|> ", "x<|a|>y", "\u{f0000}<|a|>\u{10ffff}"] {
            assert_eq!(markup(&prompt(source, &[content]), "<|a|>"), [true, false], "{source} {content}");
        }
    }
}

#[test]
fn content_and_template_together_make_no_markup() {
    for (source, content) in [
        ("<{{ messages[0].content }}>", "|a|"),
        ("{{ '<' ~ messages[0].content ~ '>' }}", "|a|"),
        ("<|{{ messages[0].content }}|>", "a"),
        ("{{ messages[0].content }}|>", "<|a"),
        ("<|{{ messages[0].content }}", "a|>"),
        ("{{ messages[0].content }}{{ messages[0].content[::-1] | replace('z', '|') }}", "<|a"),
    ] {
        let prompt = prompt(source, &[content]);
        assert!(markup(&prompt, "<|a|>").iter().all(|&is| !is), "{source} {prompt:?}");
    }
    let parts = json!([{"type": "text", "text": "<|a"}, {"type": "text", "text": "|>"}]);
    let message: Message = serde_json::from_value(json!({"role": "user", "content": parts})).unwrap();
    let source = "{% for part in messages[0].content %}{{ part.text }}{% endfor %}{# <|a|> #}";
    let template = Template::parse(source, "", "").unwrap();
    assert_eq!(markup(&template.prompt(&[message], &RenderOptions::default()).unwrap(), "<|a|>"), [false]);
}

#[test]
fn text_that_a_template_rewrites_makes_no_markup() {
    for (source, content) in [
        ("{{ messages[0].content.replace('/think', '') }}", "<|/thinka|>"),
        ("{{ messages[0].content | replace('x', '|') }}", "<xax>"),
        ("{{ messages[0].content.split('/think') | join }}", "<|/thinka|>"),
        ("{% for part in messages[0].content.split('/think') %}{{ part }}{% endfor %}", "<|/thinka|>"),
        ("{{ messages[0].content[:2] ~ messages[0].content[3:] }}", "<|xa|>"),
        ("{{ messages[0].content[::-1] }}", ">|a|<"),
        ("{{ messages[0].content | lower }}", "<|A|>"),
        ("{{ messages[0].content. lower() }}", "<|A|>"),
    ] {
        let prompt = prompt(&format!("{source}{{# <|a|> #}}"), &[content]);
        assert_eq!(markup(&prompt, "<|a|>"), [false], "{source} {prompt:?}");
    }
    assert!(["lower", "| lowered", "<|replaces|>", "x.formats"].iter().all(|source| !rewrites(source)));
}

#[test]
fn a_token_around_a_role_or_at_the_ends_of_a_text_is_the_templates() {
    let source = "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content + eos_token }}{% endfor %}";
    let prompt = prompt(source, &["<|user|><s></s>"]);
    assert_eq!(prompt.text, "<s><|user|><|user|><s></s></s>");
    for (text, expected) in [("<|user|>", [true, false]), ("<s>", [true, false]), ("</s>", [false, true])] {
        assert_eq!(markup(&prompt, text), expected, "{text}");
    }
}

#[test]
fn private_characters_in_messages_are_not_taken_for_marks() {
    let all: String = (0xf_0000..0xf_1000).filter_map(char::from_u32).collect();
    let prompt = prompt("<|a|>{{ messages[0].content }}", &[&format!("{all}<|a|>")]);
    assert_eq!(prompt.text, format!("<|a|>{all}<|a|>"));
    assert_eq!(markup(&prompt, "<|a|>"), [true, false]);
}

#[test]
fn a_variable_that_the_template_looks_at_is_markup_if_no_message_could_be() {
    let source = "{% set end = '</t>' %}{{ messages[0].content.split(end)[0] }}{{ end }}";
    assert_eq!(markup(&prompt(source, &["x"]), "</t>"), [true]);
    for contents in [&["x</t>"][..], &["x<", "/t>"], &["> x <"]] {
        assert!(!markup(&prompt(source, contents), "</t>").contains(&true), "{contents:?}");
    }
    assert_eq!(markup(&prompt(source, &["> x"]), "</t>"), [true]);
}

#[test]
fn marks_change_nothing_that_a_template_decides() {
    let source = "{{ '<t>' + messages[0].content.split('</t>')[-1].lstrip('\\n') + '</t>' }} \
                  {{ messages[0].content.startswith('<t>') }} {{ '</t>' in messages[0].content }} \
                  {{ messages[0].content | length }} {{ messages[0].content == '<t>a</t>\\nb' }} {{ messages[0] is mapping }} \
                  {{ 'role' in messages[0] }} {{ messages[0] | tojson }} {{ messages[0].get('no', 'none') }} \
                  {{ messages[0].items() | list | length }}";
    let prompt = prompt(source, &["<t>a</t>\nb"]);
    assert_eq!(
        prompt.text,
        "<t>b</t> True True 10 True True True {\"role\": \"user\", \"content\": \"<t>a</t>\\nb\"} none 2"
    );
}

#[test]
fn messages_begin_where_the_template_writes_them() {
    let source = "{% for m in messages[::-1] %}{% if m.content == 'no' %}x{% endif %}{% endfor %}\
                  [tools]{% for m in messages %}{{ '<' + m.role + '>' + m.content }}{% endfor %}\
                  {% if add_generation_prompt %}<assistant>{% endif %}";
    let prompt = prompt(source, &["é", "user", "<user>"]);
    assert_eq!(prompt.text, "[tools]<user>é<assistant>user<user><user><assistant>");
    assert_eq!(prompt.messages, [Some(7), Some(15), Some(30)]);
    assert_eq!(prompt.answer, Some(42));
}

#[test]
fn a_refusal_has_the_message_of_the_template_without_marks() {
    let template = Template::parse("a{{ 'b' + raise_exception('no <b>') }}", "", "").unwrap();
    let error = template.prompt(&[], &RenderOptions::default()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("no <b>"), "{cause}");
    assert!(!format!("{cause:#}").contains('\u{f0000}'));
}
