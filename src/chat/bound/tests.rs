//! Templates that would fill the stack, the memory or the time of the process.

use super::*;
use crate::chat::template::Error;
use crate::chat::{Message, RenderOptions, Role, Template};

fn render(source: &str) -> Result<String, Error> {
    let messages = [Message::new(Role::User, "hi"), Message::new(Role::Assistant, "ho")];
    Template::parse(source, "<s>", "</s>")?.render(&messages, &RenderOptions::default())
}

fn bound(source: &str) -> Bound {
    let shown: String = source.chars().take(200).collect();
    match render(source) {
        Err(Error::Bound(bound)) => bound,
        Err(error) => panic!("{error:?}: {shown}"),
        Ok(text) => panic!("{} bytes: {shown}", text.len()),
    }
}

fn is_steps(bound: Bound) -> bool {
    matches!(bound, Bound::Steps { .. })
}

#[test]
fn a_template_with_long_chains_is_refused_before_it_is_parsed() {
    for source in [
        format!("{{{{ 1{} }}}}", "+1".repeat(20_000)),
        format!("{{{{ a{} }}}}", ".a".repeat(20_000)),
        format!("{{{{ {}a }}}}", "not ".repeat(20_000)),
        format!("{{{{ {}a{} }}}}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{{{{ a{} }}}}", " if a else a".repeat(20_000)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(20_000)),
        "{% if a %}".repeat(20_000) + &"{% endif %}".repeat(20_000),
    ] {
        assert!(matches!(bound(&source), Bound::Depth { line: 1 }));
    }
    assert_eq!(bound(&"x".repeat(SOURCE + 1)), Bound::Source { bytes: SOURCE + 1 });
}

#[test]
fn chains_up_to_the_limit_are_parsed_and_rendered() {
    let count = DEPTH - 20;
    for (source, expected) in [
        (format!("{{{{ 1{} }}}}", "+1".repeat(count)), (count + 1).to_string()),
        (format!("{{{{ '' {} }}}}", "~ 1".repeat(count)), "1".repeat(count)),
        (format!("{{{{ {}1 }}}}", "not ".repeat(count)), "True".to_owned()),
        (format!("{{{{ 1{} }}}}", "|abs".repeat(count)), "1".to_owned()),
        (format!("{{{{ {}1 }}}}", "1 if false else ".repeat(count / 2)), "1".to_owned()),
        (
            format!("{{% if false %}}{}{{% else %}}x{{% endif %}}", "{% elif false %}".repeat(count)),
            "x".to_owned(),
        ),
    ] {
        assert_eq!(render(&source).unwrap(), expected);
    }
}

#[test]
fn a_template_that_does_not_end_is_ended() {
    for source in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x=0) %}{% for a in range(9999) %}{% for b in range(9999) %}{% set ns.x = ns.x + 1 %}{% endfor %}{% endfor %}",
        "{% macro m(x) %}{% for i in range(9999) %}{{ x }}{% endfor %}{% endmacro %}{% for i in range(9999) %}{{ m('x') }}{% endfor %}",
        "{% for a in range(99999) | batch(2) %}{% for b in range(99999) | list %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ range(99999) | list | tojson }}{% endfor %}",
        "{% for a in range(99999) %}{{ range(99999) }}{% endfor %}",
        "{% for a in range(99999) %}{% set x = range(99999) %}{% endfor %}",
        "{% set x = 'a' * 1000000 %}{% for a in range(99999) %}{% set y = x.count('b') %}{% endfor %}",
        "{% set x = 'a' * 1000000 %}{% for a in range(99999) %}{% set y = x.split('a') %}{% endfor %}",
    ] {
        assert!(is_steps(bound(source)), "{source}");
    }
}

#[test]
fn more_messages_allow_more_steps() {
    let source = "{% for m in messages %}{% for other in messages %}{% set x = other.content %}{% endfor %}{{ m.content }}{% endfor %}";
    let template = Template::parse(source, "", "").unwrap();
    let messages = |count| vec![Message::new(Role::User, "x"); count];
    let render = |count| template.render(&messages(count), &RenderOptions::default());
    assert_eq!(render(1000).unwrap().len(), 1000);
    let Err(Error::Bound(Bound::Steps { steps })) = render(4000) else { panic!("it has a limit") };
    assert!(steps > MORE_STEPS);
}

#[test]
fn wide_and_long_texts_are_refused_before_they_are_made() {
    for source in [
        "{{ messages | tojson(indent=10000000000) }}",
        "{{ 'a\nb' | indent(10000000000) }}",
        "{{ 'a\nb' | indent(width=1001) }}",
        "{{ '%010000000000d' | format(1) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ '{:99999999999999999999}'.format(1) }}",
    ] {
        assert_eq!(bound(source), Bound::Width, "{source}");
    }
    for source in [
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ [l, l, l, l, l, l, l, l, l, l] }}",
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ [l, l, l, l, l, l, l, l, l, l] ~ '' }}",
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ [l, l, l, l, l, l, l, l, l, l] | tojson }}",
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ [l, l, l, l, l, l, l, l, l, l] | string }}",
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ [l, l, l, l, l, l, l, l, l, l] | join }}",
        "{% set x = 'a' * 1000000 %}{% set l = [x, x, x, x, x, x, x, x, x, x] %}{{ ''.join([l, l, l, l, l, l, l, l, l, l]) }}",
        "{% set x = 'a' * 1000000 %}{{ ('%s' * 100) | format(x) }}",
        "{% set x = 'a' * 1000000 %}{{ ('{0}' * 100).format(x) }}",
        "{% set x = 'a' * 1000000 %}{{ x.join(range(100)) }}",
        "{% set x = 'a' * 1000000 %}{{ range(100) | join(x) }}",
        "{% set x = 'a' * 1000000 %}{{ x.replace('a', x) }}",
        "{{ range(99999) | tojson(indent=1000) }}",
        "{{ range(9999) | tojson(separators=['a' * 1000000, '']) }}",
    ] {
        assert_eq!(bound(source), Bound::Text, "{source}");
    }
    for source in [
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{% set x = 'a' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}",
        "{% set x = 'a' * 10000000 %}{{ x | replace('a', x) }}",
    ] {
        assert!(matches!(bound(source), Bound::Text | Bound::Steps { .. }), "{source}");
    }
}

