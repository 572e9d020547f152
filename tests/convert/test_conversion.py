"""Folders in, model files out: what is taken, renamed, left out and refused."""

import itertools
import json
import os
import re
import tempfile
import unittest
import unittest.mock
from pathlib import Path
from typing import Any

import folders
import numpy as np
from bertha_convert import adapter, families, layout, tokenizer
from bertha_convert.container import read_tensors
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.unpack import read_metadata, reference_state

ODD = (None, True, -1, 0, 1.5, 2**70, "x", "", [], ["x"], [1], {}, {"x": 1}, {"0": {}}, [[]], {"content": 3})


class FolderTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        patched = unittest.mock.patch("os.fsync")  # thousands of small files need not reach the disk
        patched.start()
        self.addCleanup(patched.stop)
        self.folder, self.out = self.root / "model", self.root / "out.safetensors"

    def convert(self, **options: Any) -> folders.Json:
        """Converts the folder without a self-test."""
        return convert(Options(self.folder, self.out, **{"selftest": False, **options}))

    def config(self) -> folders.Json:
        """The written file's config."""
        return read_metadata(self.out)["config"]

    def edit(self, name: str, **values: Any) -> None:
        """Changes keys of one of the folder's JSON files."""
        path = self.folder / name
        folders.write_json(path, {**json.loads(path.read_text()), **values})

    def assert_refused(self, pattern: str, **options: Any) -> None:
        """The conversion fails with a message, and leaves nothing behind."""
        with self.assertRaisesRegex(ConvertError, pattern):
            self.convert(**options)
        self.assertEqual([path.name for path in self.root.iterdir()], ["model"])

    def state(self, family: str = "bert") -> folders.Tensors:
        """The weights that the written file stands for, by the folder's configuration."""
        raw = json.loads((self.folder / "config.json").read_text())
        return reference_state(self.out, families.FAMILIES[family], raw)

    def assert_same_weights(self, expected: folders.Tensors) -> None:
        """The file stands for exactly these weights, but for a pooler that the head doesn't use."""
        found = self.state()
        expected = {name: values for name, values in expected.items() if name in found or "pooler" not in name}
        self.assertEqual(sorted(found), sorted(expected))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


