"""transformers as the oracle of the converter's rules. RULES names them; None: no release that they follow is installed."""

import contextlib
import io
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bertha_convert.tokenizer_rules import ORACLES

try:
    import transformers

    transformers.logging.set_verbosity(50)
    RULES = {version: rules for rules, version in ORACLES.items()}.get(transformers.__version__)
except ImportError:
    RULES = None

NEEDS = f"needs transformers {' or '.join(ORACLES.values())}"


def loaded_folders(make_folder: Callable[[Path, random.Random], Any], count: int) -> Iterator[tuple[int, Path, Any]]:
    """(seed, folder, the tokenizer that transformers loads from it) of `count` generated folders. The tokenizer is None
    where transformers refuses the folder: it must be refused here too."""
    for seed in range(count):
        with tempfile.TemporaryDirectory() as name:
            make_folder(Path(name), random.Random(seed))
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    loaded = transformers.AutoTokenizer.from_pretrained(name, local_files_only=True)
            except Exception:
                loaded = None
            yield seed, Path(name), loaded
