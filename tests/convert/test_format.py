"""tools/format.md against what the converter writes: its tables name every key, field and tensor, and no others."""

import itertools
import json
import re
import struct
import tempfile
import unittest
import zlib
from pathlib import Path

import byte_folders
import character_folders
import folders
import unigram_folders
import numpy as np
from bertha_convert import FORMAT, VERSION, layout
from bertha_convert.container import read_tensors
from bertha_convert.conversion import Options, convert
from bertha_convert.unpack import read_metadata

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "tools" / "format.md").read_text(encoding="utf-8")
KINDS = {
    "float32": {"linear": ["weight", "bias"], "table": ["weight"]},
    "bfloat16": {"linear": ["weight", "bias"], "table": ["weight"]},
    "int8": {"linear": ["weight", "scale", "sum", "bias"], "table": ["weight", "scale"]},
}

BLOCKS = {"float32": 16, "bfloat16": 32, "int8": 64}  # what rows are padded to
TYPES = {"float32": np.float32, "bfloat16": np.uint16, "int8": np.int8}


def panel_shape(precision: str, panels: int, inputs: int) -> tuple[int, ...]:
    """The shape of a linear weight."""
    if precision == "float32":
        return panels, inputs, 16
    group = {"bfloat16": 2, "int8": 4}[precision]
    return panels, layout.round_up(inputs, BLOCKS[precision]) // group, 16, group


