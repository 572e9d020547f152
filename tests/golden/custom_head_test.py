#!/usr/bin/env python3
"""Holds examples/custom_head.cpp against PyTorch: `custom_head_test.py PROGRAM`, with tests/golden/custom_head.json."""

import json
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent


def main(program: str) -> int:
    """Compares the printed scores, which have six digits."""
    golden = json.loads((GOLDEN / "custom_head.json").read_text(encoding="utf-8"))
    texts = [case["text"] for case in golden["cases"]]
    out = subprocess.run([program, str(GOLDEN / golden["model"]), *texts], check=True, capture_output=True, text=True).stdout
    rows = [[float(score) for score in line.split()] for line in out.splitlines()]
    assert len(rows) == len(texts), f"{len(rows)} lines for {len(texts)} texts"
    wrong = 0
    for case, row in zip(golden["cases"], rows):
        for expected, found in zip(case["scores"], row, strict=True):
            if abs(expected - found) > 2e-4 * max(1, abs(expected)):
                print(f"{case['text']!r}: expected {case['scores']}, found {row}")
                wrong += 1
    print(f"{len(rows)} texts, {wrong} scores differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
