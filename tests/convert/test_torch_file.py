"""pytorch_model.bin: read right in both forms, and refused where it is anything else than tensors.

BERTHA_FULL=1 in the environment makes it 10,000 mutations of each form instead of 600, and asks torch about them too.
"""

import io
import itertools
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import unittest
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import FrameType
from typing import Any, Callable

import folders
import numpy as np
import torch_writer as w
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.source import FLOAT_TYPES, load
from bertha_convert.torch_file import read_tensors

try:
    import torch
except ImportError:
    torch = None

DATA = Path(__file__).resolve().parents[1] / "data/torch"
FULL = os.environ.get("BERTHA_FULL") == "1"
MUTATIONS = 10_000 if FULL else 600
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "BOOL": "?", "U8": "u1"}
KINDS = dict(zip(("Double", "Float", "Half", "BFloat16", "Long", "Bool", "Byte"), TYPES))


def values_of(path: Path) -> folders.Tensors:
    """All tensors of a file as the converter reads them, those that are no weights left out."""
    stored = read_tensors(path)
    return {name: load(name, tensor) for name, tensor in stored.items() if tensor.dtype in FLOAT_TYPES}


def lines_run(act: Callable[[], None]) -> int:
    """How many lines of the converter `act` runs: what it takes, on any machine."""
    package, count = str(Path(read_tensors.__code__.co_filename).parent), 0

    def in_package(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return in_package

    def anywhere(frame: FrameType, event: str, _: Any) -> Any:
        return in_package if frame.f_code.co_filename.startswith(package) else None

    former = sys.gettrace()
    sys.settrace(anywhere)
    try:
        act()
    finally:
        sys.settrace(former)
    return count


def values_or_error(path: Path) -> Any:
    """What values_of gives, or the error that it raises."""
    try:
        return values_of(path)
    except ConvertError as error:
        return error


class Reference:
    """Reads the same files by Python's own pickle and zipfile; only for what the converter has accepted."""

    class Unpickler(pickle._Unpickler):  # the one in Python: its memo is no array that a number can blow up
        def find_class(self, module: str, name: str) -> Any:
            if name.endswith("Storage"):
                return KINDS.get(name.removesuffix("Storage"), "other")
            return {
                "OrderedDict": OrderedDict,
                "_rebuild_tensor_v2": lambda *parts: parts[:4],
                "_rebuild_parameter": lambda *parts: parts[0],
            }[name]

        def persistent_load(self, identity: Any) -> Any:
            return identity[1:3]

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)
        self.storages: dict[str, bytes] = {}
        self.value = self.zipped() if data[:2] == b"PK" else self.legacy()

    def zipped(self) -> Any:
        """The value in the newer form."""
        zipfile.MAX_EXTRACT_VERSION = 1 << 16  # torch doesn't look at a member's version
        with zipfile.ZipFile(self.data) as archive:
            folder = archive.namelist()[0].split("/")[0]

            def member(name: str) -> bytes:
                with archive.open(f"{folder}/{name}") as opened:
                    opened._expected_crc = None  # nor at its checksum
                    return opened.read()

            value = self.Unpickler(io.BytesIO(member("data.pkl"))).load()
            self.storages = {key: member(f"data/{key}") for (_, key), *_ in value.values()}
        return value

    def legacy(self) -> Any:
        """The value in the older form."""
        *_, value, keys = [self.Unpickler(self.data).load() for _ in range(5)]
        sizes = {part[0][1]: np.dtype(TYPES[part[0][0]]).itemsize for part in value.values()}
        for key in keys:
            count = int.from_bytes(self.data.read(8), "little")
            self.storages[key] = self.data.read(count * sizes[key])
        return value

    def tensors(self) -> dict[str, np.ndarray]:
        """The tensors that can be weights, element by element."""
        result = {}
        for name, ((kind, key), offset, shape, strides) in self.value.items():
            values = np.frombuffer(self.storages[key], TYPES[kind])
            index = np.array(offset)
            for size, stride in zip(shape, strides):
                index = index[..., None] + np.arange(size) * (stride if size > 1 else 0)
            values = values[index]
            if kind == "BF16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            if kind in FLOAT_TYPES:
                result[name] = values.astype(np.float32)
        return result


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A file with a few places changed, the pickles and the directory more often than the numbers."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed))
        kind = rng.randrange(7)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.randrange(256)
        elif kind == 2:
            changed[at : at + 4] = rng.choice((b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0" * 4, b"\0\0\0\x80"))
        elif kind == 3:
            del changed[at : at + rng.choice((1, 1, 2, 8, 100))]
        elif kind == 4:
            changed[at:at] = changed[at : at + rng.choice((1, 4, 30))]
        elif kind == 5:
            other = rng.randrange(len(changed))
            changed[at : at + 4], changed[other : other + 4] = changed[other : other + 4], changed[at : at + 4]
        else:
            changed[at] = rng.choice(b"(.0NKJMX)tR}]eusqhQcb\x80\x81\x85\x88\x93\x94")
    return bytes(changed)


def run_mutations(count: int) -> None:
    """In a process of its own, with little memory: each mutation is refused, or read as the reference reads it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages:
        import resource  # which not every system has

        room = pages * resource.getpagesize() + (1 << 28)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    rng, accepted, compared = random.Random(7), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pytorch_model.bin"
        for name in ("zip.bin", "legacy.bin"):
            whole = (DATA / name).read_bytes()
            path.write_bytes(whole)
            honest = lines_run(lambda: values_of(path))
            for number in range(count):
                data = mutate(whole, rng)
                path.write_bytes(data)
                outcome: list[Any] = []
                lines = lines_run(lambda: outcome.append(values_or_error(path)))
                assert lines <= 2 * honest, (name, number, lines, honest)
                found = outcome[0]
                if isinstance(found, ConvertError):
                    assert len(str(found)) > 20, found
                    continue
                accepted += 1
                with np.errstate(over="ignore"):
                    expected = Reference(data).tensors()
                assert list(found) == list(expected), (name, number)
                for key, values in expected.items():
                    np.testing.assert_array_equal(found[key], values, err_msg=f"{name} {number} {key}")
                if FULL and torch is not None:
                    try:
                        loaded = torch.load(path, weights_only=True)
                    except Exception:  # it reads members that hold no weights, and looks at devices: of any kind
                        continue
                    same_as_torch(found, loaded)
                    compared += 1
    print(accepted, compared)


def same_as_torch(found: folders.Tensors, loaded: dict[str, Any]) -> None:
    """What the converter reads is what torch reads."""
    for name, values in found.items():
        np.testing.assert_array_equal(values, loaded[name].detach().float().numpy(), err_msg=name)


class FileTest(unittest.TestCase):
    """A test with a file of its own."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        self.path = self.root / "pytorch_model.bin"

    def assert_refused(self, data: bytes, pattern: str) -> None:
        """The file is refused in a message, in few steps and in little memory, and nothing in it is run."""
        self.path.write_bytes(data)
        tracemalloc.start()
        with self.assertRaisesRegex(ConvertError, pattern):
            values_of(self.path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.assertLess(peak, 4 * len(data) + (1 << 20))
        self.assertLess(lines_run(lambda: values_or_error(self.path)), 50 * len(data) + 10_000)
        self.assertEqual([path.name for path in self.root.iterdir()], [self.path.name])

    def assert_zip_refused(self, entries: dict[str, bytes], pattern: str) -> None:
        """A state dict with one storage, "0" of 6 floats, is refused in the newer form."""
        self.assert_refused(w.zip_bytes(w.state_dict(entries), {"0": bytes(24)}), pattern)


class Reading(FileTest):
    def test_files_of_torch_are_read_as_torch_reads_them(self) -> None:
        expected = json.loads((DATA / "expected.json").read_text())["tensors"]
        for name in ("zip.bin", "legacy.bin"):
            stored = read_tensors(DATA / name)
            self.assertEqual(list(stored), list(expected))
            for key, entry in expected.items():
                self.assertEqual(list(stored[key].shape), entry["shape"], key)
                if entry["dtype"] in ("float64", "float32", "float16", "bfloat16"):
                    values = np.array(entry["values"], np.float32).reshape(entry["shape"])
                    np.testing.assert_array_equal(load(key, stored[key]), values, err_msg=key)
                else:
                    with self.assertRaisesRegex(ConvertError, "element type that weights don't have"):
                        load(key, stored[key])

    @unittest.skipIf(torch is None, "needs torch")
    def test_files_that_torch_writes_here_are_read_as_torch_reads_them(self) -> None:
        sys.path.insert(0, str(DATA))
        self.addCleanup(sys.path.remove, str(DATA))
        from make import state_dict

        for newer in (True, False):
            torch.save(state_dict(), self.path, _use_new_zipfile_serialization=newer)
            found = values_of(self.path)
            self.assertEqual(len(found), 13)
            same_as_torch(found, torch.load(self.path))

    @unittest.skipIf(torch is None, "needs torch")
    def test_torch_reads_what_the_writer_of_these_tests_writes(self) -> None:
        tensors = folders.weights(folders.CONFIG)
        for legacy in (False, True):
            w.write(self.path, tensors, legacy)
            same_as_torch(tensors, torch.load(self.path))

    def test_a_folder_gives_the_same_file_in_every_form(self) -> None:
        folder, out = self.root / "model", self.root / "out.safetensors"
        tensors = folders.write_folder(folder, "sequence-classification")
        convert(Options(folder, out, selftest=False))

        def content() -> tuple[folders.Json, bytes]:
            raw = out.read_bytes()
            size = int.from_bytes(raw[:8], "little")
            header = json.loads(raw[8 : 8 + size])
            header["__metadata__"].pop("source")
            return header, raw[8 + size :].lstrip(b" ")

        expected = content()
        (folder / "model.safetensors").unlink()
        for legacy in (False, True):
            w.write(folder / "pytorch_model.bin", tensors, legacy)
            report = convert(Options(folder, out, selftest=False))
            self.assertEqual(report["source_files"], ["pytorch_model.bin"])
            self.assertEqual(content(), expected)
        old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): values for name, values in tensors.items()}
        w.write(folder / "pytorch_model.bin", old)
        convert(Options(folder, out, selftest=False))
        self.assertEqual(content(), expected)

    def test_the_file_that_transformers_takes_is_taken(self) -> None:
        folder, out = self.root / "model", self.root / "out.safetensors"
        tensors = folders.write_folder(folder)
        names = list(tensors)
        shards = {"part0.bin": names[:9], "part1.bin": names[9:]}
        for name, part in shards.items():
            w.write(folder / name, {key: tensors[key] for key in part}, legacy=name == "part1.bin")
        index = {key: name for name, part in shards.items() for key in part}
        folders.write_json(folder / "pytorch_model.bin.index.json", {"weight_map": index})
        w.write(folder / "pytorch_model.bin", tensors)
        safe = {key: "safe.safetensors" for key in names}
        folders.write_json(folder / "model.safetensors.index.json", {"weight_map": safe})
        shutil.copy(folder / "model.safetensors", folder / "safe.safetensors")
        order = {  # a file of weights -> those that are loaded where it is the first one
            "model.safetensors": ["model.safetensors"],
            "model.safetensors.index.json": ["safe.safetensors"],
            "pytorch_model.bin": ["pytorch_model.bin"],
            "pytorch_model.bin.index.json": ["part0.bin", "part1.bin"],
        }
        for position, (name, taken) in enumerate(order.items()):
            report = convert(Options(folder, out, selftest=False))
            self.assertEqual(report["source_files"], taken)
            self.assertEqual(report["source_files_not_read"], list(order)[position + 1 :])
            (folder / name).unlink()
        w.write(folder / "pytorch_model.bin", tensors)
        config = json.loads((folder / "config.json").read_text())
        folders.write_json(folder / "config.json", {**config, "transformers_weights": "x.safetensors"})
        with self.assertRaisesRegex(ConvertError, "names its own file of weights; got x.safetensors"):
            convert(Options(folder, out, selftest=False))


class Refusing(FileTest):
    def setUp(self) -> None:
        super().setUp()
        self.good = w.tensor(w.storage("0", 6), (2, 3), (3, 1))

    def program(self, body: bytes, pattern: str) -> None:
        """A pickle of this body is refused in both forms."""
        self.assert_refused(w.zip_bytes(b"\x80\x02" + body + w.END, {}), pattern)
        self.assert_refused(w.legacy_bytes(b"\x80\x02" + body + w.END, {}), pattern)

    def test_code_is_refused_by_name_and_never_run(self) -> None:
        shell = w.text(f"touch {self.root}/run")
        for name in ("os\nsystem", "posix\nsystem", "builtins\neval", "builtins\nexec", "subprocess\nPopen"):
            self.program(w.call(name, shell), f"asks for '{name.replace(chr(10), '.')}', which no state dict")
        for name in ("torch\nload", "torch._utils\n_rebuild_tensor_v3", "numpy.core.multiarray\n_reconstruct", "a\n"):
            self.program(w.call(name, shell), "asks for '.*Nothing of it was run")
        nested = w.call("pickle\nloads", b"C\x04abcd")
        self.program(nested, "asks for 'pickle.loads'")
        self.program(w.state_dict({"a": w.call("os\nsystem", shell)})[2:-1], "asks for 'os.system'")
        self.program(self.good + w.call("os\nsystem", shell), "asks for 'os.system'")

    def test_other_opcodes_are_refused_by_name(self) -> None:
        codes = {b"i": "INST", b"o": "OBJ", b"\x81": "NEWOBJ", b"\x93": "STACK_GLOBAL", b"P": "PERSID"}
        codes |= {b"\x82\1": "EXT1", b"\x95": "FRAME", b"F1\n": "FLOAT", b"0": "POP", b"2": "DUP"}
        for code, name in codes.items():
            self.program(b"}" + code, f"uses {name}, which torch.save doesn't write")
        self.program(b"}\xf0", "damaged pickle; got the byte f0")
        self.program(b"\x80\x02}", "a PROTO that is missing or once more")
        self.assert_refused(w.zip_bytes(b"\x80\x04}.", {}), "pickle protocol 4")
        self.assert_refused(w.zip_bytes(b"}.", {}), "a PROTO that is missing")

    def test_programs_that_torch_does_not_write_are_refused(self) -> None:
        attribute = w.call("collections\nOrderedDict")
        bad = {
            "an empty stack": [b"R", b"b", b"s", b"q\0", b"\x85", b"Q"],
            "a mark that is missing": [b"t", b"u", b"e"],
            "no value number 7": [b"h\7", b"j\7\0\0\0"],
            "no dict": [b"]" + w.text("a") + b"Ns", w.text("a") + w.text("a") + b"Ns"],
            "no list": [b"}Na", b"}(Ne", attribute + b"Na"],
            "a key that is no string": [b"}N" + w.text("a") + b"s", b"}(NNu", b"})Ns"],
            "a key without a value": [b"}(" + w.text("a") + b"u"],
            "the key 'a' once more": [b"}(" + (w.text("a") + b"N") * 2 + b"u"],
            "a STOP before the end": [b"", b"NN", b"N("],
            "nested too deeply": [b"(" * 1000],
            "a call of what is no function": [b"N)R", b"ctorch\nFloatStorage\n)R"],
            "a call without arguments": [b"ccollections\nOrderedDict\nNR"],
            "an OrderedDict with arguments": [w.call("collections\nOrderedDict", b"]")],
            "no OrderedDict": [b"}}b"],
            "an attribute that is not _metadata": [attribute + b"}b", attribute + b"}" + w.text("x") + b"Nsb"],
            "a string of": [b"X\xff\xff\xff\xff", b"X\0\1\0\0abc", w.text("a" * 2000)],
            "a number of": [b"\x8a\xff" + b"\1" * 255, b"\x8a\x09\1"],
            "no UTF-8": [b"X\1\0\0\0\xff"],
            "a persistent id that is no storage": [b"NQ", w.row() + b"Q", w.row(*[b"N"] * 9) + b"Q"],
            "the end of the data": [b"J\1\1", b"r\1\1"],
            "a name without an end": [b"ccollections\nOrderedDict", b"c" + b"a" * 2000 + b"\nb\n", b"c"],
        }
        for pattern, bodies in bad.items():
            for body in bodies:
                with self.subTest(pattern=pattern, body=body[:40]):
                    self.assert_refused(w.zip_bytes(b"\x80\x02" + body + w.END, {}), f"damaged pickle; got .*{pattern}")

    def test_storages_and_tensors_outside_the_file_are_refused(self) -> None:
        huge = 1 << 60
        bad = {
            "a storage key that is no number": [w.storage(key, 6) for key in ("../0", "0/../0", "", "a", "0" * 21)],
            "no member 'archive/data/1'": [w.storage("1", 6)],
            "storage 0 of 24 bytes for": [w.storage("0", n) for n in (5, 7, huge)] + [w.storage("0", 6, "HalfStorage")],
            "a storage without a size": [w.storage("0", -1), w.storage("0", -huge)],
        }
        for pattern, storages in bad.items():
            for storage in storages:
                self.assert_zip_refused({"a": w.tensor(storage, (), ())}, pattern)
        views = {
            "ends at .* of 6 elements": [((7,), (1,), 0), ((2,), (1,), 5), ((2,), (huge,), 0), ((1,), (1,), huge)],
            "repeats elements": [((7,), (0,), 0), ((3, 3), (1, 1), 0), ((1 << 20, 1 << 19), (0, 0), 0)],
            "too large": [((huge,), (0,), 0), ((0, huge), (1, 1), 0), ((1 << 21, 1 << 21), (0, 0), 0)],
            "a negative size or stride": [((-1,), (1,), 0), ((2,), (-1,), 1), ((-2, -3), (3, 1), 0)],
            "a tensor without an offset": [((1,), (1,), -1)],
            "a tensor of 9 dimensions": [((1,) * 9, (1,) * 9, 0)],
            "a tensor of 1 dimensions": [((1,), (), 0)],
        }
        for pattern, wrong in views.items():
            for shape, strides, offset in wrong:
                with self.subTest(pattern=pattern, shape=shape):
                    entries = {"a": w.tensor(w.storage("0", 6), shape, strides, offset)}
                    self.assert_zip_refused(entries, pattern)
        other = w.tensor(w.storage("0", 3, "DoubleStorage"), (), ())
        self.assert_zip_refused({"a": self.good, "b": other}, "another description of storage 0")
        many = {str(index): self.good for index in range(1200)}
        self.assert_zip_refused({**many, "x": w.text("y")}, "holds more than tensors.*'x': str")
        short = b"(" + b"".join(w.text(str(index)) + b"h\1" for index in range(2000)) + b"u"
        views = b"\x80\x02}" + w.text("a") + w.tensor(w.storage("0", 600), (600,), (1,)) + b"q\1s" + short + w.END
        self.assert_refused(w.zip_bytes(views, {"0": bytes(2400)}), "much larger than itself")

    def test_what_is_no_state_dict_is_refused(self) -> None:
        inner = w.state_dict({"a": self.good})[2:-1]
        self.assert_zip_refused({"state_dict": inner}, "holds more than tensors.*'state_dict': OrderedDict.* model alone")
        self.assert_zip_refused({"a": self.good, "epoch": w.number(3)}, "holds more than tensors.*'epoch': int")
        self.program(b"]", "holds no state dict.*got list")
        self.program(b"K\1", "holds no state dict.*got int")

    def test_bombs_are_refused(self) -> None:
        good = w.state_dict({"a": self.good})
        zeros = {"0": bytes(24)}
        compressed = w.zip_bytes(good, {"0": bytes(1 << 24)}, method=zipfile.ZIP_DEFLATED)
        self.assertLess(len(compressed), 1 << 16)
        self.assert_refused(compressed, "is compressed, encrypted or a folder")
        self.assert_refused(w.zip_bytes(b"\x80\x02" + b"N" * (1 << 22) + w.END, zeros), "has too long a pickle")
        self.path.write_bytes(w.zip_bytes(b"\x80\x02" + b"}" * (1 << 21) + w.END, zeros))
        with self.assertRaisesRegex(ConvertError, "too many steps"):
            read_tensors(self.path)
        doubled = b")q\0" + b"h\0\x86q\0" * 5000  # a tuple of 2^5000 leaves
        self.program(b"}" + doubled + b"Ns", "a key that is no string")
        self.program(doubled, "holds no state dict|a STOP")
        self.program(b"(" + doubled + b"t" + b"Q", "persistent id")

    def test_sizes_and_places_of_members_may_stand_in_large_numbers(self) -> None:
        good = w.zip_bytes(w.state_dict({"a": self.good}), {"0": np.arange(6, dtype="<f4").tobytes()})
        end = len(good) - 22
        (begin,) = struct.unpack_from("<I", good, end + 16)
        places = (24, 20, 42)  # of the size, the size in the file and the member's place
        for large in itertools.product((False, True), repeat=3):
            directory, at = b"", begin
            while at < end:
                head, names = bytearray(good[at : at + 46]), at + 46
                at = names + struct.unpack_from("<H", head, 28)[0]
                numbers = b""
                for place in itertools.compress(places, large):
                    numbers += struct.pack("<Q", *struct.unpack_from("<I", head, place))
                    struct.pack_into("<I", head, place, 0xFFFFFFFF)
                extra = struct.pack("<2HI2H", 9, 4, 7, 1, len(numbers)) + numbers  # of another kind is the first part
                struct.pack_into("<H", head, 30, len(extra))
                directory += bytes(head) + good[names:at] + extra
            tail = bytearray(good[end:])
            struct.pack_into("<I", tail, 12, len(directory))
            self.path.write_bytes(good[:begin] + directory + bytes(tail))
            with self.subTest(large=large):
                np.testing.assert_array_equal(values_of(self.path)["a"], np.arange(6).reshape(2, 3))

    def test_archives_that_torch_does_not_write_are_refused(self) -> None:
        good = w.zip_bytes(w.state_dict({"a": self.good}), {"0": bytes(24)})
        self.path.write_bytes(good)
        self.assertEqual(list(read_tensors(self.path)), ["a"])
        end = len(good) - 22
        begin = int.from_bytes(good[end + 16 : end + 20], "little")

        def changed(at: int, raw: bytes) -> bytes:
            return good[:at] + raw + good[at + len(raw) :]

        big = b"\xff" * 4
        bad = {
            "without an end": [good + b"x", good[:-1], changed(end, b"xxxx"), changed(end + 20, b"\1")],
            "a directory of": [changed(end + at, raw) for at in (8, 10, 12, 16) for raw in (b"\xff\xff", b"\1\0")],
            "without a description": [changed(end + 8, b"\7\0\7\0"), changed(begin, b"x")],
            "a directory of another size": [changed(end + 8, b"\1\0\1\0")],
            "a large zip archive": [good[:end] + b"PK\6\7" + bytes(16) + good[end:]],
            "twice or outside": [changed(begin + 42, b"\xff\xff\xff\7"), changed(begin + 20, b"\xff\xff\xff\7" * 2)],
            "compressed, encrypted or a folder": [
                changed(begin + at, raw) for at, raw in ((8, b"\1"), (10, b"\x08"), (20, big), (38, b"\x10"))
            ],
            "where the directory puts it|bytes": [changed(begin + 42, b"\1\0\0\0"), changed(26, b"\1")],
            "where the directory puts it": [changed(begin + 20, struct.pack("<2I", begin - 60, begin - 60))],  # over others
        }
        for pattern, variants in bad.items():
            for variant in variants:
                with self.subTest(pattern=pattern):
                    self.assert_refused(variant, pattern)
        large = (DATA / "zip.bin").read_bytes()  # torch gives each archive the directory's place in large numbers too
        record, locator = len(large) - 98, len(large) - 42
        self.assertEqual((large[record:][:4], large[locator:][:4]), (b"PK\6\6", b"PK\6\7"))
        for at, raw in ((record, b"x"), (locator + 4, b"\1"), (locator + 8, b"\0"), (locator + 16, b"\2")):
            with self.subTest(at=at):
                damaged = large[:at] + raw + large[at + 1 :]
                self.assertNotEqual(damaged, large)
                self.assert_refused(damaged, "a large zip archive without an end")
        order = good.replace(b"byteorderlittle", b"byteorderbig   ")
        self.assertNotEqual(order, good)
        self.assert_refused(order, "another byte order")

    def test_legacy_files_that_torch_does_not_write_are_refused(self) -> None:
        program = w.state_dict({"a": w.tensor(w.storage("5", 6, more=b"N"), (2, 3), (3, 1))})
        good = w.legacy_bytes(program, {"5": (6, bytes(24))})
        self.path.write_bytes(good)
        self.assertEqual(list(read_tensors(self.path)), ["a"])
        part = w.row(w.text("6"), w.number(0), w.number(3))
        view = w.state_dict({"a": w.tensor(w.storage("5", 6, more=part), (), ())})
        data = {"5": (6, bytes(24))}
        bad = {
            "is no file of torch.save": [b"", b"version https://git-lfs.github.com/spec/v1\n", good[15:], b"\x80\x02K"],
            "version 1002": [good.replace(w.number(1001), w.number(1002))],
            "another byte order": [w.legacy_bytes(program, data, little=False)],
            "other storages": [w.legacy_bytes(program, {}), w.legacy_bytes(program, {**data, "6": data["5"]})],
            "storage 5 of .* numbers": [w.legacy_bytes(program, {"5": (n, bytes(24))}) for n in (5, -1, 1 << 62)],
            "bytes for|bytes .* of": [good + b"x", good[:-1]],
            "a view of a storage": [w.legacy_bytes(view, data)],
        }
        for pattern, variants in bad.items():
            for variant in variants:
                with self.subTest(pattern=pattern):
                    self.assert_refused(variant, pattern)

    def test_a_file_cut_anywhere_is_refused(self) -> None:
        rng = random.Random(3)
        for name in ("zip.bin", "legacy.bin"):
            whole = (DATA / name).read_bytes()
            for size in [0, 1, 3, 4, 21, 22, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(93))]:
                self.assert_refused(whole[:size], "damaged|is no file of torch.save|damaged pickle")

    def test_every_mutation_of_a_good_file_is_refused_or_read_right(self) -> None:
        command = [sys.executable, "-B", __file__, "mutations", str(MUTATIONS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        accepted, compared = map(int, done.stdout.split())
        self.assertGreater(accepted, MUTATIONS // 20)  # so that both kinds of outcome were met
        self.assertLess(accepted, MUTATIONS * 2)
        self.assertEqual(compared > 0, FULL and torch is not None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["mutations"]:
        run_mutations(int(sys.argv[2]))
    else:
        unittest.main()
