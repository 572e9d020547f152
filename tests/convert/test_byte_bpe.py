"""What the files of a byte-level BPE tokenizer become, without transformers, and what is refused."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import byte_folders
from byte_folders import CLASS, MERGES, tokenizer_json, vocabulary
from bertha_convert import tokenizer
from bertha_convert.errors import ConvertError

NAMED = {f"{name}_token": text for name, text in (("unk", "<unk>"), ("cls", "<s>"), ("sep", "</s>"), ("pad", "<pad>"))}
AS_WRITTEN = {"tokenizer_class": "PreTrainedTokenizerFast", **NAMED}
LINES = [f"{a} {b}" for a, b in MERGES]


class ByteBpe(unittest.TestCase):
    def resolve(self, answering: bool = False, model: byte_folders.Json | None = None, **files: Any) -> Any:
        """The tokenizer of a folder with these files."""
        with tempfile.TemporaryDirectory() as name:
            byte_folders.write_folder(Path(name), **files)
            return tokenizer.resolve(Path(name), model or {}, answering)

    def merges(self, found: Any) -> list[tuple[str, str]]:
        """The merges as strings."""
        return [(found.tokens[left], found.tokens[right]) for left, right in found.merges]

    def test_vocabulary_and_merges_get_the_classs_defaults(self) -> None:
        for answering in (False, True):
            found = self.resolve(answering)
            fields = found.description
            self.assertEqual(fields["kind"], "byte_bpe")
            self.assertEqual((fields["add_prefix_space"], fields["trim_offsets"]), (False, True))
            self.assertEqual((fields["num_merges"], self.merges(found)), (len(MERGES), MERGES))
            self.assertEqual(found.tokens, list(vocabulary()))
            ids = [fields[f"{name}_token_id"] for name in ("cls", "pad", "sep", "unk")]
            self.assertEqual(ids, [0, 1, 2, 3])
            cls, sep = {"special": 0, "type_id": 0}, {"special": 2, "type_id": 0}
            first, second = ({"sequence": name, "type_id": 0} for name in "AB")
            self.assertEqual(fields["single"], [cls, first, sep])
            self.assertEqual(fields["pair"], [cls, first, sep, sep, second, sep])
            mask = fields["added_tokens"][-1]
            self.assertEqual((mask["content"], mask["lstrip"]), ("<mask>", answering))

    @staticmethod
    def llama_3(**split: Any) -> byte_folders.Json:
        """A tokenizer.json whose words are cut as Llama 3's, with changes to what cuts them."""
        written = tokenizer_json(ignore_merges=True)
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        written["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [tokenizer.LLAMA_3 | split, level]}
        return written

    def test_words_are_cut_as_llama_3_cuts_them_where_the_file_says_so(self) -> None:
        fields = self.resolve(config=AS_WRITTEN, tokenizer=self.llama_3()).description
        self.assertEqual((fields["words"], fields["ignore_merges"]), ("llama3", True))
        fields = self.resolve(config=AS_WRITTEN, tokenizer=tokenizer_json()).description
        self.assertFalse({"words", "ignore_merges"} & fields.keys())

    def test_names_of_the_ends_stand_for_cls_and_sep_and_no_unknown_token_is_needed(self) -> None:
        ends = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **ends}
        fields = self.resolve(config=config, tokenizer=self.llama_3()).description
        self.assertEqual([fields[f"{name}_token_id"] for name in ("unk", "cls", "sep", "pad")], [None, 0, 2, 2])
        with self.assertRaisesRegex(ConvertError, "no cls_token"):  # which the pipeline of answers asks for
            self.resolve(True, config=config, tokenizer=self.llama_3())

    def test_both_forms_of_tokenizer_json_give_the_same(self) -> None:
        pairs = tokenizer_json(merges=[list(merge) for merge in MERGES])
        for written in (tokenizer_json(), pairs):
            found = self.resolve(tokenizer=written)
            self.assertEqual(self.merges(found), MERGES)
            self.assertTrue(found.description["added_tokens"][-1]["lstrip"])

    def test_the_options_are_those_of_tokenizer_config(self) -> None:
        config = {**CLASS, "add_prefix_space": True, "trim_offsets": False}
        for answering in (False, True):
            for written in (None, tokenizer_json()):
                fields = self.resolve(answering, config=config, tokenizer=written).description
                self.assertEqual((fields["add_prefix_space"], fields["trim_offsets"]), (True, False))

    def test_the_model_type_stands_for_the_class(self) -> None:
        found = self.resolve(config={}, model={"model_type": "roberta"})
        self.assertEqual(found.description["kind"], "byte_bpe")

    def test_tokenizer_json_runs_as_written_under_a_general_class(self) -> None:
        written = tokenizer_json(merges=["#version: 0.2", *LINES])
        written["pre_tokenizer"] = written["pre_tokenizer"] | {"add_prefix_space": True}
        written["post_processor"] |= {"add_prefix_space": True}
        found = self.resolve(config=AS_WRITTEN, tokenizer=written)
        self.assertEqual((found.description["add_prefix_space"], self.merges(found)), (True, MERGES))
        template = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]}
        template |= {"pair": [{"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB")]}
        template["special_tokens"] = {}
        written["post_processor"] = template
        for names, type_id in (({}, 0), ({"model_input_names": ["input_ids", "token_type_ids"]}, 1)):
            fields = self.resolve(config=AS_WRITTEN | names, tokenizer=written).description
            self.assertEqual((fields["trim_offsets"], fields["pair"][1]["type_id"]), (False, type_id))
        byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
        written["post_processor"] = {"type": "Sequence", "processors": [byte_level, template]}
        self.assertTrue(self.resolve(config=AS_WRITTEN, tokenizer=written).description["trim_offsets"])

    def test_merges_are_read_as_each_version_reads_them(self) -> None:
        text = "\n".join(["#version: 0.2", *LINES, ""])
        twice = "\n".join(["#version: 0.2", LINES[3], *LINES, ""])
        later = MERGES
        earlier = [MERGES[3], *MERGES[:3], *MERGES[4:]]
        cases = [
            (text, MERGES, MERGES),
            (text.replace("\n", "\r\n"), MERGES, MERGES),
            (text[:-1], MERGES, MERGES[:-1]),  # 4.57.6 drops the last line, whatever it holds
            ("\n".join([*LINES, ""]), MERGES, MERGES[1:]),  # and the first
            (twice, later, earlier),
        ]
        for merges, newer, older in cases:
            self.assertEqual(self.merges(self.resolve(merges=merges)), newer)
            self.assertEqual(self.merges(self.resolve(True, merges=merges)), older)

    def test_what_is_not_understood_is_refused(self) -> None:
        lacking = {token: index for token, index in vocabulary().items() if token != "q"}
        spaces = tokenizer_json()
        spaces["post_processor"]["add_prefix_space"] = True
        parts = {name: tokenizer_json() for name in ("pre_tokenizer", "decoder", "normalizer", "post_processor")}
        parts["pre_tokenizer"]["pre_tokenizer"] = {"type": "Whitespace"}
        parts["decoder"]["decoder"] = {"type": "Fuse"}
        parts["normalizer"]["normalizer"] = {"type": "Nmt"}
        parts["post_processor"]["post_processor"] = {"type": "Sequence", "processors": []}
        plain = tokenizer_json()
        plain["pre_tokenizer"] = {**plain["pre_tokenizer"], "use_regex": False}
        spaced, twice = self.llama_3(), self.llama_3()
        spaced["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
        twice["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = True
        cases: list[tuple[str, dict[str, Any]]] = [
            ("'GPT2Tokenizer' is not supported", {"config": {"tokenizer_class": "GPT2Tokenizer"}}),
            ("no vocabulary.*RobertaTokenizer", {"config": {}}),
            ("merge of no known form.*a b c", {"merges": "#version\na b c\n"}),
            ("don't fit", {"merges": "#version\na q\n"}),
            ("no merges", {"merges": "#version\n"}),
            ("there are no merges", {"tokenizer": tokenizer_json(merges=None)}),
            ("no object from tokens to ids", {"vocab": {"a": -1}}),
            ("no object from tokens to ids", {"vocab": {"a": "1"}}),
            ("no token for a byte.*'q'", {"vocab": lacking, "merges": "#version\na b\n"}),
            ("add_prefix_space is no boolean", {"config": {**CLASS, "add_prefix_space": "yes"}}),
            ("differ in add_prefix_space", {"config": AS_WRITTEN, "tokenizer": spaces}),
            ("use_regex", {"config": AS_WRITTEN, "tokenizer": plain}),
            ("dropout of BPE", {"config": AS_WRITTEN, "tokenizer": tokenizer_json(dropout=0.5)}),
            ("byte_fallback of BPE", {"config": AS_WRITTEN, "tokenizer": tokenizer_json(byte_fallback=True)}),
            ("an expression of its own", {"config": AS_WRITTEN, "tokenizer": self.llama_3(pattern={"Regex": "a"})}),
            ("an expression of its own", {"config": AS_WRITTEN, "tokenizer": self.llama_3(behavior="Removed")}),
            ("an expression of its own", {"config": AS_WRITTEN, "tokenizer": spaced}),
            ("use_regex", {"config": AS_WRITTEN, "tokenizer": twice}),
            ("end_of_word_suffix of BPE", {"config": AS_WRITTEN, "tokenizer": tokenizer_json(end_of_word_suffix="w")}),
            ("another kind of part.*Whitespace", {"config": AS_WRITTEN, "tokenizer": parts["pre_tokenizer"]}),
            ("another kind of part.*Fuse", {"config": AS_WRITTEN, "tokenizer": parts["decoder"]}),
            ("the normaliser 'Nmt' is not supported", {"config": AS_WRITTEN, "tokenizer": parts["normalizer"]}),
            ("sequence of post-processors", {"config": AS_WRITTEN, "tokenizer": parts["post_processor"]}),
        ]
        for pattern, files in cases:
            with self.subTest(pattern=pattern), self.assertRaisesRegex(ConvertError, pattern):
                self.resolve(**files)

    def test_a_folder_without_merges_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            byte_folders.write_folder(Path(name))
            (Path(name) / "merges.txt").unlink()
            with self.assertRaisesRegex(ConvertError, "no merges.txt"):
                tokenizer.resolve(Path(name), {}, False)

    def test_an_unknown_token_stands_for_bytes_that_are_lacking(self) -> None:
        index = {token: i for i, token in enumerate(token for token in vocabulary() if token != "q")}
        found = self.resolve(config=AS_WRITTEN, tokenizer=tokenizer_json(vocab=index, unk_token="<unk>"))
        self.assertEqual(found.description["unk_token_id"], 3)
        fused = tokenizer_json(vocab=index, unk_token="<unk>", fuse_unk=True)
        with self.assertRaisesRegex(ConvertError, "no token for a byte"):
            self.resolve(config=AS_WRITTEN, tokenizer=fused)


if __name__ == "__main__":
    unittest.main()
