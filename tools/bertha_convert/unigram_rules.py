"""The classes of tokenizers with SentencePiece's Unigram: from tokenizer.json, or from a .model file, which may be of BPE."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from . import bpe_rules, sentencepiece_model
from .errors import fail
from .roberta_rules import TOKENS as FAIRSEQ_TOKENS
from .sentencepiece_model import BPE, CONTROL, UNIGRAM, USER_DEFINED

ALBERT_TOKENS = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
DEBERTA_TOKENS = {**ALBERT_TOKENS, "unk_token": "[UNK]", "pad_token": "[PAD]"}
NOT_USED = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]  # CamemBERT's
MARK = "\u2581"

Json = dict[str, Any]
Vocabulary = list[tuple[str, float]]


class Class(NamedTuple):
    """One class."""

    file: str  # what its model is called where there is no tokenizer.json
    tokens: dict[str, str]
    new_flags: dict[str, Json]  # of special tokens that are texts alone
    old_flags: dict[str, Json]  # and in 4.57.6
    old_model_flags: dict[str, Json]  # and there from a .model


MASK_TAKES_SPACE = {"mask_token": {"lstrip": True, "special": True}}
UNKNOWN_IS_NORMALIZED = {"unk_token": {"normalized": True, "special": True}}
CLASSES = {
    "XLMRobertaTokenizer": Class(
        "sentencepiece.bpe.model", FAIRSEQ_TOKENS, {}, {"mask_token": {"lstrip": True}}, {}
    ),
    "CamembertTokenizer": Class(
        "sentencepiece.bpe.model", FAIRSEQ_TOKENS, MASK_TAKES_SPACE, MASK_TAKES_SPACE, {}
    ),
    "AlbertTokenizer": Class(
        "spiece.model", ALBERT_TOKENS, {}, {"mask_token": {"lstrip": True, "normalized": False}}, {}
    ),
    "DebertaV2Tokenizer": Class("spm.model", DEBERTA_TOKENS, {}, {}, UNKNOWN_IS_NORMALIZED),
}


class Source(NamedTuple):
    """What an engine is built from."""

    vocabulary: Vocabulary
    charsmap: bytes  # empty: there is none
    unknown: int | None  # a .model's number of the unknown piece
    added: list[Json]  # a .model's control and user-defined pieces, as added tokens
    model: sentencepiece_model.Model | None = None


def class_of(name: str | None) -> str | None:
    """The class that a name stands for, if it is one of these."""
    base = str(name).removesuffix("Fast")
    return base if base in CLASSES else None


def _written_vocabulary(tokenizer: Json) -> Vocabulary:
    """The vocabulary of tokenizer.json."""
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if not isinstance(vocabulary, list) or not all(
        isinstance(item, list)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], (int, float))
        and not isinstance(item[1], bool)
        for item in vocabulary
    ):
        raise fail("the vocabulary is no list of tokens with scores", where="tokenizer.json: model")
    return [(token, float(score)) for token, score in vocabulary]


def _written_charsmap(tokenizer: Json) -> bytes:
    """The first charsmap of tokenizer.json."""
    normalizer = tokenizer.get("normalizer") or {}
    for part in normalizer.get("normalizers", []) if normalizer.get("type") == "Sequence" else [normalizer]:
        if part.get("type") == "Precompiled" and "precompiled_charsmap" in part:
            return base64.b64decode(part["precompiled_charsmap"])
    return b""


def added_of(model: sentencepiece_model.Model) -> list[Json]:
    """A .model's control and user-defined pieces, as added tokens."""
    return [
        {"content": piece.text, "normalized": False, "special": piece.type == CONTROL}
        for piece in model.pieces
        if piece.type in (CONTROL, USER_DEFINED)
    ]


