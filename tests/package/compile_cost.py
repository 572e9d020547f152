#!/usr/bin/env python3
"""What it costs to compile the library: `compile_cost.py SECONDS SOURCE RECORD [FLAG...] -- COMPILER...`

Compiles SOURCE at -O2, and compile_reference.cpp before and after it. Seconds are reference seconds, of a machine that
takes two for the reference: the same machine has been seen to take three times as long as an hour before. With FLAGs it is
what SOURCE takes more with each of them and those before than without it. What is more than SECONDS is measured up to three
times, and the least time of each compilation counts. Writes the costs and peak memory to RECORD (JSON)
and to standard output, and exits with 1 when one is more than SECONDS or MEGABYTES.
"""
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

# 1,024 until attention learned of relative positions, 1,040 until sums of float32 products came in parts; half of it is
# headers, json.hpp alone 226.
MEGABYTES = 1050.0
REFERENCE_SECONDS = 2.0


def user_seconds(compiler, source):
    """User CPU seconds of one compilation."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([*compiler, "-O2", "-c", str(source), "-o", os.devnull], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measured(compiler, source, flags):
    """User CPU seconds of the reference, and of SOURCE without flags, with the first, with the first two, and so on."""
    reference = Path(__file__).with_name("compile_reference.cpp")
    before = user_seconds(compiler, reference)
    seconds = [user_seconds([*compiler, *flags[:count]], source) for count in range(len(flags) + 1)]
    return [(before + user_seconds(compiler, reference)) / 2, *seconds]


def costs(seconds, source, flags):
    """Reference seconds of SOURCE; or what it takes more with each flag."""
    its = [REFERENCE_SECONDS * each / seconds[0] for each in seconds[1:]]
    if not flags:
        return {source.name: round(its[0], 2)}
    return {flag: round(after - before, 2) for flag, before, after in zip(flags, its, its[1:])}


def main(arguments):
    dashes = arguments.index("--")
    (bound, source, record, *flags), compiler = arguments[:dashes], arguments[dashes + 1:]
    source = Path(source)
    least = [float("inf")] * (len(flags) + 2)
    for _ in range(3):  # what is too much is measured again: others may have disturbed, which only adds to a compilation
        least = list(map(min, least, measured(compiler, source, flags)))
        cost = {
            "reference_seconds": costs(least, source, flags),
            "peak_megabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
        }
        print(json.dumps(cost), f"bounds: {bound} reference seconds, {MEGABYTES} MB")
        too_much = max(cost["reference_seconds"].values()) > float(bound) or cost["peak_megabytes"] > MEGABYTES
        if not too_much:
            break
    Path(record).write_text(json.dumps(cost) + "\n", encoding="ascii")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
