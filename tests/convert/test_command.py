"""The command itself: reports, errors, exit status, what it leaves on the disk, and damaged checkpoints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from collections.abc import Iterator
from pathlib import Path

import folders
import bertha_convert.selftest
import numpy as np
from bertha_convert import cli
from bertha_convert.unpack import read_metadata

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "convert.py"
RECORDER = """#!{python}
import json, os, sys
from safetensors import safe_open
assert sys.argv[1] == "verify" and sys.argv[3] == "--record" and os.environ["BERTHA_ISA"] == "scalar"
with safe_open(sys.argv[2], "numpy") as file:
    cases = json.loads(file.metadata()["selftest"])
print(json.dumps([{answer} for case in cases]{more}))
"""


class Command(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        self.folder, self.out = self.root / "model", self.root / "out.safetensors"
        self.tensors = folders.write_folder(self.folder, "token-classification")
        self.weights = self.folder / "model.safetensors"

    def test_a_missing_package_is_named_with_what_to_do(self) -> None:
        done = subprocess.run([sys.executable, "-S", "-E", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        says = r"^convert.py: numpy is missing, safetensors is missing, .*: python3 -m pip install -U 'numpy>=.*\n$"
        self.assertRegex(done.stderr, says)

    def run_apart(self, *options: str, packages: dict[str, str] | None = None, **more: object) -> subprocess.CompletedProcess:
        """The script in a process of its own, with more packages that it finds first."""
        for name, text in (packages or {}).items():
            (self.root / "packages").mkdir(exist_ok=True)
            (self.root / "packages" / f"{name}.py").write_text(text)
        command = [sys.executable, "-B", SCRIPT, self.folder, self.out, *options]
        environment = {**os.environ, "PYTHONPATH": str(self.root / "packages")}
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": "/", **more}
        return subprocess.run(command, text=True, check=False, timeout=60, env=environment, **more)

    def test_old_packages_are_named_before_anything_else(self) -> None:
        for name, version in (("tokenizers", "0.19.1"), ("safetensors", "0.3.0"), ("numpy", "1.19.5")):
            done = self.run_apart(packages={name: f"__version__ = '{version}'"})
            (self.root / "packages" / f"{name}.py").unlink()
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"^convert.py: {name} {version} is too old; needed are .*{name}>=.*\n$")
        done = self.run_apart(packages={"tokenizers": "import no_such_package"})
        self.assertRegex(done.stderr, "^convert.py: tokenizers can't be imported .No module named 'no_such_package'.*\n$")

    def test_a_self_test_that_fails_costs_its_logits_only(self) -> None:
        works = "__version__ = '99.0'\nclass logging:\n set_verbosity_error = disable_progress_bar = staticmethod(lambda: 0)\n"
        fails = "class AutoTokenizer:\n def from_pretrained(*_, **__): raise RuntimeError('an operator is missing')\n"
        for torch, transformers, why in (
            ("raise OSError('libtorch.so: no such file')", works, "torch can't be imported .OSError: libtorch.so"),
            ("__version__ = '1.4'", works, "torch 1.4 is too old"),
            ("__version__ = '2.9'", "import torch.no_such_part", "transformers can't be imported"),
            ("__version__ = '2.9'", works + fails, "RuntimeError: an operator is missing"),
        ):
            packages = {"torch": torch, "transformers": transformers}
            with self.subTest(why=why):
                done = self.run_apart(packages=packages)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertRegex(done.stdout, f"warning: the self-test has no logits: .*{why}")
                self.assertRegex(done.stdout, r"self-test: \d cases, tokens only: recording logits failed")
                cases = read_metadata(self.out)["selftest"]
                self.assertEqual({(case["logits"], case["answer"]) for case in cases}, {(None, None)})
                self.out.unlink()
                done = self.run_apart("--selftest", packages=packages)
                self.assertEqual((done.returncode, done.stdout, self.out.exists()), (1, "", False))
                self.assertRegex(done.stderr, f"^convert.py: .*the self-test can't be recorded; got .*{why}.*\n$")

    def test_a_reader_that_leaves_early_and_a_report_that_is_lost(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = self.run_apart("--no-selftest", stdout=writing)
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr, self.out.exists()), (0, "", True))
        if Path("/dev/full").exists():
            with open("/dev/full", "wb") as full:
                done = self.run_apart("--no-selftest", stdout=full)
            says = "convert.py: the file stands, but its report can't be printed: No space left on device\n"
            self.assertEqual((done.returncode, done.stderr), (1, says))

    def test_a_conversion_that_is_ended_leaves_nothing(self) -> None:
        for number in ENDING:
            with self.converting() as process:
                self.assertTrue(any(path.name.startswith(".out") for path in self.root.iterdir()))
                process.send_signal(number)
                self.assertEqual(process.communicate(timeout=30), ("", "convert.py: interrupted; no file was written\n"))
            self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["model", "packages"])

    def test_a_conversion_goes_on_after_signals_that_are_ignored(self) -> None:
        for number in ENDING:
            with self.converting(ignored=number) as process:
                process.send_signal(number)
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(0.5)

    @contextlib.contextmanager
    def converting(self, ignored: int | None = None) -> Iterator["subprocess.Popen[str]"]:
        """The program in the middle of a conversion, for as long as it isn't ended."""

        def signals() -> None:  # a shell ignores some of them for what runs in the background
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

        program = self.recorder("1").replace("recorder", "waits")
        Path(program).write_text("#!/bin/sh\necho started > $0.started\nexec sleep 60\n")
        Path(program).chmod(0o755)
        options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": {"PYTHONPATH": self.without_torch()}}
        command = [sys.executable, "-B", SCRIPT, self.folder, self.out, "--precision", "int8", "--bertha", program]
        with subprocess.Popen(command, **options, preexec_fn=signals) as process:
            try:
                while not Path(f"{program}.started").exists():
                    self.assertIsNone(process.poll())
                    time.sleep(0.01)
                Path(f"{program}.started").unlink()
                yield process
            finally:
                process.kill()  # which would be waited for

    def without_torch(self) -> str:
        """Where a torch that can't be used is found first."""
        (self.root / "packages").mkdir(exist_ok=True)
        (self.root / "packages" / "torch.py").write_text("raise ImportError('not here')")
        return str(self.root / "packages")

    def run_command(self, *arguments: str, selftest: bool = False) -> tuple[int, str, str]:
        """The exit status, standard output and standard error of a run."""
        out, err = io.StringIO(), io.StringIO()
        options = [] if selftest else ["--no-selftest"]
        without = unittest.mock.patch.object(bertha_convert.selftest, "FOR_SELFTEST", {"no_such_package": "1"})
        with without, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main([str(self.folder), str(self.out), *options, *arguments])
        return status, out.getvalue(), err.getvalue()

    def assert_fails(self, pattern: str, *arguments: str) -> None:
        """One line on standard error, exit status 1, no file."""
        status, out, err = self.run_command(*arguments)
        self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
        self.assertRegex(err, pattern)
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["model"])

    def recorder(self, answer: str, more: str = "") -> str:
        """A program that stands in for `bertha verify --record`."""
        path = self.root / "model" / "recorder"
        path.write_text(RECORDER.format(python=sys.executable, answer=answer, more=more))
        path.chmod(0o755)
        return str(path)

    def test_the_report_for_people_says_what_was_taken_renamed_and_left_out(self) -> None:
        folders.write_safetensors(self.weights, {**self.tensors, "cls.predictions.bias": np.ones(17, np.float32)})
        (self.folder / "pytorch_model.bin").write_bytes(b"older")
        status, out, err = self.run_command("--precision", "int8")
        self.assertEqual((status, err), (0, ""))
        for part in (
            f"{self.out}: {self.out.stat().st_size:,} bytes",
            "2 layers, hidden 12, 3 heads, gelu, int8, pooler none",
            "labels label 0, label 1",
            "max_length: 32",
            "vocabulary from vocab.txt",
            "lowercase False",
            "prefix bert. removed (37)",
            "weights: model.safetensors (pytorch_model.bin not read)",
            "left out: 1 tensors: cls.predictions.bias",
            "warning: 1 tensor of the checkpoint is not used by the token-classification head: cls.predictions.bias",
            "self-test: none (--no-selftest)",
        ):
            self.assertIn(part, out)

    def test_the_report_for_machines_is_one_json_object(self) -> None:
        status, out, _ = self.run_command("--json")
        report = json.loads(out)
        self.assertEqual((status, out.count("\n"), report["bytes"]), (0, 1, self.out.stat().st_size))
        self.assertEqual(report["renamed"]["bert.embeddings.LayerNorm.bias"], "embeddings.LayerNorm.bias")

    def test_a_check_says_what_a_conversion_would_and_writes_nothing(self) -> None:
        for options in ((), ("--precision", "int8"), ("--head", "none"), ("--tokenizer",)):
            report = json.loads(self.run_command("--json", *options)[1])
            self.out.unlink()
            before = sorted(self.root.rglob("*"))
            with self.subTest(options=options), unittest.mock.patch.object(self, "out", "--check"):
                checked = json.loads(self.run_command("--json", *options)[1])
                self.assertEqual(checked, report | {"out": None})
                status, out, err = self.run_command(*options)
                self.assertEqual((status, err), (0, ""))
                self.assertIn(f"can be converted: {report['bytes']:,} bytes, {report['taken']} tensors; nothing was written\n", out)
                self.assertEqual(sorted(self.root.rglob("*")), before)

    def test_a_check_refuses_what_a_conversion_refuses(self) -> None:
        self.tensors["classifier.bias"][0] = np.nan
        matrix = self.tensors["bert.encoder.layer.1.output.dense.weight"]
        for place, what in ((self.tensors["classifier.bias"], "classifier.bias"), (matrix[0], "layer.1.output.dense.weight")):
            for tensor in self.tensors.values():
                tensor[np.isnan(tensor)] = 0
            place[0] = np.nan
            folders.write_safetensors(self.weights, self.tensors)
            self.assert_fails(f"{what}' holds NaN")
            with unittest.mock.patch.object(self, "out", "--check"):
                self.assert_fails(f"{what}' holds NaN")
        with unittest.mock.patch.object(self, "out", "--check"):
            self.assert_fails("--bertha runs a file, and --check writes none", "--bertha", "x", "--precision", "int8", "--selftest")

    def test_an_output_or_a_check_is_needed(self) -> None:
        for arguments in ([str(self.folder)], [str(self.folder), str(self.out), "--check"]):
            with self.assertRaises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()) as err:
                cli.main(arguments)
            self.assertEqual(caught.exception.code, 2)
            self.assertIn("give OUT.safetensors, or --check in its place", err.getvalue())

    def test_a_head_that_was_never_trained_is_refused_in_words_and_as_data(self) -> None:
        self.assert_fails("head was never trained.*transformers would warn", "--head", "question-answering")
        status, out, err = self.run_command("--head", "question-answering", "--json")
        report = json.loads(out)
        self.assertEqual((status, f"convert.py: {report['error']}\n"), (1, err))
        self.assertEqual(report["missing"], ["qa_outputs.weight", "qa_outputs.bias"])

    def test_a_guess_at_do_lower_case_is_told(self) -> None:
        folders.write_json(self.folder / "tokenizer_config.json", {})
        self.assertIn("do_lower_case is not given", self.run_command()[1])

    def test_the_same_folder_gives_the_same_bytes(self) -> None:
        for precision in ("float32", "int8"):
            self.run_command("--precision", precision)
            first = self.out.read_bytes()
            self.run_command("--precision", precision)
            self.assertEqual(self.out.read_bytes(), first)

    def test_the_file_replaces_an_old_one_and_has_the_usual_permissions(self) -> None:
        self.out.write_text("old")
        self.assertEqual(self.run_command()[0], 0)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE(self.out.stat().st_mode), 0o666 & ~mask)
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["model", "out.safetensors"])

    def test_an_error_leaves_the_old_file_as_it_was(self) -> None:
        self.out.write_text("old")
        self.weights.write_bytes(b"x" * 20)
        self.assertEqual(self.run_command()[0], 1)
        self.assertEqual(self.out.read_text(), "old")

    def test_paths_that_can_not_be_used_are_refused(self) -> None:
        out = self.out
        self.out = self.root / "nowhere" / "out.safetensors"
        self.assert_fails("can't be written.*in a folder that exists")
        self.out = self.folder
        self.assert_fails("can't be written")
        self.out = self.root / "model" / "pipe"
        os.mkfifo(self.out)  # nor a device: it would be replaced by a file
        self.assert_fails("can't be written; expected a file name")
        self.out.unlink()
        self.out = self.weights
        self.assert_fails("is a file of the folder that is converted")
        self.out, self.folder = out, self.root / "model" / "config.json"
        self.assert_fails("is no folder")

    def test_unknown_choices_are_usage_errors(self) -> None:
        with self.assertRaises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()):
            cli.main([str(self.folder), str(self.out), "--head", "masked"])
        self.assertEqual(caught.exception.code, 2)

    def test_damaged_checkpoints_are_refused(self) -> None:
        whole = self.weights.read_bytes()
        length = struct.unpack("<Q", whole[:8])[0]
        header = json.loads(whole[8 : 8 + length])
        data = whole[8 + length :]
        name = next(iter(header))

        def with_entry(**entry: object) -> bytes:
            return json.dumps({**header, name: {**header[name], **entry}}).encode()

        headers = {
            "no valid JSON": [b'{"a', b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\xff\xfe", b'{"a":{},"a":{}}'],
            "no JSON object": [b"[]", b"12"],
            "unknown element type": [with_entry(dtype="F8"), with_entry(dtype=None), with_entry(dtype=[1])],
            "no valid shape": [
                with_entry(shape=[-1, 2]),
                with_entry(shape=3),
                with_entry(shape=[1.5]),
                with_entry(shape=[True]),
            ],
            "no valid data_offsets": [
                with_entry(data_offsets=[1]),
                with_entry(data_offsets="x"),
                with_entry(data_offsets=[0, None]),
            ],
            "does not fit its place": [
                with_entry(data_offsets=[-4, 4]),
                with_entry(data_offsets=[8, 0]),
                with_entry(data_offsets=[0, 2**70]),
                with_entry(shape=[2**62, 2**62]),
            ],
            "lies over another one or after a hole": [
                with_entry(data_offsets=[4, header[name]["data_offsets"][1] + 4])
            ],
            "has no description": [json.dumps({**header, name: 3}).encode()],
        }
        for pattern, variants in headers.items():
            for variant in variants:
                with self.subTest(pattern=pattern, header=variant[:60]):
                    folders.write_raw(self.weights, variant, data)
                    self.assert_fails(pattern)
        folders.write_raw(self.weights, whole[8 : 8 + length], data + b"\0\0\0\0")
        self.assert_fails("another size than its header tells")
        for start in (0, 1, 2**30, 2**63, 2**64 - 1, len(whole)):
            self.weights.write_bytes(struct.pack("<Q", start) + whole[8:])
            self.assert_fails("header length|no valid JSON")
        self.weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
        self.assert_fails("Git LFS pointer")

    def test_a_checkpoint_cut_anywhere_is_refused(self) -> None:
        whole = self.weights.read_bytes()
        rng = random.Random(1)
        for size in [0, 1, 7, 8, 9, *(rng.randrange(len(whole)) for _ in range(60)), len(whole) - 1]:
            self.weights.write_bytes(whole[:size])
            self.assert_fails("header|fit its place|another size")

    def test_damaged_json_files_are_refused(self) -> None:
        for name in ("config.json", "tokenizer_config.json"):
            text = (self.folder / name).read_bytes()
            for bad in (b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": "\\ud800"}'):
                (self.folder / name).write_bytes(bad)
                self.assert_fails(f"{name}: .*JSON")
            (self.folder / name).write_bytes(text)

    def test_the_logits_of_the_scalar_level_are_recorded(self) -> None:
        program = self.recorder('"00ff" * len(case["ids"])')
        status, _, err = self.run_command("--precision", "int8", "--bertha", program, selftest=True)
        self.assertEqual((status, err), (0, ""))
        for case in read_metadata(self.out)["selftest"]:
            self.assertEqual(case["logits_bytes"], "00ff" * len(case["ids"]))

    def test_a_recording_that_fails_leaves_no_file(self) -> None:
        for answer, more, pattern in (
            ("1", "", "list of strings"),
            ("''", " + ['']", "another number"),
            ("x", "", "NameError"),
        ):
            program = self.recorder(answer, more)
            status, out, err = self.run_command("--precision", "int8", "--bertha", program, selftest=True)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(pattern, err)
            self.assertFalse(self.out.exists())

    def test_a_recording_needs_an_int8_file_and_a_self_test(self) -> None:
        self.assert_fails("--bertha records", "--bertha", "true")
        self.assert_fails("--bertha records", "--bertha", "true", "--precision", "int8")


if __name__ == "__main__":
    unittest.main()
