#!/usr/bin/env python3
"""Writes the tokenizer's golden data, from `tokenizers` and CPython: vocab.txt, encode.jsonl, text.jsonl in this folder.

    python3 tests/data/tokenizer/make.py

The vocabulary is our own, a few hundred pieces of many scripts. `encode.jsonl`: the first line names what it was made with
and the configurations, each other line is a text or a pair with options and what `tokenizers` makes of it, window by
window (offsets in code points, start and end in turn; -1 for null). `text.jsonl`: str.lower(), bytes.decode with
errors="replace", and the WordPiece decoder. Needs no transformers: the tokenizer is put together as
transformers.BertTokenizer 5.23.0 does it.
"""

import pathlib
import platform
import random
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tools/diff")]
from golden_cases import case, write_lines  # noqa: E402
from generate import generate  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """hello world the un happi ness merhaba benim ad\u0131m anim istanbul da i\u0307stanbul \u0130stanbul \u0131l\u0131k
    \u015feker g\u00fcne\u015f Merhaba Hello cafe Caf\u00e9 caf na\u00efve naive na ve do not n't 's ' . , ? ! \u00a3 \u20ac 9 00 100
    \u03bf\u03b4\u03bf\u03c3 \u03bf\u03b4\u03bf\u03c2 \u039f\u0394\u039f\u03a3 \u03bc\u03bf\u03c5 \u043f\u0440\u0438\u0432\u0435\u0442
    \u043c\u0438\u0440 \u041c\u043e\u0441\u043a\u0432\u0430 \u6771 \u4eac \u4e2d \u6587 \u6f22 \u30bf\u30ef\u30fc \u30cf \u30d0
    \u3072\u3089 \u306f \ud55c\uad6d\uc5b4 \ud55c \uad6d \uc5b4 \u1112\u1161\u11ab \u1100\u116e\u11a8 \u1112 \u1161 \u11ab
    \u0645\u0631\u062d\u0628\u0627 \u0639\u0631\u0628 \u0627\u0644 \u0643\u062a\u0627\u0628 \u0905\u0915 \u0e01\u0e02 \ufb01 \u00bd
    \u00b2 sinan san francisco gel yorum token hello1 aa aaaa a\u0301 \u212b \u00e5 \u1e69""".split()
PIECES = """s ed ing ness happi l\u0131k lar ler da de dan yorum '' world hello lo o a\u0301 \u0301 \u03bf\u03c3 \u03bf\u03c2 \u0435\u0442
    \u4eac \u30ef\u30fc \u30fc \uad6d \uc5b4 \u1161 \u11ab \u1100\u116e\u11a8 \u0631\u062d\u0628\u0627 \u0628\u0627 \u0627\u062a \u00b2 \ufb01
    a aa e\u0301 e \u00e9 1 00 \u0307 i\u0307 \u302e \u302f \U0001d165""".split()
LETTERS = "abcdefghijklmnopqrstuvwxyzABEHIST0123456789\u0131\u0130\u00e7\u011f\u015f\u00f6\u00fc\u00e9\u03b1\u03b2\u03c3\u03c2\u0430\u0431\u0432\u3042\u30a2"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\u2019\u201c\u3002\u060c"

CONFIGURATIONS = {
    "uncased": {"lowercase": True, "strip_accents": True, "clean_text": True, "handle_chinese_chars": True},
    "cased": {"lowercase": False, "strip_accents": False, "clean_text": True, "handle_chinese_chars": True},
    "accents": {"lowercase": True, "strip_accents": False, "clean_text": True, "handle_chinese_chars": True},
    "stripped": {"lowercase": False, "strip_accents": True, "clean_text": False, "handle_chinese_chars": False},
    "added": {"lowercase": True, "strip_accents": True, "clean_text": True, "handle_chinese_chars": True, "added": [
        {"content": "<left>", "lstrip": True}, {"content": "<right>", "rstrip": True},
        {"content": "<both>", "lstrip": True, "rstrip": True, "special": True}, {"content": "word", "single_word": True},
        {"content": "wordy", "single_word": True, "special": True}, {"content": "ab"}, {"content": "abab"},
        {"content": "\u00c9t\u00e9", "normalized": True}, {"content": "NEW york", "normalized": True, "single_word": True},
        {"content": "\u6771", "normalized": True, "rstrip": True},
        {"content": " sp"}, {"content": " ls", "lstrip": True}, {"content": "\t\t"}]},
}

