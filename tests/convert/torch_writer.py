"""Writes files like those of torch.save, and files that only look like them, without torch."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

STORAGES = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "i8": "LongStorage"}
END = b"."


def text(value: str) -> bytes:
    """BINUNICODE."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """BININT, or LONG1 where it doesn't fit."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def row(*parts: bytes) -> bytes:
    """TUPLE."""
    return b"(" + b"".join(parts) + b"t"


def call(name: str, *arguments: bytes) -> bytes:
    """GLOBAL with the arguments, REDUCE."""
    return b"c" + name.encode() + b"\n" + row(*arguments) + b"R"


def storage(key: str, count: int, kind: str = "FloatStorage", more: bytes = b"", location: str = "cpu") -> bytes:
    """BINPERSID; `more` is the None of the legacy form."""
    words = text("storage"), b"ctorch\n" + kind.encode() + b"\n", text(key), text(location), number(count), more
    return row(*words) + b"Q"


def tensor(where: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """A view of a storage."""
    sizes = row(*map(number, shape)), row(*map(number, strides))
    hooks = call("collections\nOrderedDict")
    return call("torch._utils\n_rebuild_tensor_v2", where, number(offset), *sizes, b"\x89", hooks)


def state_dict(entries: dict[str, bytes]) -> bytes:
    """The program of a whole state dict."""
    items = b"".join(text(name) + value for name, value in entries.items())
    return b"\x80\x02" + call("collections\nOrderedDict") + b"(" + items + b"u" + END


def zip_bytes(program: bytes, storages: dict[str, bytes], folder: str = "archive", method: int = 0) -> bytes:
    """A file of torch 1.6 or later."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in {"data.pkl": program, "byteorder": b"little"}.items():
            archive.writestr(f"{folder}/{name}", data)
        for key, data in storages.items():
            archive.writestr(f"{folder}/data/{key}", data)
        archive.writestr(f"{folder}/version", "3\n")
    return out.getvalue()


def legacy_bytes(program: bytes, storages: dict[str, tuple[int, bytes]], little: bool = True) -> bytes:
    """A file of torch before 1.6."""
    machine = b"}(" + text("little_endian") + (b"\x88" if little else b"\x89") + b"u"
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    pickles = number(0x1950A86A20F9469CFC6C), number(1001), machine
    start = b"".join(b"\x80\x02" + pickle + END for pickle in pickles)
    data = b"".join(struct.pack("<q", count) + raw for count, raw in storages.values())
    return start + program + b"\x80\x02" + keys + END + data


def checkpoint(tensors: dict[str, np.ndarray], legacy: bool) -> bytes:
    """A file with these tensors, each in a storage of its own."""
    entries, storages = {}, {}
    for index, (name, values) in enumerate(tensors.items()):
        kind = STORAGES[values.dtype.str[1:]]
        strides = tuple(stride // values.itemsize for stride in values.strides)
        entries[name] = tensor(storage(str(index), values.size, kind, b"N" * legacy), values.shape, strides)
        storages[str(index)] = values
    program = state_dict(entries)
    if legacy:
        return legacy_bytes(program, {key: (values.size, values.tobytes()) for key, values in storages.items()})
    return zip_bytes(program, {key: values.tobytes() for key, values in storages.items()})


def write(path: Path, tensors: dict[str, np.ndarray], legacy: bool = False) -> None:
    """Writes such a file."""
    path.write_bytes(checkpoint(tensors, legacy))
