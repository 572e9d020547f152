#!/usr/bin/env python3
"""Full-size checkpoints through the converter and the program, against the pipelines of transformers.

    python3 tools/diff/reference_uses.py PROGRAM TEXTS --finbert FOLDER --turkish FOLDER --squad FOLDER
        --albert-classify FOLDER --albert-ner FOLDER --albert-qa FOLDER
        --mpnet FOLDER --deberta FOLDER --modernbert FOLDER --nomic FOLDER
        [--python PYTHON] [--qa-python PYTHON] [--count N] [--keep FOLDER]

They have the shape and the files of ProsusAI/finbert, savasy/bert-base-turkish-ner-cased, deepset/roberta-base-squad2 and
albert/albert-base-v2 with three heads, and random weights. The FOLDERs hold the vocabularies: vocab.txt of
bert-base-uncased, vocab.txt of dbmdz/bert-base-turkish-cased, vocab.json and merges.txt of roberta-base, spiece.model of
albert-base-v2, which transformers 4 reads with sentencepiece and protobuf only. The last four have the shape of
all-mpnet-base-v2, deberta-v3-base, ModernBERT-base and nomic-embed-text-v1.5, with labels of texts or (deberta) of tokens, and
the vocabularies of bert-base-uncased, albert-base-v2, roberta-base and bert-base-uncased. TEXTS is any text, a text a line. --python has
torch and transformers 5, --qa-python torch and transformers 4.57.6, the last version line that answers questions.

For each use N texts (200; of the last four from 3 to 2,000 tokens, and one of the longest that they take), or a quarter as many pairs of a question and a context of 20 to 2,000 words: compared are
logits, labels, entities and answers. Prints a JSON line for each use. Exit status 1 if anything differs.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLASSIFY, NER, QA = ["classify", "--top-k", "all"], ["ner"], ["qa", "--top-k", "3"]
COMMANDS = {"finbert": CLASSIFY, "turkish": NER, "squad": QA,
            "albert-classify": CLASSIFY, "albert-ner": NER, "albert-qa": QA}
LONG = {"mpnet": 512, "deberta": 512, "modernbert": 8192, "nomic": 8192}  # tokens that they take
COMMANDS |= {use: [*CLASSIFY, "--truncation"] for use in LONG} | {"deberta": [*NER, "--truncation"]}
SCORE = 1e-4  # what bertha promises of scores
LOGIT = 2e-4  # and of logits, times max(1, abs logit)
TIE = 1e-5  # answers whose scores are nearer than this may come in either order
FEWEST, MOST = 20, 2000  # words of a context


def texts_for(use, lines, count):
    """The items of one use, as the program reads them."""
    rng = random.Random(use)
    lines = [line for line in lines if line.strip()]
    if use in LONG:
        text = " ".join(rng.sample(lines, len(lines)))
        sizes = [4 * round(3 * (2000 / 3) ** (i / (count - 2))) for i in range(count - 1)] + [6 * LONG[use]]  # characters
        starts = [rng.randrange(len(text) - size) for size in sizes]
        return [{"text": text[start : start + size]} for start, size in zip(starts, sizes)]
    if COMMANDS[use] is not QA:
        return [{"text": line[:400]} for line in rng.choices(lines, k=count)]
    words = [word for line in rng.sample(lines, len(lines)) for word in line.split(" ")]
    items = []
    for i in range(count // 4):
        length = round(FEWEST * (MOST / FEWEST) ** (i / max(1, count // 4 - 1)))
        begin = rng.randrange(max(1, len(words) - length))
        question = " ".join(rng.choice(lines).split(" ")[: rng.randint(3, 12)])[:80] + "?"
        items.append({"question": question, "context": " ".join(words[begin : begin + length])})
    return items


def run(command, items=()):
    """The JSON lines that a command prints for these items."""
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run([str(part) for part in command], input=sent.encode(), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"{command}: exit status {done.returncode}\n{done.stdout.decode()[-2000:]}")
    return done.stdout.decode().splitlines()


def parts(answer):
    """An answer without its score."""
    return {key: value for key, value in answer.items() if key != "score"}


def same_answers(ours, theirs):
    """Equal but for the order of near-ties."""
    if [parts(a) for a in ours] == [parts(b) for b in theirs]:
        return True
    if len(ours) != len(theirs):
        return False
    near = all(abs(a["score"] - b["score"]) < TIE for a, b in zip(ours, theirs))
    scores = [b["score"] for b in theirs]
    tied = any(a - b < TIE for a, b in zip(scores, scores[1:]))
    return near and tied and "index" not in theirs[0]


def compare(ours, our_logits, theirs):
    """The figures of one use."""
    figures = {"compared": len(theirs), "answers": 0, "logits": 0, "differ": 0, "logits_differ": 0, "near_ties": 0,
               "worst_score": 0.0, "worst_logit": 0.0}
    for found, logits, expected in zip(ours, our_logits, theirs, strict=True):
        found = found if isinstance(found, list) else [found]
        figures["answers"] += len(expected["found"])
        if not same_answers(found, expected["found"]):
            figures["differ"] += 1
            print(f"DIFFERS: {expected['texts']}\n  ours   {found}\n  theirs {expected['found']}", file=sys.stderr)
        elif [parts(a) for a in found] != [parts(b) for b in expected["found"]]:
            figures["near_ties"] += 1
        for a, b in zip(found, expected["found"]):
            figures["worst_score"] = max(figures["worst_score"], abs(a["score"] - b["score"]))
        for our_row, their_row in zip(logits["logits"], expected["logits"], strict=True):
            for a, b in zip(our_row, their_row, strict=True):
                figures["logits"] += 1
                error = abs(a - b) / max(1.0, abs(b))
                figures["worst_logit"] = max(figures["worst_logit"], error)
                figures["logits_differ"] += error > LOGIT
    if figures["worst_score"] > SCORE:
        figures["differ"] += 1
    return figures


def check(use, vocabulary, arguments, folder):
    """Makes, converts and compares one use; returns its figures."""
    python = arguments.qa_python if COMMANDS[use] is QA else arguments.python
    oracle = [python, HERE / "reference_oracle.py"]
    checkpoint, model = folder / use, folder / f"{use}.safetensors"
    if not checkpoint.exists():
        run([*oracle, "make", use, vocabulary, checkpoint])
    report = run([arguments.python, HERE.parent / "convert.py", checkpoint, model, "--no-selftest", "--json"])
    lines = Path(arguments.texts).read_text(encoding="utf-8").split("\n")
    items = texts_for(use, lines, arguments.count)
    theirs = [json.loads(line) for line in run([*oracle, "answer", use, checkpoint], items)]
    command, *options = COMMANDS[use]
    ours = [json.loads(line) for line in run([arguments.program, command, model, "--jsonl", *options], items)]
    texts = [expected["texts"] for expected in theirs]
    logits = [json.loads(line) for line in run([arguments.program, "logits", model, "--jsonl"], texts)]
    report = json.loads("\n".join(report))
    return {"use": use, "warnings": report.get("warnings"), **compare(ours, logits, theirs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("texts")
    for use in COMMANDS:
        parser.add_argument(f"--{use}", metavar="FOLDER", help="its vocabulary; left out: not compared")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--qa-python", default=sys.executable)
    parser.add_argument("--count", type=int, default=200, metavar="N")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the checkpoints and models there, and take those that are")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.keep or temporary)
        for use in COMMANDS:
            vocabulary = getattr(arguments, use.replace("-", "_"))
            if not vocabulary:
                continue
            figures = check(use, vocabulary, arguments, folder)
            failed = failed or figures["differ"] > 0 or figures["logits_differ"] > 0
            print(json.dumps(figures), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
