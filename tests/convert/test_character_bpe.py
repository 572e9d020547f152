"""What the files of a tokenizer with BPE over characters become, without transformers, and what is refused; and that the
program makes the tokens of these, and of a Unigram vocabulary that repeats itself, of generated texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import character_folders
import unigram_folders
from bertha_convert import tokenizer
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from character_folders import MARK, MERGES, ROBERTA_START, gemma, robertuito

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/diff"))
from generate import generate  # noqa: E402

PROGRAM = os.environ.get("BERTHA_PROGRAM")
TEXTS = 20_000 if os.environ.get("BERTHA_FULL") == "1" else 1_500  # of each tokenizer
PLAIN = {"whitespace_split": False, "prepend_scheme": "never", "split": False}


class CharacterBpe(unittest.TestCase):
    def resolve(self, written: character_folders.Json, answering: bool = False) -> Any:
        """The tokenizer of a folder with this tokenizer.json."""
        with tempfile.TemporaryDirectory() as folder:
            character_folders.write_folder(Path(folder), written)
            return tokenizer.resolve(Path(folder), {"model_type": "roberta"}, answering)

    def fields(self, written: character_folders.Json, *names: str) -> tuple[Any, ...]:
        """Some fields of its description."""
        return tuple(self.resolve(written).description[name] for name in names)

    def test_gemmas_kind_is_one_word_with_bytes(self) -> None:
        found = self.resolve(gemma())
        fields = found.description
        self.assertEqual((fields["kind"], fields["num_merges"]), ("character_bpe", len(MERGES)))
        self.assertEqual({key: fields[key] for key in PLAIN}, PLAIN)
        self.assertEqual(fields["normalizer"], [{"step": "replace", "pattern": " ", "content": MARK}])
        self.assertEqual((fields["byte_fallback"], fields["drop_unknown"], fields["fuse_unknown"]), (True, False, True))
        self.assertEqual([found.tokens[left] + found.tokens[right] for left, right in found.merges], ["".join(m) for m in MERGES])
        self.assertEqual([fields[f"{key}_token_id"] for key in ("unk", "cls", "sep", "pad")], [3, 2, 1, 0])
        self.assertEqual([piece.get("special") for piece in fields["pair"]], [2, None, 1, None, 1])
        without = gemma() | {"pre_tokenizer": None}
        self.assertEqual(self.resolve(without).description, fields)
        self.assertEqual(self.fields(gemma(ignore_merges=True), "ignore_merges"), (True,))

    def test_robertuitos_kind_has_its_normaliser_and_drops_what_it_does_not_know(self) -> None:
        for answering in (False, True):
            fields = self.resolve(robertuito(), answering).description
            self.assertEqual((fields["drop_unknown"], fields["fuse_unknown"], fields["byte_fallback"]), (True, False, False))
            self.assertEqual((fields["prepend_scheme"], fields["split"]), ("always", True))
            steps = fields["normalizer"]
            names = ["nfkc", "clean_text", "handle_chinese_chars", "lowercase"]
            replacements = ["replace_apart", "replace", "replace_apart", "replace"]
            self.assertEqual([step["step"] for step in steps], names + replacements)
            self.assertEqual(steps[4], {"step": "replace_apart", "pattern": "@user", "content": " @user ", "optional_before": True})
            self.assertFalse(steps[6]["optional_before"])
            self.assertEqual(fields["unk_token_id"], 3)
            self.assertEqual([piece.get("special") for piece in fields["pair"]], [0, None, 2, 2, None, 2])
        self.assertEqual(self.fields(robertuito(unk_token="<unk>", fuse_unk=True), "drop_unknown", "fuse_unknown"), (False, True))

    def of_model(self, name: str, file: str, data: bytes, answering: bool = False, **config: Any) -> Any:
        """The tokenizer of a folder with this .model."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / file).write_bytes(data)
            unigram_folders.write_json(Path(folder), "tokenizer_config.json", {"tokenizer_class": name, **config})
            return tokenizer.resolve(Path(folder), {}, answering)

    def test_a_model_of_bpe_is_read_as_the_class_reads_it(self) -> None:
        name, file = "XLMRobertaTokenizer", "sentencepiece.bpe.model"
        made = unigram_folders.pieces(name)
        model = unigram_folders.model_file(made, 0, model_type=2)
        unigram = self.of_model(name, file, model)  # 5.23.0 asks for nothing but pieces and scores
        self.assertEqual(unigram, self.of_model(name, file, unigram_folders.model_file(made, 0))._replace(
            engine=unigram.engine, decisions=unigram.decisions))
        self.assertIn("BPE taken for Unigram", unigram.decisions[0])
        answering = self.of_model(name, file, model, True)
        fields = answering.description
        self.assertEqual((fields["kind"], fields["fuse_unknown"], fields["byte_fallback"]), ("character_bpe", True, False))
        self.assertEqual(answering.tokens, [*unigram.tokens])
        merges = [(answering.tokens[left], answering.tokens[right]) for left, right in answering.merges]
        best_first = [(MARK, "a"), ("a", "b"), (MARK + "a", "b"), (MARK, "ab")]  # pieces by score, the longer left before
        self.assertEqual(merges, best_first)

    def test_a_general_class_reads_a_model_of_either_kind(self) -> None:
        made = unigram_folders.pieces("XLMRobertaTokenizer")
        ends = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<unk>", "add_bos_token": True, "add_eos_token": True}
        for kind, byte_fallback in ((1, 0), (2, 0), (2, 1)):
            data = unigram_folders.model_file(made, 0, model_type=kind, more=[(35, byte_fallback)])
            fields = self.of_model("PreTrainedTokenizerFast", "tokenizer.model", data, **ends).description
            self.assertEqual(fields["kind"], ("unigram", "character_bpe")[kind - 1])
            self.assertEqual({key: fields[key] for key in PLAIN}, PLAIN)
            self.assertEqual([step["step"] for step in fields["normalizer"]], ["charsmap", "replace"])
            self.assertEqual(fields["byte_fallback"], bool(byte_fallback))
            self.assertEqual([piece.get("special") for piece in fields["single"]], [1, None, 2])
            self.assertEqual([piece.get("special") for piece in fields["pair"]], [1, None, 2, 1, None, 2])
        for name, answering, message in (
            ("PreTrainedTokenizerFast", True, "without tokenizer.json"),
            ("GemmaTokenizer", True, "'GemmaTokenizer' is not supported for question answering"),
        ):
            with self.assertRaisesRegex(ConvertError, message):
                self.of_model(name, "tokenizer.model", data, answering, **ends)

    def test_gemmas_class_is_its_own_and_modernberts_is_as_written(self) -> None:
        written = gemma() | {"normalizer": None}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            character_folders.write_folder(folder, written)
            config = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": "GemmaTokenizerFast"}
            unigram_folders.write_json(folder, "tokenizer_config.json", config)
            found = tokenizer.resolve(folder, {"model_type": "roberta"}, False)
            self.assertEqual(found.description, self.resolve(gemma()).description)
            with self.assertRaisesRegex(ConvertError, "doesn't end with marks for spaces"):
                tokenizer.resolve(folder, {"model_type": "modernbert"}, False)

    def test_a_folder_with_another_model_says_which_and_what_to_do(self) -> None:
        for file, classes in (
            ("sentencepiece.bpe.model", '"XLMRobertaTokenizer"}, or CamembertTokenizer'),
            ("spiece.model", '"AlbertTokenizer"}'),
            ("spm.model", '"DebertaV2Tokenizer"}'),
            ("own.model", '"XLMRobertaTokenizer"}, or CamembertTokenizer, AlbertTokenizer, DebertaV2Tokenizer'),
            ("vocab.json", '"RobertaTokenizer"}'),
        ):
            with tempfile.TemporaryDirectory() as name:
                (Path(name) / file).write_bytes(b"")
                with self.assertRaises(ConvertError) as caught:
                    tokenizer.resolve(Path(name), {"model_type": "bert"}, False)
            expected = f"expected vocab.txt or tokenizer.json; got {file}. Write the class of {file} to tokenizer_config.json: "
            self.assertTrue(str(caught.exception).endswith(expected + '{"tokenizer_class": ' + classes + "."), caught.exception)

    def test_what_is_not_understood_is_refused(self) -> None:
        spaced = robertuito()
        spaced["model"]["vocab"]["\u0120x"] = max(spaced["model"]["vocab"].values()) + 1
        taking = robertuito()
        taking["added_tokens"][4]["lstrip"] = True
        regex = {"type": "Replace", "pattern": {"Regex": r"(\W)[a-z]+(\W)"}, "content": ""}
        other = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": True}
        fuse = {"type": "Sequence", "decoders": [{"type": "Fuse"}]}
        cases = [
            ("doesn't end with marks for spaces", gemma() | {"normalizer": {"type": "NFC"}}),
            ("another kind of part.*Whitespace", gemma() | {"pre_tokenizer": {"type": "Whitespace"}}),
            ("decoder doesn't fit", gemma() | {"decoder": fuse}),
            ("decoder doesn't fit", gemma(byte_fallback=False)),
            ("decoder doesn't fit", robertuito(byte_fallback=True)),
            ("decoder doesn't fit", robertuito() | {"decoder": other}),
            ("dropout of BPE", gemma(dropout=0.5)),
            ("no merges", gemma(merges=[])),
            ("can't be read by tokenizers.*zz", gemma(merges=[["zz", "a"]])),
            ("can't be read by tokenizers.*aa", robertuito(merges=[["a", "a"]], vocab=dict(zip(ROBERTA_START + ["a"], range(6))))),
            ("'<none>' is not in the vocabulary", robertuito(unk_token="<none>")),
            ("trim_offsets.*spaces at an end.*x", spaced),
            ("trim_offsets.*spaces at an end.*<mask>", taking),
            ("this normaliser is not supported", robertuito() | {"normalizer": regex}),
        ]
        for pattern, written in cases:
            with self.subTest(pattern=pattern), self.assertRaisesRegex(ConvertError, pattern):
                self.resolve(written)


