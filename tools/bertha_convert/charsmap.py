"""Reads SentencePiece's compiled rules of normalisation: what replaces which characters.

The form is that of the crate spm_precompiled: the size of a double array of Darts, its units, and the replacements,
each ended by a zero byte. Of the strings that begin with one another the engine takes the shortest, and it asks for five
bytes at most: those are all that this reads.
"""

from __future__ import annotations

import struct

import numpy as np

from .errors import fail

LONGEST = 5  # bytes of what is replaced
MOST_NODES = 2**20

Replacements = dict[bytes, str]


def _damaged(what: str) -> Exception:
    """The error of a charsmap that no SentencePiece made."""
    return fail(f"the precompiled charsmap is damaged: {what}", do="Download the tokenizer's files again.")


def _offset(unit: int) -> int:
    """How far a unit's children are."""
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


class _Reader:
    """The two parts of a charsmap."""

    def __init__(self, data: bytes) -> None:
        size = struct.unpack_from("<I", data)[0] if len(data) >= 4 else 0
        if size == 0 or size % 4 or size > len(data) - 4:
            raise _damaged(f"its trie has {size} bytes of {len(data)}")
        self.units = np.frombuffer(data, "<u4", size // 4, 4).astype(np.int64)
        self.texts = data[4 + size :]

    def unit(self, at: int) -> int:
        """One unit."""
        if at >= len(self.units):
            raise _damaged(f"its trie has no unit {at}")
        return int(self.units[at])

    def children(self, place: int) -> list[tuple[int, int]]:
        """The bytes that may come next, and their units."""
        labels = np.arange(1, 256)
        places = place ^ labels
        inside = places < len(self.units)
        units = self.units[np.where(inside, places, 0)]
        return [(int(labels[i]), int(places[i])) for i in np.flatnonzero(inside & (units & (1 << 31 | 0xFF) == labels))]

    def text(self, start: int) -> str:
        """One replacement."""
        if start > len(self.texts):
            raise _damaged(f"its texts have no byte {start}")
        try:
            return self.texts[start:].split(b"\0", 1)[0].decode("utf-8")
        except ValueError as error:
            raise _damaged("its texts are not UTF-8") from error


def read(data: bytes) -> Replacements:
    """What is replaced, and by what."""
    reader = _Reader(data)
    result: Replacements = {}
    texts: dict[int, str] = {}
    nodes = [(b"", _offset(reader.unit(0)))]
    visited = 0
    while nodes:
        string, place = nodes.pop()
        for label, at in reader.children(place):
            visited += 1
            if visited > MOST_NODES:
                raise _damaged(f"more than {MOST_NODES} starts of what is replaced")
            unit = reader.unit(at)
            longer, below = string + bytes([label]), at ^ _offset(unit)
            if unit >> 8 & 1:
                start = reader.unit(below) & (1 << 31) - 1
                if start not in texts:
                    texts[start] = reader.text(start)
                result[longer] = texts[start]
            elif len(longer) < LONGEST:
                nodes.append((longer, below))
    if not result:
        raise _damaged("it replaces nothing")
    return result
