"""transformers' rendering of a table of conversations with a checkpoint's chat template.

    pip install transformers==5.23.0
    make_chat_template.py CHECKPOINT_DIR OUT.json

OUT.json is a list of {name, messages, tools, kwargs, with_prompt, without_prompt}: the last two are the rendered text
with add_generation_prompt true and false. Where the template raises an error, the text is null.
"""

import json, sys
from transformers import AutoTokenizer


def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def result(text):
    return {"role": "tool", "content": text}


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = tool("weather", "Tells the weather of a city", city={"type": "string", "description": "e.g. Zürich"})
SUM = tool("sum", 'Adds numbers; "quoted" & <marked>', terms={"type": "array", "items": {"type": "number"}})
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
]


def main():
    folder, out = sys.argv[1:]
    tokenizer, rows = AutoTokenizer.from_pretrained(folder), []
    for name, messages, tools, kwargs in CASES:
        row = {"name": name, "messages": messages, "tools": tools, "kwargs": kwargs}
        for key, prompt in (("with_prompt", True), ("without_prompt", False)):
            try:
                row[key] = tokenizer.apply_chat_template(
                    messages, tools=tools, tokenize=False, add_generation_prompt=prompt, **kwargs
                )
            except Exception as error:
                print(f"{name}, {key}: {error!r}")
                row[key] = None
        rows.append(row)
    with open(out, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


main()
