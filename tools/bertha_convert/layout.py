"""Lays weights out as tools/format.md section 5 has it: panels of 16 outputs, padded rows, int8 with scales.

A matrix comes as blocks of rows and goes out as blocks of a tensor, so that no more than one of them is in memory.
bfloat16 numbers are arrays of uint16, their bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from . import double_array
from .errors import fail

PANEL = 16  # outputs of a panel: one 64-byte vector of float32
INT8_BLOCK = 64  # int8 rows are padded to this
BFLOAT16_BLOCK = 32  # and bfloat16 rows to this
SMALLEST_ROW = np.float32(2.0**-100)

Blocks = Callable[[], Iterable[np.ndarray]]


class Rows(NamedTuple):
    """A float32 matrix in blocks of rows; each but the last has a multiple of PANEL."""

    count: int
    width: int
    blocks: Blocks


class Tensor(NamedTuple):
    """A tensor of the file, in blocks that follow each other in it; those of one tensor are taken before the next's."""

    dtype: str  # as numpy names it
    shape: tuple[int, ...]
    blocks: Blocks


Tensors = dict[str, Tensor]


def stored(values: np.ndarray) -> Tensor:
    """A tensor that is in memory already."""
    return Tensor(values.dtype.name, values.shape, lambda: [values])


def values_of(tensor: Tensor) -> np.ndarray:
    """All of a tensor, in memory."""
    return np.concatenate([block.reshape(-1) for block in tensor.blocks()]).reshape(tensor.shape)


