"""Freshly converted checkpoints in the program: its logits are those of forward passes that share nothing with it.

Runs the program that the environment variable BERTHA_PROGRAM names.
"""

import itertools
import json
import os
import subprocess
import unittest
from typing import Any

import byte_folders
import folders
import numpy as np
import reference_forward
from bertha_convert.container import read_tensors
from bertha_convert.errors import ConvertError
from test_conversion import FolderTest

PROGRAM = os.environ["BERTHA_PROGRAM"]
HEADS = ("sequence-classification", "token-classification", "question-answering")
ITEMS = (  # "q" is [UNK], whose id is also the one that RoBERTa's positions leave out
    {"text": "a b ab \u00e9 . aab"},
    {"text": "q ab q q b", "text_pair": "b a . q"},
    {"text": "ab"},
    {"text": "", "text_pair": "a b"},
)
BYTE_ITEMS = (
    {"text": "the ab in \u00e9 <mask> a  b"},
    {"text": "in the <pad><pad> ab's", "text_pair": "the <pad> a"},
)
BOUND = 2e-4  # what Float32 promises of logits, times max(1, abs logit)


def program(command: str, model: Any, items: tuple[folders.Json, ...]) -> list[folders.Json]:
    """What a command of the program answers to each item."""
    sent = "".join(json.dumps(item) + "\n" for item in items)
    done = subprocess.run(
        [PROGRAM, command, str(model), "--jsonl"], input=sent.encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


class Logits(FolderTest):
    def write(self, head: str, family: str, **options: Any) -> folders.Tensors:
        """The folder, with an epsilon that is felt, and its weights, with which tokens differ."""
        options = {"layer_norm_eps": 0.01, "hidden_act": "gelu", "pad_token_id": 1, **options}
        tensors = folders.write_folder(self.folder, head, 3, family, **options)
        for name, values in tensors.items():
            if "norm.weight" in name.lower() or name.endswith(".ln.weight"):
                values += np.float32(1)
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        if "roberta" in folders.PREFIXES[family]:
            self.edit("tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
        return tensors

    def assert_logits(
        self, head: str, weights: folders.Tensors, items: tuple[folders.Json, ...] = ITEMS, bound: float = BOUND
    ) -> None:
        """The program's logits are the reference's, for each item."""
        config = json.loads((self.folder / "config.json").read_text())
        found = program("logits", self.out, items)
        for item, answer, encoding in zip(items, found, program("tokenize", self.out, items)):
            ids = encoding["ids"]
            families = ("bert", "electra", "albert", "deberta", "deberta-v2", "megatron-bert", "ernie")
            typed = "text_pair" in item and config["model_type"] in families
            second = ids.index(3) + 1 if typed else len(ids)
            types = [int(index >= second) for index in range(len(ids))]
            expected = reference_forward.logits(weights, config, head, ids, types)
            rows = np.array(answer["logits"])
            self.assertEqual(rows.shape, expected.shape)
            worst = np.max(np.abs(rows - expected) / np.maximum(1, np.abs(expected)))
            self.assertLess(worst, bound, (item, rows, expected))

    def test_every_family_and_head_runs_as_its_checkpoint_says(self) -> None:
        for family, head in itertools.product(folders.FAMILIES, HEADS):
            with self.subTest(family=family, head=head):
                weights = self.write(head, family)
                self.convert()
                self.assert_logits(head, weights)

    def test_what_the_program_is_asked_is_what_these_tests_mean(self) -> None:
        for family, pair in (("bert", [2, 9, 3, 6, 5, 10, 3]), ("roberta", [2, 9, 3, 6, 5, 10, 3])):
            self.write("token-classification", family)
            self.convert()
            [found] = program("tokenize", self.out, ({"text": "ab", "text_pair": "b a ."},))
            self.assertEqual(found["ids"], pair)

    def test_a_byte_level_tokenizer_goes_with_its_model(self) -> None:
        vocabulary = byte_folders.vocabulary()
        for head in HEADS:
            with self.subTest(head=head):
                weights = self.write(head, "roberta", vocab_size=len(vocabulary))
                (self.folder / "vocab.txt").unlink()
                byte_folders.write_folder(self.folder)
                self.convert()
                self.assert_logits(head, weights, BYTE_ITEMS)
                ids = program("tokenize", self.out, BYTE_ITEMS)[1]["ids"]
                self.assertEqual(ids.count(vocabulary["<pad>"]), 3)

    def test_activations_are_the_checkpoints(self) -> None:
        for family, activation in itertools.product(("bert", "distilbert", "albert"), ("gelu_new", "relu", "silu")):
            with self.subTest(family=family, activation=activation):
                weights = self.write("token-classification", family, hidden_act=activation)
                self.convert()
                self.assert_logits("token-classification", weights)

    def test_groups_of_layers_run_in_their_order(self) -> None:
        for count, groups, inner, width in ((12, 1, 1, 8), (5, 3, 1, 12), (2, 1, 3, 12), (2, 2, 1, 12)):
            with self.subTest(layers=count, groups=groups, inner=inner):
                sizes = {"num_hidden_layers": count, "num_hidden_groups": groups, "inner_group_num": inner}
                weights = self.write("token-classification", "albert", embedding_size=width, **sizes)
                self.convert()
                self.assert_logits("token-classification", weights)

    def test_every_number_of_a_configuration_that_changes_is_refused_or_felt(self) -> None:
        """A sample of tools/diff/mutations.py, which asks transformers."""
        taken = set()
        for family in folders.FAMILIES:
            weights = self.write("token-classification", family)
            config = json.loads((self.folder / "config.json").read_text())
            for key, value in config.items():
                near = (value + 1, 2 * value, 0) if type(value) in (int, float) else ("relu",) if value == "gelu" else ()
                for new in near:
                    folders.write_json(self.folder / "config.json", {**config, key: new})
                    with self.subTest(family=family, key=key, new=new):
                        try:
                            self.convert()
                        except ConvertError:
                            continue
                        taken.add(key)
                        self.assert_logits("token-classification", weights, ITEMS[1:2])
        felt = {"num_attention_heads", "layer_norm_eps", "hidden_act", "activation", "n_heads", "pad_token_id"}
        self.assertLessEqual(felt, taken)

    def test_an_encoder_alone_has_the_tensors_of_the_model_with_a_head(self) -> None:
        for family in folders.FAMILIES:
            with self.subTest(family=family):
                self.write("sequence-classification", family)
                self.convert()
                whole = read_tensors(self.out)
                self.convert(head="none")
                for name, values in read_tensors(self.out).items():
                    np.testing.assert_array_equal(values, whole[name], err_msg=name)


if __name__ == "__main__":
    unittest.main()
