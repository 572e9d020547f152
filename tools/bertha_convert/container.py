"""Writes the container of tools/format.md section 1, and reads it back with the reference reader."""

import json
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import safetensors

from .errors import ConvertError, fail
from .source import MODEL_FILE_KEYS

HEADER_LIMIT = 16 * 1024 * 1024
ALIGNMENT = 64
ELEMENT_NAMES = {
    "float32": "F32",
    "uint16": "BF16",  # their bits: numpy has no such type
    "int8": "I8",
    "int32": "I32",
    "uint8": "U8",
    "uint32": "U32",
}
TENSOR_NAME = re.compile(r"[\x20-\x7e]{1,256}")

Tensors = dict[str, np.ndarray]


def compact(value: object) -> str:
    """JSON without spaces, in UTF-8, its keys in the order given."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def checksums(tensors: Tensors) -> dict[str, int]:
    """The CRC-32 of each tensor's bytes."""
    return {name: zlib.crc32(np.ascontiguousarray(values)) for name, values in tensors.items()}


def _header(metadata: dict[str, str], tensors: Tensors) -> bytes:
    """The length and the JSON header, filled up with spaces."""
    header: dict[str, object] = {"__metadata__": metadata}
    position = 0
    for name, values in tensors.items():
        if not TENSOR_NAME.fullmatch(name):
            raise fail("is no name for a tensor", where=repr(name), expected="1 to 256 printable ASCII characters")
        if values.nbytes % ALIGNMENT != 0 or values.nbytes == 0:
            raise ConvertError(f"tensor '{name}' has {values.nbytes} bytes, not a multiple of {ALIGNMENT}")
        end = position + values.nbytes
        header[name] = {
            "dtype": ELEMENT_NAMES[values.dtype.name],
            "shape": values.shape,
            "data_offsets": [position, end],
        }
        position = end
    text = compact(header).encode("utf-8")
    length = -(-(8 + len(text)) // ALIGNMENT) * ALIGNMENT - 8
    if length > HEADER_LIMIT:
        raise fail("the file's header is too long", expected=f"at most {HEADER_LIMIT} bytes", got=length)
    return struct.pack("<Q", length) + text.ljust(length)


def write(path: Path, metadata: dict[str, str], tensors: Tensors) -> None:
    """Writes a model file, brings it to the disk, and compares what the reference reader reads from it."""
    header = _header(metadata, tensors)
    with path.open("wb") as file:
        file.write(header)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).data)
        file.flush()
        os.fsync(file.fileno())
    _compare(path, metadata, tensors)


def read_tensors(path: Path) -> Tensors:
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


def _compare(path: Path, metadata: dict[str, str], tensors: Tensors) -> None:
    """Throws unless the reference reader finds the same metadata and tensors in the file.

    It can't give numpy the numbers of a bfloat16 tensor: of those it names type and shape.
    """
    mapped = read_tensors(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        if file.metadata() != metadata or set(file.keys()) != set(tensors):
            raise ConvertError(f"{path}: the reference reader finds other metadata or names than were written")
        for name, values in tensors.items():
            entry = file.get_slice(name)
            found = mapped[name] if entry.get_dtype() == "BF16" else file.get_tensor(name)
            same = entry.get_dtype() == ELEMENT_NAMES[values.dtype.name] and entry.get_shape() == list(values.shape)
            if not same or found.tobytes() != values.tobytes():
                raise ConvertError(f"{path}: the reference reader finds other values in tensor '{name}'")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it doesn't."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
