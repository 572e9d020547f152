#!/usr/bin/env python3
"""Prints README's table of supported checkpoints: what tests/golden holds bertha to, by class of transformers.

    python3 tools/golden_table.py
"""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"


def main() -> None:
    """A row for each class, in the order of the alphabet."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(GOLDEN.glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        if "architecture" not in golden:
            continue  # a head of one's own
        empty = {"models": 0, "tokens": 0, "answers": 0, "kinds": set(), "by": golden["transformers"]}
        row = rows.setdefault(golden["architecture"], empty)
        row["models"] += 1
        row["tokens"] += sum(len(case["ids"]) for case in golden["cases"])
        row["answers"] += len(golden["pipelines"])
        row["kinds"].add("int8" if "int8" in golden["precision"] else "float32")
    heading = ("transformers class", "of release", "models", "weights", "tokens compared", "answers compared")
    print("| " + " | ".join(heading) + " |")
    print("|---" * len(heading) + "|")
    for name, row in sorted(rows.items()):
        cells = [f"`{name}`", row["by"], row["models"], ", ".join(sorted(row["kinds"])), row["tokens"], row["answers"]]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
