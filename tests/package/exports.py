#!/usr/bin/env python3
"""A shared library shows of bertha nothing but its exception: `exports.py NM LIBRARY`.

LIBRARY links bertha::compiled and is compiled with hidden visibility: two such in one program, with two builds of bertha,
must not get each other's functions. Its own function and what is bertha::Error's are visible.
"""
import re
import subprocess
import sys


def main(arguments):
    nm, library = arguments
    listing = subprocess.run([nm, "-D", "-C", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols = [line.split(maxsplit=2)[2] for line in listing.splitlines()]
    assert "shared_tokens" in symbols, listing
    ours = [symbol for symbol in symbols if "bertha::" in symbol or "nlohmann" in symbol]
    others = [symbol for symbol in ours if not re.search(r"bertha::\w+::Error(?:$|::)", symbol)]
    assert any("typeinfo for" in symbol for symbol in ours), "bertha::Error's type is hidden: it can't be caught outside"
    assert not others, f"{len(others)} of {len(symbols)}: {others[:5]}"


if __name__ == "__main__":
    main(sys.argv[1:])
