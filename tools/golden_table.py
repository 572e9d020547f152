#!/usr/bin/env python3
"""Prints the table of supported checkpoints in tests/README.md: what tests/golden holds bertha to, by class of transformers.

    python3 tools/golden_table.py           prints it
    python3 tools/golden_table.py --check   exit status 1 if tests/README.md has another one
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"


def table() -> str:
    """A row for each class, in the order of the alphabet."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(GOLDEN.glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        if "architecture" not in golden:
            continue  # a head of one's own
        empty = {"models": set(), "tokens": 0, "answers": 0, "kinds": set(), "by": golden["transformers"]}
        row = rows.setdefault(golden["architecture"], empty)
        row["models"].add(golden["model"])
        row["tokens"] += sum(len(case["ids"]) for case in golden["cases"])
        row["answers"] += len(golden["pipelines"])
        row["kinds"].add(next((kind for kind in ("int8", "bfloat16") if kind in golden["precision"]), "float32"))
    heading = ("transformers class", "of release", "models", "weights", "tokens compared", "answers compared")
    lines = [heading, ("---",) * len(heading)]
    for name, row in sorted(rows.items()):
        kinds = ", ".join(sorted(row["kinds"]))
        lines.append((f"`{name}`", row["by"], str(len(row["models"])), kinds, str(row["tokens"]), str(row["answers"])))
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def main() -> int:
    """Prints the table, or checks that page's."""
    if "--check" not in sys.argv[1:]:
        print(table(), end="")
        return 0
    if table() in (ROOT / "tests" / "README.md").read_text(encoding="utf-8"):
        return 0
    print("tests/README.md: its table of checkpoints is not what `python3 tools/golden_table.py` prints; put that there")
    return 1


if __name__ == "__main__":
    sys.exit(main())
