"""The openai package against `ggrun serve`: python openai_client.py [http://127.0.0.1:8080/v1 [KEY]]"""

import json
import typing

from judge import KEY, QUESTIONS, TOOL, URL, check, is_call, need, raised, run

openai = need("openai")
pydantic = need("pydantic")
client = openai.OpenAI(base_url=URL, api_key=KEY)
GREEDY = {"model": "any", "temperature": 0, "max_tokens": 200}


@check
def answers_are_exact():
    for messages, answer in QUESTIONS:
        found = client.chat.completions.create(messages=messages, **GREEDY)
        assert found.choices[0].message.content == answer, (found, answer)
        assert found.choices[0].finish_reason == "stop"
        assert found.choices[0].message.reasoning_content
        assert found.usage.completion_tokens_details.reasoning_tokens > 0


@check
def streams_joined_are_the_answer():
    for messages, answer in QUESTIONS[:10]:
        chunks = list(client.chat.completions.create(messages=messages, stream=True, **GREEDY))
        assert all(len(chunk.choices) == 1 for chunk in chunks), "a usage chunk was not asked for"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == answer
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert len({chunk.id for chunk in chunks}) == 1


@check
def the_usage_of_a_stream_comes_last():
    messages, _ = QUESTIONS[0]
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(messages=messages, stream=True, stream_options=options, **GREEDY))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


@check
def the_streaming_helper_works():
    messages, answer = QUESTIONS[1]
    with client.chat.completions.stream(messages=messages, **GREEDY) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == answer


@check
def a_schema_is_parsed():
    class Reply(pydantic.BaseModel):
        city: typing.Literal["Nairobi", "Oslo"]
        yes: bool

    messages = [{"role": "user", "content": "What is the capital of Kenya?"}]
    found = client.chat.completions.parse(messages=messages, response_format=Reply, **GREEDY)
    assert isinstance(found.choices[0].message.parsed, Reply), found


@check
def a_required_tool_is_called():
    messages = [{"role": "user", "content": "Weather?"}]
    tools = [{"type": "function", "function": TOOL}]
    named = {"type": "function", "function": {"name": "weather"}}
    for choice in ("required", named):
        forced = {"tools": tools, "tool_choice": choice, "parallel_tool_calls": False}
        found = client.chat.completions.create(messages=messages, **forced, **GREEDY)
        [call] = found.choices[0].message.tool_calls
        assert (call.function.name, found.choices[0].finish_reason) == ("weather", "tool_calls")
        assert is_call(json.loads(call.function.arguments)), call
        chunks = client.chat.completions.create(messages=messages, stream=True, **forced, **GREEDY)
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        assert is_call(json.loads("".join(call.function.arguments or "" for call in calls))), calls
        results = messages + [found.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        after = client.chat.completions.create(messages=results, tools=tools, **GREEDY)
        assert after.choices[0].finish_reason in ("stop", "length", "tool_calls")


@check
def logprobs_cover_the_answer():
    found = client.chat.completions.create(messages=QUESTIONS[0][0], logprobs=True, top_logprobs=3, **GREEDY)
    tokens = found.choices[0].logprobs.content
    text = b"".join(bytes(token.bytes) for token in tokens).decode()
    assert text.endswith(found.choices[0].message.content), text
    assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in tokens)


@check
def choices_share_a_prompt():
    found = client.chat.completions.create(messages=QUESTIONS[0][0], n=3, **{**GREEDY, "temperature": 1})
    assert [choice.index for choice in found.choices] == [0, 1, 2]


@check
def a_text_is_continued():
    found = client.completions.create(model="any", prompt="842 - 83 =", max_tokens=5, temperature=0)
    chunks = client.completions.create(model="any", prompt="842 - 83 =", max_tokens=5, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == found.choices[0].text


@check
def models_are_listed():
    [model] = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id


@check
def responses_are_exact():
    for messages, answer in QUESTIONS[:10]:
        found = client.responses.create(model="any", input=messages, temperature=0, max_output_tokens=200, store=False)
        assert (found.output_text, found.status) == (answer, "completed")
        stream = client.responses.create(
            model="any", input=messages, temperature=0, max_output_tokens=200, store=False, stream=True
        )
        events = list(stream)
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == answer
        assert events[-1].type == "response.completed" and events[-1].response.output_text == answer


@check
def errors_have_their_classes():
    def refused(**fields):
        create = client.with_options(max_retries=0).chat.completions.create
        return raised(openai.BadRequestError, create, **{"messages": QUESTIONS[0][0], **GREEDY, **fields})

    long = [{"role": "user", "content": "far " * 100_000}]
    error = refused(messages=long)
    assert error.code == "context_length_exceeded", error
    assert refused(temperature="hot").param == "temperature"
    assert refused(messages=[]).param == "messages"
    if KEY != "none":
        error = raised(openai.AuthenticationError, openai.OpenAI(base_url=URL, api_key="wrong").models.list)
        assert error.code == "invalid_api_key"


run()
