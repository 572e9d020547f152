"""What attention adds to scores for distances from query to key: buckets as MPNet has them, slopes as ALiBi has them."""

from __future__ import annotations

import math

import numpy as np

from .families import Buckets


def bucket_of(distances: np.ndarray, buckets: Buckets) -> np.ndarray:
    """The bucket of each distance from query to key, in float32 where transformers computes so."""
    half = buckets.count // 2
    exact = half // 2
    size = np.abs(distances)
    steps = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact))
    steps = steps / np.float32(np.log(buckets.furthest / exact)) * np.float32(half - exact)
    larger = np.minimum(exact + steps.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(size < exact, size, larger)


def slopes(heads: int) -> np.ndarray:
    """The slope of each attention head: of a power of two, n, a geometric series from 2^(-8/n) on with that ratio; else that of
    the largest power below, and then every second one of the next power's."""
    power = 2 ** int(math.log2(heads))
    series = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    further = [2.0 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return np.array(series + further, np.float32)
