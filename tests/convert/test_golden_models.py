"""The files of tests/golden/models come out of their checkpoints again, to the bit: what transformers was compared with there is
what the converter makes of every family today.

A checkpoint's numbers are made of names and shapes alone (tools/goldens/tiny_models.py), which the file stands for.
"""

import tempfile
import unittest
from pathlib import Path

import folders
import numpy as np
from bertha_convert import config as model_config
from bertha_convert.container import read_tensors
from bertha_convert.conversion import Options, convert
from bertha_convert.families import MASKED, NEXT_SENTENCE
from bertha_convert.unpack import read_metadata, reference_state
from goldens.tiny_models import MODELS, TABLES, Tiny, random_weights, raw_config
from test_modern import write_tokenizer

GOLDEN = Path(__file__).resolve().parents[1] / "golden/models"
# Of the tokenizer, which is another here; and of a self-test's outcome.
NOT_COMPARED = ("max_length", "model_max_length", "float32_split")


def has_all_names(tiny: Tiny) -> bool:
    """Whether the file stands for every parameter that the checkpoint had: not of tables that are tied or computed with."""
    return tiny.head not in (MASKED, NEXT_SENTENCE) and not TABLES[tiny.family].disentangled


class GoldenModels(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root, self.out = Path(temporary.name), Path(temporary.name) / "out.safetensors"

    def write(self, tiny: Tiny, file: Path) -> Path:
        """The checkpoint that a file was made of, with another tokenizer; its folder."""
        folder = self.root / tiny.name
        config = read_metadata(file)["config"]
        raw = raw_config(tiny, config["vocab_size"])
        family = model_config.chosen(raw, model_config.family(raw, file), config["head"], file)
        state = reference_state(file, family, raw)
        folders.write_folder(folder)
        folders.write_json(folder / "config.json", raw)
        shapes = ((name, values.shape) for name, values in state.items())
        folders.write_safetensors(folder / "model.safetensors", random_weights(tiny, shapes))
        if tiny.family == "modernbert":
            write_tokenizer(folder)
        return folder

    def test_come_out_of_their_checkpoints_again(self) -> None:
        families = set()
        for tiny in filter(has_all_names, MODELS):
            with self.subTest(name=tiny.name):
                file = GOLDEN / f"{tiny.name}.safetensors"
                convert(Options(self.write(tiny, file), self.out, tiny.precision, selftest=False))
                found, expected = read_metadata(self.out)["config"], read_metadata(file)["config"]
                self.assertEqual(*({key: value for key, value in each.items() if key not in NOT_COMPARED} for each in (found, expected)))
                ours, theirs = (
                    {name: values for name, values in read_tensors(path).items() if not name.startswith("tokenizer.")}
                    for path in (self.out, file)
                )
                self.assertEqual(sorted(ours), sorted(theirs))
                for name, values in theirs.items():
                    np.testing.assert_array_equal(ours[name], values, err_msg=name)
                families.add(tiny.family)
        disentangled = {name for name, family in TABLES.items() if family.disentangled}
        self.assertEqual({tiny.family for tiny in MODELS} - disentangled, families)


if __name__ == "__main__":
    unittest.main()
