"""Resolves a folder's tokenizer: what tokenizer_rules.py sets up, described as tools/format.md section 4 has it."""

from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, models

from .errors import ConvertError, fail
from .tokenizer_rules import (
    AS_WRITTEN_CLASSES,
    ORACLES,
    Files,
    Specials,
    build_engine,
    part_state,
    read_files,
    returns_types,
)

UNLIMITED = 1e30  # model_max_length where no file gives one

Json = dict[str, Any]


class Resolved(NamedTuple):
    """A tokenizer without open questions."""

    description: Json  # section 4 of tools/format.md
    tokens: list[str]  # the model's own vocabulary, by id
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
    if state["type"] == "BertProcessing":
        cls, sep = ({"special": state[key][1], "type_id": 0} for key in ("cls", "sep"))
        single = [cls, {"sequence": "A", "type_id": 0}, sep]
        return single, [*single, {"sequence": "B", "type_id": 1}, {**sep, "type_id": 1}]
    ids = {name: token["ids"] for name, token in state["special_tokens"].items()}
    return _pieces(state["single"], ids), _pieces(state["pair"], ids)


def _flags(index: int, token: AddedToken) -> Json:
    """An added token in the form of tools/format.md."""
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": index} | {name: getattr(token, name) for name in names}


def _describe(engine: Tokenizer, special: Specials) -> tuple[Json, list[str]]:
    """Section 4 of tools/format.md, and the vocabulary by id."""
    model = engine.model
    if not isinstance(model, models.WordPiece):
        raise fail("tokenizer.json has another model", expected="WordPiece", got=type(model).__name__)
    normalizer = part_state(engine.normalizer, "BertNormalizer")
    part_state(engine.pre_tokenizer, "BertPreTokenizer")
    decoder = part_state(engine.decoder, "WordPiece")
    vocabulary = engine.get_vocab(with_added_tokens=False)
    size = max(vocabulary.values()) + 1
    if size > 2**24:
        raise fail("the vocabulary has an id that is too large", expected="below 2^24", got=size - 1)
    tokens = [""] * size
    for token, index in vocabulary.items():
        tokens[index] = token
    if model.unk_token not in vocabulary:
        do = "Without it unknown words can't be encoded."
        raise fail(f"the unknown token '{model.unk_token}' is not in the vocabulary", do=do)
    single, pair = _templates(part_state(engine.post_processor, "TemplateProcessing", "BertProcessing"))
    lowercase, strip_accents = normalizer["lowercase"], normalizer["strip_accents"]
    return {
        "kind": "wordpiece",
        "vocab_size": size,
        "clean_text": normalizer["clean_text"],
        "handle_chinese_chars": normalizer["handle_chinese_chars"],
        "strip_accents": lowercase if strip_accents is None else strip_accents,
        "lowercase": lowercase,
        "continuing_subword_prefix": model.continuing_subword_prefix,
        "max_input_chars_per_word": model.max_input_chars_per_word,
        "unk_token_id": vocabulary[model.unk_token],
        "cls_token_id": engine.token_to_id(special.named["cls_token"].content),
        "sep_token_id": engine.token_to_id(special.named["sep_token"].content),
        "pad_token_id": engine.token_to_id(special.named["pad_token"].content),
        "decoder_cleanup": decoder["cleanup"],
        "added_tokens": [_flags(index, token) for index, token in sorted(engine.get_added_tokens_decoder().items())],
        "single": single,
        "pair": pair,
    }, tokens


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


def resolve(folder: Path, model_config: Json, question_answering: bool, reads_types: bool = True) -> Resolved:
    """The folder's tokenizer by the version that answers for the file's head, for a model that may read token types."""
    rules = "v4" if question_answering else "v5"
    files = read_files(folder, model_config)
    try:
        _check_sides(files, question_answering)
        engine, special, options = build_engine(files, rules)
        engine.no_truncation()
        engine.no_padding()
        description, tokens = _describe(engine, special)
        has_types = reads_types and returns_types(files, rules)
    except ConvertError:
        raise
    except Exception as error:  # the engine throws plain Exceptions, and files may lack any key
        raise fail(
            "the tokenizer files can't be understood", where=folder, got=f"{type(error).__name__}: {error}"
        ) from error
    if not has_types:
        description |= {key: _without_types(description[key]) for key in ("single", "pair")}
    decisions = [
        f"vocabulary from {'tokenizer.json' if files.tokenizer is not None else 'vocab.txt'}, options from {options}"
        f" (as transformers {ORACLES[rules]})",
        f"lowercase {description['lowercase']}, strip_accents {description['strip_accents']}",
    ]
    if "do_lower_case" not in files.config and files.tokenizer_class not in AS_WRITTEN_CLASSES:
        decisions.append("do_lower_case is not given: true by default, also where the model is cased")
    return Resolved(description, tokens, _model_max_length(files.config), engine, has_types, decisions)
