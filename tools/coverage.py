#!/usr/bin/env python3
"""Which of 213 checkpoints that people run go through: each built tiny, converted, verified and called once.

    python3 tools/coverage.py PROGRAM [--only TEXT] [--write]

tools/coverage.tsv has what is known of them: class, tokenizer, task, and what is odd about the folder. Here each becomes a
folder of that shape with small sizes and random weights: config.json of its class, its kind of tokenizer with a small
vocabulary, weights in the form that it has, the modules of sentence-transformers. PROGRAM is build/bertha. Prints a line
for each; --write writes tools/coverage.md. Needs torch, transformers 5 and onnx.
"""

from __future__ import annotations

import argparse
import collections
import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
DATA, PAGE = HERE / "coverage.tsv", HERE / "coverage.md"
TASKS = {  # in the order of the page
    "embed": "embeddings",
    "rerank": "reranking",
    "classify": "classification",
    "zero-shot": "zero-shot classification",
    "entities": "token classification",
    "answers": "question answering",
    "base": "fill-mask",
    "encode": "hidden states",  # of an encoder whose own head, in training, found replaced words
    "spans": "entities by spans",
}
RUNS = "runs"
ALONE = "the encoder alone, without its fill-mask head"

Json = dict[str, Any]


class Row(NamedTuple):
    """A checkpoint."""

    checkpoint: str
    architecture: str
    tokenizer: str
    task: str
    facts: tuple[str, ...]

    def fact(self, name: str) -> str | None:
        """The value of a fact: empty where it has none, None where the row lacks it."""
        return next((fact.partition("=")[2] for fact in self.facts if fact.partition("=")[0] == name), None)


def rows() -> list[Row]:
    """The table of tools/coverage.tsv."""
    with DATA.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t"))[1:]
    return [Row(*line[:4], tuple(line[4].split())) for line in lines]


def page(results: dict[str, str]) -> str:
    """tools/coverage.md, of what became of each checkpoint."""
    table = rows()
    good = sum(result == RUNS for result in results.values())
    text = "# Which checkpoints run\n\n"
    text += f"{good} of {len(table)} checkpoints that people download most run as their folders lie on the Hub. "
    text += "`python3 tools/coverage.py build/bertha --write`\nwrote this page: each row of `tools/coverage.tsv` was built tiny, "
    text += "with random weights in its folder's shape, converted, verified\nand called once. What is in the last column but "
    text += f'"{RUNS}" is what the converter says.\n\n| task | checkpoints | run |\n|---|---|---|\n'
    for task, name in TASKS.items():
        of_task = [row for row in table if row.task == task]
        text += f"| {name} | {len(of_task)} | {sum(results[row.checkpoint] == RUNS for row in of_task)} |\n"
    text += f"| all | {len(table)} | {good} |\n\n| checkpoint | class | tokenizer | task | folder | |\n|---|---|---|---|---|---|\n"
    for row in table:
        cells = (row.checkpoint, f"`{row.architecture}`", row.tokenizer, TASKS[row.task], ", ".join(row.facts))
        text += "| " + " | ".join((*cells, results[row.checkpoint].replace("|", "\\|"))) + " |\n"
    return text


def results_of_page(text: str) -> dict[str, str]:
    """What a page says of each checkpoint."""
    lines = text.split("| checkpoint |", 1)[1].splitlines()[2:]
    cells = [line.strip().removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    return {line[0]: " | ".join(line[5:]).replace("\\|", "|") for line in cells}


def convert_and_call(row: Row, folder: Path, program: Path) -> str:
    """What becomes of a folder."""
    from bertha_convert.conversion import Options, convert
    from bertha_convert.errors import ConvertError

    file = folder.parent / "out.safetensors"
    pooling = (row.fact("pool") or "mean") if row.task == "embed" and row.fact("no_modules") is not None else None
    head = "auto" if pooling is None else "embedding"
    try:
        report = convert(
            Options(
                folder, file, head=head, pooling=pooling, normalize=pooling is not None and "normalize" in row.facts
            )
        )
    except ConvertError as error:
        return str(error).replace(f"{folder}/", "").replace(str(folder), "the folder").split("\n")[0]
    head = report["config"]["head"]
    if row.task == "base" and head != "masked-lm":
        return ALONE
    done = [run(program, "verify", file), run(program, *call(row, file))]
    return next(
        (f"{' '.join(map(str, each.args[1:2]))}: {each.stderr.strip()}" for each in done if each.returncode), RUNS
    )


def run(*command: Any) -> subprocess.CompletedProcess[str]:
    """A run of the program."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def call(row: Row, file: Path) -> list[Any]:
    """The command of a row's task."""
    text = "The boat left Porto at noon."
    mask = (
        "<mask>"
        if ("byte_bpe" in row.tokenizer and not row.architecture.startswith(("ModernBert", "EuroBert")))
        or row.tokenizer.startswith(("unigram:xlm", "unigram:cam", "bpe:"))
        else "[MASK]"
    )
    return {
        "embed": ["embed", file, text],
        "rerank": ["rerank", file, "--query", "When did it leave?", text, "At night."],
        "classify": ["classify", file, text],
        "zero-shot": ["zero-shot", file, "--labels", "travel,food", text],
        "entities": ["ner", file, "--aggregation", "simple", text],
        "answers": ["qa", file, "--question", "When did it leave?", "--context", text],
        "encode": ["embed", file, "--pooling", "mean", text],
        "base": ["fill-mask", file, f"The boat {mask} Porto."],
    }[row.task]


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="build/bertha")
    parser.add_argument("--only", default="", help="rows that hold this text")
    parser.add_argument("--write", action="store_true", help="write tools/coverage.md")
    options = parser.parse_args()
    if options.only and options.write:
        parser.error("--write needs all rows")
    sys.path.insert(0, str(HERE))
    from coverage_folders import write_folder

    results = {}
    for row in rows():
        if options.only not in "\t".join((*row[:4], *row.facts)):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / row.checkpoint.split("/")[-1]
            folder.mkdir()
            write_folder(row, folder)
            results[row.checkpoint] = convert_and_call(row, folder, options.program)
        print(row.checkpoint, results[row.checkpoint], sep="\t", flush=True)
    print(*(f"{count}\t{result}" for result, count in collections.Counter(results.values()).most_common()), sep="\n")
    if options.write:
        PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
