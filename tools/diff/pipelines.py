#!/usr/bin/env python3
"""The program's answers against the pipelines of transformers, over their options.

    python3 tools/diff/pipelines.py PROGRAM TEXTS --models FOLDER [--python PYTHON] [--qa-python PYTHON]
        [--transformers-4-52 FILE] [--texts N] [--seed N] [--heads classify,ner,qa]
    python3 tools/diff/pipelines.py PROGRAM TEXTS --record tests/golden/pipelines.json ...

FOLDER has the checkpoints sentiment, entities and answers; random tiny ones are made beside them (pipelines_oracle.py has
the details, and needs torch: PYTHON with transformers 5.23.0, for questions 4.57.6). TEXTS is any text, a text a line.

For each model the values of its options are combined so that any two values of different options come together (where
they may), and each combination is asked N texts (4). Prints a table of option, value, cases and differences. Equal means:
all but scores equal, scores within 1e-4; answers whose scores are nearer than 1e-5 may come in either order, and a label
that is so near another may be the other: these are counted apart. Exit status 1 if anything differs, or a row is empty.
--record writes some cases of the tiny models whose files are in tests/golden/models, with what transformers answers.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCORE, TIE = 1e-4, 1e-5
EACH = 36  # cases of each model that are recorded
CHECKPOINTS = {"sentiment": "classify", "entities": "ner", "answers": "qa"}
TINY = {  # by the heads that run them; those of tests/golden/models
    "classify": ["classify_two", "classify_multi_label", "classify_regression", "roberta_classify", "albert_classify"],
    "ner": ["entities_cased", "roberta_entities", "xlm_roberta_entities", "albert_entities", "distilbert_entities"],
    "qa": ["answers_cased", "roberta_answers", "xlm_roberta_answers", "distilbert_answers"],
}
UNSET = "unset"
OPTIONS = {
    "classify": {
        "top_k": [UNSET, 2, None],
        "function_to_apply": [UNSET, "softmax", "sigmoid", "none"],
        "truncation": ["longest_first", "only_first", "only_second"],
        "max_length": [UNSET, 12, 24],
        "windows": [UNSET, 0, 3],
        "reduce": [UNSET, "mean", "max", "first"],
        "kind": ["text", "pair", "long", "long pair"],
    },
    "ner": {
        "aggregation_strategy": ["none", "simple", "first", "average", "max"],
        "ignore_labels": [UNSET, [], ["PER"], ["O", "B-PER", "LOC"]],
        "stride": [UNSET, 0, 1, 8],
        "max_length": [UNSET, 16, 40],
        "is_split_into_words": [UNSET, True],
        "delimiter": [UNSET, "", "-"],
        "word_grouping": [UNSET, "true_words"],
        "label_scheme": [UNSET, "bioes"],
        "decoding": [UNSET, "valid"],
        "top_k": [UNSET, 3],
        "kind": ["text", "long"],
    },
    "qa": {
        "top_k": [UNSET, 3, 20],
        "doc_stride": [UNSET, 0, 7],
        "max_answer_len": [UNSET, 1, 40],
        "max_seq_len": [UNSET, 48, 90],
        "handle_impossible_answer": [UNSET, True],
        "align_to_words": [UNSET, False],
        "score_rule": [UNSET, "hf_4_52", "best", "calibrated"],
        "no_answer_threshold": [UNSET, 0.02, 0.5],
        "kind": ["context", "long", "passages"],
    },
}
FLAGS = {  # the program's words for the options
    "windows": "--stride", "aggregation_strategy": "--aggregation", "function_to_apply": "--function-to-apply",
    "truncation": "--truncation-strategy",
}
ODD = ["", " ", "Caf\u00e9 \u0130stanbul'da U.S. A.B.", "don't  stop\u2014now (New York)", "[MASK] ok <s> x",
       "\u6771\u4eac\u30bf\u30ef\u30fc soft\u00adhyphen \U0001f469\u200d\U0001f680", "Tom met Ada in Rome."]


def allowed(head, row, model):
    """Whether both sides have these values together."""
    given = lambda name: row.get(name, UNSET) != UNSET
    if head == "classify":
        if "pair" not in row["kind"] and row["truncation"] == "only_second":
            return False
        return given("windows") or not given("reduce")
    if head == "ner":
        if row["aggregation_strategy"] == "none" and given("stride"):
            return False
        if row["aggregation_strategy"] != "none" and given("top_k"):
            return False
        if given("delimiter") and not given("is_split_into_words"):
            return False
        return not (model == "entities_cased" and row["decoding"] == "valid" and not given("label_scheme"))
    return True


def combinations(head, model, rng):
    """Rows of values in which every two values that are allowed together come together."""
    options = OPTIONS[head]
    names = list(options)
    missing = set()
    for a, b in itertools.combinations(names, 2):
        missing |= {((a, repr(x)), (b, repr(y))) for x in options[a] for y in options[b]}
    rows, stale = [], 0
    while missing and stale < 200:
        best, covered = None, set()
        for _ in range(60):
            row = {name: rng.choice(options[name]) for name in names}
            if not allowed(head, row, model):
                continue
            pairs = {((a, repr(row[a])), (b, repr(row[b]))) for a, b in itertools.combinations(names, 2)} & missing
            if len(pairs) > len(covered):
                best, covered = row, pairs
        stale = 0 if best else stale + 1
        if best:
            rows.append(best)
            missing -= covered
    return rows


def item_of(head, row, lines, rng):
    """A text for a row of values."""
    pick = lambda: rng.choice(ODD) if rng.random() < 0.15 else rng.choice(lines)
    long = lambda most: " ".join(rng.choice(lines) for _ in range(rng.randint(2, most)))
    if head == "classify":
        text = long(4) if "long" in row["kind"] else pick()
        return {"text": text, "text_pair": pick()} if "pair" in row["kind"] else {"text": text}
    if head == "ner":
        text = long(5) if row["kind"] == "long" else pick()
        return {"text": text.split(" ") if row["is_split_into_words"] is True else text}
    question = " ".join(rng.choice(lines).split(" ")[: rng.randint(3, 8)])[:50] + "?"
    if row["kind"] == "passages":
        return {"question": question, "context": [rng.choice(lines) for _ in range(rng.randint(2, 4))]}
    return {"question": question, "context": long(8) if row["kind"] == "long" else rng.choice(lines)}


def set_options(row):
    return {name: value for name, value in row.items() if value != UNSET and name != "kind"}


def command(program, head, file, row):
    """The program with a row's values."""
    words = [program, head, file, "--jsonl", "--quiet"]
    for name, value in set_options(row).items():
        flag = FLAGS.get(name, "--" + name.replace("_", "-"))
        if head == "ner" and name == "top_k":
            flag = "--top-labels"
        if name == "ignore_labels":
            words += [part for label in value or [""] for part in (flag, label)]
        elif name == "truncation" and value == "longest_first" and "windows" not in set_options(row):
            words.append("--truncation")
        elif value is True:
            words.append(flag)
        elif name == "align_to_words":
            words.append("--no-align-to-words")
        else:
            words += [flag, "all" if value is None else str(value)]
    return [*words, "--show-windows"] if "windows" in set_options(row) else words


