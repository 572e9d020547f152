"""The program of a PyTorch state dict's pickle, opcode by opcode; whatever a state dict has no need of is refused.

A pickle is a program: its opcodes push and combine values on a stack, and some of them import and call what they name.
The opcodes and the names here are closed lists, those that torch.save writes for a state dict at its own pickle
protocol, 2.
"""

import pickletools
import struct
from collections.abc import Iterator
from typing import Any

from .errors import ConvertError, fail

PICKLE_LIMIT = 1 << 22  # bytes; a BERT of 24 layers takes 50,000
STEP_LIMIT = 1 << 19  # opcodes; a tensor takes 30
STRING_LIMIT = 1024  # bytes
LONG_LIMIT = 16  # bytes of an integer

# Opcode -> its name and what follows it: a struct format, or the name of a rule of _argument.
OPCODES = {
    b"\x80": ("PROTO", "<B"),
    b".": ("STOP", ""),
    b"(": ("MARK", ""),
    b"N": ("NONE", ""),
    b"\x88": ("NEWTRUE", ""),
    b"\x89": ("NEWFALSE", ""),
    b"K": ("BININT1", "<B"),
    b"M": ("BININT2", "<H"),
    b"J": ("BININT", "<i"),
    b"\x8a": ("LONG1", "long"),
    b"X": ("BINUNICODE", "text"),
    b")": ("EMPTY_TUPLE", ""),
    b"\x85": ("TUPLE1", ""),
    b"\x86": ("TUPLE2", ""),
    b"\x87": ("TUPLE3", ""),
    b"t": ("TUPLE", ""),
    b"]": ("EMPTY_LIST", ""),
    b"a": ("APPEND", ""),
    b"e": ("APPENDS", ""),
    b"}": ("EMPTY_DICT", ""),
    b"s": ("SETITEM", ""),
    b"u": ("SETITEMS", ""),
    b"q": ("BINPUT", "<B"),
    b"r": ("LONG_BINPUT", "<I"),
    b"h": ("BINGET", "<B"),
    b"j": ("LONG_BINGET", "<I"),
    b"c": ("GLOBAL", "global"),
    b"Q": ("BINPERSID", ""),
    b"R": ("REDUCE", ""),
    b"b": ("BUILD", ""),
}
STORAGES = {
    "torch.DoubleStorage": "F64",
    "torch.FloatStorage": "F32",
    "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16",
    "torch.LongStorage": "I64",
    "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8",
    "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL",
}
CALLS = ("collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter")


def damaged(where: str, at: int, got: str) -> ConvertError:
    """The error for a program that torch.save can't have written."""
    return fail("has a damaged pickle", where=where, got=f"{got} at byte {at}", do="Download the file again.")


def _argument(data: bytes, at: int, kind: str, where: str) -> tuple[Any, int]:
    """What follows an opcode, and where the next one is."""
    if kind == "global":
        module, *names = data[at : at + STRING_LIMIT].split(b"\n", 2)
        if len(names) != 2:
            raise damaged(where, at, "a name without an end")
        name = names[0]
        text = f"{module.decode('ascii', 'replace')}.{name.decode('ascii', 'replace')}"
        if text not in STORAGES and text not in CALLS:
            raise fail(
                f"its pickle asks for {ascii(text[:100])}, which no state dict of a model needs",
                where=where,
                expected="tensors only",
                do="Nothing of it was run. Don't load this file by other means if you don't trust who made it; a file "
                "that holds more than tensors must be saved again: torch.save(model.state_dict(), FILE).",
            )
        return text, at + len(module) + len(name) + 2
    size = {"text": 4, "long": 1}.get(kind) or struct.calcsize(kind)
    if at + size > len(data):
        raise damaged(where, at, "the end of the data")
    (value,) = struct.unpack_from({"text": "<I", "long": "<B"}.get(kind, kind), data, at)
    at += size
    if kind not in ("text", "long"):
        return value, at
    if value > (STRING_LIMIT if kind == "text" else LONG_LIMIT) or at + value > len(data):
        raise damaged(where, at, f"a {'string' if kind == 'text' else 'number'} of {value} bytes")
    raw = data[at : at + value]
    try:
        return (raw.decode() if kind == "text" else int.from_bytes(raw, "little", signed=True)), at + value
    except UnicodeDecodeError as error:
        raise damaged(where, at, "a string that is no UTF-8") from error


def steps(data: bytes, begin: int, where: str) -> Iterator[tuple[int, str, Any, int]]:
    """The opcodes up to STOP: position, name, argument, next position."""
    at, count = begin, 0
    while True:
        code = data[at : at + 1]
        if code not in OPCODES:
            known = pickletools.code2op.get(code.decode("latin-1"))
            if known is None:
                raise damaged(where, at, f"the byte {code.hex()}" if code else "the end of the data")
            raise fail(
                f"its pickle uses {known.name}, which torch.save doesn't write for a state dict",
                where=where,
                do="Save it again: torch.save(model.state_dict(), FILE), with torch's own pickle protocol.",
            )
        name, kind = OPCODES[code]
        argument, end = _argument(data, at + 1, kind, where) if kind else (None, at + 1)
        count += 1
        if count > STEP_LIMIT:
            raise fail("has a pickle of too many steps", where=where, expected=f"at most {STEP_LIMIT}")
        yield at, name, argument, end
        if name == "STOP":
            return
        at = end
