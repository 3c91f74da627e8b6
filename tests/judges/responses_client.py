"""The openai package against `/v1/responses` and lists of prompts: python responses_client.py [http://127.0.0.1:8080/v1 [KEY]]"""

import json
import pathlib
from concurrent.futures import ThreadPoolExecutor

from judge import KEY, QUESTIONS, TOOL, URL, check, is_call, need, raised, run

openai = need("openai")
pydantic = need("pydantic")
client = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)
GREEDY = {"model": "any", "temperature": 0, "max_output_tokens": 200}
FUNCTION = {"type": "function", **TOOL}
CODEX = json.loads((pathlib.Path(__file__).parent / "codex.json").read_text())


def strict(found):
    """Validates an object against the package's model of it."""
    type(found).model_validate(found.to_dict())


@check
def every_object_is_one_that_the_package_knows():
    for messages, answer in QUESTIONS[::6]:
        found = client.responses.create(input=messages[0]["content"], **GREEDY)
        strict(found)
        assert (found.output_text, found.status) == (answer, "completed")
        assert [item.type for item in found.output] == ["reasoning", "message"]
        events = list(client.responses.create(input=messages, stream=True, **GREEDY))
        for event in events:
            strict(event)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
        kinds = {event.type for event in events}
        assert {"response.reasoning_text.done", "response.content_part.done", "response.output_text.done"} <= kinds
        assert events[-1].response.output_text == answer
        with client.responses.stream(input=messages, **GREEDY) as stream:
            assert stream.get_final_response().output_text == answer


@check
def a_call_and_its_result_are_items():
    asked = {"role": "user", "content": "Weather?"}
    tools = [FUNCTION, {"type": "web_search"}]
    for choice in ("required", {"type": "function", "name": "weather"}):
        events = list(
            client.responses.create(
                input=[asked], tools=tools, tool_choice=choice, parallel_tool_calls=False, stream=True, **GREEDY
            )
        )
        for event in events:
            strict(event)
        done = [event.item for event in events if event.type == "response.output_item.done"]
        [call] = [item for item in done if item.type == "function_call"]
        assert call.name == "weather" and is_call(json.loads(call.arguments)), call
        items = [item.model_dump(exclude_none=True) for item in events[-1].response.output]
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        after = client.responses.create(input=[asked, *items, output], tools=[FUNCTION], **GREEDY)
        assert after.usage.input_tokens > events[-1].response.usage.input_tokens


@check
def a_schema_is_parsed():
    class Reply(pydantic.BaseModel):
        yes: bool

    found = client.responses.parse(input="842 - 83 = ?", text_format=Reply, reasoning={"effort": "none"}, **GREEDY)
    assert isinstance(found.output_parsed, Reply), found


@check
def the_requests_of_codex_are_answered():
    for body in CODEX:
        more = {"client_metadata": body.pop("client_metadata", {})}
        events = list(client.responses.create(**{**body, "max_output_tokens": 20}, extra_body=more))
        for event in events:
            strict(event)
        assert events[-1].type in ("response.completed", "response.incomplete")


@check
def reasoning_is_carried_by_a_client_that_drops_it():
    messages, answer = QUESTIONS[0]
    fields = {"include": ["reasoning.encrypted_content"], **GREEDY}
    found = client.responses.create(input=messages, **fields)
    items = [item.model_dump(exclude_none=True) for item in found.output]
    bare = [{key: value for key, value in item.items() if (item["type"], key) != ("reasoning", "content")} for item in items]
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    rest = [call, {"type": "function_call_output", "call_id": "c", "output": "sunny"}]
    whole, carried = (
        client.responses.input_tokens.count(model="any", input=[*messages, *some, *rest]).input_tokens
        for some in (items, bare)
    )
    assert whole == carried, (whole, carried)


@check
def an_answer_that_is_cut_is_incomplete():
    short = client.responses.create(input="842 - 83 = ?", **{**GREEDY, "max_output_tokens": 3})
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    counted = client.responses.input_tokens.count(model="any", input="842 - 83 = ?")
    assert counted.input_tokens == short.usage.input_tokens


@check
def what_needs_a_store_is_refused():
    for fields in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
        error = raised(openai.BadRequestError, client.responses.create, input="x", **fields, **GREEDY)
        assert [error.param] == list(fields), error


@check
def prompts_may_be_lists_and_tokens():
    greedy = {"model": "any", "temperature": 0, "max_tokens": 3}
    texts = client.completions.create(prompt=["17", "25"], n=2, **greedy)
    assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
    assert texts.choices[0].text == texts.choices[1].text
    tokens = client.completions.create(prompt=[5, 6, 7], **greedy)
    assert tokens.usage.prompt_tokens == 3
    both = client.completions.create(prompt=[[5, 6, 7], [5, 6]], **greedy)
    assert both.choices[0].text == tokens.choices[0].text and both.usage.prompt_tokens == 5
    chunks = list(client.completions.create(prompt=["17", "25"], stream=True, **greedy))
    for number, text in enumerate(texts.choices[::2]):
        parts = [chunk.choices[0].text for chunk in chunks if chunk.choices[0].index == number]
        assert "".join(parts) == text.text


@check
def a_crowd_has_its_answers():
    messages, answer = QUESTIONS[0]
    patient = client.with_options(max_retries=9)

    def one(_):
        return patient.responses.create(input=messages, **GREEDY).output_text

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(one, range(100))) == {answer}


run()
