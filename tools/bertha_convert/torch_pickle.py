"""Reads the pickle of a PyTorch state dict, running no code of it and without Python's pickle.

A first pass over the program refuses what is not in the lists of torch_opcodes.py; only then a second one runs it on a
stack. What it makes are strings, numbers, tuples, lists, dictionaries, and descriptions of storages and tensors.
"""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from .torch_opcodes import CALLS, STORAGES, damaged, steps

MARK_LIMIT = 64
DIMENSION_LIMIT = 8
ELEMENT_LIMIT = 1 << 40  # of a tensor
KEY = re.compile(r"[0-9]{1,20}")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Global:
    """A name of the closed list, never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A run of numbers that lies elsewhere in the file."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def span(self) -> int:
        """The number of elements from its first to its last one."""
        if math.prod(self.shape) == 0:
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))


class _Machine:
    """The stack and memo of one program that is known to use nothing but the closed lists."""

    def __init__(self, where: str, legacy: bool) -> None:
        self.where = where
        self.legacy = legacy
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the marks
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def check(self, condition: bool, got: str) -> None:
        """Throws unless the program is one that torch.save writes."""
        if not condition:
            raise damaged(self.where, self.at, got)

    def pop(self) -> Any:
        """The topmost value above the last mark."""
        self.check(bool(self.stack), "an empty stack")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """All values above the last mark."""
        self.check(bool(self.below), "a mark that is missing")
        items, self.stack = self.stack, self.below.pop()
        return items

    def top(self, *kinds: type) -> Any:
        """The topmost value, of just one of these types."""
        self.check(bool(self.stack) and type(self.stack[-1]) in kinds, f"no {kinds[0].__name__}")
        return self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        """Puts keys and values in turn into the topmost dictionary; a key is a string and comes once."""
        target = self.top(dict, OrderedDict)
        self.check(len(items) % 2 == 0, "a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            self.check(type(key) is str, "a key that is no string")
            self.check(key not in target, f"the key {ascii(key[:100])} once more")
            target[key] = value

    def storage(self, identity: Any) -> Storage:
        """The storage that a persistent id describes."""
        size = 6 if self.legacy else 5
        self.check(type(identity) is tuple and len(identity) == size, "a persistent id that is no storage")
        word, kind, key, location, count = identity[:5]
        self.check(type(word) is str and word == "storage", "a persistent id that is no storage")
        self.check(type(kind) is Global and kind.name in STORAGES, "a storage without a type")
        self.check(type(key) is str and KEY.fullmatch(key) is not None, "a storage key that is no number")
        self.check(type(location) is str, "a storage without a place")
        self.check(type(count) is int and count >= 0, "a storage without a size")
        self.check(identity[5:] in ((), (None,)), "a view of a storage, which torch stopped to write before 1.0")
        found = Storage(key, STORAGES[kind.name], count)
        self.check(self.storages.setdefault(key, found) == found, f"another description of storage {key}")
        return found

    def tensor(self, arguments: tuple[Any, ...]) -> Tensor:
        """torch._utils._rebuild_tensor_v2: a tensor within its storage."""
        self.check(6 <= len(arguments) <= 7, "a tensor of another form")
        storage, offset, shape, strides, grad, hooks = arguments[:6]
        self.check(type(storage) is Storage, "a tensor without a storage")
        self.check(type(offset) is int and offset >= 0, "a tensor without an offset")
        self.check(type(shape) is tuple and type(strides) is tuple, "a tensor without a shape")
        self.check(len(shape) == len(strides) <= DIMENSION_LIMIT, f"a tensor of {len(shape)} dimensions")
        self.check(all(type(n) is int and n >= 0 for n in shape + strides), "a tensor of a negative size or stride")
        self.check(math.prod(n for n in shape if n) <= ELEMENT_LIMIT, "a tensor that is too large")
        self.check(type(grad) is bool and self.is_empty(hooks), "a tensor with hooks")
        self.check(len(arguments) == 6 or self.is_empty(arguments[6]), "a tensor with metadata")
        found = Tensor(storage, offset, shape, strides)
        end = offset + found.span()
        self.check(end <= storage.count, f"a tensor that ends at {end} of {storage.count} elements of its storage")
        self.check(math.prod(shape) <= storage.count, "a tensor that repeats elements of its storage")
        return found

    @staticmethod
    def is_empty(value: Any) -> bool:
        """Whether there is nothing in a place for hooks or metadata."""
        return value is None or (type(value) in (dict, OrderedDict) and not value)

    def call(self) -> None:
        """REDUCE, by the three functions that a state dict needs."""
        arguments, function = self.pop(), self.pop()
        self.check(type(function) is Global and function.name in CALLS, "a call of what is no function")
        self.check(type(arguments) is tuple, "a call without arguments")
        if function.name == "collections.OrderedDict":
            self.check(not arguments, "an OrderedDict with arguments")
            self.stack.append(OrderedDict())
        elif function.name == "torch._utils._rebuild_parameter":
            self.check(len(arguments) == 3 and type(arguments[0]) is Tensor, "a parameter without a tensor")
            self.check(type(arguments[1]) is bool and self.is_empty(arguments[2]), "a parameter with hooks")
            self.stack.append(arguments[0])
        else:
            self.stack.append(self.tensor(arguments))

    def build(self) -> None:
        """BUILD: the attribute `_metadata` of a state dict, with the versions of its modules, which are not needed."""
        state = self.pop()
        self.top(OrderedDict)
        self.check(type(state) is dict and list(state) == ["_metadata"], "an attribute that is not _metadata")

    def step(self, name: str, argument: Any) -> None:
        """Carries out one opcode, but for PROTO and STOP."""
        if name == "MARK":
            self.check(len(self.below) < MARK_LIMIT, "values that are nested too deeply")
            self.below.append(self.stack)
            self.stack = []
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            self.stack.append(CONSTANTS[name])
        elif name in ("BININT1", "BININT2", "BININT", "LONG1", "BINUNICODE"):
            self.stack.append(argument)
        elif name == "GLOBAL":
            self.stack.append(Global(argument))
        elif name in ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            self.stack.append(tuple([self.pop() for _ in range(TUPLES[name])][::-1]))
        elif name == "TUPLE":
            items = self.pop_marked()
            self.stack.append(tuple(items))
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "APPEND":
            item = self.pop()
            self.top(list).append(item)
        elif name == "APPENDS":
            items = self.pop_marked()
            self.top(list).extend(items)
        elif name == "SETITEM":
            value, key = self.pop(), self.pop()
            self.set_items([key, value])
        elif name == "SETITEMS":
            self.set_items(self.pop_marked())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.check(bool(self.stack), "an empty stack")
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.check(argument in self.memo, f"no value number {argument}")
            self.stack.append(self.memo[argument])
        elif name == "BINPERSID":
            self.stack.append(self.storage(self.pop()))
        elif name == "REDUCE":
            self.call()
        elif name == "BUILD":
            self.build()


def read_pickle(data: bytes, begin: int, where: str, legacy: bool) -> tuple[Any, dict[str, Storage], int]:
    """The value of the pickle at `begin`, the storages that it names, and where it ends."""
    for _ in steps(data, begin, where):
        pass  # refuses what is not in the lists, before anything is built
    machine = _Machine(where, legacy)
    for at, name, argument, end in steps(data, begin, where):
        machine.at = at
        machine.check((name == "PROTO") == (at == begin), "a PROTO that is missing or once more")
        machine.check(name != "PROTO" or argument == 2, f"pickle protocol {argument}")
        if name == "STOP":
            machine.check(len(machine.stack) == 1 and not machine.below, "a STOP before the end")
            return machine.stack[0], machine.storages, end
        if name != "PROTO":
            machine.step(name, argument)
    raise damaged(where, begin, "no STOP")
