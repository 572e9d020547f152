"""Sets a tokenizer up from a folder's files as transformers does, without transformers.

Which of vocab.txt, a .model, tokenizer.json, tokenizer_config.json, special_tokens_map.json and added_tokens.json
decides what differs between versions. bertha answers to two, ORACLES: "v5", and "v4" for question answering, whose pipeline later
versions don't have. tests/convert holds both rules against the installed versions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from . import bpe_rules, roberta_rules, sentencepiece_model, unigram_rules
from .errors import ConvertError, fail
from .normalizer import state_of
from .source import read_json, read_optional_json
from .special_tokens import Specials, add_tokens, as_object, declare, special_tokens

ORACLES = {"v5": "5.23.0", "v4": "4.57.6"}
BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
BERT_CLASSES = (
    None,
    "BertTokenizer",
    "BertTokenizerFast",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
)
MPNET_TOKENS = roberta_rules.TOKENS | {"unk_token": "[UNK]"}
MPNET_CLASSES = ("MPNetTokenizer", "MPNetTokenizerFast")
ROBERTA_CLASSES = ("RobertaTokenizer", "RobertaTokenizerFast")
DEBERTA_TOKENS = BERT_TOKENS | {"bos_token": "[CLS]", "eos_token": "[SEP]"}
DEBERTA_CLASSES = ("DebertaTokenizer", "DebertaTokenizerFast")
BYTE_CLASSES = ROBERTA_CLASSES + DEBERTA_CLASSES
AS_WRITTEN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")  # run tokenizer.json as it is
AS_WRITTEN_MODEL_TYPES = ("modernbert",)  # and so do these, whatever class their folders name
NOT_READ = {  # classes of folders that people have, which no tokenizer.json describes
    "BertweetTokenizer": "its BPE marks the ends of words, and NLTK rewrites tweets before it",
    "PhobertTokenizer": "its BPE marks the ends of words, which another program has joined by underscores before",
    "BertJapaneseTokenizer": "MeCab, Sudachi or Juman cut its words",
}
ANY_MODEL = "tokenizer.model"  # what the general class and Gemma's read where there is no tokenizer.json
FAIRSEQ_CLASSES = ("XLMRobertaTokenizer", "CamembertTokenizer")
CLASSES_WITHOUT_TYPES = {  # without "Fast": they give a model no token_type_ids, so that it takes 0 for all
    "v5": (
        "DistilBertTokenizer",
        "RobertaTokenizer",
        "MPNetTokenizer",
        *FAIRSEQ_CLASSES,
        "AlbertTokenizer",
        "GemmaTokenizer",
        "TokenizersBackend",
        "PreTrainedTokenizer",
    ),
    "v4": ("DistilBertTokenizer", "RobertaTokenizer", "MPNetTokenizer", *FAIRSEQ_CLASSES),
}
CLASS_OF_MODEL_TYPE = {
    "roberta": "RobertaTokenizer",
    "roberta-prelayernorm": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "albert": "AlbertTokenizer",
    "mpnet": "MPNetTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
}

Json = dict[str, Any]


class Files(NamedTuple):
    """A folder's tokenizer files, read."""

    folder: Path
    config: Json  # tokenizer_config.json; empty where there is none
    tokenizer: Json | None  # tokenizer.json
    special_tokens: Json | None  # special_tokens_map.json
    added_tokens: Json | None  # added_tokens.json
    tokenizer_class: str | None


def read_files(folder: Path, model_config: Json) -> Files:
    """Reads what a folder has of tokenizer files, and checks that bertha knows their kind."""
    config = read_optional_json(folder / "tokenizer_config.json") or {}
    named = config.get("tokenizer_class") or model_config.get("tokenizer_class")
    if str(model_config.get("model_type")) in AS_WRITTEN_MODEL_TYPES:
        named = "TokenizersBackend"
    named = named or CLASS_OF_MODEL_TYPE.get(str(model_config.get("model_type")))
    known = BERT_CLASSES + MPNET_CLASSES + BYTE_CLASSES + bpe_rules.GEMMA_CLASSES + AS_WRITTEN_CLASSES
    if named not in known and unigram_rules.class_of(named) is None:
        if why := NOT_READ.get(str(named)):
            raise fail(f"tokenizer class '{named}' is not supported: {why}", where=folder)
        expected = " or ".join(str(name) for name in (*known[1:], *unigram_rules.CLASSES))
        raise fail(f"tokenizer class '{named}' is not supported", where=folder, expected=expected)
    if config.get("auto_map"):
        raise fail("the tokenizer needs its own Python code (auto_map)", where=folder, expected="a standard tokenizer")
    files = Files(
        folder,
        config,
        read_optional_json(folder / "tokenizer.json"),
        read_optional_json(folder / "special_tokens_map.json"),
        read_optional_json(folder / "added_tokens.json"),
        named,
    )
    if files.tokenizer is None and not (folder / vocabulary_file(named)).is_file():
        raise _no_vocabulary(folder, named)
    return files


