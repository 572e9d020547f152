"""Reads the tensors of a pytorch_model.bin, trusting nothing in it, without torch and without running what it holds.

torch.save writes two forms. Since 1.6 a zip archive whose members are not compressed: FOLDER/data.pkl, the pickle of
the state dict, and FOLDER/data/N, its storages. Before that a row of pickles (a magic number, the form's version, the
machine, the state dict, the storages' keys) and then the storages, each after its number of elements. Either way a
tensor is a place in the file, and is read from there when it is needed.
"""

import math
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .errors import ConvertError, fail
from .source import ELEMENT_SIZES, StoredTensor
from .torch_opcodes import PICKLE_LIMIT
from .torch_pickle import Storage, Tensor, read_pickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DIRECTORY_LIMIT = 1 << 24  # bytes of a zip archive's directory
MEMBER_LIMIT = 1 << 16
FLAGS = 0x808  # of a member: its sizes come after it, its name is UTF-8
FOLDER = 0x10  # an attribute of a member
VIEW_LIMIT = 8  # all tensors together may be so many times as large as the file: some share their storage
FULL_32, FULL_64 = 0xFFFFFFFF, 1 << 64  # a directory's number that stands in its zip64 part; more than any of those


class Member(NamedTuple):
    """A member of a zip archive: where its header is, its size in bytes, and where the next one's header is."""

    header: int
    size: int
    limit: int


class File:
    """A file of a known size, read within its bounds."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.file = file
        self.size = size

    def read(self, begin: int, size: int) -> bytes:
        """The bytes of a place in the file."""
        if not 0 <= begin <= begin + size <= self.size:
            raise self.damaged(f"bytes {begin} to {begin + size} of {self.size}")
        self.file.seek(begin)
        data = self.file.read(size)
        if len(data) != size:
            raise self.damaged("a file that became shorter")
        return data

    def unpack(self, form: str, begin: int) -> tuple[Any, ...]:
        """Numbers at a place in the file."""
        return struct.unpack(form, self.read(begin, struct.calcsize(form)))

    def damaged(self, got: str) -> ConvertError:
        """The error for a file that is cut off or not what torch.save writes."""
        do = "It is no PyTorch file, or not all of it: download it again."
        return fail("is damaged", where=self.path, got=got, do=do)


def _directory(file: File) -> tuple[int, int, int]:
    """A zip archive's directory: number of members, first byte, size."""
    end = file.size - 22
    mark, _, _, here, count, size, begin, comment = file.unpack("<4s4H2IH", end)
    if mark != b"PK\5\6" or comment:
        raise file.damaged("a zip archive without an end")
    mark, disk, place, disks = file.unpack("<4sIQI", end - 20)
    if mark == b"PK\6\7":  # torch says it once more, in numbers that have room for 4 GB and more
        end -= 76
        mark, _, _, _, _, _, here, count, size, begin = file.unpack("<4sQ2H2I4Q", end)
        if mark != b"PK\6\6" or place != end or disk or disks > 1:
            raise file.damaged("a large zip archive without an end")
    if count != here or count > MEMBER_LIMIT or size > DIRECTORY_LIMIT or begin + size != end:
        raise file.damaged(f"a directory of {count} members and {size} bytes at byte {begin}")
    return count, begin, size


def _large(extra: bytes, values: list[int]) -> list[int]:
    """The sizes and place of a member, those from the zip64 part that don't fit into 32 bits."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<2H", extra)
        if kind == 1:
            large = iter(struct.unpack_from(f"<{min(size, len(extra) - 4) // 8}Q", extra, 4))
            return [next(large, FULL_64) if value == FULL_32 else value for value in values]
        extra = extra[4 + size :]
    return values


def _members(file: File) -> dict[str, Member]:
    """The members of a zip archive by name; none is compressed, and each name comes once."""
    count, begin, size = _directory(file)
    directory, at = file.read(begin, size), 0
    members: dict[str, Member] = {}
    for _ in range(count):
        if at + 46 > size or directory[at : at + 4] != b"PK\1\2":
            raise file.damaged("a member without a description")
        flags, method = struct.unpack_from("<2H", directory, at + 8)
        packed, unpacked, name_size, extra_size, comment_size = struct.unpack_from("<2I3H", directory, at + 20)
        attributes, header = struct.unpack_from("<2I", directory, at + 38)
        extra = at + 46 + name_size
        try:
            name = directory[at + 46 : extra].decode()
        except UnicodeDecodeError as error:
            raise file.damaged("a member whose name is no UTF-8") from error
        packed, unpacked, header = _large(directory[extra : extra + extra_size], [packed, unpacked, header])
        if method != 0 or flags & ~FLAGS or packed != unpacked or attributes & FOLDER:
            do = "torch.save doesn't write such: save it again."
            raise fail(f"member {ascii(name[:100])} is compressed, encrypted or a folder", where=file.path, do=do)
        if name in members or header + unpacked > begin:
            raise file.damaged(f"member {ascii(name[:100])} twice or outside the file")
        members[name] = Member(header, unpacked, begin)
        at = extra + extra_size + comment_size
    if at != size:
        raise file.damaged("a directory of another size")
    headers = sorted({member.header for member in members.values()}) + [begin]
    limits = dict(zip(headers, headers[1:]))
    return {name: member._replace(limit=limits[member.header]) for name, member in members.items()}


def _member_data(file: File, name: str, member: Member) -> int:
    """Where a member's data begin."""
    mark, name_size, extra_size = file.unpack("<4s22x2H", member.header)
    begin = member.header + 30 + name_size + extra_size
    named = mark == b"PK\3\4" and file.read(member.header + 30, name_size) == name.encode()
    if not named or begin + member.size > member.limit:
        raise file.damaged(f"no member {ascii(name[:100])} where the directory puts it")
    return begin


