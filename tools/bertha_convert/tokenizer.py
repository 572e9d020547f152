"""Resolves a folder's tokenizer: what tokenizer_rules.py sets up, described as tools/format.md section 4 has it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from . import layout, roberta_rules
from .charsmap import Replacements
from .errors import ConvertError, fail
from .normalizer import bert_options, state_of, steps_of, take_charsmap
from .tokenizer_rules import (
    AS_WRITTEN_CLASSES,
    ORACLES,
    Files,
    Specials,
    build_engine,
    merges_of,
    part_state,
    read_files,
    returns_types,
    source_of,
)

MARK = "\u2581"  # Metaspace's
UNLIMITED = 1e30  # model_max_length where no file gives one
# The pre-tokenizer that cuts words before the byte level in Llama 3's tokenizer.json.
LLAMA_3 = {
    "type": "Split",
    "pattern": {
        "Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    },
    "behavior": "Isolated",
    "invert": False,
}

Json = dict[str, Any]


class Resolved(NamedTuple):
    """A tokenizer without open questions."""

    description: Json  # section 4 of tools/format.md
    tokens: list[str]  # the model's own vocabulary, by id
    merges: list[tuple[int, int]]  # of byte-level BPE, by rank
    scores: list[float]  # of Unigram, by id
    charsmap: Replacements | None  # of its normaliser
    model_max_length: float
    engine: Tokenizer
    has_types: bool  # false: the model sees token type 0 only, whatever the engine says
    decisions: list[str]  # what was decided, for people


def _pieces(template: list[Json], ids: dict[str, list[int]]) -> list[Json]:
    """A template of tokenizer.json in the form of tools/format.md."""
    pieces: list[Json] = []
    for part in template:
        if "Sequence" in part:
            pieces.append({"sequence": part["Sequence"]["id"], "type_id": part["Sequence"]["type_id"]})
        else:
            token = part["SpecialToken"]
            pieces += [{"special": index, "type_id": token["type_id"]} for index in ids[token["id"]]]
    return pieces


def _templates(state: Json) -> tuple[list[Json], list[Json]]:
    """The templates of one text and of a pair."""
    if state["type"] == "TemplateProcessing":
        ids = {name: token["ids"] for name, token in state["special_tokens"].items()}
        return _pieces(state["single"], ids), _pieces(state["pair"], ids)
    cls, sep = ({"special": state[key][1], "type_id": 0} for key in ("cls", "sep"))
    single = [cls, {"sequence": "A", "type_id": 0}, sep]
    if state["type"] == "RobertaProcessing":
        return single, [*single, sep, {"sequence": "B", "type_id": 0}, sep]
    return single, [*single, {"sequence": "B", "type_id": 1}, {**sep, "type_id": 1}]


def _flags(index: int, token: AddedToken) -> Json:
    """An added token in the form of tools/format.md."""
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": index} | {name: getattr(token, name) for name in names}


def _vocabulary(engine: Tokenizer) -> tuple[dict[str, int], list[str]]:
    """The model's own vocabulary, as a mapping and by id."""
    vocabulary = engine.get_vocab(with_added_tokens=False)
    size = max(vocabulary.values()) + 1
    if size > 2**24:
        raise fail("the vocabulary has an id that is too large", expected="below 2^24", got=size - 1)
    tokens = [""] * size
    for token, index in vocabulary.items():
        tokens[index] = token
    return vocabulary, tokens


def _is_trimmed(token: str) -> bool:
    """Whether trim_offsets takes something off a token's range."""
    ends = {token[:1], token[-1:]}
    return any(end.isspace() or end in ("\u0120", "\u0085", *"\x1c\x1d\x1e\x1f") for end in ends if end)


def _refuse_trimmed(tokens: list[str]) -> None:
    """Throws where there are tokens whose ranges transformers trims and bertha doesn't."""
    if tokens:
        do = "Ranges of such tokens would be trimmed."
        raise fail("trim_offsets is not supported with tokens that have spaces at an end", got=tokens[0], do=do)


