"""Builds the tries of tools/format.md section 5 from byte strings and their values."""

from __future__ import annotations

import numpy as np

from .errors import fail

FREE = 0xFF  # the byte of units that are no child
WINDOW = 4096  # places that are looked at together for a node with several children
LARGEST = 2**24  # one more than the largest base
ROUND = 8  # units of a tensor's 64 bytes


class _Places:
    """Which units and bases are taken, a bit each."""

    def __init__(self) -> None:
        self.units = bytearray()
        self.bases = bytearray()
        self._grow(2 * WINDOW)
        self.units[0], self.bases[0] = 1, 1  # the root, and the base of nodes without children

    def _grow(self, bits: int) -> None:
        """Makes room for so many."""
        for taken in (self.units, self.bases):
            taken.extend(bytes(max(0, bits // 8 - len(taken))))

    def room(self, window: int, labels: bytes) -> int | None:
        """A base in a window of which all children are free."""
        first = window * WINDOW
        self._grow(first + 2 * WINDOW)
        begin, end = first // 8, (first + WINDOW) // 8
        units = ~int.from_bytes(self.units[begin : end + 32], "little")
        found = ~int.from_bytes(self.bases[begin:end], "little") & ((1 << WINDOW) - 1)
        for label in labels:
            found &= units >> label
        return first + (found & -found).bit_length() - 1 if found else None

    def take(self, base: int, labels: bytes) -> None:
        """Marks a base and its children."""
        if base + 255 >= LARGEST:
            raise fail("a vocabulary has too many different strings", expected=f"fewer than {LARGEST} starts of them")
        self._grow(base + 2 * WINDOW)
        self.bases[base // 8] |= 1 << base % 8
        for label in labels:
            self.units[(base + label) // 8] |= 1 << (base + label) % 8


def _tree(strings: list[bytes]) -> tuple[list[bytes], list[list[int]], list[int]]:
    """The nodes' children, by their bytes and by their numbers, and the node of each string; node 0 is the root."""
    labels: list[bytearray] = [bytearray()]
    children: list[list[int]] = [[]]
    ends, path, before = [], [0], b""
    for string in strings:
        common = 0
        for a, b in zip(string, before):
            if a != b:
                break
            common += 1
        del path[common + 1 :]
        for byte in string[common:]:
            labels[path[-1]].append(byte)
            children[path[-1]].append(len(labels))
            path.append(len(labels))
            labels.append(bytearray())
            children.append([])
        ends.append(path[-1])
        before = string
    return [bytes(each) for each in labels], children, ends


def build(values: dict[bytes, int]) -> np.ndarray:
    """The units of the strings, each with its value, which is not 0. What is empty is left out."""
    strings = sorted(string for string in values if string)
    labels, children, ends = _tree(strings)
    places, units, bases = _Places(), [0] * len(labels), [0] * len(labels)

    def place(node: int, base: int) -> None:
        places.take(base, labels[node])
        bases[node] = base
        for label, child in zip(labels[node], children[node]):
            units[child] = base + label

    nodes = [node for node in range(len(labels)) if labels[node]]
    several = sorted((node for node in nodes if len(labels[node]) > 1), key=lambda node: -len(labels[node]))
    single = [node for node in nodes if len(labels[node]) == 1]  # as they follow each other in strings
    for group, kept in ((several, 8), (single, 0)):
        first = 0  # windows before it are nearly full
        for node in group:
            window = first
            while (base := places.room(window, labels[node])) is None:
                window += 1
            first = max(first, window - kept)
            place(node, base)
    count = -(-(max(units) + 1) // ROUND) * ROUND
    result = np.zeros((count, 2), dtype=np.uint32)
    result[:, 0] = FREE
    for node in range(len(labels)):
        for label, child in zip(labels[node], children[node]):
            result[units[child], 0] = label | bases[child] << 8
    result[0, 0] = FREE | bases[0] << 8
    for string, node in zip(strings, ends):
        result[units[node], 1] = values[string]
    return result.reshape(-1)
