"""sentence-transformers folders in the program: vectors are those of a forward pass and of formulas that share nothing
with it, and what can't be had is refused by its name.

Runs the program that the environment variable BERTHA_PROGRAM names.
"""

import itertools
import json
import os
import statistics
import subprocess
import unittest
from typing import Any

import folders
import numpy as np
import reference_forward
import torch_writer
from bertha_convert import sentence_transformers, source
from bertha_convert.unpack import read_metadata
from test_conversion import FolderTest

PROGRAM = os.environ["BERTHA_PROGRAM"]
TEXTS = ("a b ab .", "", "aab b", "a")
POOLED = {
    "cls": lambda x: x[0],
    "max": lambda x: x.max(axis=0),
    "mean": lambda x: x.mean(axis=0),
    "mean_sqrt_len_tokens": lambda x: x.sum(axis=0) / np.sqrt(len(x)),
    "weightedmean": lambda x: np.average(x, axis=0, weights=np.arange(1, len(x) + 1)),
    "lasttoken": lambda x: x[-1],
}


class Embeddings(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.tensors = folders.write_folder(self.folder, "none", hidden_act="gelu", layer_norm_eps=0.01)

    def modules(self, **kinds: Any) -> None:
        """Writes modules.json and the folders of the modules after the transformer: class and config of each."""
        entries = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
        for index, (name, options) in enumerate(kinds.items(), 1):
            place = self.folder / f"{index}_{name}"
            place.mkdir(exist_ok=True)
            kind = name.rstrip("_")
            entries.append({"idx": index, "path": place.name, "type": f"sentence_transformers.models.{kind}"})
            if options is not None:
                folders.write_json(place / "config.json", options)
        folders.write_json(self.folder / "modules.json", entries)

    def pooling(self, *modes: str, **options: Any) -> folders.Json:
        """The config of a Pooling module."""
        return {"embedding_dimension": self.hidden(), "pooling_mode": list(modes), **options}

    def hidden(self) -> int:
        """The encoder's hidden_size."""
        return int(json.loads((self.folder / "config.json").read_text())["hidden_size"])

    def run_program(self, *arguments: str, lines: str = "") -> subprocess.CompletedProcess:
        """The program's answer."""
        command = [PROGRAM, *arguments]
        return subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)

    def embed(self, *options: str, texts: tuple[str, ...] = TEXTS) -> list[np.ndarray]:
        """The program's vectors."""
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        done = self.run_program("embed", str(self.out), "--jsonl", *options, lines=lines)
        self.assertEqual(done.returncode, 0, done)
        return [np.array(json.loads(line)) for line in done.stdout.splitlines()]

    def states(self, text: str) -> np.ndarray:
        """The reference's hidden states."""
        done = self.run_program("tokenize", str(self.out), "--jsonl", lines=json.dumps({"text": text}) + "\n")
        ids = json.loads(done.stdout)["ids"]
        config = json.loads((self.folder / "config.json").read_text())
        tensors = {name if name.startswith("bert.") else f"bert.{name}": t for name, t in self.tensors.items()}
        return reference_forward.hidden_states(tensors, config, ids, [0] * len(ids))

    def assert_close(self, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
        """Each within what Float32 promises of hidden states."""
        self.assertEqual(len(found), len(expected))
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)

    def test_every_mode_is_what_its_formula_says(self) -> None:
        for mode, formula in POOLED.items():
            with self.subTest(mode=mode):
                self.modules(Pooling=self.pooling(mode))
                self.convert()
                self.assert_close(self.embed(), [formula(self.states(text)) for text in TEXTS])

    def test_old_folders_name_their_modes_one_by_one(self) -> None:
        old = {"word_embedding_dimension": self.hidden(), "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
        self.modules(Pooling={**old, "pooling_mode_max_tokens": False})
        self.convert()
        both = [np.concatenate([x[0], x.mean(axis=0)]) for x in map(self.states, TEXTS)]
        self.assert_close(self.embed(), both)
        self.modules(Pooling={"word_embedding_dimension": self.hidden()})
        self.convert()
        self.assert_close(self.embed(), [self.states(text).mean(axis=0) for text in TEXTS])

    def test_layers_norms_and_lengths_follow(self) -> None:
        size, rng = self.hidden(), np.random.default_rng(1)
        dense = {"in_features": size, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"}
        self.modules(Pooling=self.pooling("mean"), Dense={**dense, "bias": True}, LayerNorm={"dimension": 5}, Normalize=None)
        weight, bias = rng.normal(size=(5, size)).astype(np.float32), rng.normal(size=5).astype(np.float32)
        tensors = {"linear.weight": weight, "linear.bias": bias}
        folders.write_safetensors(self.folder / "2_Dense" / "model.safetensors", tensors)
        gamma, beta = rng.normal(size=5).astype(np.float32), rng.normal(size=5).astype(np.float32)
        norm = {"norm.weight": gamma, "norm.bias": beta}
        folders.write_safetensors(self.folder / "3_LayerNorm" / "model.safetensors", norm)
        report = self.convert()
        self.assertIn("2_Dense/model.safetensors", report["source_files"])

        def expected(text: str) -> np.ndarray:
            x = np.tanh(weight @ self.states(text).mean(axis=0) + bias)
            return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * gamma + beta

        vectors = [expected(text) for text in TEXTS]
        self.assert_close(self.embed("--no-normalize"), vectors)
        self.assert_close(self.embed(), [x / np.linalg.norm(x) for x in vectors])
        self.assert_close(self.embed("--dimensions", "3"), [x[:3] / np.linalg.norm(x[:3]) for x in vectors])

    def test_a_folder_of_bin_files_gives_the_bytes_of_one_of_safetensors(self) -> None:
        size, rng = self.hidden(), np.random.default_rng(2)
        dense = {"in_features": size, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"}
        self.modules(Pooling=self.pooling("mean"), Dense={**dense, "bias": True}, Normalize=None)
        layer = {"linear.weight": rng.normal(size=(5, size)).astype(np.float32), "linear.bias": np.ones(5, np.float32)}
        folders.write_safetensors(self.folder / "2_Dense" / "model.safetensors", layer)
        self.convert()
        expected = self.embed()
        (self.folder / "model.safetensors").unlink()
        (self.folder / "2_Dense" / "model.safetensors").unlink()
        torch_writer.write(self.folder / "pytorch_model.bin", self.tensors)
        torch_writer.write(self.folder / "2_Dense" / "pytorch_model.bin", layer)
        report = self.convert()
        self.assertEqual({"pytorch_model.bin", "2_Dense/pytorch_model.bin"} - set(report["source_files"]), set())
        np.testing.assert_array_equal(self.embed(), expected)

    def test_a_calibrated_embedder_is_nearer_to_float32_than_plain_int8(self) -> None:
        size, rng = self.hidden(), np.random.default_rng(3)
        dense = {"in_features": size, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"}
        self.modules(Pooling=self.pooling("mean", "max"), Dense={**dense, "in_features": 2 * size}, Normalize=None)
        layer = {"linear.weight": rng.normal(size=(5, 2 * size)).astype(np.float32), "linear.bias": np.ones(5, np.float32)}
        folders.write_safetensors(self.folder / "2_Dense" / "model.safetensors", layer)
        prompts = {"prompts": {"query": "ab "}, "default_prompt_name": "query"}
        folders.write_json(self.folder / "config_sentence_transformers.json", prompts)
        self.convert()
        exact, texts = self.embed(), self.root / "texts"
        texts.write_text("".join(text + "\n" for text in TEXTS if text))
        quantized = self.root / "int8.safetensors"
        done = self.run_program("quantize", "--json", "--calibration", str(texts), str(self.out), str(quantized))
        error = json.loads(done.stdout)["rms_error_of_logits"]
        self.assertLess(error["calibrated"], error["int8"])
        self.out = quantized
        self.assertEqual(self.run_program("verify", str(quantized)).returncode, 0)
        for found, expected in zip(self.embed(), exact):  # with its layer, its norm and its default prompt
            self.assertAlmostEqual(np.linalg.norm(found), 1, 5)
            self.assertGreater(found @ expected, 0.98)

    def test_texts_are_lowered_where_the_folder_says_so(self) -> None:
        for name, lower in (("sentence_bert_config.json", True), ("sentence_roberta_config.json", True), ("sentence_bert_config.json", None)):
            with self.subTest(name=name, lower=lower):
                for path in self.folder.glob("sentence_*_config.json"):
                    path.unlink()
                self.modules(Pooling=self.pooling("mean"))
                folders.write_json(self.folder / name, {"do_lower_case": lower})
                self.convert()
                small, large = self.embed("--prompt-text", "", texts=("a b", "A B"))
                self.assertEqual(np.array_equal(small, large), bool(lower))

    def test_prompts_and_limits_are_the_folders(self) -> None:
        self.modules(Pooling=self.pooling("mean"))
        options = {"prompts": {"query": "ab ", "other": "b "}, "default_prompt_name": "query", "similarity_fn_name": "dot"}
        folders.write_json(self.folder / "config_sentence_transformers.json", options)
        folders.write_json(self.folder / "sentence_bert_config.json", {"max_seq_length": 4, "do_lower_case": False})
        self.convert()
        self.assertEqual(self.config()["max_length"], 4)
        self.assertEqual(self.config()["embedding"]["similarity"], "dot")
        cut = [self.embed("--prompt-text", "", texts=(text,))[0] for text in ("ab a", "b a", "a")]
        found = [*self.embed(texts=("a b",)), *self.embed("--prompt", "other", texts=("a b",))]
        self.assert_close(found, cut[:2])
        self.assert_close(self.embed("--prompt", "document", texts=("a",)), cut[2:])
        done = self.run_program("embed", str(self.out), "--prompt", "passage", "a")
        self.assertRegex(done.stderr + done.stdout, "no prompt .*passage.*query")

    def test_a_prompt_may_be_left_out_of_what_is_pooled(self) -> None:
        self.modules(Pooling=self.pooling("mean", include_prompt=False))
        self.convert()
        rest = self.states("ab b a")[3:]  # [CLS] and the prompt's two tokens are left out
        self.assert_close(self.embed("--prompt-text", "ab b ", texts=("a",)), [rest.mean(axis=0)])

    def test_a_plain_encoder_becomes_one_of_embeddings(self) -> None:
        for mode in ("first", "mean", "max", "last", "mean_sqrt_len", "weighted_mean"):
            self.convert(pooling=mode)
            self.assertEqual(read_metadata(self.out)["config"]["embedding"]["modes"], [mode])
        self.convert(pooling="mean", normalize=True)
        means = [self.states(text).mean(axis=0) for text in TEXTS]
        self.assert_close(self.embed(), [x / np.linalg.norm(x) for x in means])
        self.convert(head="none")
        self.assert_close(self.embed("--pooling", "mean"), means)
        self.assert_close(self.embed("--tokens"), [self.states(text) for text in TEXTS])
        done = self.run_program("embed", str(self.out), "a")
        self.assertRegex(done.stderr + done.stdout, "name a pooling")
        size = self.hidden()
        done = self.run_program("embed", str(self.out), "--pooling", "mean", "--dimensions", str(size + 1), "a")
        self.assertRegex(done.stderr + done.stdout, f"can't be cut to {size + 1} dimensions: they have {size}")

    def test_what_is_not_run_is_refused_by_its_name(self) -> None:
        for name in ("WordEmbeddings", "CNN", "WeightedLayerPooling", "Router", "LSTM"):
            self.modules(**{name: {}})
            self.assert_refused(name)
            self.modules(Pooling=self.pooling("mean"), **{name: {}})
            self.assert_refused(name)
        self.modules(Pooling=self.pooling("median"))
        self.assert_refused("pooling_mode is not supported.*median")
        self.modules(Pooling={**self.pooling("mean"), "pooling_mode": [["mean"]]})
        self.assert_refused("pooling_mode is not supported.*mean")
        self.modules(Pooling=self.pooling("mean"))
        folders.write_json(self.folder / "config_sentence_transformers.json", {"default_prompt_name": ["query"]})
        self.assert_refused("default_prompt_name names no prompt")
        (self.folder / "config_sentence_transformers.json").unlink()
        self.modules(Pooling={**self.pooling("mean"), "embedding_dimension": 7})
        self.assert_refused("another size than the encoder's")
        size = self.hidden()
        dense = {"in_features": size, "out_features": 5, "activation_function": "torch.nn.modules.activation.Sigmoid"}
        self.modules(Pooling=self.pooling("mean"), Dense=dense)
        self.assert_refused("activation_function is not supported.*Sigmoid")
        self.modules(Pooling=self.pooling("mean"), Dense={**dense, "use_residual": True})
        self.assert_refused("use_residual is not supported")
        self.modules(Pooling=self.pooling("mean"), Dense={**dense, "activation_function": "torch.nn.modules.activation.Tanh"})
        self.assert_refused("2_Dense: there are no weights")
        self.modules(Pooling=self.pooling("mean"), Normalize=None, Dense=dense)
        self.assert_refused("Dense comes after Normalize")
        for text in ("{", "{}", "[3]", '[{"path": "", "type": "mine.Transformer"}]', "[]"):
            (self.folder / "modules.json").write_text(text)
            self.assert_refused("modules.json")
        (self.folder / "modules.json").write_text(
            '[{"path": "..", "type": "sentence_transformers.models.Transformer"}]'
        )
        self.assert_refused("outside of the folder")
        self.modules(Pooling=self.pooling("mean"))
        self.assert_refused("says itself how hidden states are pooled", pooling="max")
        self.convert(head="none")

    def test_a_cross_encoder_ranks_by_its_logit_and_scores_by_its_rule(self) -> None:
        texts = ("a b", "ab", "", "b b b")
        for rule, scored in (("Identity", False), ("Sigmoid", True), (None, True)):
            with self.subTest(rule=rule):
                weights = folders.write_folder(
                    self.folder, "sequence-classification", 1, hidden_act="gelu", layer_norm_eps=0.01
                )
                if rule:
                    self.edit("config.json", sentence_transformers={"activation_fn": f"torch.nn.modules.x.{rule}"})
                self.convert()
                line = json.dumps({"query": "a ab", "texts": texts, "id": 7}) + "\n"
                done = self.run_program("rerank", str(self.out), "--jsonl", lines=line)
                [answer] = map(json.loads, done.stdout.splitlines())
                self.assertEqual(answer["id"], 7)
                pairs = "".join(json.dumps({"text": "a ab", "text_pair": text}) + "\n" for text in texts)
                found = self.run_program("logits", str(self.out), "--jsonl", lines=pairs).stdout.splitlines()
                logits = np.array([json.loads(each)["logits"][0][0] for each in found])
                logits[2] = self.run_empty()
                order = np.argsort(-logits, kind="stable")
                self.assertEqual([each["index"] for each in answer["result"]], order.tolist())
                expected = 1 / (1 + np.exp(-logits)) if scored else logits
                np.testing.assert_allclose([each["score"] for each in answer["result"]], expected[order], rtol=1e-5)
                self.assertTrue(weights)
        done = self.run_program("rerank", str(self.out), "--query", "a", "--score", "logit", "--top-k", "1", *texts)
        self.assertEqual(len(json.loads(done.stdout)), 1)
        bad = '{"query": "a"}\n{"query": "a", "texts": ["b", 3]}\n{"query": "a", "texts": []}\n'
        done = self.run_program("rerank", str(self.out), "--jsonl", lines=bad)
        first, second, third = map(json.loads, done.stdout.splitlines())
        self.assertIn("texts", first["error"]["message"])
        self.assertIn("no list of strings", second["error"]["message"])
        self.assertEqual(third, [])
        folders.write_folder(self.folder, "sequence-classification", 3)
        self.convert()
        self.assertRegex(self.run_program("rerank", str(self.out), "--query", "a", "b").stderr, "3 outputs")

    def run_empty(self) -> float:
        """The logit of the pair whose text is empty, which `logits` would take for none."""
        done = self.run_program("rerank", str(self.out), "--query", "a ab", "--score", "logit", "")
        return float(json.loads(done.stdout)[0]["score"])


class SelfTest(FolderTest):
    """What the self-test of a file expects, which no program computes."""

    HIDDEN = np.array([[1, 2], [3, -4], [5, 9]], np.float32)

    def test_pools_as_each_mode_says(self) -> None:
        expected = {
            "first": [1, 2],
            "last": [5, 9],
            "max": [5, 9],
            "mean": [3, 7 / 3],
            "mean_sqrt_len": [9 / 3**0.5, 7 / 3**0.5],
            "weighted_mean": [(1 + 2 * 3 + 3 * 5) / 6, (2 - 2 * 4 + 3 * 9) / 6],
        }
        for modes in [*((mode,) for mode in expected), tuple(expected)]:
            values = np.concatenate([expected[mode] for mode in modes])
            for normalize in (False, True):
                found = sentence_transformers.vector({"modes": modes, "normalize": normalize}, [], self.HIDDEN)
                np.testing.assert_allclose(found, values / np.sqrt(sum(values**2)) if normalize else values, rtol=1e-6)

    def test_goes_through_layers(self) -> None:
        path = self.folder.parent / "layers.safetensors"
        weight, bias = np.array([[1, -2], [0.5, 3], [-1, 0]], np.float32), np.array([0.1, -0.2, 0.3], np.float32)
        folders.write_safetensors(path, {"weight": weight, "bias": bias, "scale": np.array([2, 3, 4], np.float32)})
        stored = source.read_header(path)
        one = {name: (name, stored[name]) for name in stored}
        mean = np.array([3, 7 / 3])
        functions = {"none": lambda x: x, "tanh": np.tanh, "relu": lambda x: x * (x > 0), "silu": lambda x: x / (1 + np.exp(-x))}
        for with_bias, (activation, function) in itertools.product((False, True), functions.items()):
            dense = sentence_transformers.Layer(
                {"kind": "linear", "activation": activation}, 2, one["weight"], one["bias"] if with_bias else None
            )
            norm = sentence_transformers.Layer({"kind": "norm"}, 3, one["scale"], one["bias"])
            after_dense = function(weight @ mean + bias * with_bias)
            after_norm = (after_dense - np.mean(after_dense)) / np.std(after_dense) * [2, 3, 4] + bias
            for layers, expected in (([dense], after_dense), ([dense, norm], after_norm)):
                found = sentence_transformers.vector({"modes": ["mean"], "normalize": False}, layers, self.HIDDEN)
                np.testing.assert_allclose(found, expected, rtol=1e-4)
        gelu = sentence_transformers.Layer({"kind": "linear", "activation": "gelu"}, 2, one["weight"], None)
        found = sentence_transformers.vector({"modes": ["mean"], "normalize": False}, [gelu], self.HIDDEN)
        expected = [x * statistics.NormalDist().cdf(x) for x in weight @ mean]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
