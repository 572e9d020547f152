#!/usr/bin/env python3
"""Texts that are hard on a tokenizer, the same ones for the same seed.

    python3 tools/diff/generate.py COUNT --vocabulary VOCABULARY [--seed N] [--pairs] [--every-kind] > texts.jsonl

VOCABULARY is a vocab.txt of WordPiece, a vocab.json of byte-level BPE, for which there are three kinds more, or a
tokenizer.json or .model (needs sentencepiece) of Unigram, a list of its pieces, or a tokenizer.json of BPE over characters,
for which there are five more.

Every text is a few words, each made by one of the kinds below; the first one's kind goes round, so that each of the five
kinds of `ROUND` is in at least a fifth of all texts (with those of `BYTE_LEVEL`: an eighth, with those of `UNIGRAM`: a
tenth). With --every-kind all go round, whatever the vocabulary. The histogram goes to standard error.
"""

import argparse
import collections
import json
import pathlib
import random
import sys
import unicodedata

CODE_POINTS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
MARKS = [c for c in CODE_POINTS if unicodedata.category(c)[0] == "M" or unicodedata.combining(c)]
COMMON_MARKS = [chr(c) for c in range(0x300, 0x370)]
DECOMPOSED = [c for c in CODE_POINTS if unicodedata.decomposition(c) and "<" not in unicodedata.decomposition(c)]
SPACES = [c for c in CODE_POINTS if unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc", "Cf")]
COMMON_SPACES = list(" \t\n\r\v\f\0\x1c\x1f\x7f\x85\xa0\xad") + [
    chr(c) for c in (0x180E, 0x1680, 0x2000, 0x2003, 0x200B, 0x200C, 0x200D, 0x200E, 0x2028, 0x2029, 0x202F, 0x2060,
                     0x3000, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF, 0x10FFFF)]
CASED = [c for c in CODE_POINTS if c.lower() != c or c.upper() != c]
ODD_CASES = [chr(c) for c in (0x49, 0x130, 0x131, 0xDF, 0x1E9E, 0x3A3, 0x3C2, 0x3C3, 0x1C4, 0x1C5, 0x212A, 0x212B,
                              0x149, 0x1F88, 0x10400, 0xFB01, 0xFF21)]
CHINESE_EDGES = [chr(c + d) for c in (0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xF900, 0xFAFF, 0x20000, 0x2A6DF, 0x2A700, 0x2B73F,
                                      0x2B740, 0x2B81F, 0x2B820, 0x2B920, 0x2CEAF, 0x2F800, 0x2FA1F) for d in (-1, 0, 1)]
MARKS_AND_SYMBOLS = [c for c in CODE_POINTS if unicodedata.category(c)[0] in "PS"]
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"]
BROKEN_SPECIAL = ["[sep]", "[MASK", "MASK]", "[[SEP]]", "[ SEP ]", "[SEP\u0301]", "[\u200dCLS]", "##[PAD]", "[unused1]"]

ROUND = ("marks", "spaces", "repeats", "vocabulary", "special")
OTHERS = ("cases", "chinese", "punctuation", "hangul", "any")
BYTE_LEVEL = ("contractions", "runs", "fallback")
UNIGRAM = ("metaspaces", "compatible", "outside", "clusters", "fallback")
ALL = tuple(dict.fromkeys(ROUND + OTHERS + BYTE_LEVEL + UNIGRAM))
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
BYTE_SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
BROKEN_BYTE_SPECIAL = ["<S>", "<mask", "mask>", "<<s>>", "< pad >", "</s\u0301>", "<\u200dmask>", "\u0120<s>", "\u0120"]
EMOJI = [chr(c) for c in (*range(0x1F300, 0x1F650), *range(0x1F680, 0x1F6C6), *range(0x1F900, 0x1FA00), 0x2764, 0x2600)]
JOINERS = ["\u200d", "\ufe0f", "\U0001f3fb", "\U0001f3ff", "\U0001f1f9", "\u20e3"]
RARE_SCRIPTS = [chr(c) for first in (0x700, 0x780, 0x1200, 0x13A0, 0x1400, 0x1780, 0x1820, 0x2C00, 0xA000, 0x10330,
                                     0x10400, 0x12000, 0x13000, 0x1D400, 0x20000, 0x2A700) for c in range(first, first + 40)]


METASPACE = "\u2581"
COMPATIBLE = [c for c in CODE_POINTS if unicodedata.decomposition(c).startswith("<")]
COMMON_COMPATIBLE = [chr(c) for first, last in ((0xFF01, 0xFFEF), (0xFB00, 0xFB06), (0x2460, 0x24FF), (0x3300, 0x33FF),
                                                (0xFE20, 0xFEFC)) for c in range(first, last)] + ["\ufdfa", "\xbd", "\xb2"]
# What grapheme clusters are made of: jamo and syllables, numbers' signs, Indic conjuncts, pictures and joiners.
CLUSTERS = ["\u1100", "\u115f", "\u1161", "\u11a8", "\uac00", "\uac01", "\ud7b0", "\ud7cb", "\u0600", "\u06dd", "\u070f",
            "\u0890", "\u0d4e", "\u0915", "\u094d", "\u093c", "\u09cd", "\u0995", "\u0903", "\u0e33", "\u200c", "\u200d",
            "\xa9", "\xae", "\u203c", "\u2764", "\U0001f468", "\U0001f3fb", "\U0001f1f9", "\ufe0f", "\u20e3", "\r", "\n", "\r\n",
            "\0", "\x01", "\xad", "\u0301", "\u0327", "\u3099", "\uff9e", "\uff9f", "\uff76", "\u304b", "a", "1", "\u2460"]


class Generator:
    """Makes words of each kind; `pieces` are the vocabulary's tokens without prefix, as text."""

    def __init__(self, seed, pieces, more=(), every_kind=False):
        self.random = random.Random(seed)
        self.pieces = pieces
        self.kinds = ALL if every_kind else ROUND + OTHERS + more
        self.round = ALL if every_kind else ROUND + more
        self.special_tokens = {(): SPECIAL, BYTE_LEVEL: BYTE_SPECIAL, UNIGRAM: BYTE_SPECIAL + SPECIAL}[more]
        self.broken_tokens = BROKEN_BYTE_SPECIAL if more else BROKEN_SPECIAL
        self.histogram = collections.Counter()
        if "outside" in self.kinds:
            known = set("".join(pieces))
            self.unknown = [c for c in CODE_POINTS if c not in known]

    def piece(self):
        return self.random.choice(self.pieces)

    def marks(self):
        r = self.random
        word = ""
        for _ in range(r.randint(1, 4)):
            word += r.choice((self.piece(), r.choice(DECOMPOSED), r.choice(COMMON_MARKS), "e", "\u0391"))
            word += "".join(r.choice(r.choice((COMMON_MARKS, MARKS, DECOMPOSED))) for _ in range(r.randint(1, 4)))
        return word

    def spaces(self):
        r = self.random
        word = ""
        for _ in range(r.randint(1, 4)):
            word += r.choice((self.piece(), "a", "")) + "".join(
                r.choice(r.choice((COMMON_SPACES, SPACES))) for _ in range(r.randint(1, 3)))
        return word + r.choice((self.piece(), ""))

    def repeats(self):
        r = self.random
        unit = r.choice((self.piece(), r.choice(self.piece()), "a", ".", "[", " ", r.choice(CODE_POINTS)))
        times = r.choice((2, 3, 4, 5, 8, 16, 33, 99, 100, 101, 102))
        return (unit * times)[:400]

    def vocabulary(self):
        r = self.random
        change = r.choice((str, str, str.upper, str.title, str.swapcase))
        return change("".join(self.piece() for _ in range(r.randint(1, 4))))

    def special(self):
        r = self.random
        tokens = "".join(
            r.choice(self.special_tokens if r.random() < 0.8 else self.broken_tokens) for _ in range(r.randint(1, 2)))
        return r.choice((self.piece(), "", " ")) + tokens + r.choice((self.piece(), "", " ", r.choice(COMMON_MARKS)))

    def cases(self):
        r = self.random
        return "".join(r.choice(r.choice((ODD_CASES, CASED))) for _ in range(r.randint(1, 6)))

    def chinese(self):
        r = self.random
        return "".join(r.choice((r.choice(CHINESE_EDGES), self.piece())) for _ in range(r.randint(1, 6)))

    def punctuation(self):
        r = self.random
        return "".join(r.choice((r.choice(MARKS_AND_SYMBOLS), self.piece(), "'")) for _ in range(r.randint(1, 6)))

    def hangul(self):
        r = self.random
        return "".join(chr(r.randrange(0xAC00, 0xAC00 + 11172)) for _ in range(r.randint(1, 5)))

    def any(self):
        return "".join(self.random.choice(CODE_POINTS) for _ in range(self.random.randint(1, 8)))

    def contractions(self):
        r = self.random
        change = r.choice((str, str, str, str.upper, lambda text: text.replace("'", "\u2019")))
        return "".join(r.choice((self.piece(), "", " ", "'")) + change(r.choice(CONTRACTIONS)) + r.choice(("", "", "s", " "))
                       for _ in range(r.randint(1, 4)))

    def runs(self):
        r = self.random
        return "".join(r.choice((" ", " ", r.choice(COMMON_SPACES), "\n", "\t")) * r.choice((1, 2, 3, 4, 5, 8, 9, 16, 17, 40))
                       + r.choice((self.piece(), "", "1", ".", "\u00e9")) for _ in range(r.randint(1, 3)))

    def fallback(self):
        r = self.random
        return "".join(r.choice(r.choice((EMOJI, EMOJI, JOINERS, RARE_SCRIPTS))) for _ in range(r.randint(1, 6)))

    def metaspaces(self):
        r = self.random
        return "".join(r.choice((METASPACE, METASPACE, " ", "\u3000", "_")) * r.choice((1, 1, 2, 3, 5, 8, 17))
                       + r.choice((self.piece(), self.piece(), "", "1", ".")) for _ in range(r.randint(1, 4)))

    def compatible(self):
        r = self.random
        return "".join(r.choice((r.choice(COMMON_COMPATIBLE), r.choice(COMPATIBLE), r.choice(COMMON_COMPATIBLE),
                                 self.piece(), r.choice(COMMON_MARKS))) for _ in range(r.randint(1, 8)))

    def outside(self):
        r = self.random
        word = "".join(r.choice((r.choice(self.unknown) * r.choice((1, 1, 2, 9)), self.piece()))
                       for _ in range(r.randint(1, 5)))
        return word + r.choice(("", "", "<unk>", "<0x41>", "<0xE2>"))

    def clusters(self):
        r = self.random
        return "".join(r.choice((r.choice(CLUSTERS), r.choice(CLUSTERS), r.choice(CLUSTERS), r.choice(MARKS)))
                       for _ in range(r.randint(2, 12)))

    def text(self, first_kind):
        r = self.random
        kinds = [first_kind] + [r.choice(self.kinds) for _ in range(r.randint(0, 5))]
        self.histogram.update(set(kinds))
        r.shuffle(kinds)
        return "".join(getattr(self, kind)() + r.choice((" ", " ", "", "\n", "-")) for kind in kinds)


def bytes_of_characters():
    """The byte that each character of the byte alphabet stands for."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def byte_level_pieces(vocabulary_file):
    """The tokens of a vocab.json as text without the space before them, parts of characters and special tokens left out."""
    byte_of = bytes_of_characters()
    with open(vocabulary_file, encoding="utf-8") as file:
        tokens = [bytes(byte_of[c] for c in token) for token in json.load(file) if all(c in byte_of for c in token)]
    texts = [token.decode("utf-8", errors="replace").removeprefix(" ") for token in tokens]
    return [text for text in texts if text and "\ufffd" not in text and text not in BYTE_SPECIAL]


def unigram_pieces(vocabulary_file):
    """The tokens of Unigram, or of BPE over characters, without mark, control and unused ones left out."""
    if str(vocabulary_file).endswith(".model"):
        import sentencepiece
        model = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary_file))
        tokens = [model.id_to_piece(i) for i in range(len(model)) if not model.is_control(i)]
    else:
        with open(vocabulary_file, encoding="utf-8") as file:
            read = json.load(file)
        listed = read if isinstance(read, list) else read["model"]["vocab"]
        tokens = list(listed) if isinstance(listed, dict) else [token for token, _ in listed]
    texts = [token.removeprefix(METASPACE) for token in tokens if token not in BYTE_SPECIAL + SPECIAL]
    return [text for text in texts if text]


def vocabulary_of(folder):
    """A tokenizer folder's vocabulary file."""
    names = ("vocab.json", "vocab.txt", "tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "spm.model")
    return next(path for path in (pathlib.Path(folder) / name for name in names) if path.is_file())


def pieces_of(vocabulary_file):
    """The tokens of a vocab.txt without prefix, special and unused ones left out."""
    with open(vocabulary_file, encoding="utf-8", newline="\n") as lines:
        tokens = [line.rstrip("\n") for line in lines]
    return [t.removeprefix("##") for t in tokens if t and t != "##" and not (t[0] == "[" and t[-1] == "]")]


def generate(count, vocabulary_file, seed=1, pairs=False, every_kind=False):
    """(texts, histogram): `count` objects {"text"} or {"text", "text_pair"}, and in how many texts each kind is."""
    read, more = {"vocab.txt": (pieces_of, ()), "vocab.json": (byte_level_pieces, BYTE_LEVEL)}.get(
        pathlib.Path(vocabulary_file).name, (unigram_pieces, UNIGRAM))
    generator = Generator(seed, read(vocabulary_file), more, every_kind)
    kinds = generator.round
    texts = []
    for i in range(count):
        item = {"text": generator.text(kinds[i % len(kinds)])}
        if pairs:
            item["text_pair"] = generator.text(kinds[(i // len(kinds)) % len(kinds)])
        texts.append(item)
    return texts, generator.histogram


def describe(histogram, count):
    kinds = [kind for kind in ALL if kind in histogram]
    return ", ".join(f"{kind} {100 * histogram[kind] / count:.0f} %" for kind in kinds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--every-kind", action="store_true")
    options = parser.parse_args()
    texts, histogram = generate(options.count, options.vocabulary, options.seed, options.pairs, options.every_kind)
    for item in texts:
        print(json.dumps(item))
    print(describe(histogram, len(texts) * (2 if options.pairs else 1)), file=sys.stderr)


if __name__ == "__main__":
    main()
