"""How a model file comes to be: in little memory, checked after it was written, on the disk before it has its name."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import unittest.mock
from pathlib import Path

import folders
import numpy as np
import torch_writer
from bertha_convert import container, source
from bertha_convert.errors import ConvertError
from bertha_convert.unpack import read_metadata
from test_conversion import FolderTest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "convert.py"
PEAK = r"""
import re, sys
sys.path.insert(0, sys.argv[1])
from bertha_convert import cli
status = cli.main(sys.argv[2:])
print(int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read()).group(1)) * 1024)
sys.exit(status)
"""


class Writing(FolderTest):
    def test_the_source_has_the_sha256_of_each_file(self) -> None:
        tensors = folders.write_folder(self.folder)
        whole = self.folder / "model.safetensors"
        self.convert()
        digest = hashlib.sha256(whole.read_bytes()).hexdigest()
        self.assertEqual(read_metadata(self.out)["source"]["sha256"], {whole.name: digest})
        whole.unlink()
        names = list(tensors)
        for number in range(3):
            part = {name: tensors[name] for name in names[number::3]}
            folders.write_safetensors(self.folder / f"part{number}.safetensors", part)
        index = {name: f"part{number % 3}.safetensors" for number, name in enumerate(names)}
        folders.write_json(self.folder / "model.safetensors.index.json", {"weight_map": index})
        self.convert()
        files = sorted(self.folder.glob("part*"))
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        self.assertEqual(len(set(digests.values())), 3)
        self.assertEqual(read_metadata(self.out)["source"]["sha256"], digests)

    def assert_found_out(self, pattern: str, damage: object, **options: object) -> None:
        """What is written wrongly is found when it is read back, and leaves nothing."""

        def copy(source, target, size):
            target.write(damage(source.read()))

        with unittest.mock.patch("shutil.copyfileobj", copy):
            self.assert_refused(pattern, **options)

    def test_what_is_on_the_disk_is_compared_with_what_was_to_be_written(self) -> None:
        folders.write_folder(self.folder, "sequence-classification")
        for precision in ("float32", "bfloat16", "int8"):
            report = self.convert(precision=precision)
            raw = self.out.read_bytes()
            size = len(raw) - int.from_bytes(raw[:8], "little") - 8
            self.out.unlink()
            for at in (0, 1, size // 3, size // 2, size - 1, *np.random.default_rng(1).integers(0, size, 6).tolist()):
                with self.subTest(precision=precision, at=at):
                    bit = 1 << (at % 8)
                    damage = lambda data: data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]  # noqa: E731
                    pattern = "the reference reader finds other values in tensor '.*'"
                    self.assert_found_out(pattern, damage, precision=precision)
            self.assertGreater(report["taken"], 20)
        self.assert_found_out("reference reader can't read", lambda data: data[:-1])
        self.assert_found_out("reference reader can't read", lambda data: data + b"x")
        header = container._header
        with unittest.mock.patch.object(container, "_header", lambda metadata, tensors: header({**metadata, "x": "y"}, tensors)):
            self.assert_refused("finds other metadata or names")
        swapped = lambda metadata, tensors: header(metadata, tensors).replace(b'"BF16"', b'"I16"').ljust(64)  # noqa: E731
        with unittest.mock.patch.object(container, "_header", lambda *parts: swapped(*parts)):
            with self.assertRaisesRegex(ConvertError, "another type or shape|can't read"):
                self.convert(precision="bfloat16")

    def test_a_file_is_on_the_disk_before_it_has_its_name(self) -> None:
        folders.write_folder(self.folder)
        events = []

        def sync(file: int) -> None:
            found = os.fstat(file)
            events.append(("sync", found.st_ino, found.st_size))

        replace = os.replace

        def rename(source: Path, target: Path) -> None:
            found = os.stat(source)
            events.append(("rename", found.st_ino, found.st_size))
            replace(source, target)

        with unittest.mock.patch("os.fsync", sync), unittest.mock.patch("os.replace", rename):
            self.convert()
        file, folder = self.out.stat(), self.root.stat()
        whole = (file.st_ino, file.st_size)
        self.assertEqual(events[:2], [("sync", *whole), ("rename", *whole)])
        self.assertEqual([event[:2] for event in events[2:]], [("sync", folder.st_ino)])

    def test_a_full_disk_is_told_and_leaves_nothing(self) -> None:
        folders.write_folder(self.folder)
        limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); sys.argv = sys.argv[1:]"
        command = [sys.executable, "-B", "-c", f"{limit}; runpy.run_path(sys.argv[0], run_name='__main__')"]
        done = subprocess.run(
            [*command, SCRIPT, self.folder, self.out, "--no-selftest"], capture_output=True, text=True, check=False, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, "^convert.py: .*File too large; no file was written\n$")
        self.assertEqual([path.name for path in self.root.iterdir()], ["model"])
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with unittest.mock.patch("shutil.copyfileobj", side_effect=full), self.assertRaises(OSError):
            self.convert()
        self.assertEqual([path.name for path in self.root.iterdir()], ["model"])

    def test_a_conversion_that_is_killed_while_it_writes_leaves_no_half_file_under_the_name(self) -> None:
        folders.write_folder(self.folder)
        self.convert()
        size = self.out.stat().st_size
        self.out.write_bytes(b"old")
        for limit in (1, size // 2, size - 1):
            kill = (
                "import resource, runpy, signal, sys; sys.argv = sys.argv[1:]; signal.signal(signal.SIGXFSZ, signal.SIG_DFL);"
                f"resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
                "runpy.run_path(sys.argv[0], run_name='__main__')"
            )
            command = [sys.executable, "-B", "-c", kill, SCRIPT, self.folder, self.out, "--no-selftest"]
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
            self.assertEqual(done.returncode, -signal.SIGXFSZ, done.stderr)
            self.assertEqual(self.out.read_bytes(), b"old")
        self.convert()
        self.assertEqual(self.out.stat().st_size, size)

    def peak(self, *options: str) -> int:
        """The most memory that a conversion holds, in bytes."""
        command = [sys.executable, "-B", "-c", PEAK, str(SCRIPT.parent), str(self.folder), str(self.out), "--no-selftest", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return int(done.stdout.splitlines()[-1])

    def test_memory_does_not_grow_with_the_checkpoint(self) -> None:
        folders.write_folder(self.folder)
        least = self.peak()
        size = {"vocab_size": 40000, "hidden_size": 384, "intermediate_size": 768}
        tensors = folders.write_folder(self.folder, **size)
        largest = max(values.nbytes for values in tensors.values())
        self.assertGreater(largest, 60_000_000)
        for precision in ("float32", "int8"):
            self.assertLess(self.peak("--precision", precision) - least, 0.75 * largest)
        (self.folder / "model.safetensors").unlink()
        torch_writer.write(self.folder / "pytorch_model.bin", tensors)
        self.assertLess(self.peak() - least, 0.75 * largest)

    def test_each_number_of_a_tensor_is_read_once_in_whatever_order_they_lie(self) -> None:
        path = self.root / "numbers"
        numbers = np.arange(4096 * 12, dtype="<f4")
        numbers.tofile(path)
        fromfile, counts = np.fromfile, []

        def counting(*place: object, count: int, **more: object) -> np.ndarray:
            counts.append(count)
            return fromfile(*place, count=count, **more)

        for strides in (None, (12, 1), (1, 4096)):
            tensor = source.StoredTensor(path, "F32", (4096, 12), 0, numbers.nbytes, strides)
            with unittest.mock.patch("numpy.fromfile", counting):
                found = np.concatenate(list(source.rows("x", tensor, 16)))
            expected = numbers.reshape(12, 4096).T if strides == (1, 4096) else numbers.reshape(4096, 12)
            np.testing.assert_array_equal(found, expected)
            self.assertEqual(sum(counts), numbers.size, strides)
            counts.clear()
        path.unlink()

    def test_paths_may_hold_any_unicode_but_nothing_else(self) -> None:
        folders.write_folder(self.folder)
        folder, out = self.root / "m\u0131 \U0001f600", self.root / "\u0131.safetensors"
        self.folder.rename(folder)
        environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
        command = [sys.executable, "-B", SCRIPT, folder, out, "--no-selftest"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=environment)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn("\u0131.safetensors: ".encode(), done.stdout)
        self.assertEqual(read_metadata(out)["source"]["name"], folder.name)
        odd = os.fsencode(folder) + b"\xff"
        os.rename(folder, odd)
        for paths in ([odd, out], [self.root, odd]):
            done = subprocess.run([*command[:3], *paths, "--no-selftest"], capture_output=True, check=False, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertRegex(done.stderr.decode(), "^convert.py: .*udcff': is no path in UTF-8.*Rename it.*\n$")


if __name__ == "__main__":
    unittest.main()