def table(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading's first words."""
    after = TEXT[TEXT.index(heading) :]
    lines = re.search(r"^\|[-|]+\|\n((?:\|.*\n)+)", after, re.MULTILINE).group(1).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_column(heading: str) -> list[str]:
    """The names that a table begins its rows with."""
    return [row[0] for row in table(heading)]


def tokenizer_fields(kind: str) -> list[str]:
    """The fields that section 4 names for a kind of tokenizer."""
    return [row[0] for row in table("## 4.") if row[2] == "all" or kind in row[2].split(", ")]


class Format(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        self.out = self.root / "out.safetensors"

    def convert(self, head: str, family: str = "bert", **options: object) -> folders.Json:
        """Converts a small folder and returns the metadata."""
        folder = self.root / "model"
        folders.write_folder(folder, head, family=family)
        convert(Options(folder, self.out, **{"selftest": False, **options}))
        return read_metadata(self.out)

    def expected_tensors(self, config: folders.Json) -> list[str]:
        """The names that section 5 asks for, in file order."""
        kinds = KINDS[config["precision"]]
        conditions = {
            "always": True,
            "kinds `byte_bpe`, `character_bpe`": False,
            "kind `unigram`": False,
            "step `charsmap`": False,
            "not kind tokenizer": True,
            "type_vocab_size > 0": config["type_vocab_size"] > 0,
            "embedding_size is not hidden_size, or embedding_projection": config["embedding_size"] != config["hidden_size"]
            or config.get("embedding_projection", False),
            "position_scheme is `distance_bias`": config["position_scheme"] == "distance_bias",
            "not kind tokenizer, position_table is not false": config.get("position_table", True),
            "position_scheme is `rotary`, each table": config["position_scheme"] == "rotary",
            "position_scheme is `disentangled`": config["position_scheme"] == "disentangled",
            "relative_keys": config.get("disentangled", {}).get("relative_keys", False),
            "relative_queries": config.get("disentangled", {}).get("relative_queries", False),
            "each stored layer": True,
            "each stored layer, norm_place is not `pre`": config["norm_place"] != "pre",
            "each stored layer, norm_place is not `post`": config["norm_place"] != "post",
            "each stored layer, query_key_norms": config.get("query_key_norms", False),
            "norm_place is not `post`": config["norm_place"] != "post",
            "pooler is not null": config["pooler"] is not None,
            "each `dense` layer of `pooling`, of `embedding` or `token_layers`": False,  # test_embeddings.py has such folders
            "each `norm` layer of them": False,
            "`token_layers` of `pooling`": "token_layers" in config.get("pooling", {}),
            "head is `masked-lm`": "masked_lm" in config,
            "head is `masked-lm`, transform is not false": config.get("masked_lm", {"transform": False}).get("transform", True),
            "head is `masked-lm` and not tied": "masked_lm" in config and not config["masked_lm"]["tied"],
            "there are labels": bool(config["labels"]),
        }
        rows = table("The names, in file order")
        per_layer = [row for row in rows if row[0].startswith("encoder.layer.{i}")]
        ordered = [row for row in rows if row not in per_layer and not row[0].startswith("(")]
        at = rows.index(per_layer[0])
        stored = 1 + max(config.get("layer_weights", range(config["num_hidden_layers"])))
        layers = [[row[0].replace("{i}", str(i)), *row[1:]] for i in range(stored) for row in per_layer]
        names = []
        for name, kind, size, when in ordered[:at] + layers + ordered[at:]:
            if conditions[when]:
                parts = KINDS["float32"]["linear"] if "float32 panels" in size else kinds.get(kind, [None])
                names += [name if part is None else f"{name}.{part}" for part in parts]
        return names

    def test_the_page_names_the_keys_of_the_metadata(self) -> None:
        metadata = self.convert("sequence-classification")
        self.assertEqual(sorted(metadata), sorted(first_column("## 2.")))
        named = re.findall(r"`(\w+)`", next(row[1] for row in table("## 2.") if row[0] == "source"))
        self.assertEqual(list(metadata["source"]), named)

    def test_the_page_names_the_fields_of_config_and_tokenizer(self) -> None:
        for head in folders.ARCHITECTURES:
            for precision in KINDS:
                metadata = self.convert(head, precision=precision)
                fields = [name for name in first_column("## 3.") if name != "float32_split" or precision == "float32"]
                self.assertEqual(list(metadata["config"]), fields)
            self.assertEqual(list(metadata["tokenizer"]), tokenizer_fields("wordpiece"))
        metadata = self.convert(folders.MASKED_LM, selftest=None)
        self.assertEqual(int(metadata["format"]), 2)
        self.assertEqual(list(metadata["config"]), [*first_column("## 3."), "masked_lm"])
        self.assertEqual(list(metadata["tokenizer"]), [*tokenizer_fields("wordpiece"), "mask_token_id"])
        named = {key for case in metadata["selftest"] for key in case} | set(metadata["config"]["masked_lm"])
        self.assertEqual({f"`{name}`" for name in named} - {word for word in re.findall("`\\w+`", TEXT)}, set())
        metadata = self.convert("none", tokenizer=True)
        self.assertEqual(list(metadata["config"]), ["kind", "max_length", "model_max_length"])
        self.assertEqual(list(metadata["tokenizer"]), tokenizer_fields("wordpiece"))

    def test_the_page_names_the_fields_and_tensors_of_a_byte_level_tokenizer(self) -> None:
        folder = self.root / "bytes"
        folder.mkdir()
        byte_folders.write_folder(folder)
        convert(Options(folder, self.out, selftest=False, tokenizer=True))
        found = read_metadata(self.out)["tokenizer"]
        self.assertEqual(list(found), tokenizer_fields("byte_bpe"))
        tensors = read_tensors(self.out)
        self.assertEqual(self.names(), self.tokenizer_tensors("kinds `byte_bpe`, `character_bpe`"))
        self.assertEqual(tensors["tokenizer.merges"].dtype, np.uint32)
        self.assertEqual(tensors["tokenizer.merges"].shape, (layout.round_up(2 * found["num_merges"], 16),))

    def test_the_page_names_the_fields_and_tensors_of_bpe_over_characters(self) -> None:
        for number, written in enumerate((character_folders.gemma(), character_folders.robertuito())):
            folder = self.root / f"characters{number}"
            folder.mkdir()
            character_folders.write_folder(folder, written)
            convert(Options(folder, self.out, selftest=False, tokenizer=True))
            metadata = read_metadata(self.out)
            found = metadata["tokenizer"]
            self.assertEqual(int(metadata["format"]), 2)
            self.assertEqual([name for name in found if name != "normalizer"], tokenizer_fields("character_bpe"))
            self.assertEqual(self.names(), self.tokenizer_tensors("kinds `byte_bpe`, `character_bpe`"))

    def test_the_page_names_the_fields_and_tensors_of_a_unigram_tokenizer(self) -> None:
        folder = self.root / "unigram"
        folder.mkdir()
        unigram_folders.write_json(folder, "tokenizer.json", unigram_folders.tokenizer_json())
        unigram_folders.write_json(folder, "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
        convert(Options(folder, self.out, selftest=False, tokenizer=True))
        metadata = read_metadata(self.out)
        found = metadata["tokenizer"]
        self.assertEqual(int(metadata["format"]), 2)
        self.assertEqual([name for name in found if name != "normalizer"], tokenizer_fields("unigram"))
        tensors = read_tensors(self.out)
        self.assertEqual(self.names(), self.tokenizer_tensors("kind `unigram`", "step `charsmap`"))
        scores = tensors["tokenizer.scores"]
        self.assertEqual((scores.dtype, scores.shape), (np.float64, (layout.round_up(found["vocab_size"], 8),)))
        self.assertEqual(tensors["tokenizer.vocab.trie"].dtype, np.uint32)

    def names(self) -> list[str]:
        """The tensors of the file, in its order."""
        raw = self.out.read_bytes()
        header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
        return [name for name in header if name != "__metadata__"]

    def tokenizer_tensors(self, *conditions: str) -> list[str]:
        """The tokenizer's tensors that section 5 names, always and under these conditions."""
        rows = table("The names, in file order")
        return [row[0] for row in rows if row[0].startswith("tokenizer.") and row[3] in ("always", *conditions)]

    def test_the_page_names_the_keys_of_added_tokens_and_self_test_cases(self) -> None:
        metadata = self.convert("none", selftest=None)
        added = re.findall(r"`(\w+)`", next(row[3] for row in table("## 4.") if row[0] == "added_tokens"))
        self.assertEqual(list(metadata["tokenizer"]["added_tokens"][0]), added)
        section = TEXT[TEXT.index("## 6.") : TEXT.index("## 7.")]
        for key in metadata["selftest"][0]:
            self.assertIn(f"`{key}`", section)

    def test_the_page_names_the_tensors_in_file_order(self) -> None:
        heads = [*folders.ARCHITECTURES, folders.MASKED_LM]
        for precision, head, family in itertools.product(KINDS, heads, folders.FAMILIES):
            config = self.convert(head, family, precision=precision)["config"]
            raw = self.out.read_bytes()
            header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
            del header["__metadata__"]
            none = "embeddings.norm." if family == "megatron-bert" else "nothing"  # with norms before blocks a file may lack some
            self.assertEqual(list(header), [name for name in self.expected_tensors(config) if not name.startswith(none)])

    def test_the_container_is_aligned_contiguous_and_summed(self) -> None:
        for precision in KINDS:
            metadata = self.convert("sequence-classification", precision=precision)
            raw = self.out.read_bytes()
            length = struct.unpack("<Q", raw[:8])[0]
            self.assertEqual((8 + length) % 64, 0)
            text = raw[8 : 8 + length].decode()
            header = json.loads(text)
            self.assertEqual(text.rstrip(" ")[-1], "}")
            del header["__metadata__"]
            position = 0
            for name, entry in header.items():
                begin, end = entry["data_offsets"]
                self.assertEqual((begin, (end - begin) % 64), (position, 0), name)
                self.assertEqual(zlib.crc32(raw[8 + length + begin : 8 + length + end]), metadata["crc32"][name])
                position = end
            self.assertEqual(8 + length + position, len(raw))

    def test_shapes_and_types_are_those_of_the_page(self) -> None:
        up, config = layout.round_up, folders.CONFIG
        hidden, inner, heads, vocab = (
            config[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
        )
        padded = 3 * up(hidden // heads, 16) * heads
        for precision in KINDS:
            self.convert("sequence-classification", precision=precision)
            tensors = read_tensors(self.out)
            layer = "encoder.layer.1"
            for name, outputs, inputs in (
                (f"{layer}.attention.query_key_value", padded, hidden),
                (f"{layer}.attention.output", hidden, hidden),
                (f"{layer}.intermediate", inner, hidden),
                (f"{layer}.output", hidden, inner),
            ):
                panels = up(outputs, 16) // 16
                self.assertEqual(tensors[f"{name}.weight"].shape, panel_shape(precision, panels, inputs))
                self.assertEqual(tensors[f"{name}.bias"].shape, (panels * 16,))
            word = tensors["embeddings.word.weight"]
            self.assertEqual((word.shape, word.dtype), ((vocab, up(hidden, BLOCKS[precision])), TYPES[precision]))
            self.assertEqual(tensors["pooler.dense.weight"].shape, (up(hidden, 16) // 16, hidden, 16))
            self.assertEqual(tensors["head.output.weight"].shape, (2, up(hidden, 16)))
            self.convert("sequence-classification", "electra", precision=precision)
            tensors, width = read_tensors(self.out), folders.FAMILIES["electra"]["embedding_size"]
            self.assertEqual(tensors["embeddings.word.weight"].shape, (vocab, up(width, BLOCKS[precision])))
            self.assertEqual(tensors["embeddings.projection.weight"].shape, panel_shape(precision, 1, width))

    def test_versions_are_those_of_the_library(self) -> None:
        text = (ROOT / "include" / "bertha" / "version.hpp").read_text()
        numbers = dict(re.findall(r"#define BERTHA_(\w+) (\d+)$", text, re.MULTILINE))
        self.assertEqual(VERSION, ".".join(numbers[f"VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH")))
        self.assertEqual(str(FORMAT), numbers["FORMAT_VERSION"])
        self.assertIn(f"format {FORMAT}", TEXT.splitlines()[0])


if __name__ == "__main__":
    unittest.main()
