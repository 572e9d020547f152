#!/usr/bin/env python3
"""Any bytes through the converter's readers of other programs' files: ConvertError is all that may come out of one, and what is
read is what the reader of the program that makes such files finds in it.

    converter_readers.py READER [LIBFUZZER_OPTION ...] FOLDER   new inputs, led by the code that is reached (needs atheris)
    converter_readers.py READER [LIBFUZZER_OPTION ...] FILE     one input
    converter_readers.py READER --coverage FOLDER               those of the folder alone: the lines of the reader they reach

READER is torch_file, sentencepiece_model or safetensors. The folder gets a few right files to begin with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
measure = None
if "--coverage" in sys.argv:
    import coverage  # before tools/ has one of this name

    measure = coverage.Coverage(include=[str(ROOT / "tools/bertha_convert/*")], data_file=None)
    measure.start()
for place in ("tools", "tests/convert"):
    sys.path.insert(0, str(ROOT / place))

import atheris
import numpy as np


# Imports of the converter are watched by the fuzzer.
with contextlib.nullcontext() if measure else atheris.instrument_imports(include=["bertha_convert"]):
    from bertha_convert import charsmap, sentencepiece_model, source, torch_file, torch_pickle
    from bertha_convert.errors import ConvertError


def check_torch_file(path: Path, data: bytes) -> None:
    """pytorch_model.bin, against pickle and zipfile."""
    from test_torch_file import Reference

    stored = torch_file.read_tensors(path)
    found = {name: source.load(name, it) for name, it in stored.items() if it.dtype in source.FLOAT_TYPES}
    with np.errstate(over="ignore"):
        expected = Reference(data).tensors()
    assert list(found) == list(expected), "the names"
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def check_sentencepiece_model(path: Path, data: bytes) -> None:
    """A .model, against protobuf's own reader."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    found = sentencepiece_model.read(path)
    message = sentencepiece_model_pb2.ModelProto()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return  # fields that the converter doesn't read
    assert [(it.text, it.score) for it in found.pieces] == [(it.piece, it.score) for it in message.pieces], "the pieces"
    assert found.charsmap == message.normalizer_spec.precompiled_charsmap, "the charsmap"
    if found.charsmap:
        charsmap.read(found.charsmap)


def check_safetensors(path: Path, data: bytes) -> None:
    """model.safetensors, against its definition: a length, a JSON object, the tensors one after the other. What stands for
    its header is also read as a file of its own, such as config.json."""
    alone = path.with_suffix(".json")
    alone.write_bytes(data[8:])
    try:
        read = source.read_json(alone)
    except ConvertError:
        pass
    else:
        assert json.dumps(read) == json.dumps(json.loads(data[8:])), "the object"
    stored = source.read_header(path)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    assert list(stored) == list(header), "the names"
    for name, entry in header.items():
        if entry["dtype"] in source.FLOAT_TYPES:
            begin, end = (8 + length + at for at in entry["data_offsets"])
            values = np.frombuffer(data[begin:end], source.FLOAT_TYPES[entry["dtype"]])
            if entry["dtype"] == "BF16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            with np.errstate(over="ignore"):
                expected = values.astype(np.float32).reshape(entry["shape"])
            np.testing.assert_array_equal(source.load(name, stored[name]), expected, err_msg=name)
            if expected.ndim > 0:
                parts = [part for part in source.rows(name, stored[name], 1)]
                np.testing.assert_array_equal(np.concatenate([expected[:0], *parts]), expected, err_msg=name)


def torch_files() -> list[bytes]:
    """Files that torch has written."""
    return [(ROOT / "tests/data/torch" / name).read_bytes() for name in ("zip.bin", "legacy.bin")]


def sentencepiece_models() -> list[bytes]:
    """Models as SentencePiece writes them, with and without a charsmap, and one whose pieces merge."""
    import unigram_folders as u

    made = u.pieces("XLMRobertaTokenizer")
    return [u.model_file(made, 0), u.model_file(made[:8], 0, b""), u.model_file(made, 0, model_type=2, more=[(35, 1)])]


def safetensors_files() -> list[bytes]:
    """A tensor of each type, and none at all."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for dtype, size in source.ELEMENT_SIZES.items():
        header[f"{dtype}.weight"] = {"dtype": dtype, "shape": [2, 3], "data_offsets": [len(data), len(data) + 6 * size]}
        data += bytes(range(1, 7)) * size
    texts = [json.dumps(it).encode() for it in (header, {})]
    return [struct.pack("<Q", len(texts[0])) + texts[0] + data, struct.pack("<Q", len(texts[1])) + texts[1]]


class Reader(NamedTuple):
    """A reader of the converter, what it begins with, and its sources."""

    check: Callable[[Path, bytes], None]
    files: Callable[[], list[bytes]]
    modules: list[Any]


READERS = {
    "torch_file": Reader(check_torch_file, torch_files, [torch_file, torch_pickle]),
    "sentencepiece_model": Reader(check_sentencepiece_model, sentencepiece_models, [sentencepiece_model, charsmap]),
    "safetensors": Reader(check_safetensors, safetensors_files, [source]),
}


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    reader, folder = READERS[sys.argv[1]], Path(sys.argv[-1])
    if not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for data in reader.files():
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)

    with tempfile.TemporaryDirectory() as own:
        path = Path(own) / "input"

        def one(data: bytes) -> None:
            path.write_bytes(data)
            try:
                reader.check(path, data)
            except ConvertError as error:
                assert len(str(error)) > 20, error

        if measure is None:
            atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
            atheris.Fuzz()
            os._exit(0)
        for file in sorted(folder.iterdir()):
            one(file.read_bytes())
        measure.stop()
        for module in reader.modules:
            _, lines, _, missed, _ = measure.analysis2(module.__file__)
            share = 100 - 100 * len(missed) / len(lines)
            print(f"{share:6.1f} % of {len(lines):4}  {os.path.relpath(module.__file__, ROOT)}")


if __name__ == "__main__":
    main()
