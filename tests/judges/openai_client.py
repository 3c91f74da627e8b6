"""Drives a server with the `openai` package and checks exact answers of the bundled model.

python tests/judges/openai_client.py http://127.0.0.1:8080/v1 [API_KEY]
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

try:
    import openai
    from pydantic import BaseModel
except ImportError:
    print("skipped: the `openai` package is not installed")
    sys.exit(0)

QUESTIONS = Path(__file__).parent.parent / "data" / "questions.jsonl"
MODEL = "any"
ADD = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Nairobi"]}},
    "required": ["city"],
    "additionalProperties": False,
}


class City(BaseModel):
    city: Literal["Nairobi"]


def questions():
    for line in QUESTIONS.read_text().splitlines():
        row = json.loads(line)
        yield row["body"]["messages"], row["answer"]


def chat(client):
    """Every question has its exact answer, whole and streamed, with reasoning beside it."""
    for number, (messages, answer) in enumerate(questions()):
        whole = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=200)
        choice = whole.choices[0]
        assert choice.message.content == answer, (choice.message.content, answer)
        assert choice.finish_reason == "stop" and choice.message.reasoning_content
        assert whole.usage.completion_tokens_details.reasoning_tokens > 0
        assert whole.system_fingerprint.startswith("b")
        if number % 6:
            continue
        stream = client.chat.completions.create(
            model=MODEL, messages=messages, temperature=0, max_tokens=200, stream=True
        )
        parts = [chunk.choices[0] for chunk in stream]
        assert "".join(part.delta.content or "" for part in parts) == answer
        thought = "".join(getattr(part.delta, "reasoning_content", None) or "" for part in parts)
        assert thought == choice.message.reasoning_content
        assert [part.finish_reason for part in parts if part.finish_reason] == ["stop"]


def usage(client):
    """Only a stream that asks for its usage has a chunk without a choice."""
    messages, answer = next(questions())
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=messages,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert all(chunk.choices and chunk.usage is None for chunk in chunks[:-1])
    with client.chat.completions.stream(model=MODEL, messages=messages, temperature=0) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == answer


def tools(client):
    """A required and a named call have arguments that hold the schema; the result can be sent back."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": ADD}}
    messages = [{"role": "user", "content": "Weather in Nairobi?"}]
    for choice in ["required", {"type": "function", "function": {"name": "weather"}}]:
        whole = client.chat.completions.create(
            model=MODEL, messages=messages, tools=[tool], tool_choice=choice, temperature=0,
            parallel_tool_calls=False,
        )
        message = whole.choices[0].message
        assert whole.choices[0].finish_reason == "tool_calls", whole
        (call,) = message.tool_calls
        assert call.function.name == "weather"
        assert json.loads(call.function.arguments) == {"city": "Nairobi"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    after = client.chat.completions.create(
        model=MODEL, messages=[*messages, message.model_dump(exclude_none=True), result], tools=[tool],
        max_tokens=5,
    )
    assert after.usage.prompt_tokens > whole.usage.prompt_tokens


def parse(client):
    """A format from a class gives an instance of it."""
    messages = [{"role": "user", "content": "What is the capital of Kenya?"}]
    whole = client.chat.completions.parse(
        model=MODEL, messages=messages, response_format=City, temperature=0, reasoning_effort="none"
    )
    assert whole.choices[0].message.parsed == City(city="Nairobi")
    response = client.responses.parse(
        model=MODEL, input="What is the capital of Kenya?", text_format=City, temperature=0,
        reasoning={"effort": "none"},
    )
    assert response.output_parsed == City(city="Nairobi")


def choices(client):
    """Several answers, several prompts, and prompts as tokens."""
    messages, answer = next(questions())
    whole = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, n=2, logprobs=True)
    assert [choice.message.content for choice in whole.choices] == [answer, answer]
    assert whole.choices[0].logprobs.content[0].logprob <= 0
    texts = client.completions.create(model=MODEL, prompt=["17", "25"], max_tokens=3, temperature=0, n=2)
    assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
    assert texts.choices[0].text == texts.choices[1].text
    tokens = client.completions.create(model=MODEL, prompt=[5, 6, 7], max_tokens=3, temperature=0)
    assert tokens.usage.prompt_tokens == 3
    listed = client.completions.create(model=MODEL, prompt=[[5, 6, 7], [5, 6]], max_tokens=3, temperature=0)
    assert listed.choices[0].text == tokens.choices[0].text and listed.usage.prompt_tokens == 5