GOLDEN = [
    "\u00a39.00", "Cafe\u0301 / Caf\u00e9", "ca\u00adfe", "a\u200db", "a\u000bb", "a\u0085b", "a\u2028b", "\ufffd",
    "\u6771\u4eac\u30bf\u30ef\u30fc", "a\U0002b820b", "a\U0002b920b", "\u30d0", "\u30cf\u3099", "\ud55c\uad6d\uc5b4", "\u0130stanbul'da",
    "\u039f\u0394\u039f\u03a3", "\ufb01 \u00bd \u00b2", "a\U0001f3f3\ufe0f\u200d\U0001f308b", "hello[MASK]world", "[SEP]", "[sep]",
    "<s>", "a" * 100, "a" * 101, "e\u0301" * 100, "e\u0301" * 101, "", "   ", "\r\n", "\u00a0", "a\u00a0b", "\0", "\ufeffhello",
    "hello\u0323\u0301world", "a\u0301\u0323\u0334", "\u1e69\u0323", "s\u0307\u0323", "a\u0f73\u0f72\u0f71b", "\u212b",
    "\ue000a", "\u166da", "\u0300", "a \u0300 b", "\u0627\u0644\u0643\u062a\u0627\u0628\u060c", "unhappiness", "Merhaba! Benim ad\u0131m Sinan.",
    "do n't", "I\u0307stanbul", "\u0131l\u0131k \u015eEKER", "[[MASK]]", "[CLS][SEP]", "\u01c5", "x\u1160y", "hello\tworld\nthe",
    "a\u3000b\u202fc\u2003d\u180ee", "\U000e0001a\U0010ffffb", "$+<=>^`|~", "100\u20ac", "\u0e01\u0e33\u0e02", "\u0905\u093c\u0915",
    "a\u0301\u302eb", "a\u0301\u302f\u0323\u302eb", "a\u00e9\u302e\u302fb", "e\u0301\u302e e\u0301\U0001d165\u302e", "\u1e69\u302e\u302e",
]
ADDED = [
    "a <left> b", "a<left>b", "a \u3000<left>", "<right> a", "a<right>\t\r\n b", "a <both> b", "<both> <both>", "<left> <both> <right>",
    "word", "a word.", "words", "sword", "\u00e9word", "word\u0301", "_word", "word-word wordy", "wordya wordy", "abababab aba",
    "\u00e9t\u00e9 ETE \u00c9T\u00c9 e\u0301te\u0301", "xetex", "New  York", "new york", "newyork", "new york's xnew york", "NEW YORKER",
    "\u6771\u4eac \u6771  a", "a\u200d<left>", "<left", "word[MASK]word <right> [MASK]", "<right> \u6771 word",
    "<right> sp a", "<right>  sp a", "<right>  ls a", "a  ls", "<right>\t\t a", "<both>\t\t\tsp a", "\u6771  sp a", "\t\t \t\t\t",
]


def vocabulary():
    tokens = SPECIAL + WORDS + list(LETTERS) + list(PUNCTUATION) + ["##" + p for p in PIECES] + ["##" + c for c in LETTERS]
    return list(dict.fromkeys(tokens))


