"""Writes json-schema.jsonl: the cases of the JSON Schema Test Suite for 2020-12, each with its valid and invalid values.

The suite comes with the source distribution of PyPI's jsonschema 4.26.0, in json/ (MIT, Julian Berman):

    pip download jsonschema==4.26.0 --no-deps --no-binary :all:
    tar xf jsonschema-4.26.0.tar.gz
    python make_json_schema.py jsonschema-4.26.0/json/tests/draft2020-12

Left out: `format.json` and `optional/format-assertion.json`, for which formats are annotations, and all titles.
"""

import json
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
SKIPPED = {"format", "optional/format-assertion"}

with (Path(__file__).parent / "json-schema.jsonl").open("w", encoding="utf-8") as out:
    for path in sorted(ROOT.rglob("*.json")):
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        if name in SKIPPED:
            continue
        for group in json.loads(path.read_text(encoding="utf-8")):
            values = {True: [], False: []}
            for test in group["tests"]:
                values[test["valid"]].append(test["data"])
            case = {"file": name, "schema": group["schema"], "valid": values[True], "invalid": values[False]}
            out.write(json.dumps(case, separators=(",", ":"), ensure_ascii=True) + "\n")
