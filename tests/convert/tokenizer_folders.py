"""Writes a folder for each kind of tokenizer, of the small vocabularies that tests are of: what tools/diff/parity.py compares
where no real ones are at hand.

    python3 tests/convert/tokenizer_folders.py FOLDER
"""

import json
import string
import sys
from pathlib import Path

import byte_folders
import character_folders
import unigram_folders

# Pieces of English and Turkish, of Greek with and without accents, of Chinese and Hangul; all letters go on with words too.
WORDS = (
    "the of and to in is was he for it with as his on be at by had not are but from or have bir ve bu i\u00e7in \u00e7ok "
    "merhaba d\u00fcnya \u03bb\u03cc\u03b3\u03bf\u03c2 \u03bb\u03bf\u03b3\u03bf\u03c2 \u03ba\u03b1\u03b9 \u4e2d "
    "\u56fd \u4eba \u5927 \ud55c \uad6d \uc5b4 ing ed s er ly un re ## ' - . , ! ? 1 2 3 12 2026"
).split()
LETTERS = (
    string.ascii_letters + string.digits + string.punctuation + "\u00e7\u011f\u0131\u00f6\u015f\u00fc\u00e9\u00e8"
    "\u00f1\u03b1\u03b2\u03b3\u03b4\u03b5\u03bb\u03cc\u03c2\u0438\u0433\u0434\u0435"
)


def write_wordpiece(folder: Path, cased: bool) -> None:
    """BERT's files."""
    starts = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*starts, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS, *(f"##{word}" for word in WORDS)]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(tokens)) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": not cased}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def main(root: Path) -> None:
    def folder(name: str) -> Path:
        made = root / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    write_wordpiece(folder("wordpiece"), False)
    write_wordpiece(folder("wordpiece-cased"), True)
    byte_folders.write_folder(folder("byte-bpe"))
    character_folders.write_folder(folder("gemma"), character_folders.gemma())
    character_folders.write_folder(folder("robertuito"), character_folders.robertuito())
    for name in ("XLMRobertaTokenizer", "CamembertTokenizer", "AlbertTokenizer", "DebertaV2Tokenizer"):
        for kind in ("model", "json"):
            made = folder(f"{name}-{kind}")
            unigram_folders.write_json(made, "tokenizer_config.json", {"tokenizer_class": name})
            if kind == "model":
                unigram_folders.write_model(made, name)
            else:
                unigram_folders.write_json(made, "tokenizer.json", unigram_folders.tokenizer_json(name))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
