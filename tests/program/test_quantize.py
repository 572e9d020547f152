"""bertha quantize: the files that it writes, what it says of them, and what it does when it can't write."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import tempfile
import unittest

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, THREE_LABELS, ProgramTest, run


class Quantize(ProgramTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = str(self.folder / "out.safetensors")

    def metadata(self, path):
        data = pathlib.Path(path).read_bytes()
        return json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]

    def test_a_calibrated_file_of_every_head_runs_and_verifies(self):
        for model in (CLASSIFIER, THREE_LABELS, TAGGER, ASKER):
            [report] = self.ask("quantize", model, self.out, "--json")
            self.assertEqual(list(report), ["file", "bytes", "texts", "tokens", "labels", "labels_changed",
                                            "rms_error_of_logits", "rms_error_of_hidden_states",
                                            "rms_error_of_linear_layers", "rms_error_of_attention"])
            self.assertEqual(report["bytes"], os.path.getsize(self.out))
            self.assertGreater(report["texts"], 0)
            errors = report["rms_error_of_logits"]
            self.assertEqual(list(errors), ["int8", "calibrated"])
            self.assertTrue(0 < errors["calibrated"] < 1.2 * errors["int8"], report)
            for layer in report["rms_error_of_linear_layers"]:
                self.assertLessEqual(layer["calibrated"], layer["int8"])
            metadata = self.metadata(self.out)
            chosen = [layer["name"] for layer in report["rms_error_of_linear_layers"] if layer["zero_point"]]
            self.assertEqual(json.loads(metadata["config"]).get("zero_points", []), chosen)
            self.assertEqual(metadata["format"], "2")
            fine = [one["name"] for one in report["rms_error_of_attention"] if one["fine"]]
            self.assertEqual(json.loads(metadata["config"]).get("fine_attention", []), fine)
            [described] = self.ask("inspect", self.out, "--json")
            self.assertEqual(described["config"].get("zero_points", []), sorted(chosen))
            self.assertEqual(described["config"].get("fine_attention", []), sorted(fine))
            [verified] = self.ask("verify", self.out)
            self.assertTrue(verified["verified"])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["out.safetensors"])

    def test_files_in_every_precision_still_run(self):
        self.ask("quantize", CLASSIFIER, self.out, "--json")
        labels = [self.ask("classify", self.out, "--precision", precision, "a good film")[0][0]["label"]
                  for precision in ("int8", "float32", "bfloat16")]
        self.assertEqual(len(set(labels)), 1)

    def test_a_plain_file_says_nothing_of_calibration(self):
        [report] = self.ask("quantize", CLASSIFIER, self.out, "--plain", "--json")
        self.assertEqual(list(report["rms_error_of_logits"]), ["int8"])
        self.assertNotIn("rms_error_of_linear_layers", report)
        self.assertNotIn("rms_error_of_attention", report)
        metadata = self.metadata(self.out)
        self.assertEqual(metadata["format"], "1")
        self.assertNotIn("zero_points", metadata["config"])
        self.assertNotIn("fine_attention", metadata["config"])

    def test_the_report_for_people_is_a_table(self):
        process = run("quantize", TAGGER, self.out)
        self.assertEqual(process.returncode, 0, process.stderr)
        text = process.stdout.decode()
        for words in ("rms_error_of_hidden_states", "after", "embeddings", "layer 0", "zero_point"):
            self.assertIn(words, text)

    def test_texts_of_ones_own_are_read_as_lines(self):
        texts = self.folder / "texts.txt"
        texts.write_bytes(b"\xef\xbb\xbfa good film\r\n\n  \nanother one, and a bad one")
        [report] = self.ask("quantize", CLASSIFIER, self.out, "--calibration", str(texts), "--json")
        self.assertEqual(report["texts"], 2)
        first = pathlib.Path(self.out).read_bytes()
        texts.write_bytes(b"a good film\nanother one, and a bad one\n")
        self.ask("quantize", CLASSIFIER, self.out, "--calibration", str(texts), "--json", "--threads", "1")
        self.assertEqual(pathlib.Path(self.out).read_bytes(), first)

    def test_what_cannot_be_done_is_refused_and_writes_nothing(self):
        texts = self.folder / "texts.txt"
        texts.write_bytes(b"good\nbad \xff\n")
        for arguments, says in (
                ((CLASSIFIER, CLASSIFIER), (CLASSIFIER, "the file that is read")),
                ((str(MODELS / "classify_int8.safetensors"), self.out), ("int8", "expected float32")),
                ((str(MODELS / "classify_bfloat16.safetensors"), self.out), ("bfloat16", "expected float32")),
                ((str(self.folder / "none"), self.out), ("none", "can't be opened")),
                ((CLASSIFIER, str(self.folder / "no" / "out")), ("can't be written",)),
                ((CLASSIFIER, str(self.folder)), ("no regular file",)),
                ((CLASSIFIER, self.out, "--calibration", str(self.folder / "none")), ("none", "can't be opened")),
                ((CLASSIFIER, self.out, "--calibration", str(self.folder)), ("directory",)),
                ((CLASSIFIER, self.out, "--calibration", str(texts)), ("calibration text 2", "UTF-8"))):
            self.refuse("quantize", *arguments, says=says)
        self.refuse("quantize", CLASSIFIER, says="out")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["texts.txt"])

    def test_a_full_disk_leaves_the_old_file(self):
        def no_room():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        pathlib.Path(self.out).write_bytes(b"old")
        process = subprocess.run([PROGRAM, "quantize", "--plain", CLASSIFIER, self.out], preexec_fn=no_room,
                                 capture_output=True, check=False)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"can't be written", process.stderr)
        self.assertEqual(pathlib.Path(self.out).read_bytes(), b"old")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["out.safetensors"])

    def test_a_run_that_is_killed_while_it_writes_leaves_no_half_file_under_the_name(self):
        self.ask("quantize", "--plain", CLASSIFIER, self.out, "--json")
        size = os.path.getsize(self.out)
        pathlib.Path(self.out).write_bytes(b"old")
        for bytes_written in (1, size // 3, size - 1):
            def killed_there(limit=bytes_written):  # the kernel ends a process that would write more
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            process = subprocess.run([PROGRAM, "quantize", "--plain", CLASSIFIER, self.out], preexec_fn=killed_there,
                                     capture_output=True, check=False, restore_signals=True)
            self.assertEqual(process.returncode, -signal.SIGXFSZ)
            self.assertEqual(pathlib.Path(self.out).read_bytes(), b"old")
        self.ask("quantize", "--plain", CLASSIFIER, self.out, "--json")  # whatever the killed ones have left
        self.assertEqual(os.path.getsize(self.out), size)


if __name__ == "__main__":
    unittest.main()
