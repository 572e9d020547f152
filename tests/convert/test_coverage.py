"""tools/coverage.md says what tools/coverage.py found of the rows of tools/coverage.tsv, all of them and no others."""

from __future__ import annotations

import re
import unittest

import folders  # noqa: F401  (puts tools/ on the path)
import coverage
from bertha_convert.families import FAMILIES

FACTS = {
    "auto_map",
    "bin",
    "dense",
    "experts",
    "extra_heads",
    "gamma",
    "labels",
    "max_seq",
    "multi_label",
    "no_modules",
}
FACTS |= {"no_tokenizer_config", "normalize", "onnx", "pads", "pool", "prompts", "scheme", "tasks", "vocab_only"}


class Coverage(unittest.TestCase):
    def test_the_rows_have_what_the_folders_are_made_of(self) -> None:
        rows = coverage.rows()
        self.assertEqual((len(rows), len({row.checkpoint for row in rows})), (213, 213))
        for row in rows:
            self.assertRegex(row.checkpoint, r"^[\w.-]+/[\w.-]+$")
            self.assertRegex(row.architecture, r"^\w+$")
            self.assertRegex(row.tokenizer, r"^[a-z_]+(:[a-z0-9-]+)?$")
            self.assertIn(row.task, coverage.TASKS)
            self.assertLessEqual({fact.partition("=")[0] for fact in row.facts}, FACTS)

    def test_the_page_is_that_of_the_rows_and_of_todays_families(self) -> None:
        text = coverage.PAGE.read_text(encoding="utf-8")
        results = coverage.results_of_page(text)
        self.assertEqual(text, coverage.page(results))
        for checkpoint, result in results.items():
            for family in re.findall("model_type '([^']+)'", result):
                self.assertNotIn(family, FAMILIES, f"{checkpoint}: run tools/coverage.py --write")
        self.assertNotIn(coverage.ALONE, results.values())  # heads of every task are converted


if __name__ == "__main__":
    unittest.main()
