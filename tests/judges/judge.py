"""What the scripts share: the questions with exact answers, and checks that are all made before the script ends."""

import importlib
import json
import pathlib
import sys
import traceback

URL = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
KEY = sys.argv[2] if len(sys.argv) > 2 else "none"
QUESTIONS = [
    (line["body"]["messages"], line["answer"])
    for line in map(json.loads, (pathlib.Path(__file__).parents[1] / "data/questions.jsonl").read_text().splitlines())
]
CHECKS = []


def need(name):
    """The package, or the end of the script."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"skipped: {error}")
        sys.exit(0)


def check(function):
    """Makes a check of a function."""
    CHECKS.append(function)
    return function


def raised(kind, call, /, **fields):
    """The error of this kind that a call raises."""
    try:
        call(**fields)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def run():
    """Makes all checks."""
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}")
        except Exception:  # noqa: BLE001, every failure is reported
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc()
    print(f"{len(CHECKS) - failed} of {len(CHECKS)}")
    sys.exit(failed > 0)


TOOL = {
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}, "days": {"type": "integer", "enum": [1, 2]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}


def is_call(arguments):
    """Arguments that the tool allows."""
    return arguments.keys() == {"city", "days"} and arguments["city"] in ("Paris", "Rome") and arguments["days"] in (1, 2)
