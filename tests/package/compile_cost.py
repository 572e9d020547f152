#!/usr/bin/env python3
"""What it costs to include the library: `compile_cost.py SOURCE RECORD -- COMPILER...`

Compiles SOURCE, a program with one pipeline, at -O2, writes user CPU seconds and peak memory to RECORD (JSON) and to
standard output, and exits with 1 above the bound. User CPU time, so that a busy machine matters little.

The goal is 8 s and 1 GB. Memory is within it; the bound on time only keeps today's cost, about twice the goal, from growing.
"""
import json
import resource
import subprocess
import sys

GOAL_SECONDS, SECONDS, MEGABYTES = 8.0, 30.0, 1024.0


def main(arguments):
    source, record, dashes, *compiler = arguments
    assert dashes == "--", __doc__
    subprocess.run([*compiler, "-O2", "-c", source, "-o", "/dev/null"], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"user_seconds": round(used.ru_utime, 2), "peak_megabytes": round(used.ru_maxrss / 1024, 1)}
    with open(record, "w", encoding="ascii") as file:
        print(json.dumps(cost), file=file)
    print(json.dumps(cost), f"goal: {GOAL_SECONDS} s, bound: {SECONDS} s, {MEGABYTES} MB")
    return 1 if cost["user_seconds"] > SECONDS or cost["peak_megabytes"] > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
