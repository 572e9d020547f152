"""Tokenizers with BPE over characters: Gemma's class, and what transformers makes of a .model that SentencePiece's BPE has."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from .errors import fail
from .roberta_rules import Merges
from .sentencepiece_model import UNIGRAM, Model
from .special_tokens import Specials

GEMMA_CLASSES = ("GemmaTokenizer", "GemmaTokenizerFast")
GEMMA_TOKENS = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
MARK = "\u2581"

Json = dict[str, Any]


def merges_of(places: dict[str, int], order: dict[str, Any], descending: bool) -> Merges:
    """Each way to cut a piece into two of `places`, by the order of the piece."""
    found = []
    for piece, value in order.items():
        cuts = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        cuts = [(left, right) for left, right in cuts if left in places and right in places]
        cuts.sort(key=lambda cut: (places[cut[0]], places[cut[1]]))
        found += [(value, left, right) for left, right in cuts]
    found.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=descending)
    return [(left, right) for _, left, right in found]


def ids_of(model: Model) -> dict[str, int]:
    """The pieces of a .model and their numbers."""
    return {piece.text: index for index, piece in enumerate(model.pieces)}


def tokens_of(model: Model) -> dict[str, str]:
    """The special tokens that a .model itself names."""
    numbers = {"bos": (model.first, model.first_text), "eos": (model.last, model.last_text)}
    numbers["unk"] = (model.unknown, model.unknown_text)
    return {f"{key}_token": text for key, (number, text) in numbers.items() if number >= 0}


def new_model(vocabulary: dict[str, int], merges: Merges, unknown: str, byte_fallback: bool) -> Tokenizer:
    """An engine with a model alone."""
    try:
        return Tokenizer(
            models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=byte_fallback)
        )
    except Exception as error:  # the engine throws plain Exceptions
        raise fail("vocabulary and merges don't fit", expected="merges of tokens, into tokens", got=error) from error


def merges_in(engine: Tokenizer) -> Merges:
    """The merges of an engine, by rank."""
    return [(left, right) for left, right in json.loads(engine.model.__getstate__())["merges"]]


def _set_decoder(engine: Tokenizer, byte_fallback: bool) -> None:
    """Makes spaces of marks, and characters of bytes."""
    bytes_too = [decoders.ByteFallback(), decoders.Fuse()] if byte_fallback else []
    engine.decoder = decoders.Sequence([decoders.Replace(MARK, " "), *bytes_too])


def gemma_engine(vocabulary: dict[str, int], merges: Merges, unknown: str) -> Tokenizer:
    """The engine that Gemma's class builds."""
    engine = new_model(vocabulary, merges, unknown, True)
    engine.normalizer = normalizers.Replace(" ", MARK)
    engine.pre_tokenizer = pre_tokenizers.Split(pattern=" ", behavior="merged_with_previous", invert=False)
    _set_decoder(engine, True)
    return engine


def plain_engine(model: Model, config: Json) -> Tokenizer:
    """The engine that the general class builds from a .model."""
    declared = config.get("added_tokens_decoder") or {}
    if model.type == UNIGRAM:
        if declared:
            raise fail("added_tokens_decoder is not read beside a Unigram model", where="tokenizer_config.json")
        vocabulary: Any = [(piece.text, piece.score) for piece in model.pieces]
        engine = Tokenizer(models.Unigram(vocabulary, unk_id=model.unknown, byte_fallback=model.byte_fallback))
    else:
        vocabulary = ids_of(model)
        merges = merges_of(vocabulary, vocabulary, False)
        texts = {index: text for text, index in vocabulary.items()}
        for key, token in declared.items():  # stand in for pieces that were kept free
            old, new = texts.get(int(key)), token["content"] if isinstance(token, dict) else str(token)
            if old and old != new and new not in vocabulary:
                vocabulary[new] = vocabulary.pop(old)
                texts[int(key)] = new
        engine = new_model(vocabulary, merges, model.unknown_text, model.byte_fallback)
    charsmap = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    engine.normalizer = normalizers.Sequence([*charsmap, normalizers.Replace(" ", MARK)])
    _set_decoder(engine, model.byte_fallback)
    return engine


def ends_template(config: Json, special: Specials, engine: Tokenizer) -> processors.TemplateProcessing:
    """The post-processor that puts bos_token and eos_token around each text where tokenizer_config.json wants them."""
    ends = {}
    for key in ("bos", "eos"):
        wanted = bool(config.get(f"add_{key}_token", False)) and f"{key}_token" in special.named
        ends[key] = special.named[f"{key}_token"].content if wanted else None
    texts = [
        [f"{part}:{number}" for part in (ends["bos"], f"${name}", ends["eos"]) if part]
        for number, name in enumerate("AB")
    ]
    single, second = (" ".join(parts) for parts in texts)
    tokens = [(token, engine.token_to_id(token)) for token in ends.values() if token]
    return processors.TemplateProcessing(single=single, pair=f"{single} {second}", special_tokens=tokens)
