"""What the files of a Unigram tokenizer become, without transformers, and what is refused."""

from __future__ import annotations

import base64
import itertools
import random
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Any

import folders
import unigram_folders
from bertha_convert.container import read_tensors
from bertha_convert.conversion import Options, convert
from bertha_convert.unpack import read_metadata
from bertha_convert import charsmap, double_array, sentencepiece_model, tokenizer
from bertha_convert.errors import ConvertError
from bertha_convert.source import read_json
from unigram_folders import (
    CHARSMAP,
    FILES,
    MARK,
    RULES,
    field,
    model_file,
    pieces,
    tokenizer_json,
    varint,
    vocabulary,
    write_json,
    write_model,
)

NAMED = {f"{name}_token": text for name, text in (("unk", "<unk>"), ("cls", "<s>"), ("sep", "</s>"), ("pad", "<pad>"))}
AS_WRITTEN = {"tokenizer_class": "PreTrainedTokenizerFast", **NAMED}


class Unigram(unittest.TestCase):
    def resolve(
        self,
        name: str = "XLMRobertaTokenizer",
        answering: bool = False,
        config: unigram_folders.Json | None = None,
        written: unigram_folders.Json | None = None,
        model: bytes | None = None,
    ) -> Any:
        """The tokenizer of a folder with a tokenizer.json or, without one, a .model."""
        with tempfile.TemporaryDirectory() as folder:
            write_json(Path(folder), "tokenizer_config.json", {"tokenizer_class": name} if config is None else config)
            if written is not None:
                write_json(Path(folder), "tokenizer.json", written)
            elif model is not None:
                (Path(folder) / FILES[name]).write_bytes(model)
            else:
                write_model(Path(folder), name)
            return tokenizer.resolve(Path(folder), {}, answering)

    def test_both_sources_give_the_same_vocabulary_and_options(self) -> None:
        for name, from_json in itertools.product(("XLMRobertaTokenizer", "CamembertTokenizer"), (False, True)):
            found = self.resolve(name, written=tokenizer_json(name) if from_json else None)
            self.assertEqual(found.tokens, [token for token, _ in vocabulary(name)])
            self.assertEqual(found.scores, [score for _, score in vocabulary(name)])
            self.assertEqual(found.charsmap, {key.encode(): text for key, text in RULES.items()})
            fields = found.description
            self.assertEqual((fields["kind"], fields["unk_token_id"]), ("unigram", 3))
            self.assertEqual(fields["vocab_size"], len(found.tokens))
            self.assertEqual(fields["normalizer"], [{"step": "charsmap", "num_replacements": len(set(RULES.values()))}])
            self.assertEqual(
                (fields["whitespace_split"], fields["prepend_scheme"], fields["split"], fields["byte_fallback"]),
                (True, "always", True, False),
            )
            self.assertEqual(fields["pad_token_id"], 1)
            self.assertEqual({piece["type_id"] for piece in fields["pair"]}, {0})
            self.assertEqual(len([piece for piece in fields["pair"] if "special" in piece]), 4)

    def test_the_older_version_splits_and_replaces_in_another_way(self) -> None:
        fields = self.resolve(answering=True).description
        self.assertFalse(fields["whitespace_split"])
        steps = [step["step"] for step in fields["normalizer"]]
        self.assertEqual(steps, ["charsmap", "strip_right", "replace_spaces"])
        self.assertEqual(fields["normalizer"][2]["content"], MARK)
        old = self.resolve("AlbertTokenizer", answering=True)
        new = self.resolve("AlbertTokenizer")
        self.assertEqual(old.scores[old.tokens.index("1,")], new.scores[new.tokens.index("1,")] - 100)
        self.assertEqual(old.scores[old.tokens.index("x,")], new.scores[new.tokens.index("x,")])

    def test_albert_and_deberta_have_their_own_normalisers_and_types(self) -> None:
        def steps(name: str, answering: bool = False, **config: Any) -> list[str]:
            found = self.resolve(name, answering, {"tokenizer_class": name, **config}).description["normalizer"]
            return [step["step"] for step in found]

        quotes = ["replace", "replace"]
        self.assertEqual(steps("AlbertTokenizer"), [*quotes, "nfkd", "strip_marks", "lowercase", "charsmap"])
        self.assertEqual(steps("AlbertTokenizer", keep_accents=True, do_lower_case=False), [*quotes, "charsmap"])
        self.assertEqual(steps("DebertaV2Tokenizer"), ["collapse_white_space", "nfc", "strip_right"])
        self.assertEqual(
            steps("DebertaV2Tokenizer", True, do_lower_case=True),
            ["lowercase", "strip_left", "strip_right", "charsmap", "replace_spaces"],
        )
        for name, answering, types in (
            ("AlbertTokenizer", False, {0}),
            ("AlbertTokenizer", True, {0, 1}),
            ("DebertaV2Tokenizer", False, {0, 1}),
        ):
            pair = self.resolve(name, answering).description["pair"]
            self.assertEqual({piece["type_id"] for piece in pair}, types)
        self.assertEqual(self.resolve("DebertaV2Tokenizer").description["unk_token_id"], 3)

    def test_an_albert_folder_becomes_a_model_and_both_a_tokenizer(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            folder, out = Path(root) / "model", Path(root) / "out.safetensors"
            for family, name in (("albert", "AlbertTokenizer"), ("deberta-v2", "DebertaV2Tokenizer")):
                folders.write_folder(folder, "token-classification", family="albert", vocab_size=len(vocabulary(name)))
                raw = read_json(folder / "config.json")
                write_json(folder, "config.json", raw | {"model_type": family})
                (folder / "vocab.txt").unlink()
                write_model(folder, name)
                write_json(folder, "tokenizer_config.json", {"do_lower_case": False, "model_max_length": 30})
                convert(Options(folder, out, selftest=False, tokenizer=True))
                alone = read_metadata(out)
                self.assertEqual((alone["config"]["kind"], alone["config"]["max_length"]), ("tokenizer", 30))
                if family == "albert":
                    convert(Options(folder, out, selftest=False))
                    whole = read_metadata(out)
                    self.assertEqual((whole["config"]["head"], whole["tokenizer"]["kind"]), ("token-classification", "unigram"))
                    continue
                self.assertEqual({piece["type_id"] for piece in alone["tokenizer"]["pair"]}, {0, 1})

    def test_options_of_tokenizer_config_are_heard(self) -> None:
        config = {"tokenizer_class": "XLMRobertaTokenizer", "add_prefix_space": False}
        self.assertEqual(self.resolve(config=config).description["prepend_scheme"], "never")

    def test_tokenizer_json_runs_as_written_under_a_general_class(self) -> None:
        written = tokenizer_json(byte_fallback=True)
        written["pre_tokenizer"] = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False}
        written["decoder"] = written["pre_tokenizer"]
        written["normalizer"] = None
        fields = self.resolve(config=AS_WRITTEN, written=written).description
        self.assertNotIn("normalizer", fields)
        self.assertEqual(
            (fields["whitespace_split"], fields["prepend_scheme"], fields["split"], fields["byte_fallback"]),
            (False, "first", False, True),
        )

    def test_what_is_not_understood_is_refused(self) -> None:
        def changed(**parts: Any) -> unigram_folders.Json:
            return tokenizer_json() | parts

        metaspace = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": True}
        white = {"type": "Whitespace"}
        roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True}
        roberta["add_prefix_space"] = False
        precompiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(CHARSMAP).decode()}
        twice = {"type": "Sequence", "normalizers": [precompiled, precompiled]}
        regex = {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""}
        as_written: list[tuple[str, unigram_folders.Json]] = [
            ("other pre-tokenizers.*Whitespace", changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [white]})),
            ("another mark.*_", changed(pre_tokenizer=metaspace | {"replacement": "_"}, decoder=metaspace)),
            ("differ in prepend_scheme", changed(decoder=metaspace)),
            ("another kind of part", changed(decoder={"type": "Fuse"})),
            ("trim_offsets", changed(post_processor=roberta)),
            ("several charsmaps", changed(normalizer=twice)),
            ("this normaliser is not supported", changed(normalizer=regex)),
            ("no unknown token", tokenizer_json(unk_id=None)),
            ("can't be read", tokenizer_json(vocab=[])),
            ("can't be read", tokenizer_json(vocab=[*vocabulary("XLMRobertaTokenizer"), ["x", float("nan")]])),
            ("can't be read", tokenizer_json(unk_id=10**6)),
        ]
        for message, written in as_written:
            with self.assertRaisesRegex(ConvertError, message):
                self.resolve(config=AS_WRITTEN, written=written)
        with self.assertRaisesRegex(ConvertError, "no list of tokens with scores"):
            self.resolve(written=tokenizer_json(vocab={"a": 1}))
        for score in (float("nan"), float("inf")):
            with self.assertRaisesRegex(ConvertError, "score that is no finite number"):
                self.resolve(written=tokenizer_json(vocab=[*vocabulary("XLMRobertaTokenizer"), ["x", score]]))
        for name, kind, answering in (("CamembertTokenizer", 2, False), ("XLMRobertaTokenizer", 3, True)):
            with self.assertRaisesRegex(ConvertError, f"another kind of model.*expected Unigram.*got {kind}.*either"):
                self.resolve(name, answering, model=model_file(pieces(name), 0, model_type=kind))
        with self.assertRaisesRegex(ConvertError, "no vocabulary.*sentencepiece.bpe.model or tokenizer.json"):
            with tempfile.TemporaryDirectory() as folder:
                tokenizer.resolve(Path(folder), {"model_type": "camembert"}, False)