def vocabulary_file(tokenizer_class: str | None) -> str:
    """What a class reads where there is no tokenizer.json."""
    if unigram := unigram_rules.class_of(tokenizer_class):
        return unigram_rules.CLASSES[unigram].file
    if tokenizer_class in AS_WRITTEN_CLASSES + bpe_rules.GEMMA_CLASSES:
        return ANY_MODEL
    return "vocab.json" if tokenizer_class in BYTE_CLASSES else "vocab.txt"


def _no_vocabulary(folder: Path, tokenizer_class: str | None) -> ConvertError:
    """The error that says what a folder has instead of its class's vocabulary, and of which class that might be."""
    expected = f"{vocabulary_file(tokenizer_class)} or tokenizer.json"
    what = "there is no vocabulary"
    if tokenizer_class in AS_WRITTEN_CLASSES:
        what = f"tokenizer class '{tokenizer_class}' needs tokenizer.json"
    readers: dict[str, list[str]] = {"vocab.json": ["RobertaTokenizer"], "vocab.txt": ["BertTokenizer"]}
    for name, its in unigram_rules.CLASSES.items():
        readers.setdefault(its.file, []).append(name)
    found = sorted({path.name for path in folder.glob("*.model")} | {name for name in readers if (folder / name).is_file()})
    if not found:
        return fail(what, where=folder, expected=expected, got="no such file")
    classes = readers.get(found[0], ["XLMRobertaTokenizer", "CamembertTokenizer", "AlbertTokenizer", "DebertaV2Tokenizer"])
    do = f'Write the class of {found[0]} to tokenizer_config.json: {{"tokenizer_class": "{classes[0]}"}}'
    do += f", or {', '.join(classes[1:])}." if classes[1:] else "."
    return fail(what, where=folder, expected=expected, got=", ".join(found), do=do)


def _option(config: Json, name: str, default: bool | None, nullable: bool = False) -> bool | None:
    """An option of tokenizer_config.json that is a boolean, or null where that means something."""
    value = config.get(name, default)
    if type(value) is bool or (value is None and nullable):
        return value
    raise fail(f"{name} is no boolean", where="tokenizer_config.json", expected="true or false", got=value)


def _vocabulary(files: Files, rules: str) -> dict[str, int]:
    """The model's vocabulary: tokenizer.json's, else vocab.json, or vocab.txt read as the version reads it."""
    if files.tokenizer is not None or files.tokenizer_class in BYTE_CLASSES:
        path = files.folder / ("vocab.json" if files.tokenizer is None else "tokenizer.json")
        vocabulary: Any = read_json(path) if files.tokenizer is None else files.tokenizer
        if files.tokenizer is not None:
            vocabulary = as_object(files.tokenizer.get("model"), "tokenizer.json: model").get("vocab")
        if not isinstance(vocabulary, dict) or not all(
            type(value) is int and 0 <= value < 2**32 for value in vocabulary.values()
        ):
            raise fail("the vocabulary is no object from tokens to ids", where=path)
        return vocabulary
    path = files.folder / "vocab.txt"
    try:
        if rules == "v5":
            return models.WordPiece.read_file(str(path))
        with path.open(encoding="utf-8") as file:
            return {token.rstrip("\n"): index for index, token in enumerate(file.readlines())}
    except Exception as error:  # the engine throws plain Exceptions
        raise fail(
            "can't be read as a vocabulary", where=path, expected="UTF-8, a token per line", got=error
        ) from error


def _bert_normalizer(config: Json, clean_text: bool = True) -> normalizers.BertNormalizer:
    """The normaliser that tokenizer_config.json and the class's defaults ask for."""
    return normalizers.BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=_option(config, "tokenize_chinese_chars", True),
        strip_accents=_option(config, "strip_accents", None, nullable=True),
        lowercase=_option(config, "do_lower_case", True),
    )


def _template(special: Specials, engine: Tokenizer, twice: bool = False) -> processors.TemplateProcessing:
    """BERT's `[CLS] A [SEP] B [SEP]`, or MPNet's, whose first `[SEP]` of a pair stands twice."""
    cls, sep = special.named["cls_token"].content, special.named["sep_token"].content
    return processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 {f'{sep}:0 ' if twice else ''}$B:1 {sep}:1",
        special_tokens=[(token, engine.token_to_id(token)) for token in (cls, sep)],
    )