def responses(client):
    """Questions have their exact answers, and every event of a stream is one that the package knows."""
    for number, (messages, answer) in enumerate(questions()):
        if number % 6:
            continue
        text = messages[0]["content"]
        whole = client.responses.create(model=MODEL, input=text, temperature=0, max_output_tokens=200)
        assert whole.output_text == answer and whole.status == "completed"
        assert [item.type for item in whole.output] == ["reasoning", "message"]
        assert whole.id.startswith("resp_") and whole.output[1].id.startswith("msg_")
        strict(whole)
        events = list(
            client.responses.create(model=MODEL, input=messages, temperature=0, max_output_tokens=200, stream=True)
        )
        for event in events:
            strict(event)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer
        assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
        assert events[-1].type == "response.completed" and events[-1].response.output_text == answer
        with client.responses.stream(model=MODEL, input=text, temperature=0) as stream:
            assert stream.get_final_response().output_text == answer
    short = client.responses.create(model=MODEL, input="842 - 83 = ?", temperature=0, max_output_tokens=3)
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    counted = client.responses.input_tokens.count(model=MODEL, input="842 - 83 = ?")
    assert counted.input_tokens == short.usage.input_tokens


def response_tools(client):
    """A call and its result are items; the conversation goes on with them."""
    tool = {"type": "function", "name": "weather", "parameters": ADD, "strict": True}
    asked = {"role": "user", "content": "Weather in Nairobi?"}
    events = list(
        client.responses.create(
            model=MODEL, input=[asked], tools=[tool, {"type": "web_search"}], tool_choice="required", temperature=0,
            parallel_tool_calls=False, stream=True,
        )
    )
    for event in events:
        strict(event)
    (call,) = [e.item for e in events if e.type == "response.output_item.done" and e.item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Nairobi"})
    items = [item.model_dump(exclude_none=True) for item in events[-1].response.output]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    again = client.responses.create(
        model=MODEL, input=[asked, *items, output], tools=[tool], max_output_tokens=5, temperature=0
    )
    assert again.usage.input_tokens > events[-1].response.usage.input_tokens


def errors(client):
    """Errors have the package's types, codes and fields."""
    for call, field in [
        (lambda: client.responses.create(model=MODEL, input="x", previous_response_id="resp_1"), "previous_response_id"),
        (lambda: client.chat.completions.create(model=MODEL, messages=[]), "messages"),
        (lambda: client.completions.create(model=MODEL, prompt="x", echo=True), "echo"),
    ]:
        try:
            call()
        except openai.BadRequestError as error:
            assert error.param == field, error
        else:
            raise AssertionError(f"{field} is accepted")
    try:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "long " * 100_000}])
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded", error
    else:
        raise AssertionError("a long prompt is accepted")


def retries(client):
    """With retries, every request of a crowd has its answer."""
    messages, answer = next(questions())
    patient = client.with_options(max_retries=9)

    def one(_):
        whole = patient.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=200)
        return whole.choices[0].message.content

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(one, range(100))) == {answer}


def strict(found):
    """Validates an object against the package's model of it."""
    type(found).model_validate(found.to_dict(), strict=False)


def main():
    client = openai.OpenAI(
        base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none", max_retries=0
    )
    assert [model.id for model in client.models.list()], "no models"
    failed = 0
    for check in [chat, usage, tools, parse, choices, responses, response_tools, errors, retries]:
        try:
            check(client)
            print(f"ok      {check.__name__}")
        except Exception as error:
            failed += 1
            print(f"FAILED  {check.__name__}: {type(error).__name__}: {error}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
