"""Drives a server with `litellm`, which recognizes errors by their messages.

python tests/judges/litellm_client.py http://127.0.0.1:8080/v1 [API_KEY]
"""

import sys

try:
    import litellm
except ImportError:
    print("skipped: the `litellm` package is not installed")
    sys.exit(0)

QUESTION, ANSWER = "842 - 83 = ?", "842 - 83 = 759"


def main():
    given = {
        "model": "openai/any",
        "api_base": sys.argv[1],
        "api_key": sys.argv[2] if len(sys.argv) > 2 else "none",
        "temperature": 0,
        "num_retries": 0,
    }
    messages = [{"role": "user", "content": QUESTION}]
    whole = litellm.completion(messages=messages, **given)
    assert whole.choices[0].message.content == ANSWER, whole
    assert whole.choices[0].message.reasoning_content
    print("ok      an answer with its reasoning")
    stream = litellm.completion(messages=messages, stream=True, **given)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER
    print("ok      a stream")
    long = [{"role": "user", "content": "long " * 100_000}]
    try:
        litellm.completion(messages=long, **given)
    except litellm.ContextWindowExceededError:
        print("ok      ContextWindowExceededError")
    else:
        raise AssertionError("a long prompt is accepted")
    try:
        litellm.completion(messages=messages, **{**given, "temperature": "hot"})
    except litellm.BadRequestError:
        print("ok      BadRequestError")
    else:
        raise AssertionError("a wrong field is accepted")


if __name__ == "__main__":
    main()
