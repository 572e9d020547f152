#!/usr/bin/env python3
"""What it costs to include the library: `compile_cost.py SECONDS SOURCE RECORD -- COMPILER...`

Compiles SOURCE, a program with one pipeline, at -O2, writes user CPU seconds and peak memory to RECORD (JSON) and to
standard output, and exits with 1 above the bound of SECONDS and 1 GB. User CPU time, so that a busy machine matters little.

The goal is 8 s and 1 GB. Sources of programs that link bertha::compiled are held to it. With the headers alone memory is
within it, and the bound on time only keeps today's cost, more than the goal, from growing.
"""
import json
import resource
import subprocess
import sys

MEGABYTES = 1024.0


def main(arguments):
    seconds, source, record, dashes, *compiler = arguments
    assert dashes == "--", __doc__
    subprocess.run([*compiler, "-O2", "-c", source, "-o", "/dev/null"], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"user_seconds": round(used.ru_utime, 2), "peak_megabytes": round(used.ru_maxrss / 1024, 1)}
    with open(record, "w", encoding="ascii") as file:
        print(json.dumps(cost), file=file)
    print(json.dumps(cost), f"bound: {seconds} s, {MEGABYTES} MB")
    return 1 if cost["user_seconds"] > float(seconds) or cost["peak_megabytes"] > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
