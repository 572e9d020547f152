"""What was measured, for people."""

import platform
from pathlib import Path
from typing import Any

TITLES = {  # of models.SHAPES
    "base": "BERT-base",
    "minilm": "MiniLM (6 x 384)",
    "mpnet": "MPNet-base",
    "modernbert": "ModernBERT-base",
    "deberta": "DeBERTa-v3-base",
    "deberta-small": "DeBERTa-v3-small",
}


def cpu() -> str:
    """The CPU's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{found.get('model name', platform.machine())}, family {found.get('cpu family')}, model {found.get('model')}"


def table(results: list[dict[str, Any]]) -> str:
    """One table of records that differ in the workload only: milliseconds, and the fastest peer's time over bertha's."""
    first = results[0]
    threads = f"{first['threads']} thread" + ("s" if first["threads"] > 1 else "")
    title = f"{TITLES[first['shape']]}, {first['precision']}, {threads}, ms"
    rows = [[title, *(r["workload"] for r in results), "largest difference of a logit"]]
    notes = set()

    def cell(found: dict[str, Any] | None) -> str:
        if not found:
            return "-"
        mark = ""
        if not found.get("limited", True):
            mark, note = " *", "* can't be kept off better instructions, so it is not counted"
            notes.add(note)
        if not found["computes_the_same"]:
            mark, note = " !", "! its logits are not those of PyTorch in float32, so it is not counted"
            notes.add(note)
        ms = found["median_ms"]
        return f"{ms:.1f}{mark}" if ms < 100 else f"{ms:.0f}{mark}"

    names: dict[str, None] = {}
    for record in results:
        names.update(dict.fromkeys(record["engines"]))
    difference = {name: max(r["engines"][name]["largest_difference"] for r in results if name in r["engines"]) for name in names}
    rows += [[name, *(cell(record["engines"].get(name)) for record in results), f"{difference[name]:.1e}"] for name in names]
    rows.append(["fastest peer", *(record.get("fastest_peer", "-") for record in results), ""])
    rows.append(["**ratio**", *(f"{record['ratio']:.2f}" if "ratio" in record else "-" for record in results), ""])
    return "\n".join([lined_up(rows), *sorted(notes)])


def lined_up(rows: list[list[str]]) -> str:
    """A Markdown table that can be read as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
