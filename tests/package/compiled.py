#!/usr/bin/env python3
"""bertha::compiled is the same library: `compiled.py NM MODEL HEADERS COMPILED OBJECT LIBRARY`.

HEADERS and COMPILED are the program logit_bits, linked with bertha::bertha and with bertha::compiled: they print the same.
OBJECT, the program's own object in the second, contains no kernel, no encoder's arithmetic and no JSON; LIBRARY does.
"""
import re
import subprocess
import sys

COSTLY = re.compile(r" [TtWwVvu] .*(?:kernels::(?:scalar|avx2|avx512|neon)::|Encoder<.*>::(?:forward|run|run_chunk)\b|nlohmann)")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(arguments):
    nm, model, headers, compiled, binary, library = arguments
    bits = output(headers, model)
    assert bits.count("\n") > 4 and bits == output(compiled, model), "the bits differ"
    found = [line for line in output(nm, "-C", binary).splitlines() if COSTLY.search(line)]
    assert not found, found[:5]
    parts = {match.group(0).split(" ", 2)[2] for match in COSTLY.finditer(output(nm, "-C", library))}
    for part in ("kernels::scalar::", "nlohmann", "Encoder<"):
        assert any(part in symbol for symbol in parts), f"{part} is nowhere: are its symbols named so?"


if __name__ == "__main__":
    main(sys.argv[1:])
