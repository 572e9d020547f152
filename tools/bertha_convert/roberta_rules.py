"""RoBERTa's class of tokenizers, and DeBERTa's: byte-level BPE from vocab.json and merges.txt, or from tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from .errors import fail

TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}

Json = dict[str, Any]
Merges = list[tuple[str, str]]


def _pair(merge: Any, where: str) -> tuple[str, str]:
    """A merge's two tokens, from 'a b' or ['a', 'b']."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise fail("has a merge of no known form", where=where, expected="two tokens", got=merge)
    return parts[0], parts[1]


def _listed_merges(model: Json, as_written: bool) -> Merges:
    """The merges of tokenizer.json; the engine's own reader, and no other, drops lines of version."""
    where = "tokenizer.json: model"
    listed = model.get("merges")
    if not isinstance(listed, list):
        raise fail("there are no merges", where=where, expected="a list", got=type(listed).__name__)
    if as_written:
        listed = [merge for merge in listed if not (isinstance(merge, str) and merge.startswith("#version"))]
    return [_pair(merge, where) for merge in listed]


def _merges_file(path: Path, rules: str) -> Merges:
    """The merges of merges.txt, as the version reads them."""
    if not path.is_file():
        raise fail("there is no merges.txt", where=path.parent, expected="merges.txt beside vocab.json")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise fail("can't be read", where=path, expected="UTF-8, a merge per line", got=error) from error
    if rules == "v4":  # whatever the first and the last line hold, and any white space between two tokens
        return list(dict.fromkeys(_pair(line.split(), str(path)) for line in lines[1:-1]))
    lines = lines[:-1] if lines[-1] == "" else lines
    return [_pair(line, str(path)) for line in lines if not line.startswith("#version")]


def merges_of(folder: Path, tokenizer: Json | None, rules: str, as_written: bool) -> Merges:
    """The merges by rank, each pair once: of a pair that is given twice the engine takes the later rank."""
    if tokenizer is None:
        merges = _merges_file(folder / "merges.txt", rules)
    else:
        merges = _listed_merges(tokenizer.get("model") or {}, as_written or rules == "v4")
    return list(dict.fromkeys(reversed(merges)))[::-1]


def from_vocabulary(vocabulary: dict[str, int], merges: Merges, add_prefix_space: bool) -> Tokenizer:
    """The engine that RoBERTa's class builds."""
    try:
        model = models.BPE(
            vocab=vocabulary,
            merges=merges,
            dropout=None,
            continuing_subword_prefix="",
            end_of_word_suffix="",
            fuse_unk=False,
        )
    except Exception as error:  # the engine throws plain Exceptions
        raise fail("vocabulary and merges don't fit", expected="merges of tokens, into tokens", got=error) from error
    engine = Tokenizer(model)
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    engine.decoder = decoders.ByteLevel()
    return engine


def post_processor(
    cls: str, sep: str, engine: Tokenizer, trim_offsets: bool, add_prefix_space: bool
) -> processors.RobertaProcessing:
    """RoBERTa's `<s> A </s></s> B </s>`."""
    ids = [(token, engine.token_to_id(token)) for token in (sep, cls)]
    return processors.RobertaProcessing(*ids, trim_offsets=trim_offsets, add_prefix_space=add_prefix_space)


def deberta_post_processor(cls: str, sep: str, engine: Tokenizer, rules: str) -> processors.TemplateProcessing:
    """DeBERTa's `[CLS] A [SEP] [SEP] B [SEP]` of 5.23.0; in 4.57.6 one `[SEP]` between two texts of different types, and the
    names of both tokens are fixed."""
    cls, sep, pair = ("[CLS]", "[SEP]", "$B:1 [SEP]:1") if rules == "v4" else (cls, sep, f"{sep} $B {sep}")
    return processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} {pair}",
        special_tokens=[(token, engine.token_to_id(token)) for token in dict.fromkeys((cls, sep))],
    )


def set_prefix_space(engine: Tokenizer, add_prefix_space: bool) -> None:
    """What 4.57.6 does to any engine whose pre-tokenizer has this option."""
    state = json.loads(engine.pre_tokenizer.__getstate__()) if engine.pre_tokenizer is not None else {}
    if state.get("add_prefix_space", add_prefix_space) != add_prefix_space:
        state["add_prefix_space"] = add_prefix_space
        engine.pre_tokenizer = getattr(pre_tokenizers, state.pop("type"))(**state)


def set_post_processor(engine: Tokenizer, trim_offsets: bool, add_prefix_space: bool) -> None:
    """What RoBERTa's class of 4.57.6 does to a post-processor that has these options."""
    if engine.post_processor is None:
        return
    state = json.loads(engine.post_processor.__getstate__())
    options = {"trim_offsets": trim_offsets, "add_prefix_space": add_prefix_space}
    if any(state.get(key, value) != value for key, value in options.items()):
        state |= {key: value for key, value in options.items() if key in state}
        tokens = [tuple(state.pop(key)) for key in ("sep", "cls") if key in state]
        engine.post_processor = getattr(processors, state.pop("type"))(*tokens, **state)
