"""What tools/demo.sh and the program's page show is what the program prints, and the demo's answers are right."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from program import PROGRAM

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Demo(unittest.TestCase):
    def bash(self, script):
        """What a script prints where build/bertha is the program, `bertha` too, and examples/ the project's."""
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder, "build")
            build.mkdir()
            (build / "bertha").symlink_to(os.path.abspath(PROGRAM))
            pathlib.Path(folder, "examples").symlink_to(ROOT / "examples")
            process = subprocess.run(["bash", "-eu", "-c", script], cwd=folder, capture_output=True, timeout=120, check=False,
                                     env={**os.environ, "PATH": f"{build}:{os.environ['PATH']}"})
        self.assertEqual(process.stderr, b"", script)
        return process.stdout.decode()

    def test_the_demo_asks_its_models_what_they_are_made_for(self):
        script = (ROOT / "tools" / "demo.sh").read_text(encoding="utf-8")
        shown = self.bash(script[script.index("\nshow() {"):])  # what is before builds the program
        parts = [part.split("\n") for part in shown.strip().split("\n\n")]
        for title, command, *_ in parts:
            self.assertTrue(title.startswith("# ") and title.endswith("."), title)
            self.assertTrue(command.startswith("$ build/bertha "), command)
        reviews, [entities], [answer] = ([json.loads(line) for line in part[2:]] for part in parts)
        self.assertEqual([x["label"] for [x] in reviews], ["positive", "negative"])
        self.assertEqual([(x["entity_group"], x["word"]) for x in entities],
                         [("PER", "marie curie"), ("ORG", "university of paris")])
        self.assertEqual(answer["answer"], "Mimar Hayruddin")
        self.assertGreater(min(x["score"] for x in [*(x for [x] in reviews), *entities, answer]), 0.9)

    def test_the_page_shows_what_the_program_prints(self):
        page = (ROOT / "tools" / "bertha" / "README.md").read_text(encoding="utf-8")
        shown = re.findall(r"^```text\n\$ ((?:[^\n]*[|\\]\n)*[^\n]*\n)(.*?)^```$", page, re.M | re.S)
        self.assertGreater(len(shown), 1)
        for command, output in shown:
            self.assertEqual(self.bash(f"{command.rstrip()} || true"), output)


if __name__ == "__main__":
    unittest.main()
