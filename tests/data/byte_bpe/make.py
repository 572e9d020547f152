#!/usr/bin/env python3
"""Writes the golden data of byte-level BPE, from `tokenizers`: vocab.json, merges.txt, encode.jsonl, decode.jsonl here.

    python3 tests/data/byte_bpe/make.py

The vocabulary is our own, trained on the sentences below. `encode.jsonl`: the first line names what it was made with and
the configurations, each other line is a text or a pair with options and what `tokenizers` makes of it, window by window
(offsets in code points, start and end in turn; -1 for null). `decode.jsonl`: tokens and the byte-level decoder's text.
Needs no transformers: the tokenizer is put together as transformers.RobertaTokenizer 5.23.0 does it.
"""

import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tools/diff")]
from golden_cases import case, pair_cases, write_lines  # noqa: E402
from generate import generate  # noqa: E402

SENTENCES = """The ferry leaves at half past nine, and the ferryman's dog doesn't wait for anybody.
    We've read the letters that they'd written; she'll answer them when she's home again, I'm told.
    In 1994 and in 2024 the lake froze: 12 people walked to the island, 345 watched from the shore.
    Unhappiness is not the opposite of happiness, said the happy unhappy man, and laughed unhappily.
    Caf\u00e9 cr\u00e8me, na\u00efve fa\u00e7ade, \u00fcber gr\u00fcn, \u015feker, \u0131l\u0131k, \u0130stanbul'da ya\u011fmur ya\u011f\u0131yor.
    \u041c\u043e\u0441\u043a\u0432\u0430 \u0438 \u043c\u043e\u0440\u0435, \u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440! \u039f \u03ba\u03cc\u03c3\u03bc\u03bf\u03c2 \u03ba\u03b1\u03b9 \u03b7 \u03b8\u03ac\u03bb\u03b1\u03c3\u03c3\u03b1.
    \u6771\u4eac\u306f\u5927\u304d\u3044\u3002\u4e2d\u6587\u548c\u6f22\u5b57\u3002 \ud55c\uad6d\uc5b4 \ubb38\uc7a5. \u0645\u0631\u062d\u0628\u0627 \u0628\u0643\u0645 \u0641\u064a \u0627\u0644\u0643\u062a\u0627\u0628.
    for (int i = 0; i < n; ++i) {    sum += a[i] * b[i];    }  // --- === ... !!! ???""".split("\n    ")
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PLAIN = {"add_prefix_space": False, "trim_offsets": True}
# Words by Llama 3's pattern, and tokens that the merges that are left don't make.
LLAMA_3 = {"words": "llama3", "ignore_merges": True, "num_merges": 120}
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
CONFIGURATIONS = {
    "plain": PLAIN,
    "prefix": {"add_prefix_space": True, "trim_offsets": True},
    "untrimmed": {"add_prefix_space": False, "trim_offsets": False},
    "prefix_untrimmed": {"add_prefix_space": True, "trim_offsets": False},
    "added": {"add_prefix_space": True, "trim_offsets": True, "added": [
        {"content": "<left>", "lstrip": True}, {"content": "<right>", "rstrip": True},
        {"content": "<both>", "lstrip": True, "rstrip": True, "special": True}, {"content": "word", "single_word": True},
        {"content": "\u00c9t\u00e9", "normalized": True}, {"content": " sp"}, {"content": "\u0120g", "normalized": True},
        {"content": "\n\n", "lstrip": True, "normalized": True}]},
    "llama3": PLAIN | LLAMA_3,
    "llama3_untrimmed": LLAMA_3 | {"add_prefix_space": False, "trim_offsets": False},
}
GOLDEN = [
    "", " ", "  ", "   ", "a", " a", "  a", "a  b", "a \n b", "a\n\nb", "\n", "\na", " \na", "a\n", "a \n", "\t\ta", "\u00a0", "a\u00a0b",
    " \u00a0a", "a\u2028b", "\u3000a", "a\u0085b", "a\u180eb", "it's", "IT'S", "it\u2019s", "we've 'll'd'm're't", "'", "''s", " 's", "!'s", "a'b", "'sx",
    "'r", "'v", "x'", "1's", "\u00b2\u00bd1", "a1b2", "abc123 456", "\u0661\u0662", "\u2160\u2161", "...", " ...", "!?a", "$9.00", "a_b", "\u00e9", " \u00e9", "Caf\u00e9", "Cafe\u0301",
    "\u0301", " \u0301", "a\u0301b", "\u6771\u4eac", "a\u6771", "\ud55c\uad6d\uc5b4", "\U0001f600", " \U0001f600", "a\U0001f600b", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U000e0001a\U0010ffff",
    "it'\u017f", "a1234567", "a!b ?!\r\nc", " \n a", "\t!a", "x  \n\n  y", "\u00a0a", "\u00a0!",
    "\0", "\u200b", "\ufeffa", "\ufffd", "<s>", "<s>a", "a<s>", "a <s> b", "<s>\u00e9", "<s> \u00e9", "<mask>", "a <mask> b", "  <mask>  ", "a<mask>",
    "<pad><unk></s>", "<S>", "< s >", "\u0120a", "\u010a", "unhappiness", "happiest", "The ferryman doesn't wait.", "a" * 50, "ha" * 40, " " * 30 + "a",
    "happiness" * 12, "\u00e9" * 30, "=" * 40,
]
ADDED = [
    "a <left> b", "a<left>b", "<right> a", "a<right>\t\n b", "a <both> b", "<both> <both>", "<left> <both> <right>", "word", "a word.", "words",
    "\u00e9word", "\u00e9t\u00e9 \u00c9t\u00e9", "a sp", "asp", "\u0120g", "a\u0120g", "a \n\n b", "\u3000 <left>", " <left>", "<right> <mask> word", "\n\n", " \n\n",
]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(SENTENCES, trainer)
    model = json.loads(tokenizer.model.__getstate__())
    return model["vocab"] | {"<mask>": len(model["vocab"])}, [tuple(merge) for merge in model["merges"]]


