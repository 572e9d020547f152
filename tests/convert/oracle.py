"""transformers as the oracle of the converter's rules for tokenizers, on generated folders.

Of the two releases that the rules follow, the installed one is asked; what 4.57.6 said is recorded too, in
tests/data/tokenizer/rules_v4.json: a digest for each folder, which this module writes where 4.57.6 is installed:

    python3 tests/convert/oracle.py
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import random
import re
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bertha_convert import tokenizer  # noqa: E402
from bertha_convert.errors import ConvertError  # noqa: E402
from bertha_convert.tokenizer_rules import ORACLES  # noqa: E402
from tokenizers import models  # noqa: E402

try:
    import transformers

    transformers.logging.set_verbosity(50)
    RULES = {version: rules for rules, version in ORACLES.items()}.get(transformers.__version__)
except ImportError:
    RULES = None

Json = dict[str, Any]
RECORDED = Path(__file__).resolve().parents[1] / "data/tokenizer/rules_v4.json"
MODULES = ("test_tokenizer_rules", "test_roberta_rules", "test_unigram_rules")  # whose CASES are recorded
NEEDS = f"needs transformers {' or '.join(ORACLES.values())}"


class Case(NamedTuple):
    """Folders, and what is compared of each tokenizer."""

    make: Callable[[Path, random.Random], Any]
    count: int
    parts: Callable[[Any], Json]  # of its engine
    not_taken: str  # the errors for what transformers loads and bertha has no use for
    tokens: tuple[str, ...] = ("unk", "cls", "sep", "pad")  # whose ids are compared


def _facts(case: Case, engine: Any, ids: Json, max_length: float, has_types: bool) -> Json:
    """What is compared."""
    return {**case.parts(engine), "ids": ids, "max_length": float(max_length), "has_types": has_types}


def _reads_types(folder: Path) -> bool:
    """Whether the model takes token types, which its tokenizer may give all the same."""
    return _config(folder)["model_type"] not in ("distilbert", "mpnet")


def _config(folder: Path) -> Json:
    """config.json."""
    return json.loads((folder / "config.json").read_text())


def digest(facts: Json) -> str:
    """Differs where the facts differ."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def loaded_folders(case: Case) -> Iterator[tuple[int, Path, Json | None]]:
    """(seed, folder, what transformers makes of it) of a case. None where it refuses the folder: it must be refused here
    too."""
    for seed in range(case.count):
        with made_folder(case, seed) as folder:
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    loaded = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            except Exception:
                yield seed, folder, None
                continue
            ids = {key: getattr(loaded, f"{key}_token_id") for key in case.tokens}
            has_types = _reads_types(folder) and "token_type_ids" in loaded.model_input_names
            yield seed, folder, _facts(case, loaded.backend_tokenizer, ids, loaded.model_max_length, has_types)


@contextlib.contextmanager
def made_folder(case: Case, seed: int) -> Iterator[Path]:
    """A folder, the same for the same seed."""
    with tempfile.TemporaryDirectory() as name:
        case.make(Path(name), random.Random(seed))
        yield Path(name)


class RulesTest(unittest.TestCase):
    """Compares the tokenizers of folders with those of transformers."""

    maxDiff = None

    def compare(self, case: Case) -> int:
        """With those of the installed release; how many were equal, where both take the folder."""
        compared = 0
        for seed, folder, theirs in loaded_folders(case):
            with self.subTest(seed=seed):
                ours = self.ours(case, folder, RULES == "v4", theirs)
                if ours is not None:
                    self.assertEqual(ours, theirs)
                    compared += 1
        return compared

    def compare_recorded(self, name: str, case: Case) -> int:
        """The same with what 4.57.6 said."""
        recorded = json.loads(RECORDED.read_text())[name]
        self.assertEqual(len(recorded), case.count)
        compared = 0
        for seed, theirs in enumerate(recorded):
            with self.subTest(seed=seed), made_folder(case, seed) as folder:
                ours = self.ours(case, folder, True, theirs)
                if ours is not None:
                    self.assertEqual(digest(ours), theirs)
                    compared += 1
        return compared

    def ours(self, case: Case, folder: Path, v4: bool, theirs: Json | str | None) -> Json | None:
        """What is made of a folder here; None where it is rightly refused. Of what is recorded `theirs` is a digest."""
        try:
            found = tokenizer.resolve(folder, _config(folder), v4, _reads_types(folder))
        except ConvertError as error:
            if theirs is not None:
                self.assertRegex(str(error), case.not_taken)
            lacks = re.search("there is no ([a-z]+)_token", str(error))
            if lacks and isinstance(theirs, dict):
                self.assertIsNone(theirs["ids"].get(lacks[1]), error)
            return None
        self.assertIsNotNone(theirs, "transformers refuses it")
        if isinstance(found.engine.model, models.BPE):
            merges = json.loads(found.engine.model.__getstate__())["merges"]
            self.assertEqual([[found.tokens[a], found.tokens[b]] for a, b in found.merges], merges)
        types = {piece["type_id"] for piece in found.description["pair"]}
        self.assertTrue(found.has_types or types == {0}, types)
        ids = {key: found.description[f"{key}_token_id"] for key in case.tokens}
        return _facts(case, found.engine, ids, found.model_max_length, found.has_types)


def record() -> None:
    """Writes what the installed transformers says, which must be 4.57.6."""
    if RULES != "v4":
        sys.exit(f"transformers {ORACLES['v4']} is not installed")
    lines = []
    for module in map(importlib.import_module, MODULES):
        for name, case in module.CASES.items():
            found = [theirs and digest(theirs) for _, _, theirs in loaded_folders(case)]
            lines.append(f"{json.dumps(name)}: {json.dumps(found)}")
    RECORDED.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    record()