#[test]
fn a_prompt_is_not_longer_than_the_limit() {
    let template = Template::parse("{{ messages[0].content }}{{ messages[0].content }}", "", "").unwrap();
    let render = |bytes: usize| {
        let message = Message::new(Role::User, "x".repeat(bytes));
        template.render(&[message], &RenderOptions::default())
    };
    assert_eq!(render(9).unwrap().len(), 18);
    assert!(matches!(render(TEXT / 2 + 1), Err(Error::Bound(Bound::Text))));
}

#[test]
fn values_that_are_nested_deep_or_hold_themselves_are_refused() {
    let keep = |value: &str| {
        format!(
            "{{% set ns = namespace(x=1) %}}{{% for i in range(9999) %}}{{% set ns.x = {value} %}}{{% endfor %}}"
        )
    };
    for value in [
        "[ns.x]",
        "{'a': ns.x}",
        "{ns.x: 1}",
        "(ns.x, 1)",
        "[[[ns.x]]]",
        "dict(a=ns.x)",
        "[ns.x] | batch(1)",
        "[ns.x] * 1",
    ] {
        let bound = bound(&keep(value));
        assert!(matches!(bound, Bound::Nesting | Bound::Repeated), "{value} {bound:?}");
    }
    let straight = "{% set x = [1] %}".to_owned() + &"{% set x = [[[[x]]]] %}".repeat(9999);
    assert_eq!(bound(&straight), Bound::Nesting);
    let ns = "{% set ns = namespace(x=1) %}";
    for value in ["ns", "[ns]", "{'a': [ns]}", "namespace(x=1)", "raise_exception", "range"] {
        assert_eq!(bound(&format!("{ns}{{% set ns.x = {value} %}}{{{{ ns }}}}")), Bound::Kept, "{value}");
    }
    assert_eq!(bound(&format!("{ns}{{% for i in [1] %}}{{% set ns.x = loop %}}{{% endfor %}}")), Bound::Kept);
    assert_eq!(bound(&format!("{ns}{{% macro m() %}}{{% endmacro %}}{{% set ns.x = m %}}")), Bound::Kept);
}

#[test]
fn the_deepest_values_fit_the_stack() {
    // Each call makes its argument as much deeper as one expression can.
    let deeper = format!("x{}", "|batch(1)|list".repeat(100));
    for last in [
        "x == y",
        "x in [y]",
        "[x, y] | sort | length",
        "[x] | unique | list | length",
        "x | length",
        "{x: y} | length",
        "[x] | tojson",
        "x ~ ''",
        "x | string",
    ] {
        for deeper in
            [deeper.as_str(), "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"]
        {
            let source = format!(
                "{{% macro m(x, y, n) %}}{{% if n %}}{{{{ m({deeper}, {}, n - 1) }}}}{{% else %}}{{{{ {last} }}}}{{% endif %}}{{% endmacro %}}",
                deeper.replace('x', "y"),
            );
            let mut ends = 0;
            for calls in [1, 60, 240] {
                ends += usize::from(render(&format!("{source}{{{{ m([1], [1], {calls}) }}}}")).is_err());
            }
            assert!(ends > 0, "{last}");
        }
    }
}

#[test]
fn slices_of_slices_are_lists() {
    let source = "{% set ns = namespace(x=range(3)) %}{% for i in range(20000) %}{% set ns.x = ns.x[0:] %}{% endfor %}{{ ns.x }}";
    assert_eq!(render(source).unwrap(), "[0, 1, 2]");
}

#[test]
fn operands_with_a_sign_and_attributes_with_the_name_of_a_keyword_are_rendered() {
    for (source, expected) in [
        ("{{ 2 * -1 }}{{ 'a' ~ -1 }}", "-2a-1"),
        ("{{ 'a' ~ -b.c ~ 'd' if b.c * -1 < 0 }}", "a-3d"),
        ("{{ 'a' ~ b.not ~ b.in }}{{ b.is * 2 }}", "a458"),
    ] {
        let source = format!("{{% set b = {{'c': 3, 'not': 4, 'in': 5, 'is': 4}} %}}{source}");
        assert_eq!(render(&source).unwrap(), expected, "{source}");
    }
}

#[test]
fn templates_that_include_themselves_end() {
    for source in [
        "{% include 'chat' %}",
        "{% extends 'chat' %}",
        "{% import 'chat' as c %}{{ c }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ] {
        assert!(render(source).is_err(), "{source}");
    }
}
