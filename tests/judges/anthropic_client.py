"""The anthropic package against `ggrun serve`: python anthropic_client.py [http://127.0.0.1:8080/v1 [KEY]]"""

import json
import pathlib

from judge import KEY, QUESTIONS, URL, check, need, raised, run

anthropic = need("anthropic")
client = anthropic.Anthropic(base_url=URL.removesuffix("/v1"), api_key=KEY, max_retries=0)
CAPITAL = [{"role": "user", "content": "What is the capital of Kenya?"}]
REASONING = "The country is Kenya. Its capital is Nairobi."
ANSWER = "The capital of Kenya is Nairobi."
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "input_schema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}


def ask(messages=CAPITAL, **more):
    # The package has dropped the temperature from its parameters.
    return {"model": "any", "max_tokens": 200, "extra_body": {"temperature": 0}, "messages": messages, **more}


def blocks(message):
    return {block.type: block for block in message.content}


@check
def whole_and_streamed_answers_are_equal():
    whole = client.messages.create(**ask())
    assert [block.type for block in whole.content] == ["thinking", "text"], whole
    assert whole.content[0].thinking.strip() == REASONING and whole.content[0].signature, whole
    assert whole.content[1].text == ANSWER, whole
    assert (whole.stop_reason, whole.stop_sequence) == ("end_turn", None), whole
    with client.messages.stream(**ask()) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert "thinking" in kinds and "signature" in kinds and "text" in kinds, kinds
    parts = lambda message: [(block.type, getattr(block, block.type)) for block in message.content]
    assert parts(streamed) == parts(whole) and streamed.stop_reason == whole.stop_reason, streamed
    assert streamed.content[0].signature == whole.content[0].signature, streamed
    assert streamed.usage.output_tokens == whole.usage.output_tokens, streamed.usage
    total = lambda usage: usage.input_tokens + usage.cache_read_input_tokens
    assert total(streamed.usage) == total(whole.usage), (streamed.usage, whole.usage)
    with client.messages.stream(**ask()) as stream:
        assert "".join(stream.text_stream) == ANSWER


@check
def every_question_has_its_answer():
    for messages, answer in QUESTIONS:
        message = client.messages.create(**ask(messages))
        assert blocks(message)["text"].text == answer, (answer, message)


@check
def the_count_is_the_usage():
    system = "You are a helpful assistant."
    count = client.messages.count_tokens(model="any", messages=CAPITAL, system=system, tools=[ADD])
    message = client.messages.create(**ask(system=system, tools=[ADD], max_tokens=1))
    usage = message.usage
    assert count.input_tokens == usage.input_tokens + usage.cache_read_input_tokens, (count, usage)


@check
def an_answer_ends_for_its_reason():
    stopped = client.messages.create(**ask(stop_sequences=["zzz", "Nairobi"]))
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Nairobi"), stopped
    assert blocks(stopped)["text"].text == "The capital of Kenya is ", stopped
    cut = client.messages.create(**ask(max_tokens=3))
    assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens == 3, cut


@check
def tools_are_called_and_their_results_are_read():
    question = [{"role": "user", "content": "What is 17 + 25?"}]
    choice = {"type": "tool", "name": "add"}
    whole = client.messages.create(**ask(question, tools=[ADD], tool_choice=choice))
    call = blocks(whole)["tool_use"]
    assert whole.stop_reason == "tool_use" and call.name == "add" and call.id.startswith("toolu_"), whole
    assert set(call.input) == {"a", "b"} and all(isinstance(n, int) for n in call.input.values()), call
    with client.messages.stream(**ask(question, tools=[ADD], tool_choice=choice)) as stream:
        streamed = stream.get_final_message()
    assert blocks(streamed)["tool_use"].input == call.input, streamed
    required = client.messages.create(**ask(question, tools=[ADD], tool_choice={"type": "any"}))
    assert blocks(required)["tool_use"].name == "add" and required.stop_reason == "tool_use", required
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "42"}]}
    turns = [*question, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    after = client.messages.create(**ask(turns, tools=[ADD]))
    assert after.type == "message" and after.content, after
    result["is_error"] = True
    assert client.messages.create(**ask(turns, tools=[ADD])).content
    refused = {"type": "tool", "name": "subtract"}
    error = raised(anthropic.BadRequestError, client.messages.create, **ask(question, tools=[ADD], tool_choice=refused))
    assert "subtract" in str(error), error


@check
def thinking_is_limited_or_off():
    off = client.messages.create(**ask(thinking={"type": "disabled"}))
    assert "thinking" not in blocks(off) and off.content, off
    short = client.messages.create(**ask(thinking={"type": "enabled", "budget_tokens": 2}))
    assert blocks(short)["thinking"].thinking.strip() != REASONING, short
    free = client.messages.create(**ask(thinking={"type": "adaptive"}))
    assert blocks(free)["thinking"].thinking.strip() == REASONING, free


@check
def a_schema_is_held():
    schema = {
        "type": "object",
        "properties": {"capital": {"enum": ["Nairobi", "Oslo"]}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    message = client.messages.create(**ask(output_config=config))
    assert json.loads(blocks(message)["text"].text)["capital"] in ("Nairobi", "Oslo"), message


@check
def the_last_answer_is_continued():
    turns = [*CAPITAL, {"role": "assistant", "content": "The capital of Kenya is"}]
    message = client.messages.create(**ask(turns))
    assert blocks(message)["text"].text.strip() == "Nairobi.", message


@check
def fields_of_betas_are_ignored_and_named():
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    body = ask(betas=["context-management-2025-06-27"], context_management=edits)
    body["tools"] = [{"type": "web_search_20250305", "name": "web_search"}]
    raw = client.beta.messages.with_raw_response.create(**body)
    ignored = raw.headers["x-ggrun-ignored"].split(", ")
    assert "context_management" in ignored and "tools.web_search_20250305" in ignored, ignored
    assert raw.parse().content[-1].text == ANSWER


@check
def errors_have_their_classes():
    error = raised(anthropic.BadRequestError, client.messages.create, **ask([]))
    assert error.type == "invalid_request_error" and "messages" in str(error), error
    assert error.body["request_id"] == error.response.headers["x-request-id"], error.body
    source = {"type": "base64", "media_type": "image/png", "data": ""}
    image = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    assert "`image`" in str(raised(anthropic.BadRequestError, client.messages.create, **ask(image)))
    long = [{"role": "user", "content": "word " * 20000}]
    error = raised(anthropic.BadRequestError, client.messages.create, **ask(long))
    assert "prompt is too long" in str(error), error


@check
def requests_of_an_agent_share_their_prompt():
    requests = json.loads((pathlib.Path(__file__).parent / "claude_code.json").read_text())["requests"]
    usages = []
    for request in requests:
        del request["stream"]
        request["extra_body"] = {"temperature": request.pop("temperature")}
        with client.beta.messages.stream(**request, betas=["context-management-2025-06-27"]) as stream:
            start = next(event for event in stream if event.type == "message_start").message.usage
            end = stream.get_final_message().usage
        assert start.cache_read_input_tokens == end.cache_read_input_tokens, (start, end)
        usages.append(end)
    first, again, after = ((usage.input_tokens, usage.cache_read_input_tokens) for usage in usages)
    shared = again[1] / sum(again)
    kept = after[1] / sum(first)
    print(f"  another `cch`: {again[1]} of {sum(again)} tokens reused ({shared:.2%})")
    print(f"  the next turn: {after[1]} of the first prompt's {sum(first)} tokens reused ({kept:.2%})")
    assert sum(first) == sum(again) and shared >= 0.99, usages
    assert kept >= 0.98, usages


run()