def _word_piece(engine: Tokenizer, vocabulary: dict[str, int]) -> tuple[Json, Json]:
    """The fields of a WordPiece tokenizer, and its post-processor."""
    model = engine.model
    steps = steps_of(state_of(engine.normalizer))
    options = bert_options(steps)
    part_state(engine.pre_tokenizer, "BertPreTokenizer")
    decoder = part_state(engine.decoder, "WordPiece")
    if decoder["prefix"] != model.continuing_subword_prefix:
        what = "model and decoder differ in the prefix of tokens that go on with a word"
        raise fail(what, expected=model.continuing_subword_prefix, got=decoder["prefix"])
    if model.unk_token not in vocabulary:
        do = "Without it unknown words can't be encoded."
        raise fail(f"the unknown token '{model.unk_token}' is not in the vocabulary", do=do)
    processor = part_state(engine.post_processor, "TemplateProcessing", "BertProcessing", "RobertaProcessing")
    if trims := processor.get("trim_offsets", False):
        if processor["add_prefix_space"]:
            raise fail("add_prefix_space is not supported with WordPiece", expected=False, got=True)
        own = [token.content for token in engine.get_added_tokens_decoder().values()]
        _refuse_trimmed([token for token in [*vocabulary, *own] if _is_trimmed(token)])
    return {
        **({"normalizer": steps} if options is None else options),
        "continuing_subword_prefix": model.continuing_subword_prefix,
        "max_input_chars_per_word": model.max_input_chars_per_word,
        "decoder_cleanup": decoder["cleanup"],
        **({"trim_offsets": True} if trims else {}),
    }, processor


def _require_plain(model: models.BPE, **others: tuple[Any, ...]) -> None:
    """Throws where a BPE model has an option that bertha doesn't know, or one of `others` has another value."""
    plain = {"dropout": (None, 0), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, "")}
    for key, values in {**plain, **others}.items():
        if getattr(model, key) not in values:
            raise fail(f"{key} of BPE is not supported", expected=values[0], got=getattr(model, key))


def _byte_level(engine: Tokenizer) -> tuple[Json, Json]:
    """The state of the pre-tokenizer that is the byte level, and the field of what cuts words before it, if that does."""
    splitter = part_state(engine.pre_tokenizer, "ByteLevel", "Sequence")
    where, words = "tokenizer.json: pre_tokenizer", {}
    if splitter["type"] == "Sequence":
        *before, splitter = splitter["pretokenizers"]
        if before != [LLAMA_3] or splitter["add_prefix_space"]:
            what = "words of the byte-level BPE are cut by an expression of its own"
            raise fail(what, where=where, expected="GPT-2's, which ByteLevel has, or Llama 3's", got=json.dumps(before))
        words = {"words": "llama3"}
    if splitter.get("use_regex", True) == bool(words):
        raise fail("use_regex is not supported", where=where, expected=not words, got=bool(words))
    return splitter, words


def _byte_bpe(
    engine: Tokenizer, vocabulary: dict[str, int], merges: int, unknown: str | None
) -> tuple[Json, Json]:
    """The fields of a byte-level BPE tokenizer, and its post-processor."""
    model = engine.model
    _require_plain(model, byte_fallback=(False,))
    steps = steps_of(state_of(engine.normalizer))
    splitter, words = _byte_level(engine)
    part_state(engine.decoder, "ByteLevel")
    lacking = [character for character in pre_tokenizers.ByteLevel.alphabet() if character not in vocabulary]
    if lacking and (model.unk_token != unknown or unknown not in vocabulary or model.fuse_unk):
        do = "Texts with this byte would lose it."
        raise fail("the vocabulary has no token for a byte", expected="256 tokens", got=f"no '{min(lacking)}'", do=do)
    if not merges:
        raise fail("there are no merges", expected="merges of byte-level BPE")
    processor = part_state(engine.post_processor, "RobertaProcessing", "TemplateProcessing", "Sequence")
    trimming = processor
    if processor["type"] == "Sequence":
        kinds = [part["type"] for part in processor["processors"]]
        if kinds != ["ByteLevel", "TemplateProcessing"]:
            expected = ["ByteLevel", "TemplateProcessing"]
            raise fail("tokenizer.json has another sequence of post-processors", expected=expected, got=kinds)
        trimming, processor = processor["processors"]
    trim_offsets = trimming.get("trim_offsets", False)
    if trim_offsets and trimming["add_prefix_space"] != splitter["add_prefix_space"]:
        got = f"{splitter['add_prefix_space']} and {trimming['add_prefix_space']}"
        raise fail("pre-tokenizer and post-processor differ in add_prefix_space", expected="one value", got=got)
    return {
        **({"normalizer": steps} if steps else {}),
        "add_prefix_space": splitter["add_prefix_space"],
        "trim_offsets": trim_offsets,
        **words,
        **({"ignore_merges": True} if model.ignore_merges else {}),
        "num_merges": merges,
    }, processor