def run(words, items):
    """The JSON lines that a command prints for these items, which may be errors."""
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run([str(word) for word in words], input=sent.encode(), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{words}: exit status {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def parts(value):
    """A value without its scores, and the scores."""
    scores = []

    def walk(one):
        if isinstance(one, list):
            return [walk(element) for element in one]
        if not isinstance(one, dict):
            return one
        if "score" in one:
            scores.append(one["score"])
        return {key: walk(element) for key, element in one.items() if key != "score"}

    return walk(value), scores


def near(ours, theirs):
    return len(ours) == len(theirs) and all(abs(a - b) <= SCORE * max(1, abs(b)) for a, b in zip(ours, theirs))


def verdict(head, ours, theirs):
    """same, tie, or differs."""
    if "error" in theirs:
        return "same" if isinstance(ours, dict) and "error" in ours else "differs"
    theirs = theirs["found"]
    if isinstance(ours, dict) and "error" in ours:
        return "differs"
    if head == "qa":
        ours = ours if isinstance(ours, list) else [ours]
        # Candidates of score 0, which only odd contexts have, are numpy's accident.
        ours, theirs = ([one for one in found if one["score"] > 0] for found in (ours, theirs))
    (shape, scores), (wanted, expected) = parts(ours), parts(theirs)
    if shape == wanted and near(scores, expected):
        return "same"
    tied = any(abs(a - b) < TIE for a, b in zip(expected, expected[1:]))
    return "tie" if tied and near(scores, expected) else "differs"


def is_plain(found):
    """Short, and without scores that are nearly equal, or of numpy's accidents."""
    _, scores = parts(found)
    gaps = [abs(a - b) for a, b in itertools.combinations(scores, 2)]
    return len(json.dumps(found)) < 900 and min(gaps, default=1) > 4 * TIE and min(scores, default=1) != 0


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


def compare(arguments, head, model, folder, file, lines, table, recorded, reasons):
    """All combinations of one model."""
    rng = random.Random(f"{arguments.seed} {model}")
    rows = combinations(head, model, rng)
    groups = []
    for row in rows:
        items = [item_of(head, row, lines, rng) for _ in range(arguments.texts)]
        groups.append({"folder": str(folder), "head": head, "options": set_options(row), "items": items})
    theirs = oracle(arguments.qa_python if head == "qa" else arguments.python, arguments, groups)
    for row, group in zip(rows, groups):
        ours = run(command(arguments.program, head, file, row), group["items"])
        for item, found in zip(group["items"], ours, strict=True):
            expected = next(theirs)
            said = verdict(head, found, expected)
            if said == "differs" and table.setdefault("shown", 0) < 20:
                table["shown"] += 1
                print(f"{model} {group['options']}\n  {json.dumps(item)}\n  expected {json.dumps(expected)[:600]}\n"
                      f"  found    {json.dumps(found)[:600]}", file=sys.stderr)
            for name, value in [("model", model), *row.items()]:
                counts = table.setdefault((head, name, repr(value)), {"same": 0, "tie": 0, "differs": 0, "refused": 0})
                counts["refused" if said == "same" and "error" in expected else said] += 1
            if "error" in expected:
                reason = expected["error"].partition(":")[0]
                reasons[head, reason] = reasons.get((head, reason), 0) + 1
            if said == "same" and "error" not in expected and is_plain(expected["found"]):
                recorded.append({"model": f"models/{model}.safetensors", "head": head, "options": group["options"],
                                 "item": item, "answers": expected["found"]})


def main():
    parser = argparse.ArgumentParser(description="Pipelines against transformers, over their options.")
    parser.add_argument("program", type=Path)
    parser.add_argument("texts_file", type=Path, metavar="TEXTS")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--qa-python", default=sys.executable)
    parser.add_argument("--transformers-4-52", type=Path)
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--heads", default="classify,ner,qa")
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    lines = [line for line in arguments.texts_file.read_text(encoding="utf-8").splitlines() if 20 < len(line) < 200]
    if not arguments.transformers_4_52:
        OPTIONS["qa"]["score_rule"].remove("hf_4_52")
    table, recorded, reasons = {}, [], {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for head in arguments.heads.split(","):
            models = TINY[head]
            subprocess.run([arguments.python, HERE / "pipelines_oracle.py", "make", scratch, *models], check=True)
            folders = {model: scratch / model for model in models}
            if not arguments.record:
                folders |= {model: arguments.models / model for model, of in CHECKPOINTS.items() if of == head}
            for model, folder in folders.items():
                file = scratch / f"{model}.safetensors"
                convert = [arguments.python, HERE.parent / "convert.py", folder, file, "--no-selftest"]
                subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
                compare(arguments, head, model, folder, file, lines, table, recorded, reasons)
    table.pop("shown", None)
    print(f"{'head':9}{'option':26}{'value':28}{'same':>7}{'refused':>9}{'ties':>6}{'differ':>8}")
    order = {(head, name): i for head, names in OPTIONS.items() for i, name in enumerate(["model", *names])}
    for (head, name, value), counts in sorted(table.items(), key=lambda one: (one[0][0], order[one[0][:2]])):
        print(f"{head:9}{name:26}{value:28}{counts['same']:>7}{counts['refused']:>9}{counts['tie']:>6}{counts['differs']:>8}")
    models = [counts for (_, name, _), counts in table.items() if name == "model"]
    total = {key: sum(counts[key] for counts in models) for key in ("same", "refused", "tie", "differs")}
    print(json.dumps({"cases": sum(total.values()), **total}))
    for (head, reason), count in sorted(reasons.items()):
        print(f"{head}: transformers refuses {count} with {reason}")
    empty = [key for key, counts in table.items() if counts["same"] + counts["differs"] == 0]
    if arguments.record:
        record(arguments.record, recorded)
    return 1 if total["differs"] or empty else 0


def record(path, cases):
    """Writes some of the cases, as many for each model, a line each; those of other heads stay in the file."""
    heads = {case["head"] for case in cases}
    of = {}
    for case in cases:
        of.setdefault(case["model"], []).append(case)
    chosen = [case for some in of.values() for case in random.Random(1).sample(some, min(EACH, len(some)))]
    if path.exists():
        chosen += [case for case in json.loads(path.read_text(encoding="utf-8"))["cases"] if case["head"] not in heads]
    chosen.sort(key=lambda case: (case["head"], case["model"]))
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in chosen)
    head = '"generator": "tools/diff/pipelines.py", "transformers": "5.23.0, question answering 4.57.6 and 4.52.4"'
    path.write_text(f'{{{head},\n"cases": [\n{rows}\n]}}\n', encoding="utf-8")
    print(f"{path}: {len(chosen)} cases, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
