#!/usr/bin/env python3
"""Tokenises texts in every way by `bertha tokenize` and by Hugging Face, for many tokenizers, and prints a table.

    python3 tools/diff/parity.py FOLDER ... [--texts FILE ...] [--count N] [--ways N] [--seed N] [--bertha PROGRAM]

Each FOLDER has the files of a Hugging Face tokenizer, and is converted first. Compared are ids, token types, tokens, offsets,
word ids and the special tokens mask: of N texts (--count, 100,000) that generate.py makes from the vocabulary, by every kind
that it has; of N others (--ways, 20,000) in each other way, which are pairs, special tokens taken for text, and windows of
texts and of pairs by every strategy; and of the lines of the FILEs in every way. Needs transformers. Exit status 1 if
anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from generate import describe, generate, vocabulary_of
from tokenizer import Reference, compare, items_of

CONVERT = pathlib.Path(__file__).resolve().parents[1] / "convert.py"
STRATEGIES = ("longest_first", "only_first", "only_second")
PLAIN = {"pairs": False, "split_special_tokens": False, "truncation": None, "max_length": 0, "stride": 0}
# Windows of a pair are as many as those of its texts, multiplied.
SHORT = 60  # characters of generated texts there
LONG = 8  # how many times as long the windows of the FILEs' lines are
WAYS = {
    "texts": {},
    "pairs": {"pairs": True},
    "special tokens as text": {"split_special_tokens": True},
    "windows of texts": {"truncation": "longest_first", "max_length": 12, "stride": 3},
    "windows of texts without stride": {"truncation": "only_first", "max_length": 9},
    **{f"windows of pairs, {strategy}": {"pairs": True, "truncation": strategy, "max_length": 48, "stride": 6}
       for strategy in STRATEGIES},
}


def convert(folder, model):
    """Converts a tokenizer; returns its kind."""
    command = [sys.executable, CONVERT, folder, model, "--tokenizer", "--no-selftest"]
    subprocess.run(command, stdout=subprocess.PIPE, check=True)
    with model.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["tokenizer"])["kind"]


def check(folder, model, arguments):
    """The tally of each way for a tokenizer, which is printed."""
    reference, vocabulary = Reference(folder), vocabulary_of(folder)
    tallies = {}
    for seed, (way, its) in enumerate(WAYS.items(), arguments.seed):
        options = argparse.Namespace(**PLAIN | its, all=True, bertha=arguments.bertha, show=arguments.show)
        count = arguments.ways if its else arguments.count
        made, histogram = generate(count, vocabulary, seed, options.pairs, every_kind=True)
        if not its and count:
            print("generated: " + describe(histogram, count))
        if options.pairs and options.truncation:
            made = [{key: text[:SHORT] for key, text in item.items()} for item in made]
        tallies[way] = compare(model, reference, made, options)
        options.max_length, options.stride = LONG * options.max_length, LONG * options.stride
        read = [item for file in arguments.texts for item in items_of(file, options.pairs)]
        tallies[way] += compare(model, reference, read, options)
        print(f"{way}: {tallies[way]}", flush=True)
    return tallies


def row(name, kind, tallies):
    """A row of the table."""
    whole = [tally for way, tally in tallies.items() if not way.startswith("windows")]
    cut = [tally for way, tally in tallies.items() if way.startswith("windows")]
    figures = [sum(tally.texts for tally in whole), sum(tally.windows for tally in cut)]
    figures += [sum(getattr(tally, name) for tally in tallies.values()) for name in ("tokens", "refused", "different")]
    return " | ".join([f"| {name}", kind, *(f"{figure:,}" for figure in figures)]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--texts", nargs="+", default=[], metavar="FILE", help="text, a text a line")
    parser.add_argument("--count", type=int, default=100_000, metavar="N")
    parser.add_argument("--ways", type=int, default=20_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bertha", default="bertha", metavar="PROGRAM")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="print the first N differences of each way")
    arguments = parser.parse_args()
    head = "| tokenizer | kind | texts and pairs | windows | tokens | refused by both | differ |"
    rows, different = [head, "|" + " --- |" * 7], 0
    with tempfile.TemporaryDirectory() as temporary:
        for folder in arguments.folders:
            model = pathlib.Path(temporary) / "tokenizer.safetensors"
            kind = convert(folder, model)
            print(f"{folder.name} ({kind})", flush=True)
            tallies = check(folder, model, arguments)
            different += sum(tally.different for tally in tallies.values())
            rows.append(row(folder.name, kind, tallies))
    print("\n".join(rows))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
