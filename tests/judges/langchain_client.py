"""Drives a server with `langchain-openai` and checks exact answers of the bundled model.

python tests/judges/langchain_client.py http://127.0.0.1:8080/v1 [API_KEY]
"""

import sys
from typing import Literal

try:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from pydantic import BaseModel
except ImportError:
    print("skipped: the `langchain-openai` package is not installed")
    sys.exit(0)

QUESTION, ANSWER = "842 - 83 = ?", "842 - 83 = 759"


class City(BaseModel):
    """A city."""

    city: Literal["Nairobi"]


@tool
def weather(city: Literal["Nairobi"]) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def text(message):
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part["type"] == "text")


def main():
    key = sys.argv[2] if len(sys.argv) > 2 else "none"
    for responses in [False, True]:
        model = ChatOpenAI(
            base_url=sys.argv[1], api_key=key, model="any", temperature=0, max_retries=0,
            use_responses_api=responses,
        )
        api = "responses" if responses else "chat completions"
        assert text(model.invoke(QUESTION)) == ANSWER
        assert "".join(text(chunk) for chunk in model.stream(QUESTION)) == ANSWER
        print(f"ok      answers ({api})")
        for method in ["function_calling", "json_schema"]:
            structured = model.with_structured_output(City, method=method)
            assert structured.invoke("What is the capital of Kenya?") == City(city="Nairobi"), method
            print(f"ok      with_structured_output, {method} ({api})")
        bound = model.bind_tools([weather], tool_choice="weather")
        asked = HumanMessage("Weather in Nairobi?")
        called = bound.invoke([asked])
        (call,) = called.tool_calls
        assert (call["name"], call["args"]) == ("weather", {"city": "Nairobi"})
        result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        after = model.bind(max_tokens=5).invoke([asked, called, result])
        assert after.usage_metadata["input_tokens"] > called.usage_metadata["input_tokens"] // 2
        print(f"ok      tools ({api})")


if __name__ == "__main__":
    main()
