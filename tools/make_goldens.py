#!/usr/bin/env python3
"""Records what transformers makes of small models and own texts, for tests/golden.

    python3 tools/make_goldens.py --bertha PROGRAM   all that the installed transformers is the oracle for
    python3 tools/make_goldens.py --embeddings [--bertha PROGRAM]   those of embeddings and reranking, by sentence-transformers 6.2.0
    python3 tools/make_goldens.py --demo FOLDER      the demo checkpoints in FOLDER/{sentiment,entities,answers} instead

transformers 5.23.0 is the oracle for everything but question answering, 4.57.6 for that: run it once under each.
The tiny models have random weights from a fixed seed; tools/convert.py turns them into
tests/golden/models/NAME.safetensors.

tests/golden/NAME.json is an object:
  generator, transformers, tokenizers, torch   where it comes from
  model        the model file, relative to tests/golden
  architecture the class of transformers
  precision    "float32"; "float32 on dequantised int8 weights": transformers ran with the file's q * scale; "float32 on
               bfloat16 weights, the operands of the encoder's products rounded to bfloat16": so bertha runs them
  head         as in the file's config
  cases        what the model does with ids, a list of
    text, text_pair (or null), ids, type_ids, offsets ([[start, end], ...] in code points)
    logits       one row for sequence-classification, for masked-lm a row per mask, else a row per token; null where
                 there is no head
    hidden       [after embeddings, after layer 0, ...], each [tokens][hidden_size]; null but for a few short texts
    pooled       [hidden_size] after tanh; only with `hidden`, and only for a head that is `none` and an encoder with a pooler
    original     demo models only: argmax over each row of the original checkpoint's logits
               (a head that is `custom`: text and scores, what PyTorch makes of the head in examples/custom_head.cpp)
    bfloat16     bfloat16 models only: argmax over each row of logits (question-answering: over each column) of
               transformers in torch.bfloat16
  decoded      masked-lm in float32 only: ids, skip (skip_special_tokens) and text, what the tokenizer decodes them to
  pipelines    what the task's pipeline answers, a list of
    text, text_pair   as given (question answering: question, context)
    options           the pipeline's own names; what is not named has its default ("top_k": null asks for all labels)
    answers           always a list, in the pipeline's order, entries as the pipeline prints them
    gap               the smallest difference between the scores of two neighbours in `answers`, null below two:
                      where it is under 1e-5 their order is not promised
                      (zero-shot classification, NAME_zero_shot: label and score for each of `labels` and `scores`)
    original          demo models only: the same of the original checkpoint
    bfloat16          bfloat16 models without entities only: what transformers answers in torch.bfloat16: the first
                      answer's label, or its text and start

Those of embeddings and of reranking have `cases` alone, each with `text`, `options` (of SentenceTransformer.encode;
where vectors are cut they are normalised again if the model normalises them) and `vector`, or `rows` of all tokens; or
with `query`, `texts`, `score` ("automatic": the model's own rule) and `ranks`, as CrossEncoder.rank has them.
"""

import argparse
import sys
from pathlib import Path

import torch
import transformers
from bertha_convert.families import QUESTION, SEQUENCE, TOKEN
from bertha_convert.tokenizer_rules import ORACLES
from goldens.demo import demo_golden
from goldens.tiny import custom_golden, tiny_golden
from goldens.tiny_models import MODELS


def main() -> int:
    """Writes the goldens of the oracle that is installed."""
    parser = argparse.ArgumentParser(description="Records tests/golden from transformers.")
    parser.add_argument(
        "--demo", type=Path, metavar="FOLDER", help="folder with the checkpoints sentiment, entities, answers"
    )
    parser.add_argument(
        "--bertha", type=Path, metavar="PROGRAM", help="records the bits of int8 self-tests by the scalar level of this build"
    )
    parser.add_argument("--embeddings", action="store_true", help="those that sentence-transformers is the oracle for")
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    options = parser.parse_args()
    version = transformers.__version__
    if version not in ORACLES.values():
        print(
            f"make_goldens.py: transformers {version} is no oracle; install {' or '.join(ORACLES.values())}",
            file=sys.stderr,
        )
        return 1
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    answering = version == ORACLES["v4"]
    if options.embeddings:
        from goldens.embeddings import embeddings_goldens

        embeddings_goldens(options.names, options.bertha)
        return 0
    if options.demo:
        for name, head in (("sentiment", SEQUENCE), ("entities", TOKEN), ("answers", QUESTION)):
            if (head == QUESTION) == answering and name in (options.names or [name]):
                demo_golden(options.demo / name, name, head)
        return 0
    for tiny in MODELS:
        if (tiny.head == QUESTION) == answering and tiny.name in (options.names or [tiny.name]):
            tiny_golden(tiny, options.bertha if tiny.precision == "int8" else None)
    if not answering and "custom_head" in (options.names or ["custom_head"]):
        custom_golden()
    return 0


if __name__ == "__main__":
    sys.exit(main())
