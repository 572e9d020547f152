"""Lays weights out as tools/format.md section 5 has it: panels of 16 outputs, padded rows, int8 with scales.

bfloat16 numbers are arrays of uint16, their bits.
"""

import numpy as np

from .errors import fail

PANEL = 16  # outputs of a panel: one 64-byte vector of float32
INT8_BLOCK = 64  # int8 rows are padded to this
BFLOAT16_BLOCK = 32  # and bfloat16 rows to this
SMALLEST_ROW = np.float32(2.0**-100)

Tensors = dict[str, np.ndarray]


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


def linear(name: str, weights: np.ndarray, bias: np.ndarray, precision: str) -> Tensors:
    """The tensors of a linear layer."""
    if precision == "float32":
        return {f"{name}.weight": float32_panels(weights), f"{name}.bias": vector(bias)}
    if precision == "bfloat16":
        return {f"{name}.weight": bfloat16_panels(rounded(name, weights)), f"{name}.bias": vector(bias)}
    values, scale = quantise_rows(weights)
    return {
        f"{name}.weight": int8_panels(values),
        f"{name}.scale": vector(scale),
        f"{name}.sum": vector(values.sum(axis=1, dtype=np.int32)),
        f"{name}.bias": vector(bias),
    }


def table(name: str, weights: np.ndarray, precision: str) -> Tensors:
    """The tensors of an embedding table."""
    if precision == "float32":
        return {f"{name}.weight": rows(weights)}
    if precision == "bfloat16":
        width = round_up(weights.shape[1], BFLOAT16_BLOCK)
        return {f"{name}.weight": _padded(rounded(name, weights), len(weights), width)}
    values, scale = quantise_rows(weights)
    width = round_up(weights.shape[1], INT8_BLOCK)
    return {f"{name}.weight": _padded(values, len(values), width), f"{name}.scale": vector(scale)}


def by_attention_head(query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int) -> np.ndarray:
    """Three [H, ...] arrays -> [3 D' A, ...]: output 3 D' a + D' m + d is row a D + d of matrix m."""
    size = len(query) // heads
    rest = query.shape[1:]
    result = np.zeros((heads, 3, round_up(size, PANEL), *rest), dtype=query.dtype)
    for index, matrix in enumerate((query, key, value)):
        result[:, index, :size] = matrix.reshape(heads, size, *rest)
    return result.reshape(-1, *rest)


def kept(name: str, values: np.ndarray) -> np.ndarray:
    """A custom head's tensor: a vector [N'] or rows [L, K']."""
    if values.ndim not in (1, 2) or values.size == 0:
        raise fail(
            "can't be carried by --keep",
            where=f"tensor '{name}'",
            expected="a vector or matrix",
            got=list(values.shape),
        )
    return vector(values) if values.ndim == 1 else rows(values)


def vocabulary(tokens: list[str], merges: list[tuple[int, int]]) -> Tensors:
    """The tokens' bytes one after the other, where each begins, and the merges if there are any."""
    encoded = [token.encode("utf-8") for token in tokens]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.uint32)
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    tensors = {
        "tokenizer.vocab.text": _padded(text, round_up(len(text), 64)),
        "tokenizer.vocab.offsets": _padded(offsets, round_up(len(offsets), PANEL)),
    }
    if merges:
        tensors["tokenizer.merges"] = vector(np.array(merges, dtype=np.uint32).reshape(-1))
    return tensors
