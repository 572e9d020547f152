"""The tiny models as Hugging Face folders: their vocabularies, and their classes."""

import functools
import json
import math
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.numpy
import tokenizers
import torch
import transformers
from bertha_convert.config import family as family_of
from bertha_convert.families import Family

from . import hub_deberta, jina_bert, neobert
from .inputs import TEXTS
from .tiny_models import BERT_SPECIALS, CLASSES, TABLES, Tiny, random_weights, raw_config

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "data"))
from darts import compiled  # noqa: E402

REFERENCES = jina_bert.CLASSES | hub_deberta.CLASSES | neobert.CLASSES
transformers.AutoConfig.register("neobert", neobert.NeoBERTConfig)

Json = dict[str, Any]


def vocabulary(cased: bool, specials: tuple[str, ...]) -> list[str]:
    """A few hundred pieces of the texts: single characters, and the most frequent beginnings and insides of words."""
    fold = (lambda text: text) if cased else str.lower
    words = [
        word for text in [*TEXTS["texts"], TEXTS["long"]] + sum(TEXTS["questions"], []) for word in fold(text).split()
    ]
    letters = "abcdefghijklmnopqrstuvwxyz"
    singles = (
        letters
        + (letters.upper() + "\u00e9\u00fc\u0131\u011f\u0130\u015f" if cased else "")
        + "0123456789.,!?'-()[]/%$"
    )
    counts: dict[str, int] = {}
    for word in words:
        pieces = [word[:n] for n in (2, 3, 4, 5)] + [
            "##" + word[i : i + n] for i in range(1, len(word)) for n in (2, 3)
        ]
        for piece in {piece for piece in pieces if piece.removeprefix("##").isalnum() and piece.isascii()}:
            counts[piece] = counts.get(piece, 0) + 1
    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))
    others = "\u6771\u4eac\u043c\u0430\u0448\u03bf\u03b4\u20ac\u00a3"
    pieces = [*singles, *("##" + letter for letter in singles if letter.isalnum()), *others, "##\u03bf", "##\u0430"]
    return list(dict.fromkeys([*specials, *pieces, *frequent]))[:300]


def model_class(family: Family, head: str) -> Any:
    """The class of transformers, or the reference."""
    name = family.class_name + CLASSES[head]
    return REFERENCES.get(name) or getattr(transformers, name)


def write_word_pieces(folder: Path, cased: bool, specials: tuple[str, ...] = BERT_SPECIALS) -> int:
    """Writes vocab.txt, and returns the number of tokens."""
    tokens = vocabulary(cased, specials)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return len(tokens)


def write_mpnet(folder: Path, cased: bool) -> int:
    """MPNet's vocab.txt."""
    return write_word_pieces(folder, cased, ("<s>", "<pad>", "</s>", "[UNK]", "<mask>"))


