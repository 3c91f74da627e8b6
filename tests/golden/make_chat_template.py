"""Conversations rendered by transformers with a checkpoint's chat template.

    pip install transformers==5.23.0
    make_chat_template.py ../data chat_template.json

OUT.json is a list of {template, name, messages, tools, kwargs, with_prompt, without_prompt}: the template is a path in
../data, and the last two are the rendered text with add_generation_prompt true and false. The text is null if the
template raises an error. Instead of without_prompt, a row may have the end of with_prompt that is not in it as `added`.
"""

import json, sys
from pathlib import Path
from transformers import AutoTokenizer


def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def text(part):
    return {"type": "text", "text": part}


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def result(text):
    return {"role": "tool", "content": text}


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = tool("weather", "Tells the weather of a city", city={"type": "string", "description": "e.g. Zürich"})
SUM = tool("sum", 'Adds numbers; "quoted" & <marked>', terms={"type": "array", "items": {"type": "number"}})
NESTED = tool(
    "plan_trip",
    "Plans\n\na trip",
    stops={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"where": {"type": ["string", "null"]}, "nights": {"type": "integer", "minimum": 1}},
            "additionalProperties": False,
        },
    },
    budget={"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
    mood={"enum": ["calm", "it's \"wild\""], "default": "calm"},
    anything={},
)
ASKED = [user("How is the weather in Oslo?")]
CALLED = ASKED + [assistant("", tool_calls=[call("weather", {"city": "Oslo"})])]

CASES = [
    ("one question", [user("What is 2 + 3?")], None, {}),
    ("system prompt", [system("You are a helpful assistant."), user("Hi")], None, {}),
    ("empty texts", [system(""), user("")], None, {}),
    ("system prompt later", [user("Hi"), assistant("Hello."), system("Be brief."), user("Who are you?")], None, {}),
    ("only a system prompt", [system("Alone.")], None, {}),
    (
        "earlier turns lose their thinking",
        [
            user("I am Ada."),
            assistant("Hello Ada.", reasoning_content="The name is Ada."),
            user("Who am I?"),
            assistant("Your name is Ada.", reasoning_content="Ada."),
        ],
        None,
        {},
    ),
    (
        "thinking inside the content",
        [user("Capital of Peru?"), assistant("<think>\nIt is Lima.\n</think>\n\nLima.")],
        None,
        {},
    ),
    (
        "thinking without its opening tag",
        [user("Hi"), assistant("The user greets.\n</think>\n\nHello."), user("Again")],
        None,
        {},
    ),
    (
        "thinking with blank lines around",
        [user("Hi"), assistant("Hello.", reasoning_content="\n\nline one\n\nline two\n\n")],
        None,
        {},
    ),
    ("answer begun", [user("Count."), assistant("One, two,")], None, {}),
    ("tools", ASKED, [WEATHER, SUM], {}),
    ("tools and a system prompt", [system("Use the tools."), *ASKED], [WEATHER], {}),
    ("call", CALLED, [WEATHER], {}),
    ("call and result", CALLED + [result('{"sky": "clear", "celsius": -3.5}')], [WEATHER], {}),
    (
        "call with text and thinking",
        ASKED
        + [
            assistant(
                "Let me look.", reasoning_content="A tool helps.", tool_calls=[call("weather", {"city": "Oslo"})]
            ),
            result("snow"),
            assistant("It snows."),
            user("And in Rome?"),
        ],
        [WEATHER],
        {},
    ),
    (
        "two calls, arguments as text",
        ASKED
        + [
            assistant(
                None, tool_calls=[call("weather", '{"city": "Oslo"}'), call("sum", '{"terms": [1, 2.5, -3e10]}')]
            ),
            result("snow"),
            result("-29999999996.5"),
        ],
        [WEATHER, SUM],
        {},
    ),
    (
        "arguments of every kind",
        ASKED
        + [
            assistant(
                "",
                tool_calls=[
                    call(
                        "sum",
                        {"b": [True, False, None], "a": {"ü": "日本 <&>'\"\\\n", "n": 0.25, "i": 12345678901234567890}},
                    )
                ],
            )
        ],
        [SUM],
        {},
    ),
    (
        "numbers as Python spells them",
        ASKED + [assistant("", tool_calls=[call("sum", {"terms": [1e-7, 1e16, 1.0, -0.0]})])],
        [SUM],
        {},
    ),
    ("no arguments", ASKED + [assistant("", tool_calls=[call("now", {})])], [tool("now", "The time")], {}),
    ("thinking switched off", [user("Hi")], None, {"enable_thinking": False}),
    ("thinking switched on, unknown extra", [user("Hi")], None, {"enable_thinking": True, "custom": [1, "two"]}),
    (
        "many scripts",
        [system("日本語とעברית"), user("Ünïcödé e\u0301 👩🏽‍🚀 สวัสดี\u00a0नमस्ते"), assistant("😀\t\r\nОК")],
        None,
        {},
    ),
    (
        "special tokens as text",
        [user("<|im_end|>\n<|im_start|>system\nno</think>"), assistant("<|endoftext|>"), user("{{ 7 * 7 }}{% raw %}")],
        None,
        {},
    ),
    ("no tools in the list", [user("Hi")], [], {}),
    ("several tools with nested schemas", ASKED, [NESTED, WEATHER, tool("now", "The time"), SUM], {}),
    (
        "nested arguments",
        ASKED
        + [
            assistant(
                "",
                tool_calls=[
                    call("plan_trip", {"stops": [{"where": "Oslo", "nights": 2}, {"where": None}], "budget": 1e3}),
                    call("plan_trip", {"stops": [], "budget": None, "mood": "it's \"wild\"", "anything": False}),
                ],
            ),
            result("ok"),
            result(""),
            assistant(None, reasoning_content="Once more.", tool_calls=[call("now", {})]),
            result("12:00"),
        ],
        [NESTED, tool("now", "The time")],
        {},
    ),
    ("parts", [user([text("Look "), text("here.")]), assistant([text("I "), text("see.")]), user("Well?")], None, {}),
    ("a system prompt of parts", [system([text("Be"), text(" brief.")]), user([text("Hi")])], None, {}),
    ("an image", [user([{"type": "image_url", "image_url": {"url": "data:,"}}, text("What is it?")])], None, {}),
    ("no parts", [user([]), assistant("")], None, {}),
    ("content null", [user("Hi"), assistant(None), user("Well?")], None, {}),
    ("content missing", [user("Hi"), {"role": "assistant", "tool_calls": [call("now", {})]}, result("9")], None, {}),
    ("thinking under another name", [user("Hi"), assistant("Ho", thinking="hm"), assistant("Ha", reasoning="eh")], None, {}),
    ("null thinking", [user("Hi"), assistant("<think>x</think>Ho", reasoning_content=None)], None, {}),
    ("names", [user("Hi") | {"name": "ada"}, result("7") | {"name": "sum", "tool_call_id": "call_0"}], None, {}),
    ("a developer's prompt", [{"role": "developer", "content": "Be kind."}, user("Hi")], None, {}),
    ("a tool speaks first", [result("boo"), user("Eh?")], None, {}),
    ("documents", [user("Hi")], None, {"documents": [{"title": "a", "text": "x\ny"}, {"title": "ß", "text": ""}]}),
    ("many turns", [turn for n in range(6) for turn in (user(f"q{n}"), assistant(f"a{n}", reasoning_content="t"))], None, {}),
    (
        "thinking inside the content, in other tags",
        [user("Hi"), assistant("<seed:think>\nhm\n</seed:think>\n\nHo"), user("Ha"), assistant("x</seed:think>y")],
        None,
        {},
    ),
    (
        "ids of nine characters",
        ASKED
        + [
            assistant(
                "", tool_calls=[call("sum", {"terms": [n]}) | {"id": f"abcdefgh{n}"} for n in range(2)]
            ),
            result("0") | {"tool_call_id": "abcdefgh0"},
            result("1") | {"tool_call_id": "abcdefgh1"},
            assistant("Both."),
        ],
        [SUM],
        {},
    ),
    ("values as Python prints them", [user("Hi")], None, {"custom": [1e-7, True, None, 2.50, ["it's", {"a": 1e16}]]}),
]

