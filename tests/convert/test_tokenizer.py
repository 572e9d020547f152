"""What the tokenizer's files become, without transformers: the facts that test_tokenizer_rules.py holds at large."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import folders
from bertha_convert import tokenizer
from bertha_convert.errors import ConvertError

VOCABULARY = "\n".join(folders.TOKENS) + "\n"
SINGLE = [{"special": 2, "type_id": 0}, {"sequence": "A", "type_id": 0}, {"special": 3, "type_id": 0}]
PAIR = [*SINGLE, {"sequence": "B", "type_id": 1}, {"special": 3, "type_id": 1}]


def tokenizer_json(**normalizer: Any) -> folders.Json:
    """A tokenizer.json with options of its own."""
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None}
        | {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
        | {"strip_accents": None, "lowercase": False, **normalizer},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
        | {"max_input_chars_per_word": 7, "vocab": {token: i for i, token in enumerate(folders.TOKENS)}},
    }


class TokenizerFiles(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def resolve(
        self, vocabulary: str | bytes | None = VOCABULARY, answering: bool = False, **files: Any
    ) -> tokenizer.Resolved:
        """The tokenizer of a folder with these files and no others."""
        for path in self.folder.iterdir():
            path.unlink()
        if vocabulary is not None:
            data = vocabulary.encode() if isinstance(vocabulary, str) else vocabulary
            (self.folder / "vocab.txt").write_bytes(data)
        for name, value in files.items():
            folders.write_json(self.folder / f"{name}.json", value)
        return tokenizer.resolve(self.folder, {}, answering)

    def test_a_vocabulary_alone_gets_the_classs_defaults(self) -> None:
        for answering in (False, True):
            found = self.resolve(answering=answering).description
            self.assertEqual(found["vocab_size"], len(folders.TOKENS))
            self.assertTrue(
                found["lowercase"] and found["strip_accents"] and found["handle_chinese_chars"] and found["clean_text"]
            )
            self.assertEqual([found[f"{name}_token_id"] for name in ("pad", "unk", "cls", "sep")], [0, 1, 2, 3])
            self.assertEqual((found["single"], found["pair"]), (SINGLE, PAIR))
            self.assertEqual([token["content"] for token in found["added_tokens"]], folders.TOKENS[:5])
            self.assertTrue(all(token["special"] and not token["normalized"] for token in found["added_tokens"]))

    def test_an_old_tokenizer_config_is_read(self) -> None:
        old = {"do_lower_case": False, "max_len": 512, "special_tokens_map_file": None, "full_tokenizer_file": None}
        found = self.resolve(tokenizer_config=old)
        self.assertFalse(found.description["lowercase"] or found.description["strip_accents"])
        self.assertEqual(found.model_max_length, 512)

    def test_strip_accents_is_as_lowercase_unless_it_is_given(self) -> None:
        for lowercase in (True, False):
            for given, expected in ((None, lowercase), (True, True), (False, False)):
                config = {"do_lower_case": lowercase, "strip_accents": given}
                self.assertEqual(self.resolve(tokenizer_config=config).description["strip_accents"], expected)

    def test_tokenizer_config_and_the_class_rule_over_tokenizer_json(self) -> None:
        found = self.resolve(None, tokenizer=tokenizer_json()).description
        self.assertTrue(found["lowercase"] and found["decoder_cleanup"])
        self.assertEqual(found["max_input_chars_per_word"], 100)

    def test_question_answering_takes_tokenizer_json_but_for_the_normaliser(self) -> None:
        found = self.resolve(None, answering=True, tokenizer=tokenizer_json(clean_text=False)).description
        self.assertTrue(found["lowercase"])
        self.assertFalse(found["decoder_cleanup"] or found["clean_text"])
        self.assertEqual(found["max_input_chars_per_word"], 7)
        self.assertEqual((found["single"], found["pair"]), (SINGLE, PAIR))

    def test_baked_truncation_and_padding_are_not_applied(self) -> None:
        for answering in (False, True):
            engine = self.resolve(None, answering=answering, tokenizer=tokenizer_json()).engine
            self.assertEqual(len(engine.encode("a b a b a b a b a b a b").ids), 14)
            self.assertEqual(len(engine.encode("a").ids), 3)

    def test_a_plain_fast_tokenizer_runs_tokenizer_json_as_written(self) -> None:
        named = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad")}
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
        found = self.resolve(None, tokenizer=tokenizer_json(), tokenizer_config=config).description
        self.assertEqual((found["lowercase"], found["max_input_chars_per_word"]), (False, 7))

    def test_a_sequence_of_known_normalisers_becomes_steps(self) -> None:
        def written(normalizer: Any, **config: Any) -> folders.Json:
            config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
            names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
            tokenizer = {**tokenizer_json(), "normalizer": normalizer}
            files = {"tokenizer": tokenizer, "tokenizer_config": config | names}
            return self.resolve(answering="answering" in config, **files).description

        nfd, lower, marks = ({"type": name} for name in ("NFD", "Lowercase", "StripAccents"))
        quote = {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}
        strip = {"type": "Strip", "strip_left": True, "strip_right": False}
        found = written({"type": "Sequence", "normalizers": [quote, nfd, lower, marks, strip]})
        steps: list[folders.Json] = [{"step": "replace", "pattern": "``", "content": '"'}]
        steps += [{"step": name} for name in ("nfd", "lowercase", "strip_marks", "strip_left")]
        self.assertEqual(found["normalizer"], steps)
        options = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
        self.assertFalse(set(options) & set(found))
        # What BERT's options can say they say, and the file stays one of format 1.
        bert = tokenizer_json(lowercase=True)["normalizer"]
        for normalizer, expected in (
            ({"type": "Sequence", "normalizers": [bert]}, (True, True, True, True)),
            (lower, (False, False, False, True)),
            (None, (False, False, False, False)),
        ):
            found = written(normalizer)
            self.assertNotIn("normalizer", found)
            self.assertEqual(tuple(found[name] for name in options), expected)
        # Of transformers 4 too: it sets the options of a BertNormalizer only.
        files = {"tokenizer": {**tokenizer_json(), "normalizer": {"type": "Sequence", "normalizers": [nfd, marks]}}}
        found = self.resolve(answering=True, **files).description
        self.assertEqual(found["normalizer"], [{"step": "nfd"}, {"step": "strip_marks"}])
        regex = {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "a"}
        for normalizer, named in (({"type": "Nmt"}, "Nmt"), (regex, "a+"), ({**quote, "pattern": {"String": ""}}, "Replace")):
            with self.assertRaises(ConvertError) as raised:
                written({"type": "Sequence", "normalizers": [nfd, normalizer]})
            self.assertIn(named, str(raised.exception))

    def test_added_tokens_keep_their_flags_and_get_the_next_ids(self) -> None:
        flags = {"single_word": True, "lstrip": True, "rstrip": False, "normalized": True, "special": False}
        decoder = {"4": {"content": "[MASK]", **flags, "lstrip": False}, "13": {"content": "<new>", **flags}}
        found = self.resolve(tokenizer_config={"added_tokens_decoder": decoder}).description["added_tokens"]
        by_content = {token["content"]: token for token in found}
        self.assertEqual(by_content["<new>"], {"id": 13, "content": "<new>", **flags})
        self.assertEqual(by_content["[MASK]"]["special"], True)
        found = self.resolve(
            added_tokens={"<old>": 13}, special_tokens_map={"mask_token": {"content": "<m>", "lstrip": True}}
        )
        by_content = {token["content"]: token for token in found.description["added_tokens"]}
        self.assertEqual(
            (by_content["<old>"]["id"], by_content["<m>"]["id"], by_content["<m>"]["lstrip"]), (13, 14, True)
        )

    def test_a_token_that_is_listed_twice_has_its_later_id(self) -> None:
        found = self.resolve(VOCABULARY + "a\n")
        self.assertEqual((found.tokens[5], found.tokens[13]), ("", "a"))

    def test_line_ends_and_trailing_space_are_read_as_each_version_reads_them(self) -> None:
        lines = folders.TOKENS + ["x ", "y\u3000", "z"]
        for ending in ("\n", "\r\n"):
            data = ending.join(lines)
            self.assertEqual(self.resolve(data).tokens[13:], ["x", "y", "z"])
            self.assertEqual(self.resolve(data, answering=True).tokens[13:], ["x ", "y\u3000", "z"])

    def test_what_is_not_understood_is_refused(self) -> None:
        other_model = {**tokenizer_json(), "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}
        other_normalizer = {**tokenizer_json(), "normalizer": {"type": "Nmt"}}
        other_words = {**tokenizer_json(), "pre_tokenizer": {"type": "Whitespace"}}
        named = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
        }
        cases: list[tuple[str, dict[str, Any]]] = [
            (
                "tokenizer class 'BertJapaneseTokenizer' is not supported: MeCab, Sudachi or Juman cut its words",
                {"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}},
            ),
            ("tokenizer class '\\['x'\\]' is not supported; expected", {"tokenizer_config": {"tokenizer_class": ["x"]}}),
            ("its own Python code", {"tokenizer_config": {"auto_map": {"AutoTokenizer": ["x", None]}}}),
            ("truncation_side is not supported", {"tokenizer_config": {"truncation_side": "left"}}),
            ("padding_side is not supported", {"tokenizer_config": {"padding_side": "left"}, "answering": True}),
            ("split_special_tokens is not supported", {"tokenizer_config": {"split_special_tokens": True}}),
            ("do_lower_case is no boolean", {"tokenizer_config": {"do_lower_case": "yes"}}),
            ("there is no cls_token", {"tokenizer_config": {"cls_token": None}}),
            ("unknown token '<unk>' is not in the vocabulary", {"tokenizer_config": {"unk_token": "<unk>"}}),
            ("can't be read as a vocabulary", {"vocabulary": b"\xff\n"}),
            ("another model", {"tokenizer": other_model, "answering": True, "vocabulary": None}),
            ("the normaliser .Nmt. is not supported", {"tokenizer": other_normalizer, "answering": True, "vocabulary": None}),
            ("another kind of part", {"tokenizer": other_words, "answering": True, "vocabulary": None}),
            ("there is no pad_token", {"tokenizer": tokenizer_json(), "tokenizer_config": named, "vocabulary": None}),
            ("needs tokenizer.json", {"tokenizer_config": {"tokenizer_class": "TokenizersBackend"}}),
        ]
        for pattern, files in cases:
            with self.subTest(pattern=pattern), self.assertRaisesRegex(ConvertError, pattern):
                self.resolve(**files)

    def test_a_left_padding_side_matters_for_question_answering_only(self) -> None:
        self.assertTrue(self.resolve(tokenizer_config={"padding_side": "left"}).description["lowercase"])


if __name__ == "__main__":
    unittest.main()