def write_byte_pairs(folder: Path, cased: bool, specials: tuple[str, ...] = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")) -> int:
    """Writes vocab.json and merges.txt, and returns the number of tokens."""
    trained = tokenizers.ByteLevelBPETokenizer(lowercase=not cased)
    texts = [*TEXTS["texts"], TEXTS["long"]] + sum(TEXTS["questions"], [])
    trained.train_from_iterator(texts, vocab_size=330, special_tokens=list(specials), show_progress=False)
    trained.save_model(str(folder))
    return trained.get_vocab_size()


def write_deberta(folder: Path, cased: bool) -> int:
    """DeBERTa's vocab.json and merges.txt."""
    return write_byte_pairs(folder, cased, BERT_SPECIALS)


def spaced(text: str) -> str:
    """The text as SentencePiece has it, its spaces as marks."""
    return "".join("\u2581" + word for word in text.split())


def pieces(fold: Callable[[str], str] = str) -> list[tuple[str, float]]:
    """Pieces of the texts with scores: all their characters, but for rare ones, and frequent parts of words."""
    texts = [spaced(fold(text)) for text in [*TEXTS["texts"], TEXTS["long"]] + sum(TEXTS["questions"], [])]
    counts: dict[str, int] = {}
    for text in texts:
        for start in range(len(text)):
            for size in range(1, 6):
                piece = text[start : start + size]
                if len(piece) == size and "\u2581" not in piece[1:]:
                    counts[piece] = counts.get(piece, 0) + size
    frequent = sorted((piece for piece in counts if counts[piece] > len(piece)), key=lambda p: (-counts[p], p))
    total = sum(counts.values())
    singles = [piece for piece in frequent if len(piece) == 1]
    longer = [piece for piece in frequent if len(piece) > 1]
    chosen = singles[:90] + longer[:190]
    return [(piece, round(math.log(counts[piece] / total), 6)) for piece in chosen]


def unigram(vocabulary: list[tuple[str, float]], unknown: int) -> tokenizers.Tokenizer:
    """An engine with a charsmap, but without special tokens and a template."""
    engine = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=unknown, byte_fallback=False))
    rules = {c: unicodedata.normalize("NFKC", c) for c in "\u00bd\u2460\ufb01\uff21\u00a0"} | {"\u0130": "I"}
    engine.normalizer = tokenizers.normalizers.Precompiled(compiled(rules))
    engine.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Metaspace()]
    )
    engine.decoder = tokenizers.decoders.Metaspace()
    return engine


def write_unigram(folder: Path, start: list[str], score_of_not_used: float) -> int:
    """Writes a tokenizer.json whose vocabulary begins with special tokens, and returns the number of tokens."""
    vocabulary = [(token, score_of_not_used if token == "<unk>NOTUSED" else 0.0) for token in start]
    vocabulary += [*pieces(), ("<mask>", 0.0)]
    engine = unigram(vocabulary, 3)
    named = [(token, index) for index, (token, _) in enumerate(vocabulary) if token in ("<s>", "</s>")]
    engine.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=named
    )
    special = [token for token in ("<s>", "<pad>", "</s>", "<unk>") if engine.token_to_id(token) is not None]
    engine.add_special_tokens([*special, tokenizers.AddedToken("<mask>", lstrip=True, special=True)])
    engine.save(str(folder / "tokenizer.json"))
    return len(vocabulary)


def write_albert(folder: Path, cased: bool) -> int:
    """ALBERT's tokenizer.json."""
    parts = tokenizers.normalizers
    start = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    engine = unigram([*((token, 0.0) for token in start), *pieces(str if cased else str.lower)], 1)
    lower = [] if cased else [parts.Lowercase()]
    quotes = [parts.Replace("``", '"'), parts.Replace("''", '"')]
    engine.normalizer = parts.Sequence([*quotes, parts.NFKD(), parts.StripAccents(), *lower, engine.normalizer])
    engine.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    engine.add_special_tokens([*start[:4], tokenizers.AddedToken("[MASK]", lstrip=True, special=True)])
    engine.save(str(folder / "tokenizer.json"))
    return engine.get_vocab_size()


def write_fairseq(folder: Path, _: bool) -> int:
    """XLM-RoBERTa's vocabulary."""
    return write_unigram(folder, ["<s>", "<pad>", "</s>", "<unk>"], 0.0)


def write_camembert(folder: Path, _: bool) -> int:
    """CamemBERT's vocabulary."""
    start = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    return write_unigram(folder, start, -100.0)


