"""Reads a Hugging Face folder, trusting nothing in it: JSON files, safetensors files, the values of tensors."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from .errors import fail

HEADER_LIMIT = 100_000_000  # the reference reader's own
MODEL_FILE_KEYS = {"format", "tokenizer", "crc32"}  # in the metadata of a bertha model file
BLOCK = 1 << 20  # bytes that are read at a time
ELEMENT_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
FLOAT_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # how numpy reads them


class StoredTensor(NamedTuple):
    """Where a tensor lies in a checkpoint: `size` bytes from byte `begin` hold all of it, first element first."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    size: int
    strides: tuple[int, ...] | None = None  # in elements; None: row after row

    def transposed(self) -> StoredTensor:
        """The same numbers as the matrix that has rows for columns."""
        strides = self.strides if self.strides is not None else _row_strides(self.shape)
        return self._replace(shape=self.shape[::-1], strides=strides[::-1])


class MadeTensor(NamedTuple):
    """A vector or matrix that no file holds as it is: `values` makes all of it, in float32, of what is in the file at `path`."""

    path: Path
    shape: tuple[int, ...]
    values: Callable[[], np.ndarray]


AnyTensor = Union[StoredTensor, MadeTensor]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, whose strings are all valid Unicode."""
    try:
        if path.stat().st_size > HEADER_LIMIT:
            raise fail("is too long", where=path, expected=f"at most {HEADER_LIMIT} bytes", got=path.stat().st_size)
        value = json.loads(path.read_text(encoding="utf-8-sig"))
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except OSError as error:
        raise fail(f"can't be read ({error.strerror})", where=path) from error
    except (ValueError, RecursionError) as error:
        raise fail("is no valid JSON", where=path, got=error, do="Download the file again.") from error
    if not isinstance(value, dict):
        raise fail("holds no JSON object", where=path, expected="{...}", got=type(value).__name__)
    return value


def read_optional_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None where there is no such file."""
    return read_json(path) if path.is_file() else None


def _entry(path: Path, name: str, entry: Any, data_begin: int, data_size: int) -> StoredTensor:
    """One tensor of a header, checked against the file that it describes."""
    where = f"{path}: tensor '{name}'"
    if not isinstance(entry, dict):
        raise fail("has no description", where=where, expected="an object", got=entry)
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ELEMENT_SIZES:
        raise fail("has an unknown element type", where=where, expected=", ".join(ELEMENT_SIZES), got=dtype)
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise fail("has no valid shape", where=where, expected="a list of sizes", got=shape)
    if not isinstance(offsets, list) or len(offsets) != 2 or any(type(n) is not int for n in offsets):
        raise fail("has no valid data_offsets", where=where, expected="[begin, end]", got=offsets)
    begin, end = offsets
    size = math.prod(shape) * ELEMENT_SIZES[dtype]
    if not 0 <= begin <= end <= data_size or end - begin != size:
        raise fail("does not fit its place", where=where, expected=f"{size} bytes within {data_size}", got=offsets)
    return StoredTensor(path, dtype, tuple(shape), data_begin + begin, size)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that names no key twice."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a key twice")
    return result


def _check_places(path: Path, tensors: dict[str, StoredTensor], begin: int, end: int) -> None:
    """Throws unless the tensors fill the file's data without holes or overlaps, as the reference reader asks for."""
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].size)):
        if tensor.begin != begin:
            what = "lies over another one or after a hole"
            raise fail(what, where=f"{path}: tensor '{name}'", expected=f"byte {begin}", got=tensor.begin)
        begin += tensor.size
    if begin != end:
        raise fail("has another size than its header tells", where=path, expected=f"{begin} bytes", got=end)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            if not 2 <= length <= min(HEADER_LIMIT, size - 8):
                raise fail(
                    "has no valid header length",
                    where=path,
                    expected=f"2 to {min(HEADER_LIMIT, max(size - 8, 0))} bytes",
                    got=length if length >= 0 else f"a file of {size} bytes",
                    do="It is no safetensors file, or not all of it (a Git LFS pointer?): download it again.",
                )
            text = file.read(length)
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except OSError as error:
        raise fail(f"can't be read ({error.strerror})", where=path) from error
    except (ValueError, RecursionError) as error:
        raise fail("has a header that is no valid JSON", where=path, got=error, do="Download it again.") from error
    if not isinstance(header, dict):
        raise fail("has a header that is no JSON object", where=path, got=type(header).__name__)
    metadata = header.pop("__metadata__", None)
    if isinstance(metadata, dict) and MODEL_FILE_KEYS <= metadata.keys():
        do = "Give the Hugging Face folder that it was made of."
        raise fail("is a bertha model file already, no checkpoint", where=path, do=do)
    data = 8 + length
    tensors = {name: _entry(path, name, entry, data, size - data) for name, entry in header.items()}
    _check_places(path, tensors, data, size)
    return tensors


def _row_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of elements that lie row after row."""
    return tuple(math.prod(shape[at + 1 :]) for at in range(len(shape)))


def _stored(name: str, tensor: StoredTensor, begin: int, end: int | None) -> np.ndarray:
    """What a file holds of a tensor, in the element type that numpy has for it."""
    if tensor.dtype not in FLOAT_TYPES:
        expected = ", ".join(FLOAT_TYPES)
        raise fail(
            "has an element type that weights don't have", where=f"tensor '{name}'", expected=expected, got=tensor.dtype
        )
    strides = tensor.strides if tensor.strides is not None else _row_strides(tensor.shape)
    shape = tensor.shape if end is None else (end - begin, *tensor.shape[1:])
    count = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides)) if math.prod(shape) else 0
    element = ELEMENT_SIZES[tensor.dtype]
    offset = tensor.begin + (begin * strides[0] * element if begin else 0)
    values = np.fromfile(tensor.path, dtype=FLOAT_TYPES[tensor.dtype], count=count, offset=offset)
    if len(values) != count:
        raise fail("became shorter while it was read", where=tensor.path, expected=count, got=len(values))
    if tensor.dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    if count:
        in_bytes = tuple(stride * values.itemsize for stride in strides)
        values = np.ndarray(shape, values.dtype, values, strides=in_bytes)  # throws if it left the buffer
    return values.reshape(shape)


def load(name: str, tensor: AnyTensor, begin: int = 0, end: int | None = None) -> np.ndarray:
    """A tensor's values as float32, all of them finite; or its rows from `begin` to before `end`."""
    values = tensor.values()[begin:end] if isinstance(tensor, MadeTensor) else _stored(name, tensor, begin, end)
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 has no room for becomes infinity, refused below
        values = np.ascontiguousarray(values, np.float32).reshape(values.shape)
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0].tolist()
        got = values[tuple(at)]
        if at:
            at[0] += begin
        raise fail(
            f"tensor '{name}' holds NaN or infinity",
            where=tensor.path,
            expected="finite weights",
            got=f"{got} at {at}",
            do="The checkpoint is damaged or its training diverged.",
        )
    return values


def rows(name: str, tensor: AnyTensor, step: int, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
    """The rows of a tensor, `count` from the first one on or all, `step` at a time. Where they don't lie one after the other
    it is read whole."""
    strides = None if isinstance(tensor, MadeTensor) else tensor.strides
    apart = isinstance(tensor, MadeTensor) or (strides is not None and strides[0] < math.prod(tensor.shape[1:]))
    whole = load(name, tensor) if apart else None
    last = tensor.shape[0] if count is None else first + count
    for begin in range(first, last, step):
        end = min(begin + step, last)
        yield load(name, tensor, begin, end) if whole is None else whole[begin:end]


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
