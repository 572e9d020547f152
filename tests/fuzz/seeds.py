#!/usr/bin/env python3
"""Inputs that the fuzzers begin with: `seeds.py unpack SEEDS FOLDER` makes files of them, `seeds.py pack FOLDER SEEDS` the
other way. SEEDS is a text with one input per line, in base64, the shortest first. Standard library only.
"""
import base64
import hashlib
import sys
from pathlib import Path


def unpack(seeds, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for line in seeds.read_text().split():
        data = base64.b64decode(line, validate=True)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def pack(folder, seeds):
    inputs = {path.read_bytes() for path in folder.iterdir()}
    lines = (base64.b64encode(data).decode() for data in sorted(inputs, key=lambda data: (len(data), data)))
    seeds.write_text("".join(line + "\n" for line in lines if line))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
