"""langchain-openai against `ggrun serve`: python langchain_client.py [http://127.0.0.1:8080/v1 [KEY]]"""

from judge import KEY, QUESTIONS, TOOL, URL, check, is_call, need, run

langchain = need("langchain_openai")
pydantic = need("pydantic")
model = langchain.ChatOpenAI(base_url=URL, api_key=KEY, model="any", temperature=0, max_tokens=200)


@check
def answers_are_exact():
    for messages, answer in QUESTIONS[:10]:
        assert model.invoke(messages).content == answer
        assert "".join(chunk.content for chunk in model.stream(messages)) == answer


@check
def structured_output_is_held_by_each_method():
    class Weather(pydantic.BaseModel):
        """The weather of a city."""

        days: int = pydantic.Field(ge=1, le=9)
        sunny: bool

    for method in ("function_calling", "json_schema"):
        found = model.with_structured_output(Weather, method=method).invoke("Weather?")
        assert isinstance(found, Weather), found


@check
def a_bound_tool_is_called():
    bound = model.bind_tools([{"type": "function", "function": TOOL}], tool_choice="weather")
    [call] = bound.invoke("Weather?").tool_calls
    assert call["name"] == "weather" and is_call(call["args"]), call


run()
