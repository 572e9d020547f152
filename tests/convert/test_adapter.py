"""LoRA adapters that are merged: equal to what peft 0.21.2 gives, which tests/data/adapters.json records.

`test_adapter.py record` writes that file anew; it needs peft, torch and transformers, with which the tests ask peft too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import folders
import numpy as np
import torch_writer
from bertha_convert import loaded_names
from bertha_convert.conversion import Options, convert
from bertha_convert.families import FAMILIES
from bertha_convert.source import MadeTensor, load
from bertha_convert.unpack import read_metadata, reference_state
from test_conversion import FolderTest

try:
    import peft
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
except ImportError:
    peft = None

EXPECTED = Path(__file__).resolve().parents[1] / "data" / "adapters.json"
PREFIX = "base_model.model."
QV = ["attention.self.query", "attention.self.value"]
LINEAR = [*QV, "attention.self.key", "attention.output.dense", "intermediate.dense", "output.dense"]
PATTERNS = {
    "rank_pattern": {"value": 3, "layer.0.attention.self.query": 5},
    "alpha_pattern": {r".*\.1\.attention\.self\.(query|value)": 2.5, "encoder.layer.0.attention.self.value": 7},
}


def case(head: str, family: str = "bert", **values: Any) -> folders.Json:
    """A base model and an adapter: `ranks` by module where the rank isn't r, `whole` tensors that the adapter replaces."""
    return {
        "head": head,
        "base": head,
        "family": family,
        "modules": QV,
        "ranks": {},
        "whole": [],
        "config": {},
    } | values


SEQUENCE, TOKEN, QUESTION = "sequence-classification", "token-classification", "question-answering"
CASES = {
    "a list of modules": case(TOKEN),
    "rank stabilised": case(SEQUENCE, config={"use_rslora": True, "lora_alpha": 3}),
    "every linear layer": case(QUESTION, modules=LINEAR, config={"target_modules": "all-linear"}),
    "an expression and patterns": case(
        TOKEN,
        "roberta",
        ranks={"layer.0.attention.self.value": 3, "layer.1.attention.self.value": 3, "layer.0.attention.self.query": 5},
        config={"target_modules": r".*self\.(query|value)$", **PATTERNS},
    ),
    "a head that the base lacks": case(
        SEQUENCE,
        "roberta",
        base="none",
        whole=["classifier"],
        config={"task_type": "SEQ_CLS", "modules_to_save": ["classifier"]},
    ),
    "a head of three labels": case(
        TOKEN, base="none", whole=["classifier"], config={"task_type": "TOKEN_CLS", "modules_to_save": ["classifier"]}
    ),
    "fan_in_fan_out": case(
        SEQUENCE, "distilbert", modules=["attention.q_lin", "ffn.lin1"], config={"fan_in_fan_out": True}
    ),
    "every bias": case(TOKEN, whole=["bias"], config={"bias": "all"}),
    "biases of factors": case(TOKEN, config={"lora_bias": True}),
    "embeddings": case(TOKEN, modules=["embeddings.word_embeddings", *QV]),
    "shared layers": case(SEQUENCE, "albert", modules=["attention.query", "ffn_output"], ranks={"ffn_output": 4}),
    "a projection": case(TOKEN, "electra", modules=["embeddings_project", "attention.self.key"]),
    "torch's file": case(QUESTION, "camembert", form="bin"),
    "the encoder alone": case("none", "xlm-roberta"),
}


def write_case(root: Path, each: folders.Json) -> folders.Tensors:
    """Writes the folders `base` and `adapter`; what the adapter holds, by peft's names."""
    base = folders.write_folder(root / "base", each["base"], 3, each["family"])
    prefix = folders.PREFIXES[each["family"]]
    rng = np.random.default_rng(3)
    ours = {
        "r": 4,
        "lora_alpha": 6,
        "bias": "none",
        "peft_type": "LORA",
        "base_model_name_or_path": "base",
        "task_type": None,
    }
    config = {**ours, "target_modules": [name.split(".")[-1] for name in each["modules"]], **each["config"]}
    whole = folders.weights(folders.FAMILIES[each["family"]], each["head"], 3) if each["base"] != each["head"] else base
    tensors: folders.Tensors = {}

    def random(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.5, shape).astype(np.float32)

    for name, values in whole.items():
        module = name.removesuffix(".weight")
        if any(module.endswith(part) for part in each["modules"]) and name.endswith(".weight"):
            outputs, inputs = values.shape
            rank = next((rank for part, rank in each["ranks"].items() if module.endswith(part)), config["r"])
            if "embeddings.word" in name:
                parts = {"lora_embedding_A": (rank, outputs), "lora_embedding_B": (inputs, rank)}
            else:
                parts = {"lora_A.weight": (rank, inputs), "lora_B.weight": (outputs, rank)}
            if config.get("lora_bias"):
                parts["lora_B.bias"] = (outputs,)
            tensors |= {f"{PREFIX}{module}.{part}": random(*shape) for part, shape in parts.items()}
        elif "bias" in each["whole"] and name.endswith(".bias"):
            adapted = any(module.removesuffix(".bias").endswith(part) for part in each["modules"])
            tensors[PREFIX + (name.replace(".bias", ".base_layer.bias") if adapted else name)] = random(*values.shape)
        elif name.split(".")[0] in each["whole"]:
            tensors[PREFIX + name] = random(*values.shape)
    (root / "adapter").mkdir(exist_ok=True)
    folders.write_json(root / "adapter/adapter_config.json", config)
    if each.get("form") == "bin":
        torch_writer.write(root / "adapter/adapter_model.bin", tensors)
    else:
        folders.write_safetensors(root / "adapter/adapter_model.safetensors", tensors)
    assert tensors and prefix
    return tensors