class Models(unittest.TestCase):
    def test_families_get_their_vocabulary_positions_and_types(self) -> None:
        cases = (
            ("xlm-roberta", "XLMRobertaTokenizer", 2),
            ("camembert", "CamembertTokenizer", 2),
            ("bert", "XLMRobertaTokenizer", 0),  # multilingual E5 and MiniLM
        )
        for (family, name, offset), from_json in itertools.product(cases, (False, True)):
            with tempfile.TemporaryDirectory() as root:
                folder, out = Path(root) / "model", Path(root) / "out.safetensors"
                size = len(vocabulary(name))
                folders.write_folder(folder, "sequence-classification", family=family, vocab_size=size)
                (folder / "vocab.txt").unlink()
                write_json(folder, "tokenizer_config.json", {"tokenizer_class": name})
                if from_json:
                    write_json(folder, "tokenizer.json", tokenizer_json(name))
                else:
                    write_model(folder, name)
                convert(Options(folder, out, selftest=False))
                metadata = read_metadata(out)
                tensors = read_tensors(out)
            self.assertEqual(metadata["tokenizer"]["kind"], "unigram")
            self.assertEqual(metadata["config"]["position_offset"], offset)
            self.assertEqual({piece["type_id"] for piece in metadata["tokenizer"]["pair"]}, {0})
            self.assertEqual(tensors["embeddings.word.weight"].shape[0], size)
            self.assertEqual(tensors["tokenizer.scores"][:size].tolist(), [score for _, score in vocabulary(name)])