@unittest.skipUnless(PROGRAM, "needs BERTHA_PROGRAM")
class AgainstTokenizers(unittest.TestCase):
    def test_the_program_makes_the_same_tokens_of_generated_texts(self) -> None:
        lacking = gemma(fuse_unk=False)
        for token in ("<0xC3>", "<0xF0>"):
            del lacking["model"]["vocab"][token]
        unknown = robertuito(unk_token="<unk>", fuse_unk=True, ignore_merges=True)
        of_model = unigram_folders.model_file(unigram_folders.pieces("XLMRobertaTokenizer"), 0, model_type=2)
        repeating = unigram_folders.tokenizer_json()
        more = [["a", -9.0], ["", -0.5], ["", -0.25], [MARK + "ab", -0.125], ["<0x41>", -3.0], ["a", -1.0]]
        repeating["model"]["vocab"] += more
        for number, written in enumerate((gemma(), lacking, robertuito(), unknown, repeating, of_model)):
            with tempfile.TemporaryDirectory() as root:
                folder, out = Path(root), Path(root) / "out.safetensors"
                if isinstance(written, bytes):
                    named = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<unk>", "add_bos_token": True}
                    config = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
                    (folder / "tokenizer.model").write_bytes(written)
                    unigram_folders.write_json(folder, "tokenizer_config.json", config)
                else:
                    character_folders.write_folder(folder, written)
                convert(Options(folder, out, selftest=False, tokenizer=True))
                engine = tokenizer.resolve(folder, {}, False).engine
                unigram_folders.write_json(folder, "pieces.json", {"model": {"vocab": engine.get_vocab(False)}})
                items, _ = generate(TEXTS, folder / "pieces.json", seed=number)
                lines = "".join(json.dumps(item) + "\n" for item in items).encode()
                command = [str(PROGRAM), "tokenize", str(out), "--jsonl", "--all"]
                answers = subprocess.run(command, input=lines, stdout=subprocess.PIPE, check=True).stdout.splitlines()
            self.assertEqual(len(answers), len(items))
            expected = engine.encode_batch([item["text"] for item in items])
            for item, answer, encoding in zip(items, map(json.loads, answers), expected):
                found = [answer[key] for key in ("ids", "offsets", "word_ids", "special_tokens_mask")]
                offsets = [list(pair) for pair in encoding.offsets]
                wanted = [encoding.ids, offsets, encoding.word_ids, encoding.special_tokens_mask]
                self.assertEqual(found, wanted, item)


if __name__ == "__main__":
    unittest.main()
