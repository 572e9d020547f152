#!/usr/bin/env python3
"""Tokenises the same texts by `bertha tokenize` and by Hugging Face, and counts the differences.

    python3 tools/diff/tokenizer.py MODEL FOLDER [FILE ...] [--generate N] [--seed N] [--pairs] [--all] [--bertha PROGRAM]

MODEL is the file that tools/convert.py made of FOLDER (as `kind: tokenizer` it needs no weights). FILEs are text, a text a
line; with --pairs each line goes with the next one. Needs transformers. Exit status 1 if anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from generate import describe, generate

FIELDS = ("ids", "type_ids", "tokens", "offsets")
MORE_FIELDS = ("word_ids", "special_tokens_mask")


def lines_of(file):
    text = pathlib.Path(file).read_bytes().decode("utf-8", errors="replace")
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def items_of(file, pairs):
    lines = lines_of(file)
    if not pairs:
        return [{"text": line} for line in lines]
    return [{"text": a, "text_pair": b} for a, b in zip(lines, lines[1:] + lines[:1])]


def by_bertha(program, model, items, every_field):
    command = [program, "tokenize", model, "--jsonl"] + (["--all"] if every_field else [])
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run(command, input=sent.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(items):
        sys.exit(f"{program}: {len(answers)} answers to {len(items)} texts, exit status {done.returncode}")
    return answers


def by_hugging_face(tokenizer, item):
    encoding = tokenizer.encode(item["text"], item.get("text_pair"))
    return {"ids": encoding.ids, "type_ids": encoding.type_ids, "tokens": [tokenizer.id_to_token(i) for i in encoding.ids],
            "offsets": [list(o) for o in encoding.offsets], "word_ids": encoding.word_ids,
            "special_tokens_mask": encoding.special_tokens_mask}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="N texts made from the folder's vocab.txt")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--all", action="store_true", help="compare word ids and the special tokens mask as well")
    parser.add_argument("--bertha", default="bertha", metavar="PROGRAM")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="print the first N differences")
    options = parser.parse_args()

    items = [item for file in options.files for item in items_of(file, options.pairs)]
    if options.generate:
        made, histogram = generate(options.generate, pathlib.Path(options.folder) / "vocab.txt", options.seed, options.pairs)
        print("generated: " + describe(histogram, len(made) * (2 if options.pairs else 1)))
        items += made
    if not items:
        parser.error("nothing to compare: give files, or --generate")

    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.folder).backend_tokenizer
    fields = FIELDS + (MORE_FIELDS if options.all else ())
    differences = dict.fromkeys(fields, 0)
    n_different = n_tokens = 0
    for item, ours in zip(items, by_bertha(options.bertha, options.model, items, options.all)):
        theirs = by_hugging_face(tokenizer, item)
        n_tokens += len(theirs["ids"])
        wrong = [field for field in fields if ours.get(field) != theirs[field]]
        for field in wrong:
            differences[field] += 1
        n_different += bool(wrong)
        if wrong and n_different <= options.show:
            print(json.dumps({"input": item, "bertha": ours, "hugging_face": theirs}))
    print(f"{len(items)} texts, {n_tokens} tokens: {n_different} texts differ ("
          + ", ".join(f"{field} {n}" for field, n in differences.items()) + ")")
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
