#!/usr/bin/env python3
"""Turns a Hugging Face folder into one bertha model file: `python3 tools/convert.py FOLDER OUT.safetensors`.

Needs numpy, safetensors and tokenizers; torch and transformers only to record a self-test with logits. Versions are in
tools/bertha_convert/requirements.py, with the code; what the file holds is specified in tools/format.md.
"""

import os
import sys

PYTHON = (3, 9)


def run():
    """Checks what the converter needs, before anything of it is imported, and runs it."""
    if sys.version_info < PYTHON:
        return "convert.py: Python %d.%d is needed; this is %s" % (PYTHON + (sys.version.split()[0],))
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from bertha_convert.requirements import NEEDED, faults

    said = faults(NEEDED)
    if said:
        return "convert.py: " + said
    from bertha_convert.cli import main

    return main(sys.argv[1:], os.path.basename(sys.argv[0]))


if __name__ == "__main__":
    sys.exit(run())
