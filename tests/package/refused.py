#!/usr/bin/env python3
"""What bertha refuses it refuses in one sentence: `refused.py WORDS -- COMPILER...`

COMPILER, which includes the whole library with a flag that it refuses, has to fail with one error that holds WORDS and
with the stop after it, and to tell nothing that follows from the first.
"""
import subprocess
import sys


def main(arguments):
    words, dashes, *compiler = arguments
    assert dashes == "--", __doc__
    run = subprocess.run(compiler, capture_output=True, text=True)
    errors = [line for line in run.stderr.splitlines() if "error: " in line]
    assert run.returncode != 0 and len(errors) == 2, run.stderr[:4000]
    assert words in errors[0] and "see the error above" in errors[1], errors
    assert "warning: " not in run.stderr, run.stderr


if __name__ == "__main__":
    main(sys.argv[1:])
