"""Every limit of what the converter reads and writes: what reaches it is taken, one more is refused."""

import struct
import tempfile
import unittest
import unittest.mock
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import folders
import numpy as np
import torch_writer as w
import unigram_folders
from bertha_convert import charsmap, container, layout, source, torch_file, torch_opcodes, torch_pickle
from bertha_convert.errors import ConvertError

START = b"\x80\x02"


class Limits(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "file"
        self.good = w.tensor(w.storage("0", 6), (2, 3), (3, 1))

    def assert_limit(self, module: ModuleType, name: str, reached: float, act: Callable[[], Any], pattern: str) -> None:
        """What `act` does reaches the limit if that is `reached`, and is refused by one that is a little less."""
        with unittest.mock.patch.object(module, name, reached):
            act()
        with unittest.mock.patch.object(module, name, reached - 1), self.assertRaisesRegex(ConvertError, pattern):
            act()

    def read(self, data: bytes) -> dict[str, source.StoredTensor]:
        """The tensors of a PyTorch file of these bytes."""
        self.path.write_bytes(data)
        return torch_file.read_tensors(self.path)

    def read_entry(self, name: str, value: bytes) -> dict[str, source.StoredTensor]:
        """The tensors of a state dict of one entry, on a storage of 6 floats."""
        return self.read(w.zip_bytes(w.state_dict({name: value}), {"0": bytes(24)}))

    def test_of_a_pickle(self) -> None:
        program = w.state_dict({"a": self.good})
        count = sum(1 for _ in torch_opcodes.steps(program, 0, ""))
        archive = w.zip_bytes(program, {"0": bytes(24)})
        self.assert_limit(torch_opcodes, "STEP_LIMIT", count, lambda: self.read(archive), f"too many steps.*{count - 1}")
        self.assert_limit(torch_file, "PICKLE_LIMIT", len(program), lambda: self.read(archive), "too long a pickle")

        longest = "a" * torch_opcodes.STRING_LIMIT
        self.assertEqual(list(self.read_entry(longest, self.good)), [longest])
        with self.assertRaisesRegex(ConvertError, f"a string of {len(longest) + 1} bytes"):
            self.read_entry(longest + "a", self.good)

        size = torch_opcodes.LONG_LIMIT
        for count, pattern in ((size, "'a': int"), (size + 1, f"a number of {size + 1} bytes")):
            with self.assertRaisesRegex(ConvertError, pattern):
                self.read_entry("a", b"\x8a" + bytes([count]) + bytes(count))

        for count, pattern in ((torch_pickle.MARK_LIMIT, "no state dict"), (torch_pickle.MARK_LIMIT + 1, "nested too deeply")):
            with self.assertRaisesRegex(ConvertError, pattern):
                self.read(w.zip_bytes(START + b"(" * count + b"t" * count + w.END, {}))

    def test_of_a_tensor(self) -> None:
        most = torch_pickle.DIMENSION_LIMIT
        shape = (1,) * most
        self.assertEqual(self.read_entry("a", w.tensor(w.storage("0", 6), shape, shape))["a"].shape, shape)
        with self.assertRaisesRegex(ConvertError, f"a tensor of {most + 1} dimensions"):
            self.read_entry("a", w.tensor(w.storage("0", 6), (*shape, 1), (*shape, 1)))
        most = torch_pickle.ELEMENT_LIMIT
        for count, pattern in ((most, "repeats elements"), (most + 1, "too large")):
            with self.assertRaisesRegex(ConvertError, pattern):
                self.read_entry("a", w.tensor(w.storage("0", 6), (count,), (0,)))

    def test_of_an_archive(self) -> None:
        archive = w.zip_bytes(w.state_dict({"a": self.good}), {"0": bytes(24)})
        members, size = struct.unpack_from("<HI", archive, len(archive) - 12)
        for name, count in (("MEMBER_LIMIT", members), ("DIRECTORY_LIMIT", size)):
            self.assert_limit(torch_file, name, count, lambda: self.read(archive), f"a directory of {members} members and {size}")

    def test_of_tensors_that_share_their_numbers(self) -> None:
        first = w.text("a") + w.tensor(w.storage("0", 600), (600,), (1,)) + b"q\1"
        names = [str(index) for index in range(40)]

        def archive(padding: int) -> bytes:
            padded = [name + "x" * (padding // 40 + (index < padding % 40)) for index, name in enumerate(names)]
            more = b"".join(w.text(name) + b"h\1" for name in padded)
            return w.zip_bytes(START + b"}" + first + b"s(" + more + b"u" + w.END, {"0": bytes(2400)})

        size = 2400 * (len(names) + 1) // torch_file.VIEW_LIMIT
        padding = size - len(archive(0))
        self.assertEqual(len(archive(padding)), size)
        self.assertEqual(len(self.read(archive(padding))), len(names) + 1)
        with self.assertRaisesRegex(ConvertError, "much larger than itself"):
            self.read(archive(padding - 1))

    def test_of_json_and_safetensors(self) -> None:
        self.path.write_text('{"a": 1}')
        self.assert_limit(source, "HEADER_LIMIT", 8, lambda: source.read_json(self.path), "is too long; expected at most 7 bytes; got 8")
        folders.write_safetensors(self.path, {"a": np.ones(2, np.float32)})
        (length,) = struct.unpack_from("<Q", self.path.read_bytes())
        self.assert_limit(source, "HEADER_LIMIT", length, lambda: source.read_header(self.path), "no valid header length")

    def test_of_a_written_header(self) -> None:
        values = np.ones((4, 16), np.float32)
        size = lambda: container.file_size({"text": "x"}, {"a": layout.stored(values)})
        length = size() - values.nbytes - 8
        self.assert_limit(container, "HEADER_LIMIT", length, size, f"too long; expected at most {length - 1} bytes; got {length}")

    def test_of_a_charsmap(self) -> None:
        data = unigram_folders.compiled({"ab": "x", "ac": "y", "d": "z"})  # a, ab, ac, d
        self.assert_limit(charsmap, "MOST_NODES", 4, lambda: charsmap.read(data), "more than 3 starts")


if __name__ == "__main__":
    unittest.main()