def _is_byte_level(engine: Tokenizer) -> bool:
    """Whether a pre-tokenizer is the byte level, or ends with it."""
    state = state_of(engine.pre_tokenizer) or {}
    parts = state.get("pretokenizers") or [state]
    return bool(parts[-1].get("type") == "ByteLevel")


def _metaspace(splitter: Json) -> Json:
    """The fields of a pre-tokenizer that is Metaspace, behind a split at white space or not."""
    parts = splitter["pretokenizers"] if splitter["type"] == "Sequence" else [splitter]
    kinds = [part["type"] for part in parts]
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        expected = "Metaspace, or WhitespaceSplit and Metaspace"
        raise fail("tokenizer.json has other pre-tokenizers", expected=expected, got=kinds)
    if parts[-1]["replacement"] != MARK:
        raise fail("Metaspace has another mark", expected=MARK, got=parts[-1]["replacement"])
    return {
        "whitespace_split": len(parts) > 1,
        "prepend_scheme": parts[-1]["prepend_scheme"],
        "split": parts[-1]["split"],
    }


def _marks(engine: Tokenizer, steps: list[Json], byte_fallback: bool) -> Json:
    """The fields that say where marks stand, by the pre-tokenizer or the last step of the normaliser, and fit the decoder."""
    splitter = json.loads(engine.pre_tokenizer.__getstate__()) if engine.pre_tokenizer is not None else None
    at_spaces = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    marks = {"step": "replace", "pattern": " ", "content": MARK}
    if splitter in (None, at_spaces):  # nothing is left to split where all spaces have become marks
        if steps[-1:] != [marks]:
            raise fail("the normaliser doesn't end with marks for spaces", expected=marks, got=steps[-1:])
        fields = {"whitespace_split": False, "prepend_scheme": "never", "split": False}
    else:
        fields = _metaspace(part_state(engine.pre_tokenizer, "Metaspace", "Sequence"))
    decoder = part_state(engine.decoder, "Metaspace", "Sequence")
    never = fields["prepend_scheme"] == "never"
    if decoder["type"] == "Metaspace":
        if (decoder["prepend_scheme"] == "never") != never:
            got = f"{fields['prepend_scheme']} and {decoder['prepend_scheme']}"
            raise fail("the decoder doesn't fit the rest: they differ in prepend_scheme", expected="one value", got=got)
        if decoder["replacement"] != MARK:
            raise fail("the decoder has another mark", expected=MARK, got=decoder["replacement"])
        known = not byte_fallback
    else:
        parts: list[Json] = [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}]
        parts += [{"type": "ByteFallback"}, {"type": "Fuse"}] if byte_fallback else []
        known = decoder == {"type": "Sequence", "decoders": parts} and never
    if not known:
        raise fail("the decoder doesn't fit the rest", got=json.dumps(decoder))
    return fields


def _unigram(engine: Tokenizer, state: Json) -> tuple[Json, Json]:
    """The fields of a Unigram tokenizer, and its post-processor."""
    steps = steps_of(state_of(engine.normalizer))
    fields = _marks(engine, steps, False)
    processor = part_state(engine.post_processor, "TemplateProcessing", "BertProcessing", "RobertaProcessing")
    if processor.get("trim_offsets"):
        raise fail("trim_offsets is not supported with Unigram", expected=False, got=True)
    if state["unk_id"] is None:
        do = "Without it unknown characters can't be encoded."
        raise fail("the vocabulary has no unknown token (unk_id)", where="tokenizer.json: model", do=do)
    return {
        **({"normalizer": steps} if steps else {}),
        **fields,
        "byte_fallback": state["byte_fallback"],
    }, processor


