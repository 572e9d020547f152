#!/usr/bin/env python3
"""Runs examples/sentencepiece.cpp: `sentencepiece_test.py PROGRAM CLASSIFY`. Standard library only.

The .model is made of the vocabulary of a golden model. Its tokens must be those of the text, and the label the one that
CLASSIFY, the example with the model's own tokenizer, gives the same text.
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "convert"))
from unigram_folders import FAIRSEQ, NORMAL, model_file  # noqa: E402

MODEL = TESTS / "golden/models/xlm_roberta_classify.safetensors"


def vocabulary() -> list[tuple[str, float]]:
    """The tokens of the golden model and their scores, by id."""
    data = MODEL.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    count = json.loads(header["__metadata__"]["tokenizer"])["vocab_size"]

    def part(name: str) -> bytes:
        begin, end = header[name]["data_offsets"]
        return data[8 + size + begin : 8 + size + end]

    text = part("tokenizer.vocab.text")
    offsets = struct.unpack_from(f"<{count + 1}I", part("tokenizer.vocab.offsets"))
    scores = struct.unpack_from(f"<{count}d", part("tokenizer.scores"))
    return [(text[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(count)]


def main(program: str, classify: str) -> int:
    """Compares what the two programs print."""
    start = [(token, 0.0, kind) for token, kind in FAIRSEQ]
    pieces, seen = [], set()
    for number, (token, score) in enumerate(vocabulary()[4:-1]):
        pieces.append((token if token not in seen else f"<unused {number}>", score, NORMAL))
        seen.add(token)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "x.model"
        model.write_bytes(model_file(start + pieces, 0, charsmap=b""))
        run = [program, str(model), str(MODEL)]
        lines = subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()
    tokens = [line.split(" ", 2) for line in lines if line.split(" ", 1)[0].isdigit()]
    found = lines[len(tokens) :]
    text = "".join(token.replace("<unk>", source) for _, token, source in tokens).replace("\u2581", " ")
    assert text == "<s> Stocks rallied and the British pound gained</s>", text
    assert [token[0] for token in (tokens[0], tokens[-1])] == ["0", "2"], tokens
    for _, token, source in tokens[1:-1]:  # a mark alone stands for what is behind it
        assert token.replace("\u2581", "") in (source, "", "<unk>"), (token, source)
    expected = subprocess.run([classify, str(MODEL)], check=True, capture_output=True, text=True).stdout.splitlines()[:1]
    assert found == expected and len(found) == 1, (found, expected)
    print(f"{len(tokens)} tokens, {found[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