def build(vocab, merges, configuration):
    merges, ignore = merges[:configuration.get("num_merges")], configuration.get("ignore_merges", False)
    tokenizer = Tokenizer(models.BPE(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False, ignore_merges=ignore))
    space, trim = configuration["add_prefix_space"], configuration["trim_offsets"]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    if "words" in configuration:
        split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=space, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    for token in configuration.get("added", []):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | token
        tokenizer.add_tokens([AddedToken(**flags)])
        token.update(flags, id=tokenizer.token_to_id(token["content"]))
    ids = [(token, vocab[token]) for token in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ids, trim_offsets=trim, add_prefix_space=space)
    return tokenizer


def encode_cases(vocab, merges):
    tokenizer_of = {name: build(vocab, merges, configuration) for name, configuration in CONFIGURATIONS.items()}
    for text in GOLDEN:
        for name in ("plain", "prefix", "untrimmed", "llama3"):
            yield case(name, tokenizer_of[name], text)
    for text in ADDED:
        for split in (False, True):
            yield case("added", tokenizer_of["added"], text, **({"split_special_tokens": True} if split else {}))
    for i, item in enumerate(generate(80, HERE / "vocab.json", seed=3)[0]):
        name = list(CONFIGURATIONS)[i % len(CONFIGURATIONS)]
        yield case(name, tokenizer_of[name], item["text"])
    for name, tokenizer in tokenizer_of.items():
        yield from pair_cases(case, name, tokenizer, ("hello world", "the unhappiness"), max_length=20)
        yield case(name, tokenizer, "<s>the <s>\u00e9", truncation="only_first", max_length=3)


def decode_cases(vocab):
    r = random.Random(7)
    tokens = list(vocab)
    decoder = decoders.ByteLevel()
    for pieces in ([], ["\u0120the"], ["<s>", "a", "</s>"], ["\u00e9"], ["\u00c3", "\u00a9"], ["\u00f0\u0141", "\u013a"], ["\u6771"], ["a \u00c3"], ["\u0120", "\u0120"],
                   ["\u00ff", "\u00fe"], ["\u00e2\u0122", "x"], ["\u0144"], [""], ["\u00c3\u00a9 "]):
        yield {"tokens": pieces, "expected": decoder.decode(pieces)}
    for _ in range(60):
        pieces = [r.choice(tokens) for _ in range(r.randint(1, 8))]
        yield {"tokens": pieces, "expected": decoder.decode(pieces)}


def main():
    vocab, merges = train()
    (HERE / "vocab.json").write_text(json.dumps(vocab, separators=(",", ":")) + "\n", encoding="ascii")
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (HERE / "merges.txt").write_text(text, encoding="utf-8", newline="\n")
    made_with = {"made_by": "tests/data/byte_bpe/make.py", "tokenizers": tokenizers.__version__}
    cases = list(encode_cases(vocab, merges))
    for file, head, lines in (("encode.jsonl", made_with | {"configurations": CONFIGURATIONS}, cases),
                              ("decode.jsonl", made_with, list(decode_cases(vocab)))):
        write_lines(HERE / file, head, lines)


if __name__ == "__main__":
    main()
