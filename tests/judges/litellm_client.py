"""litellm against `ggrun serve`, which finds out by the text of an error that a prompt is too long:
python litellm_client.py [http://127.0.0.1:8080/v1 [KEY]]"""

import os

from judge import KEY, QUESTIONS, URL, check, need, raised, run

# Its list of prices would be fetched.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
litellm = need("litellm")
litellm.suppress_debug_info = True
OPENAI = {"model": "openai/any", "api_base": URL, "api_key": KEY, "temperature": 0, "max_tokens": 200}
ANTHROPIC = {**OPENAI, "model": "anthropic/any", "api_base": URL.removesuffix("/v1")}


@check
def answers_are_exact():
    for messages, answer in QUESTIONS[:10]:
        for api in (OPENAI, ANTHROPIC):
            found = litellm.completion(messages=messages, **api)
            assert found.choices[0].message.content == answer, (found, answer)


@check
def streams_joined_are_the_answer():
    for messages, answer in QUESTIONS[:5]:
        for api in (OPENAI, ANTHROPIC):
            chunks = litellm.completion(messages=messages, stream=True, **api)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == answer


@check
def a_prompt_that_is_too_long_is_known_as_such():
    long = [{"role": "user", "content": "far " * 100_000}]
    for api in (OPENAI, ANTHROPIC):
        raised(litellm.ContextWindowExceededError, litellm.completion, messages=long, num_retries=0, **api)


run()