def _from_vocabulary(files: Files, rules: str, config: Json, special: Specials) -> Tokenizer:
    """The engine that the classes of BERT and MPNet build from a vocabulary."""
    engine = Tokenizer(models.WordPiece(_vocabulary(files, rules), unk_token=special.named["unk_token"].content))
    engine.normalizer = _bert_normalizer(config)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece(prefix="##")
    return engine


def _from_tokenizer_json(files: Files) -> Tokenizer:
    """The engine that tokenizer.json describes."""
    try:
        return Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    except Exception as error:  # the engine throws plain Exceptions
        raise fail("can't be read by tokenizers", where=files.folder / "tokenizer.json", got=error) from error


def _roberta_options(config: Json) -> tuple[bool, bool]:
    """add_prefix_space and trim_offsets, as tokenizer_config.json and the class's defaults have them."""
    return bool(_option(config, "add_prefix_space", False)), bool(_option(config, "trim_offsets", True))


def _roberta_template(config: Json, special: Specials, engine: Tokenizer) -> processors.RobertaProcessing:
    """RoBERTa's template."""
    add_prefix_space, trim_offsets = _roberta_options(config)
    cls, sep = special.named["cls_token"].content, special.named["sep_token"].content
    return roberta_rules.post_processor(cls, sep, engine, trim_offsets, add_prefix_space)


def _written_merges(files: Files, rules: str) -> roberta_rules.Merges:
    """The merges that tokenizer.json or merges.txt has, by rank."""
    as_written = files.tokenizer_class in AS_WRITTEN_CLASSES
    return roberta_rules.merges_of(files.folder, files.tokenizer, rules, as_written)


def merges_of(files: Files, rules: str, engine: Tokenizer) -> roberta_rules.Merges:
    """The merges of an engine of BPE, by rank."""
    if source_of(files).endswith(".model"):
        return bpe_rules.merges_in(engine)
    return _written_merges(files, rules)


def _class_tokens(files: Files, rules: str) -> tuple[Json, dict[str, Json]]:
    """The special tokens that the class has by default, and the flags that it gives to those that are texts alone."""
    if files.tokenizer_class in AS_WRITTEN_CLASSES:
        return {}, {}
    if files.tokenizer_class in bpe_rules.GEMMA_CLASSES:
        return bpe_rules.GEMMA_TOKENS, {}
    if unigram := unigram_rules.class_of(files.tokenizer_class):
        its = unigram_rules.CLASSES[unigram]
        flags = its.new_flags if rules == "v5" else its.old_flags
        return its.tokens, flags | its.old_model_flags if rules == "v4" and files.tokenizer is None else flags
    if files.tokenizer_class in MPNET_CLASSES:
        own = {"special": True} if files.tokenizer is None else {}
        return MPNET_TOKENS, {name: {"lstrip": name == "mask_token", **own} for name in MPNET_TOKENS}
    if files.tokenizer_class in DEBERTA_CLASSES:
        if rules == "v5" or files.tokenizer is not None:
            return DEBERTA_TOKENS, {}
        mask = {"mask_token": {"lstrip": True, "normalized": True}}
        return DEBERTA_TOKENS, {name: {"special": True} for name in DEBERTA_TOKENS} | mask
    if files.tokenizer_class not in ROBERTA_CLASSES:
        return BERT_TOKENS, {}
    flags: dict[str, Json] = {}
    if rules == "v4":
        flags = {name: {"normalized": True} for name in roberta_rules.TOKENS} if files.tokenizer is None else {}
        flags["mask_token"] = {"lstrip": True, "normalized": False}  # it takes the space before it
    return roberta_rules.TOKENS, flags