def write_modern(folder: Path, cased: bool) -> int:
    """ModernBERT's tokenizer.json: byte-level BPE in BERT's template, and runs of spaces as added tokens."""
    engine = tokenizers.Tokenizer(tokenizers.models.BPE())
    lower = [] if cased else [tokenizers.normalizers.Lowercase()]
    engine.normalizer = tokenizers.normalizers.Sequence([tokenizers.normalizers.NFC(), *lower]) if lower else tokenizers.normalizers.NFC()
    engine.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = tokenizers.decoders.ByteLevel()
    texts = [*TEXTS["texts"], TEXTS["long"]] + sum(TEXTS["questions"], [])
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    engine.train_from_iterator(texts, trainer)
    engine.add_special_tokens([*special, tokenizers.AddedToken("[MASK]", lstrip=True, special=True)])
    engine.add_tokens([tokenizers.AddedToken(" " * n, normalized=False) for n in (4, 3, 2)])
    named = [(token, engine.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    engine.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=named
    )
    engine.save(str(folder / "tokenizer.json"))
    return engine.get_vocab_size()


def write_deberta_v2(folder: Path, cased: bool, each_once: bool = False) -> int:
    """DeBERTa-v2's tokenizer.json. The texts have special tokens written out, so that pieces are such too, but for `each_once`."""
    start = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    found = [(piece, score) for piece, score in pieces() if not (each_once and piece in start)]
    engine = unigram([*((token, 0.0) for token in start), *found, ("[MASK]", 0.0)], 3)
    engine.normalizer = tokenizers.normalizers.Sequence([tokenizers.normalizers.Strip(), engine.normalizer])
    engine.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    engine.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    engine.add_special_tokens([*start, tokenizers.AddedToken("[MASK]", lstrip=True, special=True)])
    engine.save(str(folder / "tokenizer.json"))
    return engine.get_vocab_size()


TOKENIZERS = {  # the class, and what writes its vocabulary
    "bert": ("BertTokenizer", write_word_pieces),
    "distilbert": ("DistilBertTokenizer", write_word_pieces),
    "electra": ("ElectraTokenizer", write_word_pieces),
    "roberta": ("RobertaTokenizer", write_byte_pairs),
    "xlm-roberta": ("XLMRobertaTokenizer", write_fairseq),
    "camembert": ("CamembertTokenizer", write_camembert),
    "albert": ("AlbertTokenizer", write_albert),
    "mpnet": ("MPNetTokenizer", write_mpnet),
    "modernbert": ("PreTrainedTokenizerFast", write_modern),
    "nomic_bert": ("BertTokenizer", write_word_pieces),
    "gte": ("BertTokenizer", write_word_pieces),
    "jina_embeddings_v3": ("XLMRobertaTokenizer", write_fairseq),
    "deberta": ("DebertaTokenizer", write_deberta),
    "deberta-v2": ("DebertaV2Tokenizer", write_deberta_v2),
    "roberta-prelayernorm": ("RobertaTokenizer", write_byte_pairs),
    "megatron-bert": ("BertTokenizer", write_word_pieces),
    "ernie": ("BertTokenizer", write_word_pieces),
    "jina_bert": ("BertTokenizer", write_word_pieces),
    "neobert": ("BertTokenizer", write_word_pieces),
    "eurobert": ("PreTrainedTokenizerFast", write_modern),
    "gemma3_text": ("PreTrainedTokenizerFast", write_modern),
    "deberta-v2, each token once": ("DebertaV2Tokenizer", functools.partial(write_deberta_v2, each_once=True)),
}


def write_model(folder: Path, tiny: Tiny) -> None:
    """A Hugging Face folder with random weights."""
    name, write_vocabulary = TOKENIZERS[tiny.vocabulary or tiny.family]
    config = raw_config(tiny, write_vocabulary(folder, tiny.cased) + 3)
    options = {"do_lower_case": not tiny.cased, "model_max_length": tiny.max_length, "tokenizer_class": name}
    if write_vocabulary is write_modern:
        options |= {f"{key}_token": f"[{key.upper()}]" for key in ("unk", "cls", "sep", "pad", "mask")}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    with torch.device("meta"):
        family = TABLES[tiny.family]
        model = model_class(family, tiny.head)(transformers.CONFIG_MAPPING[family.model_type](**config))
    state = random_weights(tiny, ((name, tuple(parameter.shape)) for name, parameter in model.named_parameters()))
    safetensors.numpy.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def load_model(folder: Path, head: str) -> Any:
    """The checkpoint in float32."""
    family = family_of(json.loads((folder / "config.json").read_text(encoding="utf-8")), folder)
    return model_class(family, head).from_pretrained(str(folder)).float().eval()