def _pickle(file: File, begin: int, size: int) -> bytes:
    """The bytes of a pickle, if they are not too many."""
    if size > PICKLE_LIMIT:
        raise fail("has too long a pickle", where=file.path, expected=f"{PICKLE_LIMIT} bytes", got=size)
    return file.read(begin, size)


def _read_zip(file: File) -> tuple[Any, dict[str, int]]:
    """The value in a file of torch 1.6 or later, and where each storage begins."""
    members = _members(file)
    folder = next(iter(members), "").split("/")[0]  # any name: that of the file when it was saved

    def find(name: str) -> tuple[str, Member]:
        name = f"{folder}/{name}"
        if name not in members:
            raise file.damaged(f"no member {ascii(name[:100])}")
        return name, members[name]

    if (order := members.get(f"{folder}/byteorder")) is not None:
        found = file.read(_member_data(file, f"{folder}/byteorder", order), min(order.size, 16))
        if found != b"little":
            raise fail("has another byte order", where=file.path, expected="little", got=ascii(found))
    name, member = find("data.pkl")
    data = _pickle(file, _member_data(file, name, member), member.size)
    value, storages, end = read_pickle(data, 0, str(file.path), legacy=False)
    if end != len(data):
        raise file.damaged(f"{len(data) - end} bytes after the pickle")
    places = {}
    for key, storage in storages.items():
        name, member = find(f"data/{key}")
        if member.size != storage.count * ELEMENT_SIZES[storage.dtype]:
            raise file.damaged(f"storage {key} of {member.size} bytes for {storage.count} numbers {storage.dtype}")
        places[key] = _member_data(file, name, member)
    return value, places


def _read_legacy(file: File) -> tuple[Any, dict[str, int]]:
    """The value in a file of torch before 1.6, and where each storage begins."""
    data = _pickle(file, 0, min(file.size, PICKLE_LIMIT))
    at = 0

    def following(legacy: bool = False) -> tuple[Any, dict[str, Storage]]:
        nonlocal at
        value, storages, at = read_pickle(data, at, str(file.path), legacy)
        return value, storages

    if not data.startswith(b"\x80\x02\x8a") or following()[0] != MAGIC_NUMBER:
        do = "Download it again (a Git LFS pointer?), or save it again with torch.save."
        raise fail("is no file of torch.save", where=file.path, got=ascii(data[:20]), do=do)
    if (version := following()[0]) != PROTOCOL_VERSION:
        raise file.damaged(f"version {version}" if type(version) is int else "no version")
    machine, _ = following()
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise fail("has another byte order", where=file.path, expected="little")
    value, storages = following(legacy=True)
    keys, _ = following()
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise file.damaged("other storages than the tensors have")
    places, end = {}, at
    for key in keys:
        storage = storages[key]
        (count,) = file.unpack("<q", end)
        if count != storage.count:
            raise file.damaged(f"storage {key} of {count} numbers for {storage.count}")
        places[key] = end + 8
        end += 8 + count * ELEMENT_SIZES[storage.dtype]
    if end != file.size:
        raise file.damaged(f"{file.size} bytes for {end}")
    return value, places


def _stored(path: Path, tensor: Tensor, place: int) -> StoredTensor:
    """A tensor as a place in the file."""
    size = ELEMENT_SIZES[tensor.storage.dtype]
    strides = tuple(0 if count < 2 else stride for count, stride in zip(tensor.shape, tensor.strides))
    begin = place + tensor.offset * size
    return StoredTensor(path, tensor.storage.dtype, tensor.shape, begin, tensor.span() * size, strides)


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one pytorch_model.bin."""
    try:
        with path.open("rb") as opened:
            file = File(path, opened, path.stat().st_size)
            value, places = _read_zip(file) if file.read(0, min(4, file.size)) == b"PK\3\4" else _read_legacy(file)
    except OSError as error:
        raise fail(f"can't be read ({error.strerror})", where=path) from error
    if type(value) not in (dict, OrderedDict):
        raise fail("holds no state dict", where=path, expected="a dictionary of tensors", got=type(value).__name__)
    for name, tensor in value.items():
        if type(tensor) is not Tensor:
            do = "Save the state dict of the model alone: torch.save(model.state_dict(), FILE)."
            got = f"{ascii(name[:100])}: {type(tensor).__name__}"
            raise fail("holds more than tensors", where=path, expected="a state dict", got=got, do=do)
    tensors = {name: _stored(path, tensor, places[tensor.storage.key]) for name, tensor in value.items()}
    total = sum(math.prod(tensor.shape) * ELEMENT_SIZES[tensor.dtype] for tensor in tensors.values())
    if total > VIEW_LIMIT * file.size:
        expected = f"at most {VIEW_LIMIT * file.size} bytes"
        raise fail("has tensors that are much larger than itself", where=path, expected=expected, got=total)
    return tensors
