#!/usr/bin/env python3
"""Turns a Hugging Face folder into one bertha model file: `python3 tools/convert.py FOLDER OUT.safetensors`.

Needs numpy, safetensors and tokenizers; torch and transformers only to record a self-test with logits. What the file
holds is specified in tools/format.md. The code is in tools/bertha_convert/.
"""

import sys

try:
    from bertha_convert.cli import main
except ModuleNotFoundError as missing:
    if missing.name not in ("numpy", "safetensors", "tokenizers"):
        raise
    sys.exit(f"convert.py: the Python package {missing.name} is missing; pip install numpy safetensors tokenizers")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