class Weights(FolderTest):
    def test_float32_files_hold_the_checkpoint_exactly(self) -> None:
        for head in folders.ARCHITECTURES:
            with self.subTest(head=head):
                tensors = folders.write_folder(self.folder, head)
                self.convert()
                self.assert_same_weights(tensors)

    def test_int8_files_are_within_half_a_step_of_the_checkpoint(self) -> None:
        tensors = folders.write_folder(self.folder, "sequence-classification")
        self.convert(precision="int8")
        for name, values in self.state().items():
            step = np.abs(tensors[name]).max(axis=-1, keepdims=True) / 127 if tensors[name].ndim == 2 else 0
            self.assertTrue((np.abs(values - tensors[name]) <= step * 0.501).all(), name)
            if name.startswith("classifier") or "pooler" in name or "LayerNorm" in name or name.endswith("bias"):
                np.testing.assert_array_equal(values, tensors[name], err_msg=name)

    def test_half_precision_checkpoints_are_widened(self) -> None:
        tensors = folders.write_folder(self.folder)
        path = self.folder / "model.safetensors"
        folders.write_safetensors(path, tensors, "F16")
        self.convert()
        self.assert_same_weights(
            {name: values.astype(np.float16).astype(np.float32) for name, values in tensors.items()}
        )
        folders.write_safetensors(path, tensors, "BF16")
        self.convert()
        cut = {name: (values.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, values in tensors.items()}
        self.assert_same_weights(cut)

    def test_a_bfloat16_checkpoint_comes_through_bfloat16_unchanged_but_for_its_head(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        folders.write_safetensors(self.folder / "model.safetensors", tensors, "BF16")
        self.convert(precision="bfloat16")
        cut = {name: (values.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, values in tensors.items()}
        self.assert_same_weights(cut)

    def test_linear_weights_and_tables_are_rounded_to_bfloat16_and_the_rest_is_not(self) -> None:
        tensors = folders.write_folder(self.folder, "sequence-classification")
        self.convert(precision="bfloat16")
        kept = ("LayerNorm", "pooler", "classifier", "bias")
        self.assert_same_weights(
            {
                name: values if any(part in name for part in kept) else layout.widened(layout.rounded(name, values))
                for name, values in tensors.items()
            }
        )

    def test_weights_that_bfloat16_has_no_room_for_are_refused_by_name(self) -> None:
        tensors = folders.write_folder(self.folder)
        tensors["encoder.layer.1.output.dense.weight"][3, 4] = -3.4e38
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        self.assert_refused(
            r"weight of 'encoder.layer.1.output': has no bfloat16 number.*3\.39e38.*got -3\.[34].*float32", precision="bfloat16"
        )
        self.convert()

    def test_a_sharded_checkpoint_is_read_whole(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        self.convert()
        whole = self.out.read_bytes()
        (self.folder / "model.safetensors").unlink()
        names = list(tensors)
        for number, part in enumerate((names[:9], names[9:])):
            folders.write_safetensors(self.folder / f"part{number}.safetensors", {name: tensors[name] for name in part})
        index = {name: f"part{int(i >= 9)}.safetensors" for i, name in enumerate(names)}
        folders.write_json(self.folder / "model.safetensors.index.json", {"weight_map": index})
        self.convert()
        self.assert_same_weights(tensors)
        self.assertEqual(
            sorted(read_metadata(self.out)["source"]["sha256"]), ["part0.safetensors", "part1.safetensors"]
        )
        self.assertEqual(len(whole) // 4096, self.out.stat().st_size // 4096)
        (self.folder / "sub").mkdir()
        (self.folder / "part1.safetensors").rename(self.folder / "sub/part1.safetensors")
        in_sub = {name: part.replace("part1", "sub/part1") for name, part in index.items()}
        folders.write_json(self.folder / "model.safetensors.index.json", {"weight_map": in_sub})
        self.convert()  # as transformers, which joins the names with the folder's
        self.assert_same_weights(tensors)
        self.assertIn("sub/part1.safetensors", read_metadata(self.out)["source"]["sha256"])
        folders.write_json(self.folder / "model.safetensors.index.json", {"weight_map": index})
        self.out.unlink()
        self.assert_refused("names files that are not there; got 1 of 2 missing: part1.safetensors")
        folders.write_json(self.folder / "model.safetensors.index.json", {"weight_map": {"x": "../part0.safetensors"}})
        self.assert_refused("outside the folder")

    def test_old_names_and_prefixes_are_understood(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")

        def renamed(rename: Any) -> folders.Json:
            folders.write_safetensors(
                self.folder / "model.safetensors", {rename(name): values for name, values in tensors.items()}
            )
            report = self.convert()
            self.assert_same_weights(tensors)
            warned = [f"{len(tensors)} tensors of the checkpoint have the prefix module. of a parallel training"]
            expected = warned if rename("x") == "module.x" else []
            self.assertEqual([warning.split(":")[0] for warning in report["warnings"]], expected)
            return report["renamed"]

        old = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        )  # noqa: E731
        self.assertEqual(renamed(old)["bert.embeddings.LayerNorm.gamma"], "embeddings.LayerNorm.weight")
        self.assertEqual(renamed(lambda name: "module." + name)["module.classifier.bias"], "classifier.bias")
        self.assertEqual(renamed(lambda name: name.removeprefix("bert.")), {})
        tensors["embeddings.LayerNorm.bias"] = tensors["bert.embeddings.LayerNorm.bias"]
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        self.out.unlink()
        self.assert_refused("two tensors mean the same.*embeddings.LayerNorm.bias")

    def test_what_the_head_does_not_use_is_left_out_and_told(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        extra = {
            "bert.pooler.dense.weight": np.ones((12, 12), np.float32),
            "cls.predictions.bias": np.ones(17, np.float32),
            "bert.embeddings.position_ids": np.ones((1, 40), np.float32),
        }
        folders.write_safetensors(self.folder / "model.safetensors", {**tensors, **extra})
        report = self.convert()
        self.assertEqual(report["left_out"], sorted(extra))
        names = "bert.pooler.dense.weight, cls.predictions.bias"  # transformers says nothing of position_ids
        what = "2 tensors of the checkpoint are not used by the token-classification head"
        self.assertEqual(report["warnings"], [f"{what}: {names}"])
        self.assertEqual(report["missing"], [])
        self.assertIsNone(self.config()["pooler"])

    def test_every_missing_renamed_transposed_or_resized_tensor_is_named(self) -> None:
        tensors = folders.write_folder(self.folder, "sequence-classification")
        path = self.folder / "model.safetensors"
        for name, values in tensors.items():
            rest = {other: kept for other, kept in tensors.items() if other != name}
            reference = name.removeprefix("bert.").replace(".", r"\.")
            with self.subTest(name=name):
                folders.write_safetensors(path, rest)
                self.assert_refused(f"'{reference}' is missing|head was never trained.*lacks '{reference}'")
                folders.write_safetensors(path, {**rest, name + "s": values})
                self.assert_refused(f"'{reference}' is missing|head was never trained.*lacks '{reference}'")
                folders.write_safetensors(path, {**rest, name: values[:-1]})
                self.assert_refused("shape than config.json|number of rows")
                if values.ndim == 2 and len(set(values.shape)) == 2:
                    folders.write_safetensors(path, {**rest, name: np.ascontiguousarray(values.T)})
                    self.assert_refused("shape than config.json|number of rows")

    def test_prefixes_that_training_leaves_are_removed_in_any_order(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        origins = {"module.": "a parallel training", "_orig_mod.": "torch.compile", "model.": "a class around the model"}
        for prefixes in (["model."], ["_orig_mod."], ["module.", "_orig_mod."], ["_orig_mod.", "module.", "model."]):
            with self.subTest(prefixes=prefixes):
                wrapped = {"".join(prefixes) + name: values for name, values in tensors.items()}
                folders.write_safetensors(self.folder / "model.safetensors", wrapped)
                warnings = self.convert()["warnings"]
                self.assert_same_weights(tensors)
                expected = [
                    f"{len(tensors)} tensors of the checkpoint have the prefix {prefix} of {origin}"
                    for prefix, origin in origins.items()
                    if prefix in prefixes
                ]
                self.assertEqual([warning.split(":")[0] for warning in warnings], expected)
        inside = {name.replace("encoder.layer.1.", "module.encoder._orig_mod.layer.1._orig_mod."): v for name, v in tensors.items()}
        inside = {name.replace("classifier", "_fsdp_wrapped_module.classifier"): values for name, values in inside.items()}
        folders.write_safetensors(self.folder / "model.safetensors", inside)
        told = [warning.split(":")[0] for warning in self.convert()["warnings"]]
        self.assert_same_weights(tensors)
        counts = {"module. of a parallel training": 16, "_orig_mod. of torch.compile": 16, "_fsdp_wrapped_module. of a sharded training": 2}
        self.assertEqual(told, [f"{n} tensors of the checkpoint have the prefix {what}" for what, n in counts.items()])
        twice = {"bert.module." + name.removeprefix("bert."): values for name, values in tensors.items()}
        folders.write_safetensors(self.folder / "model.safetensors", tensors | twice)
        self.out.unlink()
        self.assert_refused("two tensors mean the same")
        for prefix in ("other.", "bert.model."):
            wrapped = {prefix + name: values for name, values in tensors.items()}
            folders.write_safetensors(self.folder / "model.safetensors", wrapped)
            self.out.unlink(missing_ok=True)
            self.assert_refused("is missing|never trained")

    def test_names_of_tensorflows_classes_are_understood(self) -> None:
        for family in ("bert", "distilbert", "albert"):
            tensors = folders.write_folder(self.folder, "sequence-classification", 3, family)
            saved = {}
            for name, values in tensors.items():  # as strip_model_name_and_prefix of transformers 4 leaves them
                new = re.sub(r"/(\d+)/", r"_._\1/", name.replace(".", "/")) + ":0"
                norm = "LayerNorm" in name or "layer_norm" in name
                if name.endswith("embeddings.weight") and "word" not in name:
                    new = new.replace("weight:0", "embeddings:0")
                elif norm:
                    new = new.replace("weight:0", "gamma:0").replace("bias:0", "beta:0")
                elif values.ndim == 2 and "embeddings.weight" not in name:
                    new, values = new.replace("weight:0", "kernel:0"), np.ascontiguousarray(values.T)
                saved[new] = values
            self.assertIn({"distilbert": "distilbert/transformer/layer_._0/attention/q_lin/kernel:0"}.get(family, "classifier/bias:0"), saved)
            saved["mlm___cls/predictions/bias:0"] = np.ones(17, np.float32)
            left = {"bert": "mlm___cls.predictions.bias"}
            path = self.folder / "model.safetensors"
            folders.write_safetensors(path, saved if family in left else {k: v for k, v in saved.items() if "mlm" not in k})
            with self.subTest(family=family):
                self.convert(drop=("mlm",) if family in left else ())
                found = self.state(family)
                self.assertEqual(sorted(found), sorted(tensors))
                for name, values in tensors.items():
                    np.testing.assert_array_equal(found[name], values, err_msg=name)
        folders.write_safetensors(path, saved | {"classifier.weight": tensors["classifier.weight"]})
        self.out.unlink()
        self.assert_refused("tensor 'classifier/kernel:0' is there twice|tensor 'classifier.weight' is there twice")

    def test_an_index_may_be_wrong_of_tensors_but_not_of_files(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        (self.folder / "model.safetensors").unlink()
        names = list(tensors)
        parts = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
        index = self.folder / "model.safetensors.index.json"
        for name, part in parts.items():
            folders.write_safetensors(self.folder / name, {each: tensors[each] for each in part})
        folders.write_json(index, {"weight_map": {"nobody's": "b.safetensors", names[0]: "a.safetensors"}})
        self.convert()  # as transformers, which takes whatever is in the files
        self.assert_same_weights(tensors)
        self.out.unlink()
        folders.write_safetensors(self.folder / "b.safetensors", {each: tensors[each] for each in names[8:]})
        self.assert_refused(rf"b.safetensors: tensor '{re.escape(names[8])}' is in two files; got a.safetensors")
        for hostile in ("../a.safetensors", "/etc/passwd", "x/../a.safetensors", "sub/a.safetensors", ".", "..", "", "a\0", "x" * 5000):
            folders.write_json(index, {"weight_map": {names[0]: hostile}})
            self.assert_refused("outside the folder|not there")
        for hostile in ({}, [], None, {"a": 1}, {"a": None}, {"a": ["a.safetensors"]}):
            folders.write_json(index, {"weight_map": hostile})
            self.assert_refused("has no weight_map")
        folders.write_json(index, {"weight_map": {names[0]: "config.json"}})
        self.assert_refused("no file of torch.save")

    def test_weights_of_a_loss_are_left_out_and_told(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        for name in ("loss_fct.weight", "criterion.weight", "module.loss_fct.weight"):
            folders.write_safetensors(self.folder / "model.safetensors", {**tensors, name: np.ones(2, np.float32)})
            report = self.convert()
            self.assertEqual(report["left_out"], [name])
            self.assertIn(f"1 tensor of the checkpoint is not used by the token-classification head: {name}", report["warnings"])

    def test_surplus_tensors_are_dropped_where_that_is_asked_for(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        extra = {name: np.ones(2, np.float32) for name in ("crf.a", "crf.b", "teacher.weight")}
        folders.write_safetensors(self.folder / "model.safetensors", {**tensors, **extra})
        self.assert_refused("'crf.a', 'crf.b', 'teacher.weight'.*--drop PREFIX")
        self.assert_refused("got 'teacher.weight'", drop=("crf.",))
        self.assert_refused("--drop x.: no tensor's name begins so", drop=("crf.", "teacher.", "x."))
        self.assert_refused("is missing", drop=("crf.", "teacher.", "bert.encoder.layer.1."))
        report = self.convert(drop=("crf.", "teacher."))
        self.assertEqual(report["left_out"], sorted(extra))
        self.assertIn("3 tensors of the checkpoint are not used", report["warnings"][0])
        self.assert_same_weights(tensors)

    def test_tensors_that_a_bert_does_not_have_are_refused(self) -> None:
        tensors = folders.write_folder(self.folder)
        folders.write_safetensors(
            self.folder / "model.safetensors", {**tensors, "adapter.weight": np.ones((2, 2), np.float32)}
        )
        self.assert_refused("that Bert doesn't have.*'adapter.weight'.*--keep")
        self.edit("config.json", num_hidden_layers=1)
        self.assert_refused("that Bert doesn't have.*encoder.layer.1")

    def test_nan_and_infinity_are_refused_by_name(self) -> None:
        for value in (np.nan, np.inf, -np.inf):
            tensors = folders.write_folder(self.folder)
            tensors["encoder.layer.1.output.dense.weight"][3, 4] = value
            folders.write_safetensors(self.folder / "model.safetensors", tensors)
            self.assert_refused(r"'encoder.layer.1.output.dense.weight' holds NaN or infinity.*at \[3, 4\]")

    def test_integer_weights_are_refused(self) -> None:
        tensors = folders.write_folder(self.folder)
        folders.write_safetensors(self.folder / "model.safetensors", tensors, "I64")
        self.assert_refused("element type that weights don't have.*I64")


class Heads(FolderTest):
    def test_the_architecture_names_the_head(self) -> None:
        for head in folders.ARCHITECTURES:
            folders.write_folder(self.folder, head)
            self.convert()
            self.assertEqual(self.config()["head"], head)
            self.assertEqual(self.config()["kind"], "encoder" if head == "none" else "model")

    def test_a_head_without_weights_is_refused_and_none_leaves_a_head_out(self) -> None:
        folders.write_folder(self.folder, "token-classification")
        never = "head was never trained, or not saved: the checkpoint lacks"
        self.assert_refused(f"{never} 'qa_outputs.weight', 'qa_outputs.bias'.*random", head="question-answering")
        self.assert_refused(f"{never} 'pooler.dense.weight', 'pooler.dense.bias'", head="sequence-classification")
        report = self.convert(head="none")
        self.assertEqual(report["left_out"], ["classifier.bias", "classifier.weight"])
        self.assertEqual(report["missing"], ["pooler.dense.weight", "pooler.dense.bias"])
        self.assertRegex(report["warnings"][0], "2 tensors of the checkpoint are not used by an encoder alone: classif")
        self.assertRegex(report["warnings"][1], "lacks pooler.dense.weight, pooler.dense.bias: .* the file has none")
        self.assertEqual(self.config()["labels"], [])

    def test_labels_are_in_the_order_of_their_numbers(self) -> None:
        names = {str(index): f"l{index}" for index in reversed(range(12))}
        folders.write_folder(self.folder, "token-classification", 12, id2label=names)
        self.convert()
        self.assertEqual(self.config()["labels"], [f"l{index}" for index in range(12)])

    def test_labels_have_default_names(self) -> None:
        folders.write_folder(self.folder, "token-classification", 3)
        config = {**folders.CONFIG, "architectures": ["BertForTokenClassification"], "num_labels": 3}
        folders.write_json(self.folder / "config.json", config)
        self.convert()
        self.assertEqual(self.config()["labels"], ["LABEL_0", "LABEL_1", "LABEL_2"])
        folders.write_json(self.folder / "config.json", {key: config[key] for key in config if key != "num_labels"})
        self.out.unlink()
        self.assert_refused(r"number of rows than there are labels.*expected 2.*got \[3, 12\]")

    def test_labels_that_do_not_number_the_outputs_are_refused(self) -> None:
        folders.write_folder(self.folder, "token-classification", 2)
        for bad in ({"0": "a", "2": "b"}, {"a": "b"}, {}, {"0": 1, "1": "b"}, ["a", "b"], {"0": "a"}):
            self.edit("config.json", id2label=bad)
            self.assert_refused("id2label|number of rows")

    def test_problem_types_are_checked(self) -> None:
        folders.write_folder(self.folder, "sequence-classification", 1, problem_type="regression")
        self.convert()
        self.assertEqual(self.config()["problem_type"], "regression")
        self.out.unlink()
        for bad in ("single_label_classification", "other", 3):
            self.edit("config.json", problem_type=bad)
            self.assert_refused("problem_type")

    def test_question_answering_has_two_labels_whatever_id2label_says(self) -> None:
        folders.write_folder(self.folder, "question-answering", id2label={"0": "a", "1": "b", "2": "c"})
        self.convert()
        self.assertEqual(self.config()["labels"], ["start", "end"])

    def test_next_sentence_prediction_is_a_classification_of_pairs(self) -> None:
        tensors = folders.write_folder(self.folder, "sequence-classification")
        tensors = {name.replace("classifier", "cls.seq_relationship"): values for name, values in tensors.items()}
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        asked = {"BertForNextSentencePrediction": {}, "BertForPreTraining": {"head": families.NEXT_SENTENCE}}
        for architecture, options in asked.items():
            self.edit("config.json", architectures=[architecture], problem_type="regression")
            self.convert(**options)
            config = self.config()
            self.assertEqual((config["head"], config["problem_type"]), ("sequence-classification", None))
            self.assertEqual(config["labels"], ["IsNext", "NotNext"])
            written = read_tensors(self.out)["head.output.weight"]
            np.testing.assert_array_equal(written[:, : config["hidden_size"]], tensors["cls.seq_relationship.weight"])
        self.convert()
        self.assertEqual(self.config()["head"], "none")
        self.out.unlink()
        self.edit("config.json", model_type="roberta", architectures=["RobertaForMaskedLM"])
        self.assert_refused("roberta has no next-sentence-prediction head", head=families.NEXT_SENTENCE)
        folders.write_folder(self.folder, "sequence-classification")
        self.assert_refused("next-sentence-prediction head was never trained", head=families.NEXT_SENTENCE)

    def test_a_head_that_the_family_does_not_have_is_refused(self) -> None:
        seen = set()
        for family in (*families.FAMILIES.values(), families.NOMIC_BERT_PUBLISHED):
            for head in adapter.ENDINGS.keys() - family.heads.keys():
                folders.write_folder(self.folder, "token-classification")
                published = {"n_embd": 12} if family is families.NOMIC_BERT_PUBLISHED else {"use_bidirectional_attention": True}
                names = {"model_type": family.model_type, "architectures": [family.class_name + adapter.ENDINGS[head]]}
                self.edit("config.json", **names, **published, **family.only)
                self.assert_refused(f"has no {head} head; expected --head .*masked-lm or none")
                seen.add((family.model_type, head))
        self.assertGreaterEqual(len(seen), 8)

    def masked(self, family: str = "bert", **config: object) -> folders.Tensors:
        """A folder of a masked language model, and its weights without prefixes."""
        tensors = folders.write_folder(self.folder, folders.MASKED_LM, family=family, **config)
        return {name.removeprefix(folders.PREFIXES[family]): values for name, values in tensors.items()}

    def test_a_masked_lm_head_is_tied_to_the_word_table(self) -> None:
        for family, (dense, norm, _, bias) in folders.MASKED_NAMES.items():
            tensors = self.masked(family, hidden_act="relu")
            for precision in ("float32", "bfloat16", "int8"):
                self.convert(precision=precision)
                config, written = self.config(), read_tensors(self.out)
                fixed = family == "electra" or folders.MASKED_NAMES[family] == folders.MASKED_NAMES["roberta"]
                expected = {"activation": "gelu" if fixed else "relu", "tied": True}
                self.assertEqual((config["head"], config["labels"], config["masked_lm"]), ("masked-lm", [], expected))
                self.assertEqual(read_metadata(self.out)["tokenizer"]["mask_token_id"], folders.TOKENS.index("[MASK]"))
                self.assertEqual(sum(len(values) == config["vocab_size"] for values in written.values()), 1)
                width, hidden = config["embedding_size"], config["hidden_size"]
                self.assertEqual(written["head.dense.weight"].shape, (1, hidden, 16))
                for name, values in (("dense.bias", tensors[f"{dense}.bias"]), ("bias", tensors[bias])):
                    np.testing.assert_array_equal(written[f"head.{name}"][: len(values)], values)
                for part in ("weight", "bias"):
                    np.testing.assert_array_equal(written[f"head.norm.{part}"][:width], tensors[f"{norm}.{part}"])
                np.testing.assert_array_equal(written["head.dense.weight"][0, :, :width].T, tensors[f"{dense}.weight"])

    def test_a_masked_lm_decoder_of_its_own_is_kept_as_transformers_keeps_it(self) -> None:
        folder, other = self.folder / "model.safetensors", np.float32(0.5)
        names = folders.MASKED_NAMES["bert"]
        weight, bias = f"{names[2]}.weight", f"{names[2]}.bias"
        tensors = folders.write_folder(self.folder, folders.MASKED_LM)
        table = tensors["bert.embeddings.word_embeddings.weight"]

        def convert(change: folders.Tensors, left_out: tuple[str, ...] = (), **config: object) -> folders.Tensors:
            self.edit("config.json", **config)
            kept = {name: values for name, values in (tensors | change).items() if name not in left_out}
            folders.write_safetensors(folder, kept)
            self.convert()
            return read_tensors(self.out)

        same = convert({weight: table, bias: tensors[names[3]]})
        self.assertNotIn("head.output.weight", same)
        swapped = convert({weight: table}, ("bert.embeddings.word_embeddings.weight",))
        np.testing.assert_array_equal(swapped["embeddings.word.weight"], same["embeddings.word.weight"])
        own = convert({weight: table + other, bias: tensors[names[3]] + other})
        np.testing.assert_array_equal(own["head.output.weight"][:, :12], table + other)
        np.testing.assert_array_equal(own["head.bias"][:17], tensors[names[3]] + other)
        self.assertEqual(self.config()["masked_lm"]["tied"], False)
        untied = convert({weight: table, bias: tensors[names[3]] + other}, tie_word_embeddings=False)
        np.testing.assert_array_equal(untied["head.output.weight"][:, :12], table)
        np.testing.assert_array_equal(untied["head.bias"][:17], tensors[names[3]] + other)
        self.out.unlink()
        folders.write_safetensors(folder, tensors)
        self.assert_refused("masked-lm head was never trained")

    def test_a_masked_lm_head_needs_its_weights_and_a_mask(self) -> None:
        folders.write_folder(self.folder, "sequence-classification")
        self.assert_refused("masked-lm head was never trained", head=families.MASKED)
        self.masked()
        self.edit("tokenizer_config.json", mask_token=None)
        self.assert_refused("no mask token")
        self.edit("tokenizer_config.json", mask_token="[MASK]", clean_up_tokenization_spaces=True)
        self.edit("config.json", architectures=["BertForPreTraining"])
        self.convert(head=families.MASKED)
        self.assertIs(read_metadata(self.out)["tokenizer"]["clean_up_tokenization_spaces"], True)
        self.convert()
        self.assertEqual((self.config()["head"], "masked_lm" in self.config()), ("none", False))
        self.assertNotIn("clean_up_tokenization_spaces", read_metadata(self.out)["tokenizer"])

    def test_a_custom_head_is_carried_as_float32_rows(self) -> None:
        tensors = folders.write_folder(self.folder)
        own = {"scorer.weight": np.arange(36, dtype=np.float32).reshape(3, 12), "scorer.bias": np.ones(3, np.float32)}
        folders.write_safetensors(self.folder / "model.safetensors", {**tensors, **own})
        self.convert(keep=("scorer.",), precision="int8")
        self.assertEqual(
            (self.config()["head"], self.config()["kind"], self.config()["labels"]), ("custom", "model", [])
        )
        self.assertEqual(self.config()["pooler"], "tanh")
        found = read_tensors(self.out)
        np.testing.assert_array_equal(found["scorer.weight"][:, :12], own["scorer.weight"])
        self.assertEqual((found["scorer.weight"].shape, found["scorer.bias"].shape), ((3, 16), (16,)))
        self.out.unlink()
        self.assert_refused("no tensor's name begins so", keep=("other.",))
        self.assert_refused("is part of the encoder", keep=("scorer.", "encoder."))
        self.assert_refused("--keep makes a custom head", keep=("scorer.",), head="token-classification")


class Configuration(FolderTest):
    def test_activations_get_their_canonical_names(self) -> None:
        folders.write_folder(self.folder)
        names = {"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu"}
        names |= dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_tanh")
        names |= {"gelu_python": "gelu", "gelu_accurate": "gelu_tanh"}
        for given, canonical in names.items():
            self.edit("config.json", hidden_act=given)
            self.convert()
            self.assertEqual(self.config()["hidden_act"], canonical)

    def test_what_is_not_understood_is_refused(self) -> None:
        folders.write_folder(self.folder)
        text = (self.folder / "config.json").read_text()
        other_shape = "has another shape than config.json asks for"
        bad_size = "is no valid size; expected 1 to 16777216"
        says = {  # by key, and where values of one key are refused for several reasons, by value
            "hidden_act": "hidden_act is not supported; expected gelu or .*; got",
            "position_embedding_type": "position_embedding_type is not supported; expected absolute; got relative_key",
            "is_decoder": "is_decoder is not supported; expected False; got True",
            "add_cross_attention": "add_cross_attention is not supported; expected False; got True",
            "quantization_config": "quantised checkpoints are not supported. Take",
            "pruned_heads": "pruned attention heads are not supported; got {'0': .1.}",
            "architectures": "architectures is no list; expected a list of class names; got",
            "hidden_size": {13: "no multiple of num_attention_heads; got 13 / 3", 24: other_shape},
            "num_attention_heads": {5: "no multiple of num_attention_heads; got 12 / 5"},
            "num_hidden_layers": {3: "'encoder.layer.2.*is missing", 1: "that Bert doesn't have; got 'encoder.layer.1"},
            "vocab_size": {16: other_shape, 18: other_shape, 12: "token 'e' has no row|" + other_shape},
            "type_vocab_size": {1: other_shape, 3: other_shape},
            "layer_norm_eps": "layer_norm_eps is no valid number; expected above 0, below 1; got",
            "model_type": {"distilbert": "is missing", "bart": "'bart' is not converted: it has a decoder", 3: "'3' is not conv"},
        }
        bad = {
            "hidden_act": ["gelu_10", "quick_gelu", None, 3, ["gelu"]],
            "position_embedding_type": ["relative_key", "relative_key_query"],
            "is_decoder": [True],
            "add_cross_attention": [True],
            "quantization_config": [{"load_in_8bit": True}],
            "pruned_heads": [{"0": [1]}],
            "model_type": ["distilbert", "bart", 3],
            "architectures": ["BertModel", {"a": 1}],
            "hidden_size": [0, -12, 12.0, "12", None, True, 2**25, 13, 24],
            "num_attention_heads": [0, 5, "3"],
            "num_hidden_layers": [0, 3, 1],
            "vocab_size": [16, 18, 12],
            "type_vocab_size": [0, 1, 3],
            "layer_norm_eps": [0, -1, 1, "x", None, True],
        }
        for key, values in bad.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    self.edit("config.json", **{key: value})
                    pattern = says[key] if isinstance(says[key], str) else says[key].get(value, f"{key} {bad_size}")
                    self.assert_refused(pattern)
                (self.folder / "config.json").write_text(text)

    def test_other_families_are_refused_by_name(self) -> None:
        folders.write_folder(self.folder, model_type="xlnet")
        known = "bert, roberta, xlm-roberta, camembert, distilbert, electra"
        self.assert_refused(f"'xlnet' is not converted yet; expected {known}, .* Other families are planned")
        for name, why in families.NOT_RUN.items():
            self.assertNotIn(name, families.FAMILIES)
            self.edit("config.json", model_type=name)
            self.assert_refused(f"model_type '{name}' is not converted: it has {re.escape(why)}$")
        self.edit("config.json", model_type=None, architectures=None, base_model="microsoft/deberta-v3-base")
        self.assert_refused("names no family.* Its encoder is that of another folder, microsoft/deberta-v3-base")

    def test_max_length_is_the_smaller_of_positions_and_the_tokenizers_limit(self) -> None:
        folders.write_folder(self.folder)
        for given, expected, raw in ((32, 32, 32), (512, 40, 512), (10**30, 40, 1e30), (None, 40, 1e30)):
            self.edit("tokenizer_config.json", model_max_length=given)
            self.convert()
            self.assertEqual((self.config()["max_length"], self.config()["model_max_length"]), (expected, raw))
        self.out.unlink()
        for bad in (0, -1, "512", True):
            self.edit("tokenizer_config.json", model_max_length=bad)
            self.assert_refused("model_max_length")

    def test_a_vocabulary_larger_than_the_table_is_told_and_refused_where_every_text_would_be(self) -> None:
        folders.write_folder(self.folder)
        self.convert()
        vocabulary = (self.folder / "vocab.txt").read_text(encoding="utf-8")
        (self.folder / "vocab.txt").write_text(vocabulary + "q\nr\ns\nt\nu\n", encoding="utf-8")
        self.out.unlink()
        [warning] = self.convert()["warnings"]
        self.assertRegex(warning, r"^1 tokens have no row in the embedding of vocab_size 17: 'u' \(17\): a text that holds")
        (self.folder / "vocab.txt").write_text(vocabulary.replace("[MASK]\n", "") + "q\nr\ns\nt\nu\n", encoding="utf-8")
        self.edit("tokenizer_config.json", bos_token="[BOS]")
        [warning] = self.convert(selftest=None)["warnings"]
        self.assertIn(r"2 tokens have no row in the embedding of vocab_size 17: '[BOS]' (17), '[MASK]' (18)", warning)
        self.out.unlink()
        (self.folder / "vocab.txt").write_text(vocabulary.replace("[SEP]\n", "") + "q\nr\ns\nt\nu\n", encoding="utf-8")
        self.assert_refused(r"token '\[SEP\]' has no row in the embedding.*below vocab_size 17.*id 18")

    def test_a_folder_without_weights_gives_a_tokenizer_only_file(self) -> None:
        folders.write_folder(self.folder)
        (self.folder / "model.safetensors").unlink()
        for asked in ({"head": "none"}, {"tokenizer": True}):
            self.convert(**asked)
            self.assertEqual(self.config(), {"kind": "tokenizer", "max_length": 32, "model_max_length": 32})
        (self.folder / "config.json").unlink()
        (self.folder / "tokenizer_config.json").unlink()
        self.convert(tokenizer=True)
        self.assertEqual(self.config(), {"kind": "tokenizer", "max_length": 2**24, "model_max_length": 1e30})
        self.out.unlink()
        for head in ("auto", "token-classification"):
            self.assert_refused("there are no weights; expected model.safetensors or .* give --tokenizer", head=head)
        self.assert_refused("there are no weights", keep=("x",), head="none")
        (self.folder / "vocab.txt").unlink()
        self.assert_refused("there is no vocabulary", tokenizer=True)

    def test_a_tokenizer_is_taken_alone_where_that_is_asked_for(self) -> None:
        folders.write_folder(self.folder, "token-classification")
        report = self.convert(tokenizer=True)
        self.assertEqual((self.config()["kind"], report["source_files_not_read"]), ("tokenizer", ["model.safetensors"]))
        self.out.unlink()
        for more in ({"head": "token-classification"}, {"keep": ("x",)}, {"drop": ("x",)}):
            self.assert_refused("--tokenizer makes a file without weights", tokenizer=True, **more)

    def test_weights_that_are_not_read_are_named_with_what_to_do(self) -> None:
        folders.write_folder(self.folder)
        (self.folder / "model.safetensors").unlink()
        merge, again, origin = "base model, and this one by --adapter", r"from_\w+=True\)\.save_pretrained", "checkpoint that it was made from"
        seen = {
            "tf_model.h5": again,
            "bert_model.ckpt.index": again,
            "model.ckpt-1000.data-00000-of-00001": again,
            "flax_model.msgpack": again,
            "adapter_model.safetensors": merge,
            "adapter_config.json": merge,
            "decoder_model.onnx": f"{origin}.*read where its name is model.onnx",
            "openvino_model.xml": origin,
            "model-Q4_0.gguf": origin,
            "rust_model.ot": origin,
            "model-00001-of-00002.safetensors": "Download the index",
            "pytorch_model-00002-of-00002.bin": "Download the index",
            "weights.pt": "call it model.safetensors",
            "model.fp16.safetensors": "call it model.safetensors",
        }
        for name, do in seen.items():
            (self.folder / name).write_bytes(b"x")
            for options in ({}, {"head": "none"}, {"head": "token-classification"}):
                with self.subTest(name=name, options=options):
                    self.assert_refused(f"no weights that can be read.*got {re.escape(name)} \\(.*{do}", **options)
            self.convert(tokenizer=True)
            (self.folder / name).unlink()
            self.out.unlink()
        for name in ("training_args.bin", "optimizer.pt"):
            (self.folder / name).write_bytes(b"x")
        self.convert(head="none")
        self.out.unlink()
        (self.folder / "onnx").mkdir()
        self.assert_refused("no weights that can be read.*got onnx")

    def test_a_link_that_leads_nowhere_is_named(self) -> None:
        folders.write_folder(self.folder)
        (self.folder / "model.safetensors").rename(self.root / "model/blob")
        (self.folder / "model.safetensors").symlink_to("../../blobs/1234")
        for head in ("auto", "none"):
            self.assert_refused("model.safetensors .a link to ../../blobs/1234, which is not there.*Download it again", head=head)
        (self.folder / "model.safetensors").unlink()
        (self.folder / "model.safetensors").symlink_to("blob")
        self.convert()

    def test_what_sentence_transformers_does_after_an_encoder_alone_is_told(self) -> None:
        folders.write_folder(self.folder)
        self.assertEqual(self.convert(head="none")["warnings"], [])
        kinds = {"": "base.modules.transformer.Transformer", "1_Pooling": "models.Pooling", "2_Normalize": "models.Normalize"}
        modules = [{"path": path, "type": f"sentence_transformers.{kind}"} for path, kind in kinds.items()]
        folders.write_json(self.folder / "modules.json", modules)
        limit = {"max_seq_length": 16, "do_lower_case": True}
        folders.write_json(self.folder / "sentence_bert_config.json", limit)
        folders.write_json(self.folder / "config_sentence_transformers.json", {"default_prompt_name": "query"})
        (self.folder / "1_Pooling").mkdir()
        for options in ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, {"pooling_mode": "mean_tokens"}):
            folders.write_json(self.folder / "1_Pooling" / "config.json", options)
            told = "\n".join(self.convert(head="none")["warnings"])
            for part in (
                r"Pooling \(mean_tokens\), Normalize of modules.json are not in the file",
                "max_seq_length 16 of sentence_bert_config.json is not in the file: the file's max_length is 32",
                "do_lower_case of sentence_bert_config.json",
                "default_prompt_name 'query'",
            ):
                self.assertRegex(told, part)
        folders.write_json(self.folder / "sentence_bert_config.json", {"max_seq_length": 32})
        self.assertNotIn("max_seq_length", "\n".join(self.convert(head="none")["warnings"]))
        for bad in (b"", b"{", b"\xff", b"12", b"[3]", b"[null]"):
            for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
                (self.folder / name).write_bytes(bad)
            self.convert(head="none")

    def test_an_adapter_beside_the_weights_is_told(self) -> None:
        folders.write_folder(self.folder)
        folders.write_json(self.folder / "adapter_config.json", {"peft_type": "LORA"})
        self.assertIn("the adapter of adapter_config.json is not applied", self.convert()["warnings"][0])

    def test_no_output_becomes_a_part_of_the_folder(self) -> None:
        folders.write_folder(self.folder)
        out = self.out
        (self.folder / "pytorch_model.bin").symlink_to(self.folder / "model.safetensors")
        (self.root / "model" / "other").write_text("x")
        files = {path: path.read_bytes() for path in self.folder.iterdir()}
        for path in files:
            self.out = path
            self.assert_refused("is a file of the folder that is converted")
        self.out = self.folder / "link.safetensors"
        self.out.symlink_to("config.json")
        self.assert_refused("is a file of the folder that is converted")
        self.out.unlink()
        (self.folder / "model.safetensors").rename(self.root / "model" / "pytorch_model.bin")
        for name in ("model.safetensors", "model-00001-of-00001.safetensors", "adapter_model.safetensors", "vocab.json", "out"):
            self.out = self.folder / name
            self.assert_refused("would become a part of the folder")
        os.replace(self.folder / "pytorch_model.bin", self.folder / "model.safetensors")
        self.out = self.folder / "bertha.safetensors"
        for _ in range(2):  # its own files it replaces
            self.convert()
        self.assertTrue(self.out.is_file())
        self.out.unlink()
        self.assertEqual({p.name for p in self.folder.iterdir()}, {p.name for p in files} - {"pytorch_model.bin"})
        self.out = out

    def test_a_model_file_is_no_checkpoint(self) -> None:
        folders.write_folder(self.folder)
        self.convert()
        self.out.replace(self.folder / "model.safetensors")
        self.assert_refused("is a bertha model file already")

    def test_a_folder_without_a_configuration_is_refused(self) -> None:
        folders.write_folder(self.folder)
        (self.folder / "config.json").unlink()
        self.assert_refused("there is no config.json")

    def test_odd_values_in_config_json_give_a_message(self) -> None:
        folders.write_folder(self.folder, "sequence-classification")
        text = (self.folder / "config.json").read_text()
        taken: dict[str, tuple[Any, ...]] = {key: () for key in folders.CONFIG}
        taken |= dict.fromkeys(("model_type", "id2label", "problem_type"), (None,))
        taken |= dict.fromkeys(("num_labels", "tokenizer_class"), ODD)  # id2label and tokenizer_config.json decide
        taken["architectures"] = (None, 0, "", [], ["x"], [1], {}, [[]])
        for key, value in itertools.product(taken, ODD):
            (self.folder / "config.json").write_text(text)
            self.edit("config.json", **{key: value})
            with self.subTest(key=key, value=value):
                if repr(value) in map(repr, taken[key]):
                    self.convert(head="sequence-classification")
                    self.out.unlink()
                else:
                    self.assert_refused(f"config.json: .*{key}")

    def test_odd_values_in_the_tokenizers_files_give_a_message(self) -> None:
        keys = {
            "tokenizer_config.json": [
                "do_lower_case",
                "strip_accents",
                "tokenize_chinese_chars",
                "model_max_length",
                "max_len",
            ]
            + ["unk_token", "mask_token", "additional_special_tokens", "extra_special_tokens", "added_tokens_decoder"]
            + ["tokenizer_class", "truncation_side", "padding_side", "auto_map", "split_special_tokens"],
            "special_tokens_map.json": ["unk_token", "cls_token", "additional_special_tokens", "foo_token"],
            "added_tokens.json": ["x", "[CLS]"],
            "tokenizer.json": [
                "added_tokens",
                "normalizer",
                "model",
                "post_processor",
                "truncation",
                "padding",
                "decoder",
            ],
        }
        taken = {  # how many of the odd values mean something: by key, and where the versions differ as (v5, v4)
            **dict.fromkeys(("[CLS]", "x", "auto_map", "split_special_tokens", "tokenizer_class"), 5),
            **dict.fromkeys(("added_tokens_decoder", "do_lower_case", "tokenize_chinese_chars"), 1),
            **{"strip_accents": 2, "max_len": 3, "model_max_length": 3, "mask_token": 12},
            **{"additional_special_tokens": (15, 16), "extra_special_tokens": 15},
            **{"cls_token": (1, 0), "foo_token": (12, 16), "padding_side": (16, 0)},
        }
        self.folder.mkdir()
        (self.folder / "vocab.txt").write_text("\n".join(folders.TOKENS), encoding="utf-8")
        for name, names in keys.items():
            for key, answering in itertools.product(names, (False, True)):
                count = 0
                for value in ODD:
                    folders.write_json(self.folder / name, {key: value})
                    with self.subTest(name=name, key=key, value=value, answering=answering):
                        try:
                            tokenizer.resolve(self.folder, {}, answering)
                            count += 1
                        except ConvertError as error:
                            places = f"{name}|tokenizer_config.json|{re.escape(key)}|tokenizer class|unknown token"
                            self.assertRegex(str(error), f"{places}|{self.folder}: the tokenizer files can't be understood")
                expected = taken.get(key, 0)
                expected = expected[answering] if isinstance(expected, tuple) else expected
                with self.subTest(name=name, key=key, answering=answering):
                    self.assertEqual(count, expected)
            (self.folder / name).unlink()


if __name__ == "__main__":
    unittest.main()
