"""Reads what the converter needs of a SentencePiece model (a .model file), which is a message of Protocol Buffers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

from .errors import ConvertError, fail

LARGEST = 2**28  # bytes of a file
CONTROL, USER_DEFINED = 3, 4  # types of pieces
UNIGRAM, BPE = 1, 2  # types of models


class Piece(NamedTuple):
    """A piece of the vocabulary."""

    text: str
    score: float
    type: int


class Model(NamedTuple):
    """A model."""

    pieces: list[Piece]
    type: int = UNIGRAM
    byte_fallback: bool = False
    unknown: int = 0  # the number of the unknown piece
    first: int = 1  # and of the one that texts begin with, if there is one: none is negative
    last: int = 2
    unknown_text: str = "<unk>"
    first_text: str = "<s>"
    last_text: str = "</s>"
    charsmap: bytes = b""  # compiled rules of normalisation; empty: there are none


TRAINER = {3: "type", 35: "byte_fallback", 40: "unknown", 41: "first", 42: "last"}  # fields that are numbers
TRAINER_TEXTS = {45: "unknown_text", 46: "first_text", 47: "last_text"}


Value = Union[int, memoryview, bytes]  # of a field: a number of its own size, bytes as many as it says, or 4 or 8 bytes


class _Damaged(Exception):
    """A message that ends too early, or has what no message has."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Damaged(f"a number at byte {at} has no end")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value & 2**64 - 1, at


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message: their numbers, and what they hold."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Damaged(f"a field before byte {at} is of the unknown kind {wire}")
        if size > len(data) - at:
            raise _Damaged(f"a field at byte {at} has {size} bytes, {len(data) - at} are left")
        held = data[at : at + size]
        yield number, held if wire == 2 else bytes(held)
        at += size


def _integer(value: Value) -> int:
    """A field that is an integer of 32 bits."""
    if not isinstance(value, int):
        raise _Damaged("an integer is of another kind")
    return (value & 2**32 - 1 ^ 2**31) - 2**31


def _bytes(value: Value) -> memoryview:
    """A field that is bytes."""
    if not isinstance(value, memoryview):
        raise _Damaged("a field is of another kind")
    return value


def _float(value: Value) -> float:
    """A field that is a number of 32 bits with a fraction."""
    if not isinstance(value, bytes) or len(value) != 4:
        raise _Damaged("a number is of another kind")
    return float(struct.unpack("<f", value)[0])


def _piece(data: memoryview) -> Piece:
    """One piece."""
    text, score, kind = "", 0.0, 1
    for number, value in _fields(data):
        if number == 1:
            text = str(_bytes(value), "utf-8")
        elif number == 2:
            score = _float(value)
        elif number == 3:
            kind = _integer(value)
    if not math.isfinite(score):
        raise _Damaged(f"the score of '{text}' is {score}")
    return Piece(text, score, kind)


def _model(data: memoryview) -> Model:
    """The whole message."""
    model = Model([])
    for number, value in _fields(data):
        if number == 1:
            model.pieces.append(_piece(_bytes(value)))
        elif number == 2:  # how it was trained
            for inner, each in _fields(_bytes(value)):
                if inner in TRAINER:
                    model = model._replace(**{TRAINER[inner]: _integer(each)})
                elif inner in TRAINER_TEXTS:
                    model = model._replace(**{TRAINER_TEXTS[inner]: str(_bytes(each), "utf-8")})
        elif number == 3:  # its normaliser
            for inner, each in _fields(_bytes(value)):
                if inner == 2:
                    model = model._replace(charsmap=bytes(_bytes(each)))
    return model._replace(byte_fallback=bool(model.byte_fallback))


def read(path: Path) -> Model:
    """The model in a file, which has pieces, the unknown one among them."""
    do = "It is no SentencePiece model, or not all of it (a Git LFS pointer?): download it again."
    try:
        if path.stat().st_size > LARGEST:
            raise fail("is too long", where=path, expected=f"at most {LARGEST} bytes", got=path.stat().st_size)
        model = _model(memoryview(path.read_bytes()))
    except OSError as error:
        raise fail(f"can't be read ({error.strerror})", where=path) from error
    except ConvertError:
        raise
    except (_Damaged, UnicodeDecodeError) as error:
        raise fail("is damaged", where=path, got=error, do=do) from error
    if not model.pieces:
        raise fail("has no pieces", where=path, do=do)
    if not 0 <= model.unknown < len(model.pieces):
        expected = f"0 to {len(model.pieces) - 1}"
        raise fail("has an unknown piece that is none", where=path, expected=expected, got=model.unknown)
    return model