def build(tokens, configuration):
    vocab = {t: i for i, t in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    options = {k: v for k, v in configuration.items() if k != "added"}
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    for token in configuration.get("added", []):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | token
        tokenizer.add_tokens([AddedToken(**flags)])
        token.update(flags, id=tokenizer.token_to_id(token["content"]))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    return tokenizer


def encode_cases(tokens):
    tokenizer_of = {name: build(tokens, configuration) for name, configuration in CONFIGURATIONS.items()}
    for text in GOLDEN:
        for name in ("uncased", "cased", "accents", "stripped"):
            yield case(name, tokenizer_of[name], text)
    for text in ADDED:
        for split in (False, True):
            yield case("added", tokenizer_of["added"], text, **({"split_special_tokens": True} if split else {}))
    for item in generate(60, HERE / "vocab.txt", seed=3)[0]:
        yield case("uncased", tokenizer_of["uncased"], item["text"])
        yield case("cased", tokenizer_of["cased"], item["text"])
    uncased = tokenizer_of["uncased"]
    for first, second in (("hello world", "the unhappiness"), ("", ""), ("hello", ""), ("", "[SEP]"), ("a\u0301 b", "\u4e2d")):
        yield case("uncased", uncased, first, second)
        yield case("uncased", uncased, first, second, add_special_tokens=False)
    for strategy in ("longest_first", "only_first", "only_second"):
        for n1, n2 in ((6, 8), (1, 8), (8, 6), (8, 1), (5, 5), (7, 7), (2, 9), (9, 2)):
            for room, stride in ((5, 0), (5, 1), (6, 2), (7, 0), (9, 3), (20, 0)):
                kept = n1 if strategy == "only_first" else n2
                left = kept - max(0, n1 + n2 - room)
                if strategy != "longest_first" and left <= stride:
                    continue
                if strategy == "longest_first" and room // 2 <= stride:
                    continue
                yield case("uncased", uncased, " ".join("abcdefghi"[:n1]), " ".join("123456789"[:n2]),
                           truncation=strategy, max_length=room + 3, stride=stride)
    for strategy in ("longest_first", "only_first"):
        for room, stride in ((1, 0), (2, 1), (3, 0), (3, 2), (4, 1), (8, 7), (9, 0), (10, 3)):
            yield case("uncased", uncased, "a b c d e f g h 1", truncation=strategy, max_length=room + 2, stride=stride)
    yield case("uncased", uncased, "a b c d e f", truncation="longest_first", max_length=4, stride=1, add_special_tokens=False)


def text_cases(tokens):
    r = random.Random(5)
    lowers = ["", "ABC", "\u0130", "\u0130\u0130x", "\u03a3", "\u0391\u03a3", "\u0391\u03a3\u0391", "\u0391\u03a3.", "\u0391.\u03a3", "\u0391\u0301\u03a3\u0301", "\u0391'\u03a3'\u0391",
              "\u039f\u0394\u039f\u03a3 \u039f\u0394\u039f\u03a3", "\u02b0\u03a3", "a\u02b0\u03a3", "\u1c89", "\U00010d50", "\u1e9e\u00df", "\u01c5", "\U00010400", "\uff21",
              "1\u03a3", "\u03a3\u03a3", "\u03a3 \u03a3", "a\u00ad\u03a3\u200d\u03a3", "\u212a\u212b"]
    lowers += [item["text"] for item in generate(40, HERE / "vocab.txt", seed=9)[0]]
    lowers += ["".join(r.choice("\u03a3\u03a3A.'\u0301 \u02b0") for _ in range(8)) for _ in range(40)]
    for text in lowers:
        yield {"lower": text, "expected": text.lower()}
    some = ["", "61", "80", "c0af", "c280", "c2", "c261", "e0", "e080", "e0a0", "e0a080", "e09f80", "eda080", "ed9fbf", "f0908080",
            "f08f8080", "f09080", "f090", "f0", "f48fbfbf", "f4908080", "f5808080", "ff", "fe61", "61e4b862", "e4b8ade4b8", "f09f98",
            "f09f9841", "f09f4141", "efbbbf61", "efbfbd", "c3a9c3", "e28261e282ac"]
    some += [bytes(r.choice((0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xE4, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5))
                   for _ in range(r.randint(1, 9))).hex() for _ in range(150)]
    for data in some:
        error = None
        try:
            bytes.fromhex(data).decode()
        except UnicodeDecodeError as e:
            error = e.start
        yield {"bytes": data, "expected": bytes.fromhex(data).decode(errors="replace"), "invalid_at": error}
    decoder = decoders.WordPiece(prefix="##")
    sentences = ["hello ##s , world !", "##s hello", "U . S . don ' t", "do n't", "it 's we 've you 're i 'm", "##", "## ##", "a ##b##c",
                 "[CLS] a [SEP]", ". . ?", "do not", "' '", "a", "", "a##", "##.x ##,", "n't", "##n't 's"]
    for sentence in sentences:
        pieces = sentence.split(" ") if sentence else []
        yield {"tokens": pieces, "expected": decoder.decode(pieces)}
    for pieces in (["a", " do not", "x . y"], ["", ""], [" '", " "], ["x ' y", " .", "  ."], ["##a", "b do not do not"]):
        yield {"tokens": pieces, "expected": decoder.decode(pieces)}
    for _ in range(40):
        pieces = [r.choice(tokens) for _ in range(r.randint(1, 8))]
        yield {"tokens": pieces, "expected": decoder.decode(pieces)}


def main():
    tokens = vocabulary()
    (HERE / "vocab.txt").write_text("".join(t + "\n" for t in tokens), encoding="utf-8", newline="\n")
    made_with = {"made_by": "tests/data/tokenizer/make.py", "tokenizers": tokenizers.__version__,
                 "python": platform.python_version()}
    cases = list(encode_cases(tokens))
    for file, head, lines in (("encode.jsonl", made_with | {"configurations": CONFIGURATIONS}, cases),
                              ("text.jsonl", made_with, list(text_cases(tokens)))):
        write_lines(HERE / file, head, lines)


if __name__ == "__main__":
    main()
