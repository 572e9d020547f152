"""Compiles rules of normalisation as SentencePiece does, in a double array of Darts that is plain and large.

Its free units are zero, which a NUL in a text matches. Those of Darts match nothing: of the nodes of XLM-RoBERTa's and ALBERT's
charsmaps, 18,808 each, a NUL leads on from none. `tokenizers` ends at a NUL and the converter follows none, so that
SentencePiece's library alone would walk them.
"""

import struct


def compiled(entries):
    """A charsmap: the size of the double array, its units, 256 for each node, and what replaces the strings."""
    starts = {b"": 0}
    for key in entries:
        data = key.encode()
        for size in range(1, len(data) + 1):
            starts.setdefault(data[:size], len(starts))
    units, texts = [0] * (256 * len(starts) + 256), b""
    place = {start: 256 * (n + 1) for start, n in starts.items()}
    units[0] = place[b""] << 10
    for start in starts:
        if start:
            at = place[start[:-1]] + start[-1]
            units[at] = (at ^ place[start]) << 10 | start[-1]
    for key, text in entries.items():
        data = key.encode()
        units[place[data[:-1]] + data[-1]] |= 1 << 8
        units[place[data]] = 1 << 31 | len(texts)
        texts += text.encode() + b"\0"
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts
