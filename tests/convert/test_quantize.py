"""`bertha quantize --plain` against the converter: the int8 file that it makes of a float32 file is the converter's, byte
for byte. Runs the program that the environment variable BERTHA_PROGRAM names.
"""

import itertools
import os
import subprocess
import unittest
from pathlib import Path
from typing import Any

import byte_folders
import folders
import unigram_folders
from bertha_convert.conversion import Options, convert
from test_conversion import FolderTest

PROGRAM = os.environ["BERTHA_PROGRAM"]
HEADS = tuple(folders.ARCHITECTURES)


class Quantize(FolderTest):
    def assert_same_bytes(self, recorded: bool = False, **options: Any) -> None:
        """Both ways from the folder to int8; `recorded`: with a self-test and its logits."""
        plain, expected = self.root / "plain.safetensors", self.root / "int8.safetensors"
        selftest = {"selftest": None} if recorded else {"selftest": False}
        convert(Options(self.folder, self.out, **selftest, **options))
        program = {"bertha": Path(PROGRAM)} if recorded and options.get("head") != "none" else {}
        convert(Options(self.folder, expected, precision="int8", **selftest, **program, **options))
        done = subprocess.run([PROGRAM, "quantize", "--plain", self.out, plain], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(plain.read_bytes(), expected.read_bytes())

    def test_plain_files_of_every_family_and_head_are_the_converters(self) -> None:
        for family, head in itertools.product(folders.FAMILIES, HEADS):
            with self.subTest(family=family, head=head):
                folders.write_folder(self.folder, head, family=family)
                if "roberta" in folders.PREFIXES[family]:  # which has no token type 1
                    self.edit("tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
                self.assert_same_bytes()

    def test_a_self_test_goes_with_the_file(self) -> None:
        for head in HEADS:
            with self.subTest(head=head):
                folders.write_folder(self.folder, head)
                self.assert_same_bytes(recorded=True, head=head)

    def test_what_the_metadata_say_keeps_its_characters(self) -> None:
        labels = {"0": 'a"b\\c', "1": '"precision":"float32"', "2": "\u00e9\u20ac\x01\x7f\n"}
        folders.write_folder(self.folder, "token-classification", 3, id2label=labels, layer_norm_eps=1e-5)
        self.assert_same_bytes()

    def test_a_custom_head_travels(self) -> None:
        folders.write_folder(self.folder, "token-classification")
        self.assert_same_bytes(keep=("classifier",))

    def test_a_byte_level_tokenizer_travels(self) -> None:
        folders.write_folder(self.folder, "none", family="roberta", vocab_size=len(byte_folders.vocabulary()))
        (self.folder / "vocab.txt").unlink()
        byte_folders.write_folder(self.folder)
        self.assert_same_bytes()

    def test_a_unigram_tokenizer_travels(self) -> None:
        for name, normalizer in (("AlbertTokenizer", {}), ("PreTrainedTokenizerFast", {"normalizer": None})):
            size = len(unigram_folders.vocabulary("AlbertTokenizer"))
            folders.write_folder(self.folder, "none", family="electra", vocab_size=size)
            written = unigram_folders.tokenizer_json("AlbertTokenizer") | normalizer
            unigram_folders.write_json(self.folder, "tokenizer.json", written)
            tokens = {"unk_token": "<unk>", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "<pad>"}
            unigram_folders.write_json(self.folder, "tokenizer_config.json", {"tokenizer_class": name, **tokens})
            self.assert_same_bytes()


if __name__ == "__main__":
    unittest.main()