def by_peft(root: Path, each: folders.Json) -> folders.Tensors:
    """The merged weights of such folders."""
    architecture = folders.CLASSES[each["family"]] + folders.ARCHITECTURES[each["head"]].removeprefix("Bert")
    options = {"num_labels": 2 if each["head"] == QUESTION else 3, "dtype": torch.float32}
    model = getattr(transformers, architecture).from_pretrained(root / "base", local_files_only=True, **options)
    merged = peft.PeftModel.from_pretrained(model, root / "adapter").merge_and_unload()
    return {name: values.numpy() for name, values in merged.state_dict().items()}


def sums(values: np.ndarray) -> list[float]:
    """Two numbers that tell a tensor: its sum, and one in which each element has a weight of its own."""
    flat = values.astype(np.float64).reshape(-1)
    return [round(float(flat.sum()), 4), round(float(flat @ np.sin(np.arange(len(flat)))), 4)]


class Adapters(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.folder, self.adapter = self.root / "base", self.root / "adapter"

    def merged(self, each: folders.Json, **options: Any) -> tuple[folders.Json, folders.Tensors]:
        """The report, and the weights that the written file stands for."""
        report = convert(Options(self.folder, self.out, selftest=False, adapter=self.adapter, **options))
        raw = json.loads((self.folder / "config.json").read_text())
        return report, reference_state(self.out, FAMILIES[each["family"]], raw)

    def assert_refused(self, pattern: str, **options: Any) -> None:
        """The conversion fails with a message."""
        with self.assertRaisesRegex(Exception, pattern):
            convert(Options(self.folder, self.out, **{"selftest": False, "adapter": self.adapter, **options}))
        self.assertFalse(self.out.exists())

    def write(self, name: str = "a list of modules", **config: Any) -> folders.Tensors:
        """A case's folders with changes to the adapter's configuration."""
        tensors = write_case(self.root, CASES[name])
        path = self.adapter / "adapter_config.json"
        folders.write_json(path, json.loads(path.read_text()) | config)
        return tensors

    def test_merged_weights_are_those_that_peft_gave(self) -> None:
        expected = json.loads(EXPECTED.read_text())
        self.assertEqual(list(expected), list(CASES))
        for name, each in CASES.items():
            with self.subTest(case=name):
                write_case(self.root, each)
                report, state = self.merged(each)
                self.assertEqual(self.config()["head"], each["head"])
                for tensor, numbers in expected[name].items():
                    np.testing.assert_allclose(sums(state[tensor]), numbers, atol=2e-3, err_msg=tensor)
                self.assertGreater(len(expected[name]), 1)
                self.assertTrue(
                    any(path.startswith("adapter/") for path in report["source_files"]), report["source_files"]
                )
                for path in self.adapter.iterdir():
                    path.unlink()

    @unittest.skipIf(peft is None, "needs peft, torch and transformers")
    def test_merged_weights_are_those_of_the_installed_peft(self) -> None:
        for name, each in CASES.items():
            with self.subTest(case=name), tempfile.TemporaryDirectory() as root:
                self.folder, self.adapter = Path(root) / "base", Path(root) / "adapter"
                write_case(Path(root), each)
                state, expected = self.merged(each)[1], by_peft(Path(root), each)
                for tensor in state.keys() | {
                    name for name in expected if "pooler" not in name and "position_ids" not in name
                }:
                    np.testing.assert_allclose(state[tensor], expected[tensor], rtol=0, atol=1e-5, err_msg=tensor)

    @unittest.skipIf(peft is None, "needs peft, torch and transformers")
    def test_a_self_test_has_the_logits_of_the_merged_model(self) -> None:
        each = CASES["a head that the base lacks"]
        write_case(self.root, each)
        report = convert(Options(self.folder, self.out, selftest=True, adapter=self.adapter))
        self.assertIn("logits", report["selftest"])
        recorded = read_metadata(self.out)["selftest"]
        self.assertEqual({len(row) for test in recorded for row in test["logits"]}, {3})
        state = by_peft(self.root, each)
        model = transformers.RobertaForSequenceClassification.from_pretrained(self.folder, num_labels=3).eval()
        model.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()}, strict=True)
        with torch.no_grad():
            found = model(torch.tensor([recorded[0]["ids"]])).logits
        np.testing.assert_allclose(recorded[0]["logits"], found.numpy(), atol=1e-5)

    def test_names_that_peft_gave_in_other_releases_mean_the_same(self) -> None:
        tensors = self.write("a head of three labels")
        first = self.merged(CASES["a head of three labels"])[1]
        renames = (
            lambda name: name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default."),
            lambda name: name.replace("classifier.", "classifier.modules_to_save.default."),
            lambda name: name.replace("model.encoder.", "model.bert.encoder."),
            lambda name: name.replace("model.bert.", "model."),
        )
        for rename in renames:
            renamed = {rename(name): values for name, values in tensors.items()}
            folders.write_safetensors(self.adapter / "adapter_model.safetensors", renamed)
            for name, values in self.merged(CASES["a head of three labels"])[1].items():
                np.testing.assert_array_equal(values, first[name], err_msg=name)

    def test_labels_are_those_of_whoever_names_as_many(self) -> None:
        name = "a head of three labels"
        self.write(name)
        report, _ = self.merged(CASES[name])
        self.assertEqual(report["config"]["labels"], ["LABEL_0", "LABEL_1", "LABEL_2"])
        self.assertRegex(
            report["warnings"][0],
            "neither the base model's config.json nor .*: they are called LABEL_0, LABEL_1, LABEL_2$",
        )
        path = self.folder / "config.json"
        folders.write_json(path, json.loads(path.read_text()) | {"id2label": {"0": "a", "1": "b", "2": "c"}})
        self.assertEqual(self.merged(CASES[name])[0]["config"]["labels"], ["a", "b", "c"])
        folders.write_json(self.adapter / "config.json", {"id2label": {"0": "x", "1": "y", "2": "z"}})
        report, _ = self.merged(CASES[name])
        self.assertEqual(report["config"]["labels"], ["x", "y", "z"])
        self.assertEqual([warning for warning in report["warnings"] if "labels" in warning], [])

    def test_adapters_of_other_kinds_are_refused_by_name(self) -> None:
        bad: list[tuple[folders.Json, str]] = [
            *(
                ({"peft_type": kind}, f"adapters of this kind are not merged.*{kind}")
                for kind in ("IA3", "ADALORA", "PROMPT_TUNING")
            ),
            ({"peft_type": None}, "got null"),
            ({"use_dora": True}, r"DoRA \(use_dora\) is not merged.*merge_and_unload"),
            ({"init_lora_weights": "pissa_niter_4"}, "changed the base model's weights.*pissa"),
            ({"init_lora_weights": 1}, "changed the base"),
            ({"layer_replication": [[0, 1]]}, "layer_replication is not supported"),
            ({"trainable_token_indices": [3]}, "trainable_token_indices is not supported"),
            ({"use_later_idea": True}, "use_later_idea is not supported"),
            ({"bias": "some"}, "bias is not known"),
            ({"rank_pattern": [1]}, "rank_pattern has no known form"),
            ({"rank_pattern": {"query": 0}}, "r is no valid number"),
            ({"rank_pattern": {"(a+)+b": 2}}, "repeats a group"),
            ({"alpha_pattern": {".*.*.*.*x": 2}}, "more than three times"),
            ({"alpha_pattern": {"(": 2}}, "no regular expression"),
            ({"lora_alpha": "8"}, "lora_alpha is no valid number"),
            ({"lora_alpha": float("nan")}, "lora_alpha is no valid number"),
            ({"r": 5}, "other sizes than its weight and rank 5"),
            ({"r": True}, "r is no valid number"),
            ({"modules_to_save": ["classifier"]}, "modules_to_save names a module"),
            ({"modules_to_save": "classifier"}, "modules_to_save has no known form"),
        ]
        for config, pattern in bad:
            self.write(**config)
            with self.subTest(config=config):
                self.assert_refused(pattern)

    def test_files_that_do_not_fit_the_base_are_refused(self) -> None:
        good = self.write()
        path = self.adapter / "adapter_model.safetensors"
        first = next(name for name in good if "lora_A" in name)
        second = first.replace("lora_A", "lora_B")
        others = {name: values for name, values in good.items() if name != first}
        for tensors, pattern in (
            (others, "one of two factors for 'bert.encoder.layer.0"),
            ({**others, first: good[first][:, :-1]}, "other sizes"),
            ({**good, second: good[second].T.copy()}, "other sizes"),
            ({**good, first.replace("layer.0", "layer.7"): good[first]}, "one of two factors"),
            (
                {name.replace("layer.0", "layer.7"): values for name, values in good.items()},
                "which the base model doesn't have",
            ),
            (
                {**good, first.replace("lora_A.weight", "lora_magnitude_vector"): np.ones(12, np.float32)},
                "of no kind that is merged",
            ),
            ({**good, first.replace("lora_A.weight", "lora_C.weight"): good[first]}, "of no kind that is merged"),
            ({name.removeprefix(PREFIX): values for name, values in good.items()}, "is no adapter's"),
            ({**others, first: np.full_like(good[first], np.nan)}, "NaN"),
            ({**good, PREFIX + "bert.other.weight": np.ones(2, np.float32)}, "that Bert doesn't have"),
        ):
            folders.write_safetensors(path, tensors)
            with self.subTest(pattern=pattern):
                self.assert_refused(pattern)
        path.unlink()
        self.assert_refused("is no folder of an adapter; expected adapter_config.json and adapter_model.safetensors or")
        self.write()
        self.assert_refused("--adapter.* don't go with it", tokenizer=True)

    def test_an_adapter_without_its_base_names_it(self) -> None:
        self.write()
        self.folder = self.adapter
        self.assert_refused(
            r"got adapter_config.json .*Give the folder of its base model \('base'\), and this one by --adapter",
            adapter=None,
        )


