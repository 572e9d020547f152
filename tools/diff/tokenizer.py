#!/usr/bin/env python3
"""Tokenises the same texts by `bertha tokenize` and by Hugging Face, and counts the differences.

    python3 tools/diff/tokenizer.py MODEL FOLDER [FILE ...] [--generate N [--every-kind]] [--seed N] [--pairs] [--all]
        [--truncation STRATEGY --max-length N [--stride N]] [--split-special-tokens] [--bertha PROGRAM]

MODEL is the file that tools/convert.py made of FOLDER (with --tokenizer it needs no weights). FILEs are text, a text a
line; with --pairs each line goes with the next one. With --truncation all windows are compared, and texts that one of the
two refuses (Hugging Face panics, or exceeds the limit) must be refused by the other. Needs transformers. Exit status 1 if
anything differs.
"""

import argparse
import collections
import gc
import json
import pathlib
import subprocess
import sys

from generate import describe, generate, vocabulary_of

FIELDS = ("ids", "type_ids", "tokens", "offsets")
MORE_FIELDS = ("word_ids", "special_tokens_mask")
AT_ONCE = 1_000  # texts for which the answers are in memory


def lines_of(file):
    text = pathlib.Path(file).read_bytes().decode("utf-8", errors="replace")
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def items_of(file, pairs):
    lines = lines_of(file)
    if not pairs:
        return [{"text": line} for line in lines]
    return [{"text": a, "text_pair": b} for a, b in zip(lines, lines[1:] + lines[:1])]


def by_bertha(program, model, items, options):
    command = [program, "tokenize", model, "--jsonl"] + (["--all"] if options.all else [])
    if options.split_special_tokens:
        command.append("--split-special-tokens")
    if options.truncation:
        command += ["--truncation", options.truncation, "--max-length", str(options.max_length),
                    "--stride", str(options.stride), "--windows"]
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run(command, input=sent.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(items):
        sys.exit(f"{program}: {len(answers)} answers to {len(items)} texts, exit status {done.returncode}")
    return [None if "error" in a else a if isinstance(a, list) else [a] for a in answers]


class Reference:
    """The tokenizer that Hugging Face makes of a folder."""

    def __init__(self, folder):
        import transformers

        loaded = transformers.AutoTokenizer.from_pretrained(folder)
        self.has_types = "token_type_ids" in loaded.model_input_names
        self.engine = loaded.backend_tokenizer
        self.token_of = {index: token for token, index in self.engine.get_vocab().items()}
        self.engine.no_padding()

    def set_up(self, options):
        """Makes it do what the options say."""
        self.engine.encode_special_tokens = options.split_special_tokens
        self.engine.no_truncation()
        if options.truncation:
            self.engine.enable_truncation(options.max_length, stride=options.stride, strategy=options.truncation)

    def windows(self, item, limit):
        """The windows of an item; None: it refuses it."""
        try:
            encoding = self.engine.encode(item["text"], item.get("text_pair"))
        except KeyboardInterrupt:
            raise
        except BaseException:  # what panics is no Exception
            return None
        windows = [encoding, *encoding.overflowing]
        if limit and any(len(window.ids) > limit for window in windows):
            return None
        return [self.described(window) for window in windows]

    def described(self, encoding):
        types = encoding.type_ids if self.has_types else [0] * len(encoding.ids)  # what a model takes that is given none
        return {"ids": encoding.ids, "type_ids": types, "tokens": [self.token_of[i] for i in encoding.ids],
                "offsets": [list(o) for o in encoding.offsets], "word_ids": encoding.word_ids,
                "special_tokens_mask": encoding.special_tokens_mask}


class Tally:
    """What was compared, and how much of it differs."""

    def __init__(self):
        self.texts = self.tokens = self.windows = self.refused = self.different = 0
        self.fields = collections.Counter()

    def add(self, item, ours, theirs, fields, show):
        """Compares the windows of one item; prints them if they differ and fewer than `show` did."""
        self.texts += 1
        if ours is None and theirs is None:
            self.refused += 1
            return
        if ours is None or theirs is None or len(ours) != len(theirs):
            wrong = ["windows"]
        else:
            self.windows += len(theirs)
            self.tokens += sum(len(window["ids"]) for window in theirs)
            wrong = [field for field in fields if any(a.get(field) != b[field] for a, b in zip(ours, theirs))]
        self.fields.update(wrong)
        self.different += bool(wrong)
        if wrong and self.different <= show:
            print(json.dumps({"input": item, "bertha": ours, "hugging_face": theirs}))

    def __add__(self, other):
        total = Tally()
        for name, value in vars(self).items():
            setattr(total, name, value + getattr(other, name))
        return total

    def __str__(self):
        windows = f" in {self.windows} windows" if self.windows != self.texts else ""
        refused = f", {self.refused} refused by both" if self.refused else ""
        differ = f" ({', '.join(f'{field} {n}' for field, n in self.fields.items())})" if self.different else ""
        return f"{self.texts} texts, {self.tokens} tokens{windows}{refused}: {self.different} texts differ{differ}"


def compare(model, reference, items, options):
    """The tally of some items."""
    reference.set_up(options)
    fields = FIELDS + (MORE_FIELDS if options.all else ())
    tally = Tally()
    gc.disable()  # millions of small lists, none of them in a cycle: it would take half of the time
    for first in range(0, len(items), AT_ONCE):
        part = items[first : first + AT_ONCE]
        for item, ours in zip(part, by_bertha(options.bertha, model, part, options)):
            tally.add(item, ours, reference.windows(item, options.max_length), fields, options.show)
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="N texts made from the folder's vocabulary")
    parser.add_argument("--every-kind", action="store_true", help="also the kinds meant for vocabularies of another kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--all", action="store_true", help="compare word ids and the special tokens mask as well")
    parser.add_argument("--truncation", choices=("longest_first", "only_first", "only_second"))
    parser.add_argument("--max-length", type=int, default=0)
    parser.add_argument("--stride", type=int, default=0)
    parser.add_argument("--split-special-tokens", action="store_true", help="take [SEP] in a text for text")
    parser.add_argument("--bertha", default="bertha", metavar="PROGRAM")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="print the first N differences")
    options = parser.parse_args()
    if bool(options.truncation) != bool(options.max_length):
        parser.error("--truncation and --max-length go together")

    items = [item for file in options.files for item in items_of(file, options.pairs)]
    if options.generate:
        vocabulary = vocabulary_of(options.folder)
        made, histogram = generate(options.generate, vocabulary, options.seed, options.pairs, options.every_kind)
        print("generated: " + describe(histogram, len(made) * (2 if options.pairs else 1)))
        items += made
    if not items:
        parser.error("nothing to compare: give files, or --generate")

    tally = compare(options.model, Reference(options.folder), items, options)
    print(tally)
    return 1 if tally.different else 0


if __name__ == "__main__":
    sys.exit(main())
