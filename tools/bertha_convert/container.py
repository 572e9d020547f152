"""Writes the container of tools/format.md section 1, and reads it back with the reference reader."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import safetensors

from .errors import ConvertError, fail
from .layout import Tensor, Tensors
from .source import MODEL_FILE_KEYS

HEADER_LIMIT = 16 * 1024 * 1024
ALIGNMENT = 64
BLOCK = 1 << 23  # bytes that are copied or compared at a time
ELEMENT_NAMES = {
    "float32": "F32",
    "uint16": "BF16",  # their bits: numpy has no such type
    "int8": "I8",
    "int32": "I32",
    "uint8": "U8",
    "uint32": "U32",
    "float64": "F64",
}
TENSOR_NAME = re.compile(r"[\x20-\x7e]{1,256}")

Checksums = dict[str, int]


def compact(value: object) -> str:
    """JSON without spaces, in UTF-8, its keys in the order given."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _header(metadata: dict[str, str], tensors: Tensors) -> bytes:
    """The length and the JSON header, filled up with spaces."""
    header: dict[str, object] = {"__metadata__": metadata}
    position = 0
    for name, values in tensors.items():
        if not TENSOR_NAME.fullmatch(name):
            raise fail("is no name for a tensor", where=repr(name), expected="1 to 256 printable ASCII characters")
        size = _size(values)
        if size % ALIGNMENT != 0 or size == 0:
            raise ConvertError(f"tensor '{name}' has {size} bytes, not a multiple of {ALIGNMENT}")
        end = position + size
        header[name] = {
            "dtype": ELEMENT_NAMES[values.dtype],
            "shape": values.shape,
            "data_offsets": [position, end],
        }
        position = end
    text = compact(header).encode("utf-8")
    length = -(-(8 + len(text)) // ALIGNMENT) * ALIGNMENT - 8
    if length > HEADER_LIMIT:
        raise fail("the file's header is too long", expected=f"at most {HEADER_LIMIT} bytes", got=length)
    return struct.pack("<Q", length) + text.ljust(length)


def _size(tensor: Tensor) -> int:
    """A tensor's size in bytes."""
    return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def data_of(tensors: Tensors, use: Callable[[np.ndarray], object]) -> Checksums:
    """Hands the bytes of the tensors to `use`, a block at a time, and returns the CRC-32 of each one's."""
    result: Checksums = {}
    for name, tensor in tensors.items():
        size, checksum = 0, 0
        for block in tensor.blocks():
            data = np.ascontiguousarray(block, np.dtype(tensor.dtype).newbyteorder("<")).reshape(-1).view(np.uint8)
            use(data)
            size, checksum = size + len(data), zlib.crc32(data, checksum)
        if size != _size(tensor):
            raise ConvertError(f"tensor '{name}' has {size} bytes, not {_size(tensor)}")
        result[name] = checksum
    return result


def write_data(path: Path, tensors: Tensors) -> Checksums:
    """Writes the tensors alone and returns the CRC-32 of each one's bytes."""
    with path.open("wb") as file:
        return data_of(tensors, file.write)


def file_size(metadata: dict[str, str], tensors: Tensors) -> int:
    """The bytes that a model file of these would have."""
    return len(_header(metadata, tensors)) + sum(map(_size, tensors.values()))


def write(path: Path, metadata: dict[str, str], tensors: Tensors, data: Path, checksums: Checksums) -> None:
    """Writes a model file of data that `write_data` wrote, brings it to the disk, and checks what the reference reader
    reads from it."""
    header = _header(metadata, tensors)
    # Written in large pieces on boundaries of that size: then the system keeps the file in large pages, and maps those.
    with path.open("wb", buffering=BLOCK) as file, data.open("rb") as tail:
        file.write(header)
        shutil.copyfileobj(tail, file, BLOCK)
        file.flush()
        os.fsync(file.fileno())
    try:
        _compare(path, metadata, tensors, len(header), checksums)
    except safetensors.SafetensorError as error:
        raise ConvertError(f"{path}: the reference reader can't read what was written: {error}") from error


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file that `write` wrote, mapped."""
    types = {name: np.dtype(element) for element, name in ELEMENT_NAMES.items()}
    file = np.memmap(path, mode="r")
    begin = 8 + struct.unpack("<Q", file[:8])[0]
    header = json.loads(bytes(file[8:begin]))
    del header["__metadata__"]
    tensors = {}
    for name, entry in header.items():
        first, last = (begin + offset for offset in entry["data_offsets"])
        tensors[name] = file[first:last].view(types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def is_model_file(path: Path) -> bool:
    """Whether a file is a bertha model file, by its metadata."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return MODEL_FILE_KEYS <= (file.metadata() or {}).keys()
    except Exception:  # the reader's own, of several kinds
        return False


def _slices(path: Path, name: str, tensor: Tensor, position: int) -> Iterator[np.ndarray]:
    """A tensor in slices as the reference reader finds it, its type and shape checked. Each is of a reader of its own: what
    one has mapped counts as memory of this process.

    It can't give numpy the numbers of a bfloat16 tensor: those are read from their place.
    """
    step = max(1, BLOCK * tensor.shape[0] // _size(tensor))
    for begin in range(0, tensor.shape[0], step):
        with safetensors.safe_open(path, framework="numpy") as file:
            entry = file.get_slice(name)
            if entry.get_dtype() != ELEMENT_NAMES[tensor.dtype] or entry.get_shape() != list(tensor.shape):
                raise ConvertError(f"{path}: the reference reader finds another type or shape of tensor '{name}'")
            if tensor.dtype != "uint16":
                yield entry[begin : min(begin + step, tensor.shape[0])]
    if tensor.dtype == "uint16":
        for begin in range(0, _size(tensor), BLOCK):
            count = min(BLOCK, _size(tensor) - begin)
            yield np.fromfile(path, np.uint8, count, offset=position + begin)


def _compare(path: Path, metadata: dict[str, str], tensors: Tensors, begin: int, checksums: Checksums) -> None:
    """Throws unless the reference reader finds the same metadata and tensors in the file."""
    with safetensors.safe_open(path, framework="numpy") as file:
        if file.metadata() != metadata or set(file.keys()) != set(tensors):
            raise ConvertError(f"{path}: the reference reader finds other metadata or names than were written")
    for name, tensor in tensors.items():
        found = functools.reduce(lambda crc, part: zlib.crc32(part.tobytes(), crc), _slices(path, name, tensor, begin), 0)
        if found != checksums[name]:
            raise ConvertError(f"{path}: the reference reader finds other values in tensor '{name}'")
        begin += _size(tensor)


@contextmanager
def scratch(path: Path, ending: str) -> Iterator[Path]:
    """A hidden path beside `path` for a file that is removed when the block ends."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{ending}")
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it doesn't."""
    with scratch(path, "tmp") as temporary:
        yield temporary
        os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