def _class_engine(
    files: Files, rules: str, config: Json, special: Specials, model_source: unigram_rules.Source | None
) -> tuple[Tokenizer, str]:
    """The engine before tokens are added, and where its options come from."""
    roberta, of_bytes = files.tokenizer_class in ROBERTA_CLASSES, files.tokenizer_class in BYTE_CLASSES
    if files.tokenizer_class in bpe_rules.GEMMA_CLASSES:
        unknown = special.named["unk_token"].content
        if model_source is not None and model_source.model is not None:
            vocabulary = bpe_rules.ids_of(model_source.model)
            merges = bpe_rules.merges_of(vocabulary, vocabulary, False)
        else:
            vocabulary, merges = _vocabulary(files, rules), _written_merges(files, rules)
        return bpe_rules.gemma_engine(vocabulary, merges, unknown), "GemmaTokenizer's defaults"
    if files.tokenizer_class in AS_WRITTEN_CLASSES and model_source is not None and model_source.model is not None:
        return bpe_rules.plain_engine(model_source.model, config), "its trainer and tokenizer_config.json"
    if files.tokenizer_class in AS_WRITTEN_CLASSES:
        engine = _from_tokenizer_json(files)
        if rules == "v4":
            roberta_rules.set_prefix_space(engine, bool(_option(config, "add_prefix_space", False)))
        return engine, "tokenizer.json, as written"
    if unigram := unigram_rules.class_of(files.tokenizer_class):
        return _unigram_engine(files, unigram, rules, config, special, model_source)
    if rules == "v4" and files.tokenizer is not None:
        engine = _from_tokenizer_json(files)
        if of_bytes:
            add_prefix_space, trim_offsets = _roberta_options(config)
            roberta_rules.set_prefix_space(engine, add_prefix_space)
        if of_bytes and not roberta:
            return engine, "tokenizer.json, its spaces by tokenizer_config.json"
        if roberta:
            roberta_rules.set_post_processor(engine, trim_offsets, add_prefix_space)
            return engine, "tokenizer.json, its spaces and offsets by tokenizer_config.json"
        if engine.normalizer is None:
            raise fail("tokenizer.json has no normaliser", where=files.folder, expected="one, as transformers 4 needs")
        state = state_of(engine.normalizer)
        if state["type"] != "BertNormalizer":  # the class sets the options of that one, and leaves others alone
            return engine, "tokenizer.json, as written"
        if files.tokenizer_class in MPNET_CLASSES:  # which leaves that option as it is
            config = {**config, "tokenize_chinese_chars": state["handle_chinese_chars"]}
        engine.normalizer = _bert_normalizer(config, state["clean_text"])
        return engine, "tokenizer.json, its normaliser by tokenizer_config.json"
    if of_bytes:
        vocabulary, merges = _vocabulary(files, rules), _written_merges(files, rules)
        engine = roberta_rules.from_vocabulary(vocabulary, merges, _roberta_options(config)[0])
    else:
        if rules == "v4" and files.tokenizer_class in MPNET_CLASSES and not config.get("do_basic_tokenize", True):
            config = {**config, "tokenize_chinese_chars": False}
        engine = _from_vocabulary(files, rules, config, special)
    if rules == "v4":
        engine.post_processor = _class_template(files, rules, config, special, engine)
    name = "MPNet" if files.tokenizer_class in MPNET_CLASSES else "BERT"
    name = "RoBERTa" if roberta else "DeBERTa" if of_bytes else name
    return engine, f"tokenizer_config.json and {name}'s defaults"


def _model_source(files: Files, rules: str) -> unigram_rules.Source | None:
    """What a class with Unigram is built from, if it is one and is built, or another class by a .model."""
    own = files.tokenizer_class in AS_WRITTEN_CLASSES + bpe_rules.GEMMA_CLASSES
    if own and rules == "v4" and (files.tokenizer is None or files.tokenizer_class in bpe_rules.GEMMA_CLASSES):
        what = f"tokenizer class '{files.tokenizer_class}' is not supported for question answering"
        raise fail(what if files.tokenizer else f"{what} without tokenizer.json", where=files.folder)
    if own and files.tokenizer is None:
        model = sentencepiece_model.read(files.folder / ANY_MODEL)
        return unigram_rules.Source([], model.charsmap, model.unknown, unigram_rules.added_of(model), model)
    name = unigram_rules.class_of(files.tokenizer_class)
    if name is None or (rules == "v4" and files.tokenizer is not None):
        return None
    return unigram_rules.source(files.folder, name, files.tokenizer, rules)


def _unigram_engine(
    files: Files, name: str, rules: str, config: Json, special: Specials, source: unigram_rules.Source | None
) -> tuple[Tokenizer, str]:
    """The same for a class with Unigram."""
    if source is None:
        return _from_tokenizer_json(files), "tokenizer.json, as written"
    for option, default in (("add_prefix_space", True), ("keep_accents", False), ("split_by_punct", False)):
        _option(config, option, default)
    if rules == "v4":
        engine = unigram_rules.old_engine(name, source, config)
    else:
        named = {key: token.content for key, token in special.named.items()}
        engine = unigram_rules.new_engine(name, source, config, named)
    other = rules == "v5" and source.model is not None and source.model.type == sentencepiece_model.BPE
    return engine, f"tokenizer_config.json and {name}'s defaults" + (", its BPE taken for Unigram" if other else "")


