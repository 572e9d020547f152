"""Model files in the hands of the bertha program: inspect, and files that are none."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import unittest.mock

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, TEXTS, ProgramTest, run


class Files(ProgramTest):
    COMMANDS = (("classify", "a"), ("ner", "a"), ("qa", "--question", "a", "--context", "b"), ("logits", "a"),
                ("tokenize", "a"), ("verify",), ("inspect",), ("bench", "--length", "8", "--repeat", "1"))

    def refuse_by_all(self, path, says):
        for command, *arguments in self.COMMANDS:
            self.refuse(command, path, *arguments, says=says)

    def test_a_missing_file_is_refused_by_name(self):
        self.refuse_by_all("no_such.safetensors", ("no_such.safetensors",))

    def test_a_folder_is_refused(self):
        self.refuse_by_all(str(MODELS), (str(MODELS), "directory"))

    def test_a_checkpoint_is_recognised_and_the_message_says_what_to_do(self):
        header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        with tempfile.TemporaryDirectory() as folder:
            files = {"model.safetensors": len(header).to_bytes(8, "little") + header + bytes(4),
                     "config.json": b'{"model_type": "bert"}', "pytorch_model.bin": b"PK\3\4" + bytes(100)}
            for name, data in files.items():
                pathlib.Path(folder, name).write_bytes(data)
            convert = f"python3 tools/convert.py {folder} "
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                self.refuse_by_all(path, (path, "heckpoint", convert))

    def test_files_that_are_cut_off_are_refused(self):
        whole = pathlib.Path(CLASSIFIER).read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cut.safetensors")
            for size in (0, 1, 7, 8, 9, 100, header - 1, header, header + 1, header + 64, len(whole) // 2,
                         len(whole) - 64, len(whole) - 1):
                pathlib.Path(path).write_bytes(whole[:size])
                for command, *arguments in (("classify", "a"), ("inspect",), ("tokenize", "a")):
                    self.refuse(command, path, *arguments, says=path)
            pathlib.Path(path).write_bytes(whole + b"\0")
            self.refuse("inspect", path, says=path)

    def test_inspect_describes_the_file(self):
        [found] = self.ask("inspect", TAGGER, "--json")
        self.assertEqual(found["config"]["labels"][:3], ["O", "B-PER", "I-PER"])
        self.assertEqual((found["kind"], found["config"]["head"], found["config"]["precision"], found["max_length"]),
                         ("model", "token-classification", "float32", 128))
        self.assertIn("embeddings.word.weight", [tensor["name"] for tensor in found["tensors"]])
        self.assertIn(found["level"], found["levels"])
        [found] = self.ask("inspect", str(MODELS / "encoder.safetensors"), "--json")
        self.assertEqual((found["kind"], found["config"]["head"]), ("encoder", "none"))
        self.assertNotIn("layer_weights", found["config"])

    def test_inspect_says_whose_weights_each_layer_runs_with(self):
        path = str(MODELS / "albert_entities.safetensors")
        [found] = self.ask("inspect", path, "--json")
        self.assertEqual((found["config"]["num_hidden_layers"], found["config"]["layer_weights"]), (6, [0, 1, 0, 1, 2, 3]))
        stored = {tensor["name"].split(".")[2] for tensor in found["tensors"] if tensor["name"].startswith("encoder.")}
        self.assertEqual(stored, {"0", "1", "2", "3"})
        self.assertRegex(run("inspect", path).stdout.decode(), r"\n  layer_weights +0, 1, 0, 1, 2, 3\n")

    def test_inspect_says_the_same_to_people(self):
        [facts] = self.ask("inspect", TAGGER, "--json")
        text = run("inspect", TAGGER).stdout.decode()
        for line in ("kind  model", "  precision                float32", f"tensor_bytes     {facts['tensor_bytes']:,}",
                     "  kind           wordpiece", "  labels                   O, B-PER, I-PER"):
            self.assertIn("\n" + line, text)
        for tensor in facts["tensors"]:
            shape = ", ".join(map(str, tensor["shape"]))
            self.assertRegex(text, rf"\n  {re.escape(tensor['name'])} +{tensor['dtype']} +{shape}\n")
        for operation, level in facts["kernels"].items():
            self.assertRegex(text, rf"\n  {operation} +{level}\n")
        for key in facts:
            self.assertRegex(text, rf"(?m)^{key}\b")

    def test_levels_agree_on_what_is_found(self):
        for level in self.ask("inspect", TAGGER, "--json")[0]["levels"]:
            process = subprocess.run([PROGRAM, "ner", str(MODELS / "entities_int8.safetensors"), *TEXTS],
                                     capture_output=True, timeout=60, check=False,
                                     env={**os.environ, "BERTHA_ISA": level})
            self.assertEqual(process.stdout, run("ner", str(MODELS / "entities_int8.safetensors"), *TEXTS).stdout)


class Kernels(ProgramTest):
    def test_are_checked_when_a_model_is_loaded_and_not_when_a_text_comes(self):
        with unittest.mock.patch.dict(os.environ, BERTHA_ISA="nonsense"):
            for command, *model in (("classify", CLASSIFIER), ("ner", TAGGER), ("qa", ASKER, "--jsonl")):
                process = run(command, *model, stdin=b"")
                self.assertEqual((process.returncode, process.stdout), (2, b""), command)
                self.assertIn(b"no level 'nonsense'", process.stderr)


if __name__ == "__main__":
    unittest.main()
