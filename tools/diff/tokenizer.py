#!/usr/bin/env python3
"""Tokenises the same texts by `bertha tokenize` and by Hugging Face, and counts the differences.

    python3 tools/diff/tokenizer.py MODEL FOLDER [FILE ...] [--generate N] [--seed N] [--pairs] [--all]
        [--truncation STRATEGY --max-length N [--stride N]] [--split-special-tokens] [--bertha PROGRAM]

MODEL is the file that tools/convert.py made of FOLDER (with --tokenizer it needs no weights). FILEs are text, a text a
line; with --pairs each line goes with the next one. With --truncation all windows are compared, and texts that one of the
two refuses (Hugging Face panics, or exceeds the limit) must be refused by the other. Needs transformers. Exit status 1 if
anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from generate import describe, generate, vocabulary_of

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


def by_hugging_face(tokenizer, item, limit, has_types):
    try:
        encoding = tokenizer.encode(item["text"], item.get("text_pair"))
    except KeyboardInterrupt:
        raise
    except BaseException:  # what panics is no Exception
        return None
    windows = [encoding, *encoding.overflowing]
    if limit and any(len(window.ids) > limit for window in windows):
        return None
    return [described(tokenizer, window, has_types) for window in windows]


def described(tokenizer, encoding, has_types):
    types = encoding.type_ids if has_types else [0] * len(encoding.ids)  # what a model takes that is given none
    return {"ids": encoding.ids, "type_ids": types, "tokens": [tokenizer.id_to_token(i) for i in encoding.ids],
            "offsets": [list(o) for o in encoding.offsets], "word_ids": encoding.word_ids,
            "special_tokens_mask": encoding.special_tokens_mask}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="N texts made from the folder's vocabulary")
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
        made, histogram = generate(options.generate, vocabulary_of(options.folder), options.seed, options.pairs)
        print("generated: " + describe(histogram, len(made) * (2 if options.pairs else 1)))
        items += made
    if not items:
        parser.error("nothing to compare: give files, or --generate")

    import transformers
    loaded = transformers.AutoTokenizer.from_pretrained(options.folder)
    has_types, tokenizer = "token_type_ids" in loaded.model_input_names, loaded.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = options.split_special_tokens
    if options.truncation:
        tokenizer.enable_truncation(options.max_length, stride=options.stride, strategy=options.truncation)
    fields = FIELDS + (MORE_FIELDS if options.all else ())
    differences = dict.fromkeys(("windows",) + fields, 0)
    n_different = n_tokens = n_windows = n_refused = 0
    for item, ours in zip(items, by_bertha(options.bertha, options.model, items, options)):
        theirs = by_hugging_face(tokenizer, item, options.max_length, has_types)
        if ours is None and theirs is None:
            n_refused += 1
            continue
        wrong = []
        if ours is None or theirs is None or len(ours) != len(theirs):
            wrong = ["windows"]
        else:
            n_windows += len(theirs)
            n_tokens += sum(len(window["ids"]) for window in theirs)
            wrong = [field for field in fields if any(a.get(field) != b[field] for a, b in zip(ours, theirs))]
        for field in wrong:
            differences[field] += 1
        n_different += bool(wrong)
        if wrong and n_different <= options.show:
            print(json.dumps({"input": item, "bertha": ours, "hugging_face": theirs}))
    also = f" in {n_windows} windows, {n_refused} refused by both" if options.truncation else ""
    print(f"{len(items)} texts, {n_tokens} tokens{also}: {n_different} texts differ ("
          + ", ".join(f"{field} {n}" for field, n in differences.items()) + ")")
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