def round_up(n: int, multiple: int) -> int:
    """The smallest multiple that is not below n."""
    return -(-n // multiple) * multiple


def _padded(values: np.ndarray, *sizes: int) -> np.ndarray:
    """The same values in an array of the given sizes, zero elsewhere."""
    result = np.zeros(sizes, dtype=values.dtype)
    result[tuple(slice(n) for n in values.shape)] = values
    return result


def vector(values: np.ndarray) -> np.ndarray:
    """[N] -> [N']."""
    return _padded(values, round_up(len(values), PANEL))


def rows(values: np.ndarray) -> np.ndarray:
    """[L, K] -> [L, K'], float32 rows."""
    return _padded(values, len(values), round_up(values.shape[1], PANEL))


def quantise_rows(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, K] float32 -> int8 values of the same shape and [N] scales; all arithmetic in float32."""
    largest = np.abs(weights).max(axis=1)
    zero = largest < SMALLEST_ROW
    scale = np.where(zero, np.float32(0), largest / np.float32(127)).astype(np.float32)
    inverse = np.where(zero, np.float32(0), np.float32(127) / np.where(zero, np.float32(1), largest))
    values = np.rint(weights * inverse.astype(np.float32)[:, None])
    return np.clip(values, -127, 127).astype(np.int8), scale


def rounded(name: str, weights: np.ndarray) -> np.ndarray:
    """Finite float32 -> the nearest bfloat16, ties to even."""
    bits = weights.view(np.uint32)
    upper = ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    if (large := upper & 0x7FFF == 0x7F80).any():
        do = "Convert it to float32."
        expected, got = "weights below 3.39e38 in magnitude", weights[large].flat[0]
        raise fail("has no bfloat16 number near it", where=f"weight of '{name}'", expected=expected, got=got, do=do)
    return upper


def widened(values: np.ndarray) -> np.ndarray:
    """bfloat16 -> float32, exactly."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def float32_panels(weights: np.ndarray) -> np.ndarray:
    """[N, K] -> [N'/16, K, 16]."""
    outputs, inputs = round_up(len(weights), PANEL), weights.shape[1]
    panels = _padded(weights, outputs, inputs).reshape(-1, PANEL, inputs)
    return np.ascontiguousarray(panels.transpose(0, 2, 1))


def _grouped_panels(values: np.ndarray, block: int, group: int) -> np.ndarray:
    """[N, K] -> [N'/16, K'/group, 16, group], K' = K up to a multiple of `block`."""
    outputs, inputs = round_up(len(values), PANEL), round_up(values.shape[1], block)
    panels = _padded(values, outputs, inputs).reshape(-1, PANEL, inputs // group, group)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))


def bfloat16_panels(values: np.ndarray) -> np.ndarray:
    """[N, K] -> [N'/16, K2/2, 16, 2]."""
    return _grouped_panels(values, BFLOAT16_BLOCK, 2)


def int8_panels(values: np.ndarray) -> np.ndarray:
    """[N, K] -> [N'/16, K4/4, 16, 4]."""
    return _grouped_panels(values, INT8_BLOCK, 4)


class _Quantised:
    """Rows in int8, and what is known of them when all their blocks were taken: a scale and a sum for each."""

    def __init__(self, weights: Rows) -> None:
        self.weights = weights
        self.scales: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []

    def blocks(self) -> Iterator[np.ndarray]:
        """The values."""
        self.scales, self.sums = [], []
        for block in self.weights.blocks():
            values, scale = quantise_rows(block)
            self.scales.append(scale)
            self.sums.append(values.sum(axis=1, dtype=np.int32))
            yield values

    def scale(self) -> Tensor:
        """[N']."""
        return Tensor("float32", (round_up(self.weights.count, PANEL),), lambda: [vector(np.concatenate(self.scales))])

    def sum(self) -> Tensor:
        """[N']."""
        return Tensor("int32", (round_up(self.weights.count, PANEL),), lambda: [vector(np.concatenate(self.sums))])


def linear(name: str, weights: Rows, bias: np.ndarray | None, precision: str) -> Tensors:
    """The tensors of a linear layer."""
    panels = round_up(weights.count, PANEL) // PANEL
    last = {} if bias is None else {f"{name}.bias": stored(vector(bias))}
    if precision == "float32":
        shape = (panels, weights.width, PANEL)
        return {f"{name}.weight": Tensor("float32", shape, lambda: map(float32_panels, weights.blocks()))} | last
    if precision == "bfloat16":
        shape = (panels, round_up(weights.width, BFLOAT16_BLOCK) // 2, PANEL, 2)
        blocks = lambda: (bfloat16_panels(rounded(name, block)) for block in weights.blocks())  # noqa: E731
        return {f"{name}.weight": Tensor("uint16", shape, blocks)} | last
    quantised, shape = _Quantised(weights), (panels, round_up(weights.width, INT8_BLOCK) // 4, PANEL, 4)
    return {
        f"{name}.weight": Tensor("int8", shape, lambda: map(int8_panels, quantised.blocks())),
        f"{name}.scale": quantised.scale(),
        f"{name}.sum": quantised.sum(),
        **last,
    }


def table(name: str, weights: Rows, precision: str) -> Tensors:
    """The tensors of an embedding table."""
    width = round_up(weights.width, {"float32": PANEL, "bfloat16": BFLOAT16_BLOCK, "int8": INT8_BLOCK}[precision])
    shape = (weights.count, width)
    if precision == "float32":
        return {f"{name}.weight": Tensor("float32", shape, lambda: map(rows, weights.blocks()))}
    if precision == "bfloat16":
        blocks = lambda: (_padded(rounded(name, block), len(block), width) for block in weights.blocks())  # noqa: E731
        return {f"{name}.weight": Tensor("uint16", shape, blocks)}
    quantised = _Quantised(weights)
    blocks = lambda: (_padded(values, len(values), width) for values in quantised.blocks())  # noqa: E731
    return {f"{name}.weight": Tensor("int8", shape, blocks), f"{name}.scale": quantised.scale()}


def attention_head(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The rows [D, ...] of one attention head of three matrices -> [3 D', ...], zero between them."""
    size = round_up(len(query), PANEL)
    return np.concatenate([_padded(part, size, *part.shape[1:]) for part in (query, key, value)])


def by_attention_head(matrices: list[Callable[[int], Iterable[np.ndarray]]], heads: int, hidden: int) -> Rows:
    """Three [H, H] matrices, each by its rows so many at a time -> [3 D' A, H]: output 3 D' a + D' m + d is row a D + d of
    matrix m."""
    size = hidden // heads
    blocks = lambda: (attention_head(*parts) for parts in zip(*(matrix(size) for matrix in matrices)))  # noqa: E731
    return Rows(3 * round_up(size, PANEL) * heads, hidden, blocks)


def halves(matrices: list[Callable[[], Iterable[np.ndarray]]], inner: int, hidden: int) -> Rows:
    """Two [F, H] matrices, each in blocks of whole panels but for the last -> [2 F', H], zero between and behind them."""
    blocks = lambda: (  # noqa: E731
        _padded(block, round_up(len(block), PANEL), hidden) for matrix in matrices for block in matrix()
    )
    return Rows(2 * round_up(inner, PANEL), hidden, blocks)


def kept(name: str, shape: tuple[int, ...], load: Callable[[], np.ndarray]) -> Tensor:
    """A custom head's tensor: a vector [N'] or rows [L, K']."""
    if len(shape) not in (1, 2) or 0 in shape:
        expected = "a vector or matrix"
        raise fail("can't be carried by --keep", where=f"tensor '{name}'", expected=expected, got=list(shape))
    padded = (*shape[:-1], round_up(shape[-1], PANEL))
    return Tensor("float32", padded, lambda: [_padded(load(), *padded)])


def _strings(name: str, strings: list[str]) -> Tensors:
    """The strings' bytes one after the other, and where each begins."""
    encoded = [string.encode("utf-8") for string in strings]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.uint32)
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return {
        f"{name}.text": stored(_padded(text, max(64, round_up(len(text), 64)))),
        f"{name}.offsets": stored(_padded(offsets, round_up(len(offsets), PANEL))),
    }


def vocabulary(
    tokens: list[str],
    merges: list[tuple[int, int]] | None = None,
    scores: list[float] | None = None,
    replacements: dict[bytes, str] | None = None,
) -> Tensors:
    """The tensors of a tokenizer: its tokens, and merges, or scores and a trie, and a charsmap."""
    tensors = _strings("tokenizer.vocab", tokens)
    if merges:
        tensors["tokenizer.merges"] = stored(vector(np.array(merges, dtype=np.uint32).reshape(-1)))
    if scores:
        trie = double_array.build({token.encode("utf-8"): index + 1 for index, token in enumerate(tokens)})
        tensors["tokenizer.vocab.trie"] = stored(trie)
        tensors["tokenizer.scores"] = stored(_padded(np.array(scores, dtype=np.float64), round_up(len(scores), 8)))
    if replacements:
        texts = {text: index for index, text in enumerate(dict.fromkeys(replacements.values()))}
        trie = double_array.build({string: texts[text] + 1 for string, text in replacements.items()})
        tensors |= _strings("tokenizer.charsmap", list(texts))
        tensors["tokenizer.charsmap.trie"] = stored(trie)
    return tensors
