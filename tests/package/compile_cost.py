#!/usr/bin/env python3
"""What it costs to compile the library: `compile_cost.py SECONDS SOURCE RECORD [FLAG...] -- COMPILER...`

Compiles SOURCE at -O2, and compile_reference.cpp before and after it. Seconds are reference seconds, of a machine that
takes two for the reference: the same machine has been seen to take three times as long as an hour before. With FLAGs it is
what SOURCE takes more with the last one than with those before. Writes the cost and peak memory to RECORD (JSON) and to
standard output, and exits with 1 when it is more than SECONDS, or 1 GB.
"""
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

MEGABYTES = 1024.0
REFERENCE_SECONDS = 2.0


def user_seconds(compiler, source):
    """User CPU seconds of one compilation."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([*compiler, "-O2", "-c", str(source), "-o", os.devnull], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def cost_of_last(compiler, source, flags):
    """User CPU seconds of SOURCE, or what it takes more by the last flag: of three pairs the least, which others disturb least."""
    if not flags:
        return user_seconds(compiler, source)
    return min(user_seconds([*compiler, *flags], source) - user_seconds([*compiler, *flags[:-1]], source) for _ in range(3))


def main(arguments):
    dashes = arguments.index("--")
    (bound, source, record, *flags), compiler = arguments[:dashes], arguments[dashes + 1:]
    reference = Path(__file__).with_name("compile_reference.cpp")
    before = user_seconds(compiler, reference)
    seconds = cost_of_last(compiler, source, flags)
    unit = (before + user_seconds(compiler, reference)) / 2 / REFERENCE_SECONDS
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cost = {
        "reference_seconds": round(seconds / unit, 2),
        "user_seconds": round(seconds, 2),
        "peak_megabytes": round(megabytes, 1),
    }
    with open(record, "w", encoding="ascii") as file:
        print(json.dumps(cost), file=file)
    print(json.dumps(cost), f"bounds: {bound} reference seconds, {MEGABYTES} MB")
    return 1 if cost["reference_seconds"] > float(bound) or cost["peak_megabytes"] > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