def _character_bpe(engine: Tokenizer, vocabulary: dict[str, int], merges: int) -> tuple[Json, Json]:
    """The fields of a tokenizer with BPE over characters, and its post-processor."""
    model = engine.model
    _require_plain(model)
    steps = steps_of(state_of(engine.normalizer))
    fields = _marks(engine, steps, model.byte_fallback)
    if not merges:
        raise fail("there are no merges", expected="merges of BPE")
    if model.unk_token is not None and model.unk_token not in vocabulary:
        raise fail(f"the unknown token '{model.unk_token}' is not in the vocabulary")
    processor = part_state(engine.post_processor, "TemplateProcessing", "BertProcessing", "RobertaProcessing")
    if processor.get("trim_offsets"):
        added = engine.get_added_tokens_decoder().values()
        trimmed = [token for token in vocabulary if _is_trimmed(token)]
        trimmed += [token.content for token in added if token.lstrip or token.rstrip or _is_trimmed(token.content)]
        _refuse_trimmed(trimmed)
    return {
        **({"normalizer": steps} if steps else {}),
        "num_merges": merges,
        **fields,
        "byte_fallback": model.byte_fallback,
        "drop_unknown": model.unk_token is None,
        "fuse_unknown": model.fuse_unk,
        "ignore_merges": model.ignore_merges,
    }, processor


def _scores(vocabulary: list[list[Any]]) -> list[float]:
    """The score of each token: a number that is not infinite."""
    scores = [score for _, score in vocabulary]
    if not all(score is not None and math.isfinite(score) for score in scores):  # the engine shows NaN as null
        raise fail("the vocabulary has a score that is no finite number", where="tokenizer.json: model")
    return scores


def _describe(
    engine: Tokenizer, special: Specials, merges: roberta_rules.Merges
) -> tuple[Json, list[str], list[float]]:
    """Section 4 of tools/format.md, the vocabulary by id, and its scores if it has any."""
    vocabulary, tokens = _vocabulary(engine)
    scores: list[float] = []
    unknown = special.named["unk_token"].content if "unk_token" in special.named else None
    if isinstance(engine.model, models.WordPiece):
        kind, (fields, processor) = "wordpiece", _word_piece(engine, vocabulary)
        unknown = engine.model.unk_token
    elif isinstance(engine.model, models.BPE) and not _is_byte_level(engine):
        kind, (fields, processor) = "character_bpe", _character_bpe(engine, vocabulary, len(merges))
        unknown = unknown if engine.model.unk_token is None else engine.model.unk_token
    elif isinstance(engine.model, models.BPE):
        kind, (fields, processor) = "byte_bpe", _byte_bpe(engine, vocabulary, len(merges), unknown)
    elif isinstance(engine.model, models.Unigram):
        state = json.loads(engine.model.__getstate__())
        kind, (fields, processor) = "unigram", _unigram(engine, state)
        tokens, scores = [token for token, _ in state["vocab"]], _scores(state["vocab"])
        unknown = tokens[state["unk_id"]]
    else:
        expected, got = "WordPiece, BPE or Unigram", type(engine.model).__name__
        raise fail("tokenizer.json has another model", expected=expected, got=got)
    if "unk_token" not in special.named and kind != "byte_bpe":
        raise fail("there is no unk_token", where="tokenizer_config.json", expected="a token")
    single, pair = _templates(processor)
    cleanup = {key: fields.pop(key) for key in ("decoder_cleanup",) if key in fields}
    return {
        "kind": kind,
        "vocab_size": len(tokens),
        **fields,
        "unk_token_id": state["unk_id"] if scores else unknown and engine.token_to_id(unknown),
        "cls_token_id": engine.token_to_id(special.named["cls_token"].content),
        "sep_token_id": engine.token_to_id(special.named["sep_token"].content),
        "pad_token_id": engine.token_to_id(special.named["pad_token"].content),
        **cleanup,
        "added_tokens": [_flags(index, token) for index, token in sorted(engine.get_added_tokens_decoder().items())],
        "single": single,
        "pair": pair,
    }, tokens, scores


def _model_max_length(config: Json) -> float:
    """The tokenizer's own limit, under its present name or its old one."""
    value = config.get("model_max_length", config.get("max_len"))
    if value is None:
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value < 1e300:
        raise fail(
            "model_max_length is no number of tokens", where="tokenizer_config.json", expected="1 or more", got=value
        )
    return value if value < 2**53 else float(value)