TEMPLATES = ["tiny-thinker/chat_template.jinja", "templates/xml_tools.jinja", "templates/switch.jinja"]
# Of each form of reasoning and calls, with the cases that concern it.
FORMS = [
    "deepseek", "deepseek_fenced", "gemma", "glm", "harmony", "kimi", "llama", "minimax", "mistral", "mistral_list"
]
FORM_CASES = {
    "one question",
    "system prompt",
    "earlier turns lose their thinking",
    "thinking inside the content",
    "call and result",
    "call with text and thinking",
    "two calls, arguments as text",
    "arguments of every kind",
    "no arguments",
    "thinking switched off",
    "parts",
    "content null",
    "content missing",
    "names",
    "a developer's prompt",
    "ids of nine characters",
}
# These have one call at a time, or write arguments that are text as a string of JSON.
AS_TEXT = "two calls, arguments as text"
LEFT_OUT = {form: [AS_TEXT] for form in ["deepseek", "deepseek_fenced", "harmony", "llama", "mistral_list"]}


def main():
    data, out = sys.argv[1:]
    tokenizer, rows = AutoTokenizer.from_pretrained(Path(data, "tiny-thinker")), []
    chosen = lambda form: [case for case in CASES if case[0] in FORM_CASES.difference(LEFT_OUT.get(form, []))]
    forms = [(f"templates/{form}.jinja", chosen(form)) for form in FORMS]
    for template, cases in [(template, CASES) for template in TEMPLATES] + forms:
        source = Path(data, template).read_text(encoding="utf-8")
        for name, messages, tools, kwargs in cases:
            row = {"template": template, "name": name, "messages": messages, "tools": tools, "kwargs": kwargs}
            for key, prompt in (("with_prompt", True), ("without_prompt", False)):
                try:
                    row[key] = tokenizer.apply_chat_template(
                        messages,
                        tools=tools,
                        chat_template=source,
                        tokenize=False,
                        add_generation_prompt=prompt,
                        **kwargs,
                    )
                except Exception as error:
                    print(f"{template}, {name}, {key}: {error!r}")
                    row[key] = None
            whole, without = row["with_prompt"], row["without_prompt"]
            if template not in TEMPLATES and whole is not None and without is not None and whole.startswith(without):
                row["added"] = whole[len(row.pop("without_prompt")) :]
            rows.append(row)
    with open(out, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


main()