class SentencePieceModel(unittest.TestCase):
    def read(self, data: bytes) -> sentencepiece_model.Model:
        """A model of these bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.model"
            path.write_bytes(data)
            return sentencepiece_model.read(path)

    def test_it_reads_pieces_and_leaves_out_what_it_does_not_know(self) -> None:
        own = pieces("AlbertTokenizer")
        unknown_fields = field(9, 7) + field(10, b"x") + varint(11 << 3 | 1) + bytes(8) + varint(12 << 3 | 5) + bytes(4)
        found = self.read(unknown_fields + model_file(own, 1))
        self.assertEqual([tuple(piece) for piece in found.pieces], own)
        self.assertEqual((found.type, found.unknown, found.charsmap), (1, 1, CHARSMAP))

    def test_what_no_model_says_is_refused(self) -> None:
        own = pieces("AlbertTokenizer")
        cases = [
            ("has no pieces", b""),
            ("no end", b"\xff" * 11),
            ("unknown kind 3", varint(1 << 3 | 3)),
            ("bytes, 0 are left", varint(1 << 3 | 2) + varint(2**62)),
            ("of another kind", field(1, 5)),
            ("of another kind", field(1, field(1, b"a") + field(2, b"abc"))),
            ("of another kind", field(1, field(3, b"abc"))),
            ("of another kind", field(1, field(1, b"a") + field(2, b"abcd"))),
            ("of another kind", b"\x09" + bytes(8)),  # 64 bits in place of a message
            ("of another kind", field(1, b"\x0d" + b"abcd")),  # 32 bits in place of a text
            ("score of 'a' is nan", field(1, field(1, b"a") + field(2, float("nan")))),
            ("score of 'a' is -inf", field(1, field(1, b"a") + field(2, -float("inf")))),
            ("utf-8", field(1, field(1, b"\xff"))),
            ("unknown piece that is none.*0 to 21.*got 22", model_file(own, len(own))),
            ("unknown piece that is none.*got -1", model_file(own, -1)),
        ]
        for message, data in cases:
            with self.assertRaisesRegex(ConvertError, message):
                self.read(data)

    def test_a_cut_or_damaged_file_is_read_or_refused(self) -> None:
        data = model_file(pieces("XLMRobertaTokenizer"), 0, charsmap=b"1234")
        refused = 0
        for size in range(len(data)):
            try:
                self.read(data[:size])
            except ConvertError:
                refused += 1
        self.assertGreater(refused, len(data) * 0.8)
        rng = random.Random(1)
        for index in range(len(data)):
            try:
                self.read(data[:index] + bytes([data[index] ^ rng.randrange(1, 256)]) + data[index + 1 :])
            except ConvertError:
                refused += 1


class Charsmap(unittest.TestCase):
    def test_it_reads_what_is_replaced_by_the_shortest_start(self) -> None:
        rules = {"a": "b", "ab": "c", "e\u0301": "\u00e9", "\u0301": "", "xxxxx": "y", "xxxxxx": "z"}
        found = charsmap.read(unigram_folders.compiled(rules))
        self.assertEqual(found, {b"a": "b", b"e\xcc\x81": "\u00e9", b"\xcc\x81": "", b"xxxxx": "y"})

    def test_a_damaged_one_is_read_or_refused(self) -> None:
        data = unigram_folders.compiled({"a": "b", "\u00e9": "e"})
        size = struct.unpack_from("<I", data)[0]
        units = struct.unpack_from(f"<{size // 4}I", data, 4)
        far = [256 << 10] + [0] * 511
        far[256 + ord("a")] = 2**20 << 10 | 1 << 8 | ord("a")
        for message, bad in (
            ("its trie has 0 bytes of 0", b""),
            ("its trie has", data[:1000]),
            ("its trie has", struct.pack("<I", size + 2) + data[4:]),
            ("replaces nothing", struct.pack("<II", 4, 0)),
            ("not UTF-8", data[: 4 + size] + b"\xff" * 4),
            ("no byte 2", data[: 4 + size]),
            ("no unit", struct.pack("<I512I", 4 * 512, *far) + b"x\0"),
        ):
            with self.assertRaisesRegex(ConvertError, message):
                charsmap.read(bad)
        used = [i for i, unit in enumerate(units) if unit]
        for i, bit in itertools.product(used, range(32)):
            changed = [*units[:i], units[i] ^ 1 << bit, *units[i + 1 :]]
            try:
                charsmap.read(struct.pack(f"<I{len(units)}I", size, *changed) + data[4 + size :])
            except ConvertError:
                pass

    def test_one_that_leads_back_to_itself_ends(self) -> None:
        values = [256 << 10] + [0] * 511
        for byte in range(1, 256):
            values[256 + byte] = byte << 10 | byte  # the children are the unit's own neighbours again
        with self.assertRaisesRegex(ConvertError, "more than"):
            charsmap.read(struct.pack(f"<I{len(values)}I", 4 * len(values), *values) + b"x\0")


class DoubleArray(unittest.TestCase):
    def value(self, units: Any, string: bytes) -> int:
        """What a reader of tools/format.md finds."""
        base, found = int(units[0]) >> 8, 0
        for byte in string:
            at = 2 * (base + byte)
            if at >= len(units) or units[at] & 0xFF != byte:
                return 0
            base, found = int(units[at]) >> 8, int(units[at + 1])
        return found

    def test_it_finds_its_strings_and_no_others(self) -> None:
        rng = random.Random(2)
        strings = {bytes(rng.choices(b"abc\xc3\xa9\x00\xfe", k=rng.randrange(1, 9))) for _ in range(3000)}
        strings |= {bytes([a, b]) for a in range(0, 255, 3) for b in range(0, 255, 2)}
        values = {string: index + 1 for index, string in enumerate(sorted(strings))}
        units = double_array.build(values | {b"": 99})
        self.assertEqual(len(units) % 16, 0)
        bases = [unit >> 8 for unit in units[::2].tolist() if unit >> 8]
        self.assertEqual(len(bases), len(set(bases)))
        for string, value in values.items():
            self.assertEqual(self.value(units, string), value)
        for _ in range(20000):
            other = bytes(rng.choices(b"abc\xc3\xa9\x00\xff", k=rng.randrange(1, 9)))
            self.assertEqual(self.value(units, other), values.get(other, 0))

    def test_a_vocabulary_of_one_letter_and_of_none(self) -> None:
        for values in ({b"a": 1}, {b"": 1}):
            units = double_array.build(values)
            self.assertEqual(self.value(units, b"a"), values.get(b"a", 0))


if __name__ == "__main__":
    unittest.main()