def source(folder: Path, name: str, tokenizer: Json | None, rules: str) -> Source:
    """What the files of a folder have for a class.

    5.23.0 takes the pieces and scores of any .model for those of Unigram, where the class says what it is; 4.57.6 goes
    by the .model, and knows BPE too.
    """
    if tokenizer is not None:
        return Source(_written_vocabulary(tokenizer), _written_charsmap(tokenizer), None, [])
    path = folder / CLASSES[name].file
    model = sentencepiece_model.read(path)
    if model.type != UNIGRAM and (name == "CamembertTokenizer" if rules == "v5" else model.type != BPE):
        expected = f"Unigram ({UNIGRAM})" + (f" or BPE ({BPE})" if rules == "v4" else "")
        do = f"transformers can't read it for {name} either."
        raise fail("is another kind of model", where=path, expected=expected, got=model.type, do=do)
    pieces = [(piece.text, piece.score) for piece in model.pieces]
    return Source(pieces, model.charsmap, model.unknown, added_of(model), model)


def extra_tokens(name: str, rules: str, its: Source | None) -> list[Any]:
    """The special tokens beside the named ones that a class has where the files name none."""
    if rules == "v5" and its is not None and its.unknown is not None:
        return its.added
    return NOT_USED if name == "CamembertTokenizer" else []


