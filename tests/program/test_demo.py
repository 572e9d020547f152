"""tools/demo.sh asks its models what they are made for, and what it shows is right."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from program import PROGRAM

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Demo(unittest.TestCase):
    def test_what_it_shows(self):
        script = (ROOT / "tools" / "demo.sh").read_text(encoding="utf-8")
        shows = script[script.index("\nshow() {"):]  # what is before builds the program
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(pathlib.Path(folder, "build"))
            os.symlink(os.path.abspath(PROGRAM), pathlib.Path(folder, "build", "bertha"))
            os.symlink(ROOT / "examples", pathlib.Path(folder, "examples"))
            process = subprocess.run(["bash", "-eu", "-c", shows], cwd=folder, capture_output=True, timeout=120, check=False)
        self.assertEqual((process.returncode, process.stderr), (0, b""))
        parts = [part.split("\n") for part in process.stdout.decode().strip().split("\n\n")]
        for title, command, *_ in parts:
            self.assertTrue(title.startswith("# ") and title.endswith("."), title)
            self.assertTrue(command.startswith("$ build/bertha "), command)
        reviews, [entities], [answer] = ([json.loads(line) for line in part[2:]] for part in parts)
        self.assertEqual([x["label"] for [x] in reviews], ["positive", "negative"])
        self.assertGreater(min(x["score"] for [x] in reviews), 0.9)
        self.assertEqual([(x["entity_group"], x["word"]) for x in entities],
                         [("PER", "marie curie"), ("ORG", "university of paris")])
        self.assertEqual(answer["answer"], "Mimar Hayruddin")
        self.assertGreater(min([answer["score"]] + [x["score"] for x in entities]), 0.9)


if __name__ == "__main__":
    unittest.main()
