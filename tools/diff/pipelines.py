#!/usr/bin/env python3
"""The program's answers against the pipelines of transformers and of sentence-transformers, over their options.

    python3 tools/diff/pipelines.py PROGRAM TEXTS --models FOLDER [--python PYTHON] [--qa-python PYTHON]
        [--transformers-4-52 FILE] [--texts N] [--seed N] [--heads classify,ner,..] [--ties FILE]
    python3 tools/diff/pipelines.py PROGRAM TEXTS --record tests/golden/pipelines.json ...

FOLDER has the checkpoints sentiment, entities and answers; random tiny ones are made beside them (pipelines_oracle.py has
the details, and needs torch: PYTHON with transformers 5.23.0 and sentence-transformers 6.2.0, for questions with
transformers 4.57.6). TEXTS is any text, a text a line. What is asked of each head is in pipeline_heads.py.

For each model the values of its options are combined so that any two values of different options come together (where
they may), and each combination is asked N inputs (10). Prints a table of option, value, cases and differences. Equal
means: all but scores equal, scores within 1e-4; each number of a vector within 1e-5, and its cosine 0.999999 at least;
things whose scores are nearer than 1e-5 may come in either order, and a label that is so near another may be the other:
these are counted apart, and --ties writes them. Exit status 1 if anything differs, or a row is empty. --record writes
some cases of the tiny models whose files are in tests/golden/models, with what the oracles answer: those that are committed
are of tools/bertha/calibration.txt, whose texts are our own.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline_heads import HEADS, Head, Texts, set_options

HERE = Path(__file__).resolve().parent
GOLDEN_MODELS = HERE.parents[1] / "tests" / "golden" / "models"
EACH = {"classify": 18, "nsp": 30, "ner": 18, "qa": 20, "embed": 16, "rerank": 30, "zero-shot": 40, "fill-mask": 12}  # of a model
CHECKPOINTS = {"sentiment": "classify", "entities": "ner", "answers": "qa"}


def combinations(head: Head, model: str, rng: random.Random) -> list[dict]:
    """Rows of values in which every two values that are allowed together come together."""
    options = head.options
    names = list(options)
    missing = set()
    for a, b in itertools.combinations(names, 2):
        missing |= {((a, repr(x)), (b, repr(y))) for x in options[a] for y in options[b]}
    rows, stale = [], 0
    while missing and stale < 200:
        best, covered = None, set()
        for _ in range(60):
            row = {name: rng.choice(options[name]) for name in names}
            if not head.allowed(row, model):
                continue
            pairs = {((a, repr(row[a])), (b, repr(row[b]))) for a, b in itertools.combinations(names, 2)} & missing
            if len(pairs) > len(covered):
                best, covered = row, pairs
        stale = 0 if best else stale + 1
        if best:
            rows.append(best)
            missing -= covered
    return rows


def run(words, items):
    """The JSON lines that a command prints for these items, which may be errors."""
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run([str(word) for word in words], input=sent.encode(), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{words}: exit status {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def oracle(python, arguments, groups):
    """What transformers answers to all items of all groups."""
    words = [python, HERE / "pipelines_oracle.py", "answer"]
    if arguments.transformers_4_52:
        words += ["--transformers-4-52", arguments.transformers_4_52]
    sent = "".join(json.dumps(group) + "\n" for group in groups)
    done = subprocess.run([str(word) for word in words], input=sent.encode(), stdout=subprocess.PIPE, check=True)
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    expected = sum(len(group["items"]) for group in groups)
    if len(found) != expected:
        sys.exit(f"the oracle gave {len(found)} answers to {expected} items")
    return iter(found)


class Table:
    """What was said of the cases: by option and value, and by pairs of values."""

    def __init__(self):
        self.counts, self.pairs, self.reasons = {}, {}, {}
        self.ties, self.recorded, self.shown = [], [], 0

    def add(self, head, model, row, said, expected):
        """One case."""
        said = "refused" if said == "same" and "error" in expected else said
        named = [(name, repr(value)) for name, value in (("model", model), *row.items())]
        for name, value in named:
            counts = self.counts.setdefault((head.name, name, value), dict.fromkeys(("same", "refused", "tie", "differs"), 0))
            counts[said] += 1
        for pair in itertools.combinations(named, 2):
            self.pairs[head.name, pair] = self.pairs.get((head.name, pair), 0) + 1
        if "error" in expected:
            reason = head.name, expected["error"].partition(":")[0]
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def print(self):
        """All of it. Returns whether nothing differs and no row is empty."""
        columns = "{:10}{:24}{:64}{:>7}{:>9}{:>6}{:>8}".format
        print(columns("head", "option", "value", "same", "refused", "ties", "differ"))
        for (head, name, value), counts in self.counts.items():
            print(columns(head, name, value, *counts.values()))
        models = [counts for (_, name, _), counts in self.counts.items() if name == "model"]
        total = {key: sum(counts[key] for counts in models) for key in models[0]}
        pairs = {"pairs of values": len(self.pairs), "fewest cases of a pair": min(self.pairs.values())}
        print(json.dumps({"cases": sum(total.values()), **total, **pairs}))
        for (head, reason), count in sorted(self.reasons.items()):
            print(f"{head}: the oracle refuses {count} with {reason}")
        compared = [counts["same"] + counts["differs"] for counts in self.counts.values()]
        return total["differs"] == 0 and 0 not in compared


def compare(arguments, head, model, folder, file, lines, table):
    """All combinations of one model."""
    rng = random.Random(f"{arguments.seed} {model}")
    rows, texts = combinations(head, model, rng), Texts(lines, rng)
    groups = []
    for row in rows:
        items = [head.item(row, texts) for _ in range(arguments.texts)]
        groups.append({"folder": str(folder), "head": head.name, "options": set_options(row), "items": items})
    theirs = oracle(getattr(arguments, head.python), arguments, groups)
    for row, group in zip(rows, groups):
        ours = run(head.command(arguments.program, file, row), group["items"])
        for item, found in zip(group["items"], ours, strict=True):
            expected = next(theirs)
            said = head.verdict(found, expected)
            case = {"model": f"models/{file.name}", "head": head.name, "options": group["options"], "item": item}
            table.add(head, model, row, said, expected)
            if said == "differs" and table.shown < 20:
                table.shown += 1
                print(f"{json.dumps(case)}\n  expected {json.dumps(expected)[:600]}\n  found    {json.dumps(found)[:600]}",
                      file=sys.stderr)
            if said == "tie":
                table.ties.append({**case, "expected": expected["found"], "found": found})
            if said == "same" and "error" not in expected and head.is_plain(expected["found"]):
                table.recorded.append({**case, "answers": expected["found"]})


def main():
    parser = argparse.ArgumentParser(description="Pipelines against their oracles, over their options.")
    parser.add_argument("program", type=Path)
    parser.add_argument("texts_file", type=Path, metavar="TEXTS")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--qa-python", default=sys.executable)
    parser.add_argument("--transformers-4-52", type=Path)
    parser.add_argument("--texts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--heads", default=",".join(HEADS))
    parser.add_argument("--ties", type=Path)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    lines = [line for line in arguments.texts_file.read_text(encoding="utf-8").splitlines() if 20 < len(line) < 200]
    if not arguments.transformers_4_52:
        HEADS["qa"].options["score_rule"].remove("hf_4_52")
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for head in (HEADS[name] for name in arguments.heads.split(",")):
            models = [m for m in head.models if not arguments.record or (GOLDEN_MODELS / f"{m}.safetensors").exists()]
            subprocess.run([arguments.python, HERE / "pipelines_oracle.py", "make", scratch, *models], check=True)
            folders = {model: scratch / model for model in models}
            if not arguments.record:
                folders |= {model: arguments.models / model for model, of in CHECKPOINTS.items() if of == head.name}
            for model, folder in folders.items():
                file = scratch / f"{model}.safetensors"
                convert = [arguments.python, HERE.parent / "convert.py", folder, file, "--no-selftest"]
                subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
                compare(arguments, head, model, folder, file, lines, table)
    if arguments.ties:
        arguments.ties.write_text("".join(json.dumps(tie, ensure_ascii=False) + "\n" for tie in table.ties), encoding="utf-8")
    if arguments.record:
        record(arguments.record, table.recorded)
    return 0 if table.print() else 1


def record(path, cases):
    """Writes some of the cases, as many for each model, a line each; those of other heads stay in the file."""
    heads = {case["head"] for case in cases}
    of = {}
    for case in cases:
        of.setdefault((case["head"], case["model"]), []).append(case)
    chosen = [case for (head, _), some in of.items() for case in random.Random(1).sample(some, min(EACH[head], len(some)))]
    if path.exists():
        chosen += [case for case in json.loads(path.read_text(encoding="utf-8"))["cases"] if case["head"] not in heads]
    chosen.sort(key=lambda case: (case["head"], case["model"]))
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in chosen)
    versions = "5.23.0, question answering 4.57.6 and 4.52.4"
    head = f'"generator": "tools/diff/pipelines.py", "transformers": "{versions}", "sentence_transformers": "6.2.0"'
    path.write_text(f'{{{head},\n"cases": [\n{rows}\n]}}\n', encoding="utf-8")
    print(f"{path}: {len(chosen)} cases, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
