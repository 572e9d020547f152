"""Texts that are made to take long, for tokenizer.py: each is one line of a single thing, or of random ones of a kind."""

import random
import unicodedata
from collections.abc import Iterator

N_RANDOM = 20_000  # code points of a random text, which then comes again and again
REPEATED = {
    "a letter": "a",
    "a capital letter": "A",
    "two letters": "ab",
    "a digit": "1",
    "a punctuation mark": "!",
    "apostrophes": "'",
    "letters and apostrophes": "a's",
    "letters and full stops": "a.",
    "letters and spaces": "a ",
    "spaces": " ",
    "tabs": "\t",
    "NUL": "\0",
    "no-break spaces": "\u00a0",
    "ideographic spaces": "\u3000",
    "a combining mark": "\u0301",
    "marks in falling order": "\u0345\u0300\u0316",
    "letters with two marks": "\u1e9b\u0323",
    "decomposed letters": "u\u0308",
    "capital I with dot": "\u0130",
    "final sigmas": "\u03a3",
    "emoji joined by ZWJ": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "ZWJ": "\u200d",
    "regional indicators": "\U0001f1f9\U0001f1f7",
    "an ideograph": "\u4e00",
    "letters and ideographs": "a\u4e00",
    "two scripts": "a\u0431",
    "four scripts": "a\u0431\u05d0\u0e01",
    "Hangul syllables": "\uac01",
    "Hangul jamo": "\u1100\u1161\u11a8",
    "Thai": "\u0e01\u0e33",
    "linked consonants": "\u0915\u094d",
    "marks for spaces": "\u2581",
    "U+FFFD": "\ufffd",
    "private use": "\ue000",
    "unassigned": "\U0002ffff",
    "U+FDFA": "\ufdfa",
    "U+FDFB": "\ufdfb",
    "U+3300": "\u3300",
    "U+33FF": "\u33ff",
    "U+2A74": "\u2a74",
    "one half": "\u00bd",
    "ligatures": "\ufb03",
    "full-width letters": "\uff21",
    "mathematical letters": "\U0001d400",
}
RANDOM = {
    "random letters": "abcdefghijklmnopqrstuvwxyz",
    "random letters and digits": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "random punctuation": "!\"#$%&()*+,-./:;<=>?@[]^_`{|}~",
    "random marks": "".join(map(chr, range(0x300, 0x370))),
    "random ideographs": "".join(map(chr, range(0x4E00, 0x9FA6))),
    "random code points": "".join(c for c in map(chr, range(0x20, 0x30000)) if unicodedata.category(c) != "Cs"),
}


def hostile_texts(mask: str) -> Iterator[tuple[str, str]]:
    """Their names, and parts that are to be repeated. `mask` is an added token of the vocabulary."""
    yield from REPEATED.items()
    yield "added tokens", mask
    yield "added tokens and spaces", mask + " "
    yield "starts of added tokens", mask[:-1]
    chance = random.Random(1)
    for name, characters in RANDOM.items():
        yield name, "".join(chance.choice(characters) for _ in range(N_RANDOM))