def _fairseq(name: str, pieces: Vocabulary, named: dict[str, str]) -> Vocabulary:
    """The vocabulary in the order of fairseq's ids, XLM-RoBERTa's or CamemBERT's; another class's as it is."""
    special = [(named[key], 0.0) for key in ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")]
    if name == "XLMRobertaTokenizer":
        return [*special[:4], *pieces[3:], special[4]]
    if name == "CamembertTokenizer":
        start = [("<s>NOTUSED", 0.0), special[1], ("</s>NOTUSED", 0.0), special[3], ("<unk>NOTUSED", -100.0)]
        return [*start, *pieces[1:], special[4]]
    return pieces


def _model(vocabulary: Vocabulary, unknown: int) -> Tokenizer:
    """An engine with a model alone."""
    try:
        return Tokenizer(models.Unigram(vocabulary, unk_id=unknown, byte_fallback=False))
    except Exception as error:  # the engine throws plain Exceptions
        raise fail("can't be a Unigram vocabulary", got=error) from error


def _albert_steps(config: Json) -> list[Any]:
    """ALBERT's normaliser, but for the charsmap."""
    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not config.get("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if config.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    return steps


def _set_metaspace(engine: Tokenizer, before: list[Any], scheme: str) -> None:
    """Splits at white space, if that is before it, and at marks."""
    metaspace = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme=scheme)
    engine.pre_tokenizer = pre_tokenizers.Sequence([*before, metaspace]) if before is not None else metaspace
    engine.decoder = decoders.Metaspace(replacement=MARK, prepend_scheme=scheme)


def new_engine(name: str, its: Source, config: Json, named: dict[str, str]) -> Tokenizer:
    """The engine that a class of 5.23.0 builds."""
    from_file = its.unknown is not None
    vocabulary = _fairseq(name, its.vocabulary, named) if from_file else its.vocabulary
    unknown = {"XLMRobertaTokenizer": 3, "AlbertTokenizer": 1}.get(name)
    if name == "CamembertTokenizer":
        unknown = next((i for i, (token, _) in enumerate(vocabulary) if token == named["unk_token"]), 0)
    elif name == "DebertaV2Tokenizer":
        unknown = config.get("unk_id", 1) if its.unknown is None else its.unknown
        if (named["unk_token"], 0.0) in vocabulary:
            unknown = vocabulary.index((named["unk_token"], 0.0))
    engine = _model(vocabulary, unknown)
    charsmap = [normalizers.Precompiled(its.charsmap)] if its.charsmap else []
    prefix = config.get("add_prefix_space", True)
    if name == "DebertaV2Tokenizer":
        lower = [normalizers.Lowercase()] if config.get("do_lower_case", False) else []
        spaces = normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")
        strip = normalizers.Strip(left=False, right=True)
        engine.normalizer = normalizers.Sequence([*lower, spaces, normalizers.NFC(), strip])
        split = [pre_tokenizers.Punctuation(behavior="isolated")] if config.get("split_by_punct", False) else []
        _set_metaspace(engine, split, "always" if prefix else "first")
        return engine
    if name == "AlbertTokenizer":
        engine.normalizer = normalizers.Sequence([*_albert_steps(config), *charsmap])
    elif charsmap:
        engine.normalizer = charsmap[0]
    _set_metaspace(engine, [pre_tokenizers.WhitespaceSplit()], "always" if prefix else "never")
    return engine


def _without_numbers_and_comma(vocabulary: Vocabulary) -> Vocabulary:
    """ALBERT's vocabulary in 4.57.6: tokens that end with a digit and a comma are hardly ever chosen."""
    ends = [len(token) >= 2 and token[-1] == "," and token[-2].isdigit() for token, _ in vocabulary]
    return [(token, score - 100 if end else score) for (token, score), end in zip(vocabulary, ends)]


def old_engine(name: str, its: Source, config: Json) -> Tokenizer:
    """The engine that a class of 4.57.6 builds from a .model."""
    vocabulary = _fairseq(name, its.vocabulary, FAIRSEQ_TOKENS)
    if name == "AlbertTokenizer":
        vocabulary = _without_numbers_and_comma(vocabulary)
    fairseq = name in ("XLMRobertaTokenizer", "CamembertTokenizer")
    if its.model is not None and its.model.type == BPE:
        merges = bpe_rules.merges_of(bpe_rules.ids_of(its.model), dict(vocabulary), True)
        ids = {token: index for index, (token, _) in enumerate(vocabulary)}
        engine = bpe_rules.new_model(ids, merges, its.model.unknown_text, False)
    else:
        engine = _model(vocabulary, 3 if fairseq else its.unknown)
    engine.add_tokens([AddedToken(**token) for token in its.added])
    charsmap = [normalizers.Precompiled(its.charsmap)] if its.charsmap else []
    spaces = normalizers.Replace(Regex(" {2,}"), MARK if fairseq else " ")
    if fairseq:
        steps = [*charsmap, normalizers.Strip(left=False, right=True), spaces]
    elif name == "AlbertTokenizer":
        steps = [*_albert_steps(config), *charsmap, spaces]
    else:
        lower = [normalizers.Lowercase()] if config.get("do_lower_case", False) else []
        steps = [*lower, normalizers.Strip(), *charsmap, spaces]
    engine.normalizer = normalizers.Sequence(steps)
    split = None
    if name == "DebertaV2Tokenizer":
        split = [pre_tokenizers.Punctuation(behavior="isolated")] if config.get("split_by_punct", False) else []
    _set_metaspace(engine, split, "always")
    first, last = ("<s>", "</s>") if fairseq else ("[CLS]", "[SEP]")
    engine.post_processor = _template(engine, first, last, fairseq)
    return engine


def _template(engine: Tokenizer, first: str, last: str, fairseq: bool) -> processors.TemplateProcessing:
    """RoBERTa's template without its offsets, or BERT's."""
    return processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 {last}:0 $B:0 {last}:0"
        if fairseq
        else f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(token, engine.token_to_id(token)) for token in (first, last)],
    )


def new_template(name: str, engine: Tokenizer, named: dict[str, str], written: Json | None) -> Any:
    """The post-processor that a class of 5.23.0 sets."""
    if name == "AlbertTokenizer":
        if written is not None and written.get("post_processor"):
            return Tokenizer.from_str(json.dumps(written)).post_processor
        return _template(engine, "[CLS]", "[SEP]", False)
    if name == "DebertaV2Tokenizer":
        return _template(engine, named["cls_token"], named["sep_token"], False)
    return _template(engine, named["bos_token"], named["eos_token"], True)
