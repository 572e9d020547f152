#!/usr/bin/env python3
"""What it costs to compile the library: `compile_cost.py SECONDS SOURCE RECORD [FLAG...] -- COMPILER...`

Compiles SOURCE at -O2, and compile_reference.cpp before and after it. Seconds are reference seconds, of a machine that
takes two for the reference: the same machine has been seen to take three times as long as an hour before. With FLAGs it is
what SOURCE takes more with each of them and those before than without it. Writes the costs and peak memory to RECORD (JSON)
and to standard output, and exits with 1 when one is more than SECONDS, or 1 GB.
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


def costs(compiler, source, flags):
    """User CPU seconds of SOURCE; or what it takes more by each flag."""
    if not flags:
        return {source.name: user_seconds(compiler, source)}
    seconds = [user_seconds([*compiler, *flags[:count]], source) for count in range(len(flags) + 1)]
    return {flag: after - before for flag, before, after in zip(flags, seconds, seconds[1:])}


def main(arguments):
    dashes = arguments.index("--")
    (bound, source, record, *flags), compiler = arguments[:dashes], arguments[dashes + 1:]
    reference = Path(__file__).with_name("compile_reference.cpp")
    for _ in range(2):  # what is too much is measured again: others may have disturbed
        before = user_seconds(compiler, reference)
        seconds = costs(compiler, Path(source), flags)
        unit = (before + user_seconds(compiler, reference)) / 2 / REFERENCE_SECONDS
        cost = {
            "reference_seconds": {name: round(each / unit, 2) for name, each in seconds.items()},
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