def _class_template(files: Files, rules: str, config: Json, special: Specials, engine: Tokenizer) -> Any:
    """The post-processor that the class sets."""
    if unigram := unigram_rules.class_of(files.tokenizer_class):
        named = {key: token.content for key, token in special.named.items()}
        return unigram_rules.new_template(unigram, engine, named, files.tokenizer)
    if files.tokenizer_class in MPNET_CLASSES:
        cls, sep = special.named["cls_token"].content, special.named["sep_token"].content
        if rules == "v4":
            return _template(special, engine, twice=True)
        return roberta_rules.post_processor(cls, sep, engine, trim_offsets=True, add_prefix_space=False)
    if files.tokenizer_class in ROBERTA_CLASSES:
        return _roberta_template(config, special, engine)
    if files.tokenizer_class in DEBERTA_CLASSES:
        return roberta_rules.deberta_post_processor(special.named["cls_token"].content, special.named["sep_token"].content, engine, rules)
    return _template(special, engine)


def _has_ends_template(files: Files, config: Json) -> bool:
    """Whether the class of 5.23.0 has bos_token and eos_token at the ends, or nothing, in place of its own template."""
    named = ("add_bos_token" in config or "add_eos_token" in config) and files.tokenizer is None
    albert = unigram_rules.class_of(files.tokenizer_class) == "AlbertTokenizer"
    return source_of(files) == ANY_MODEL or (named and albert)


def build_engine(files: Files, rules: str) -> tuple[Tokenizer, Specials, str]:
    """The engine as transformers would set it up, its named special tokens, and where its options come from."""
    declared = declare(files.config, files.tokenizer, files.special_tokens, files.added_tokens, rules)
    config = declared.config
    model_source = _model_source(files, rules)
    defaults, flags = _class_tokens(files, rules)
    extra = "extra_special_tokens" if rules == "v5" else "additional_special_tokens"
    if unigram := unigram_rules.class_of(files.tokenizer_class):
        config.setdefault(extra, unigram_rules.extra_tokens(unigram, rules, model_source))
    elif model_source is not None and model_source.model is not None:
        config.setdefault(extra, model_source.added)
        if files.tokenizer_class in AS_WRITTEN_CLASSES:
            defaults = bpe_rules.tokens_of(model_source.model)
    special = special_tokens(declared, rules, defaults, flags)
    as_written = files.tokenizer_class in AS_WRITTEN_CLASSES
    for key, other in (("cls_token", "bos_token"), ("sep_token", "eos_token")):
        # Where answers are looked for, transformers asks for the first one by its name.
        if key not in special.named and other in special.named and as_written and rules == "v5":
            special.named[key] = special.named[other]
    for key in ("unk_token", "cls_token", "sep_token", "pad_token"):
        if key not in special.named and not (key == "unk_token" and as_written):
            raise fail(f"there is no {key}", where=files.folder / "tokenizer_config.json", expected="a token")
    engine, options = _class_engine(files, rules, config, special, model_source)
    add_tokens(engine, declared.tokens, special, rules)
    if rules == "v5" and _has_ends_template(files, config):
        engine.post_processor = bpe_rules.ends_template(config, special, engine)
    elif rules == "v5" and files.tokenizer_class in bpe_rules.GEMMA_CLASSES:
        engine.post_processor = _from_tokenizer_json(files).post_processor
    elif rules == "v5" and files.tokenizer_class not in AS_WRITTEN_CLASSES:
        engine.post_processor = _class_template(files, rules, config, special, engine)
    return engine, special, options


def source_of(files: Files) -> str:
    """The files that the vocabulary is read from."""
    if files.tokenizer is not None:
        return "tokenizer.json"
    name = vocabulary_file(files.tokenizer_class)
    return "vocab.json and merges.txt" if name == "vocab.json" else name


def returns_types(files: Files, rules: str) -> bool:
    """Whether the class gives a model token_type_ids, which a pair's second text could differ in."""
    names = files.config.get("model_input_names")
    if names is None:
        return str(files.tokenizer_class).removesuffix("Fast") not in CLASSES_WITHOUT_TYPES[rules]
    if not isinstance(names, list):
        raise fail("model_input_names is no list", where="tokenizer_config.json", expected="names", got=names)
    return "token_type_ids" in names


def part_state(part: Any, *expected: str) -> Json:
    """The JSON form of an engine's part, which must be of an expected type."""
    state = json.loads(part.__getstate__()) if part is not None else {"type": None}
    if state.get("type") not in expected:
        raise fail("tokenizer.json has another kind of part", expected=" or ".join(expected), got=state.get("type"))
    return state
