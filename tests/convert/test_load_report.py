"""The report names the weights that transformers names when it loads the same folder."""

import itertools
import tempfile
import unittest
from pathlib import Path

import folders
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.load_report import QUIET, check_trained, sentences, some

try:
    import torch  # noqa: F401
    import transformers
except ImportError:
    transformers = None


class Sentences(unittest.TestCase):
    def test_there_is_nothing_to_say_of_a_checkpoint_that_fits(self) -> None:
        self.assertEqual(sentences("question-answering", ["a", "bert.model.c"], ["bert.embeddings.position_ids"], []), [])
        check_trained("question-answering", ["a"], ["a", "b"], Path("folder"))

    def test_long_lists_are_cut(self) -> None:
        self.assertEqual(some([str(n) for n in range(10)]), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more")

    def test_a_missing_head_is_told_with_what_to_do(self) -> None:
        with self.assertRaisesRegex(ConvertError, "folder: the x head .* lacks 'a', 'c'.*--head none") as caught:
            check_trained("x", ["a", "b", "c"], ["b"], Path("folder"))
        self.assertEqual(caught.exception.missing, ["a", "c"])


@unittest.skipIf(transformers is None, "needs torch and transformers")
class AgainstTransformers(unittest.TestCase):
    def test_unused_and_missing_weights_are_those_of_transformers(self) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        heads = folders.ARCHITECTURES
        for saved, head in itertools.product(heads, heads):
            with self.subTest(saved=saved, head=head), tempfile.TemporaryDirectory() as root:
                folder = Path(root) / "model"
                tensors = folders.write_folder(folder, saved)
                tensors["cls.predictions.bias"] = tensors[max(tensors)]
                folders.write_safetensors(folder / "model.safetensors", tensors)
                model = getattr(transformers, heads[head])
                _, told = model.from_pretrained(folder, local_files_only=True, output_loading_info=True)
                try:
                    report = convert(Options(folder, Path(root) / "out.safetensors", head=head, selftest=False))
                    missing = report["missing"]
                    unused = [name for name in report["left_out"] if not name.endswith(QUIET)]
                    self.assertEqual(unused, sorted(told["unexpected_keys"]))
                except ConvertError as error:
                    missing = error.missing
                    self.assertTrue(missing, error)
                expected = {name.removeprefix("bert.") for name in told["missing_keys"]}
                self.assertEqual(set(missing), expected)


if __name__ == "__main__":
    unittest.main()
