#!/usr/bin/env python3
"""What it costs to include the library: `compile_cost.py TIMES SOURCE RECORD -- COMPILER...`

Compiles SOURCE, a program with one pipeline, at -O2, and compile_reference.cpp before and after it. Writes user CPU
seconds of both and peak memory to RECORD (JSON) and to standard output, and exits with 1 when SOURCE takes more than
TIMES as long as the reference, or 1 GB: the same machine has been seen to take three times as long as an hour before.

The goal is 8 s, four times the reference where that takes 2 s, and 1 GB. Sources of programs that link bertha::compiled
are held to it. With the headers alone memory is within it, and the bound on time only keeps today's cost, more than the
goal, from growing.
"""
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

MEGABYTES = 1024.0


def compile_seconds(compiler, source):
    """User CPU seconds of one compilation."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([*compiler, "-O2", "-c", str(source), "-o", os.devnull], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main(arguments):
    times, source, record, dashes, *compiler = arguments
    assert dashes == "--", __doc__
    reference = Path(__file__).with_name("compile_reference.cpp")
    first = compile_seconds(compiler, reference)
    seconds = compile_seconds(compiler, source)
    reference_seconds = (first + compile_seconds(compiler, reference)) / 2
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cost = {
        "user_seconds": round(seconds, 2),
        "reference_seconds": round(reference_seconds, 2),
        "times_reference": round(seconds / reference_seconds, 2),
        "peak_megabytes": round(megabytes, 1),
    }
    with open(record, "w", encoding="ascii") as file:
        print(json.dumps(cost), file=file)
    print(json.dumps(cost), f"bounds: {times} times the reference, {MEGABYTES} MB")
    return 1 if cost["times_reference"] > float(times) or cost["peak_megabytes"] > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