def _check_sides(files: Files, question_answering: bool) -> None:
    """Throws where texts would be cut, or pairs be turned, at the left."""
    written = files.tokenizer or {}
    for key, part in (("truncation_side", "truncation"), ("padding_side", "padding")):
        baked = str((written.get(part) or {}).get("direction", "right")).lower()
        side = files.config.get(key, baked)
        if side != "right" and (key == "truncation_side" or question_answering):
            raise fail(f"{key} is not supported", where=files.folder, expected="right", got=side)
    if files.config.get("split_special_tokens"):
        raise fail("split_special_tokens is not supported", where=files.folder, expected=False, got=True)


def _without_types(pieces: list[Json]) -> list[Json]:
    """A template whose tokens are all of type 0."""
    return [{**piece, "type_id": 0} for piece in pieces]


def lower_first(engine: Tokenizer) -> None:
    """Makes an engine lower texts before anything else, unless it lowers them anyway: sentence-transformers' do_lower_case."""
    steps = steps_of(state_of(engine.normalizer))
    if {"step": "lowercase"} not in steps:
        parts = [engine.normalizer] if engine.normalizer is not None else []
        engine.normalizer = normalizers.Sequence([normalizers.Lowercase(), *parts])


def _for_masks(engine: Tokenizer, special: Specials, config: Json, folder: Path) -> Json:
    """What a masked-lm head needs beside the rest: its mask, and how whole texts are decoded."""
    mask = special.named.get("mask_token")
    if mask is None or engine.token_to_id(mask.content) is None:
        do = "Give tokenizer_config.json its mask_token, or convert the encoder alone by --head none."
        raise fail("the tokenizer has no mask token", where=folder, got=mask and mask.content, do=do)
    cleans = bool(config.get("clean_up_tokenization_spaces"))
    if isinstance(engine.model, models.BPE):
        cleans = cleans and bool(config.get("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"))
    found = {"mask_token_id": engine.token_to_id(mask.content)}
    return found | ({"clean_up_tokenization_spaces": True} if cleans else {})


def resolve(
    folder: Path,
    model_config: Json,
    question_answering: bool,
    reads_types: bool = True,
    lowercase: bool = False,
    masks: bool = False,
) -> Resolved:
    """The folder's tokenizer by the version that answers for the file's head, for a model that may read token types."""
    rules = "v4" if question_answering else "v5"
    files = read_files(folder, model_config)
    try:
        _check_sides(files, question_answering)
        engine, special, options = build_engine(files, rules)
        if lowercase:
            lower_first(engine)
        engine.no_truncation()
        engine.no_padding()
        merges = merges_of(files, rules, engine) if isinstance(engine.model, models.BPE) else []
        description, tokens, scores = _describe(engine, special, merges)
        if masks:
            description |= _for_masks(engine, special, files.config, folder)
        replacements = take_charsmap(description.get("normalizer", []))
        has_types = reads_types and returns_types(files, rules)
    except ConvertError:
        raise
    except Exception as error:  # the engine throws plain Exceptions, and files may lack any key
        raise fail(
            "the tokenizer files can't be understood", where=folder, got=f"{type(error).__name__}: {error}"
        ) from error
    if not has_types:
        description |= {key: _without_types(description[key]) for key in ("single", "pair")}
    shown = ["add_prefix_space", "trim_offsets", "lowercase", "strip_accents", "prepend_scheme"]
    decisions = [
        f"vocabulary from {source_of(files)}, options from {options} (as transformers {ORACLES[rules]})",
        ", ".join(f"{name} {description[name]}" for name in shown if name in description),
    ]
    if "normalizer" in description:
        decisions.append("normaliser: " + ", ".join(step["step"] for step in description["normalizer"]))
    elif (
        "lowercase" in description
        and "do_lower_case" not in files.config
        and files.tokenizer_class not in AS_WRITTEN_CLASSES
    ):
        decisions.append("do_lower_case is not given: true by default, also where the model is cased")
    index = {token: i for i, token in enumerate(tokens)}
    pairs = [(index[left], index[right]) for left, right in merges]
    limit = _model_max_length(files.config)
    return Resolved(description, tokens, pairs, scores, replacements, limit, engine, has_types, decisions)


def tensors(resolved: Resolved) -> layout.Tensors:
    """The tensors of section 5 of tools/format.md."""
    return layout.vocabulary(resolved.tokens, resolved.merges, resolved.scores, resolved.charsmap)