class LoadedNames(unittest.TestCase):
    """Bases that transformers 5 saved under their families' first names; adapters name its modules."""

    def test_matrices_are_taken_apart_and_renamed(self) -> None:
        saved: dict[str, tuple[int, ...]] = {
            "gte.encoder.layer.0.attention.qkv_proj.weight": (6, 2),
            "gte.encoder.layer.0.attention.qkv_proj.bias": (6,),
            "gte.encoder.layer.0.mlp.up_gate_proj.weight": (8, 2),
            "gte.encoder.layer.0.attn_ln.weight": (2,),
            "gte.embeddings.LayerNorm.weight": (2,),
            "classifier.weight": (3, 2),
        }
        values = {name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for name, shape in saved.items()}
        stored = {name: MadeTensor(Path("x"), value.shape, lambda value=value: value) for name, value in values.items()}
        found = loaded_names.as_loaded(stored, FAMILIES["gte"])
        layer, qkv = "gte.layers.0", "gte.encoder.layer.0.attention.qkv_proj"
        expected = {
            **{
                f"{layer}.self_attn.{part}_proj.{ending}": np.split(values[f"{qkv}.{ending}"], 3)[i]
                for i, part in enumerate("qkv")
                for ending in ("weight", "bias")
            },
            f"{layer}.mlp.up_proj.weight": values["gte.encoder.layer.0.mlp.up_gate_proj.weight"][:4],
            f"{layer}.mlp.gate_proj.weight": values["gte.encoder.layer.0.mlp.up_gate_proj.weight"][4:],
            f"{layer}.post_attention_layernorm.weight": values["gte.encoder.layer.0.attn_ln.weight"],
            "gte.embeddings.LayerNorm.weight": values["gte.embeddings.LayerNorm.weight"],
            "classifier.weight": values["classifier.weight"],
        }
        self.assertEqual(sorted(found), sorted(expected))
        for name, value in expected.items():
            self.assertEqual(found[name].shape, value.shape, name)
            np.testing.assert_array_equal(load(name, found[name]), value, name)

    def test_families_with_one_set_of_names_stay_as_they_are(self) -> None:
        stored = {"bert.encoder.layer.0.output.dense.weight": MadeTensor(Path("x"), (1, 1), lambda: np.zeros((1, 1)))}
        self.assertIs(loaded_names.as_loaded(stored, FAMILIES["bert"]), stored)


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        recorded = {}
        for name, each in CASES.items():
            with tempfile.TemporaryDirectory() as root:
                before = {
                    key.split(".", 1)[1]: values for key, values in write_case(Path(root), each).items()
                } and folders.weights(folders.FAMILIES[each["family"]], each["base"], 3)
                after = by_peft(Path(root), each)
                changed = {
                    key: v for key, v in after.items() if key not in before or not np.array_equal(v, before[key])
                }
                recorded[name] = {key: sums(v) for key, v in changed.items() if "pooler" not in key}
        EXPECTED.write_text(json.dumps(recorded, indent=0) + "\n")
    else:
        unittest.main()
