#!/usr/bin/env python3
"""A header compiles alone, with the warnings as errors: `headers.py HEADER --include FOLDER --parsed FOLDER -- COMPILER...`

HEADER is named as sources include it, below the folder of --include. Most headers of the library include one of a few that
cost most to parse. Of these, the first in PARSED_BEFORE that HEADER includes, itself or by others, was parsed beforehand, by
`headers.py --parse ...` in place of HEADER, and is read from there: HEADER would see the same names without it, only later.
So a header that lacks an include still fails, and the tests of all headers take a third of the time. Standard library only.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

PARSED_BEFORE = ("bertha/model.hpp", "bertha/encoder/encoder.hpp", "bertha/file/json.hpp")
INCLUDE = re.compile(r"^#include <(bertha/[^>]+)>$", re.MULTILINE)


def included(header, include):
    """The headers of the library that `header` includes, itself or by others."""
    found, waiting = set(), [header]
    while waiting:
        for name in INCLUDE.findall((include / waiting.pop()).read_text(encoding="utf-8")):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def wrapper(header, parsed):
    """A source that includes `header` and nothing else: the compiler looks for the parsed form of it beside it."""
    return parsed / header.replace("/", "_")


def parse(include, parsed, compiler):
    """Parses the headers of PARSED_BEFORE for the calls to come."""
    parsed.mkdir(exist_ok=True)
    for header in PARSED_BEFORE:
        source = wrapper(header, parsed)
        source.write_text(f"#include <{header}>\n", encoding="utf-8")
        done = subprocess.run([*compiler, "-x", "c++-header", source, "-o", f"{source}.gch"])
        if done.returncode:
            return done.returncode
    return 0


def main(arguments):
    options = argparse.ArgumentParser()
    options.add_argument("header", nargs="?")
    options.add_argument("--parse", action="store_true")
    options.add_argument("--include", type=Path, required=True)
    options.add_argument("--parsed", type=Path, required=True)
    split = arguments.index("--")
    options, compiler = options.parse_args(arguments[:split]), arguments[split + 1:]
    if options.parse:
        return parse(options.include, options.parsed, compiler)
    seen = included(options.header, options.include)
    first = []
    for header in PARSED_BEFORE:
        if header in seen and options.header != "bertha/bertha.hpp":
            # g++ 12 forgets in the parsed form where a header allows such casts. The test of bertha.hpp keeps the warning.
            first = ["-include", str(wrapper(header, options.parsed)), "-Wno-cast-align"]
            break
    return subprocess.run([*compiler, *first, "-fsyntax-only", "-include", options.header, "-x", "c++", "/dev/null"]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
