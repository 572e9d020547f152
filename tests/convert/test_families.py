"""Each family by its tables: configuration, tensors, heads and token types, against the names of transformers."""

import contextlib
import io
import itertools
import json
import unittest

import folders
import numpy as np
from bertha_convert import cli, families, layout
from bertha_convert.config import ACTIVATIONS
from bertha_convert.container import read_tensors
from bertha_convert.load_report import QUIET
from bertha_convert.selftest import TEXTS
from bertha_convert.unpack import read_metadata
from test_conversion import FolderTest

try:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
except ImportError:
    transformers = None

HEADS = tuple(folders.ARCHITECTURES)
FAMILIES = {name: families.FAMILIES[name] for name in folders.FAMILIES}  # BERT's kind; test_modern.py has others
POOLERS = {  # of a classifier, and of the encoder alone
    "bert": ("tanh", "tanh"),
    "roberta": ("tanh", "tanh"),
    "xlm-roberta": ("tanh", "tanh"),
    "camembert": ("tanh", "tanh"),
    "distilbert": ("relu", None),
    "electra": ("gelu", None),
    "albert": ("tanh", "tanh"),
    "mpnet": ("tanh", "tanh"),
    "deberta-v2": ("gelu", None),
    "deberta": ("gelu", None),
    "roberta-prelayernorm": ("tanh", "tanh"),
    "megatron-bert": ("tanh", "tanh"),
    "ernie": ("tanh", "tanh"),
}
# Of these a file has what layers make of them: it stands for no weights of theirs.
COMPUTED = ("rel_embeddings.", "pos_key_proj.", "pos_query_proj.", "pos_proj.", "pos_q_proj.", "encoder.LayerNorm.")


class Weights(FolderTest):
    def assert_same_state(self, family: str, expected: folders.Tensors) -> None:
        """The file stands for exactly these weights."""
        found = self.state(family)
        expected = {name: values for name, values in expected.items() if not any(part in name for part in COMPUTED)}
        self.assertEqual(sorted(found), sorted(expected))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)

    def test_every_family_and_head_is_taken_whole(self) -> None:
        for family, head in itertools.product(FAMILIES, HEADS):
            with self.subTest(family=family, head=head):
                tensors = folders.write_folder(self.folder, head, 3, family)
                report = self.convert()
                self.assert_same_state(family, tensors)
                self.assertEqual(self.config()["head"], head)
                self.assertEqual((report["left_out"], report["missing"], report["warnings"]), ([], [], []))
                expected = {"sequence-classification": POOLERS[family][0], "none": POOLERS[family][1]}.get(head)
                self.assertEqual(self.config()["pooler"], expected)
                stored = sorted(self.state(family))
                self.convert(precision="int8")
                self.assertEqual(sorted(self.state(family)), stored)

    def test_tensors_of_other_heads_are_left_out(self) -> None:
        others = {
            "bert": ("cls.predictions.bias", "cls.seq_relationship.weight"),
            "roberta": ("lm_head.dense.weight", "lm_head.decoder.bias", "roberta.pooler.dense.weight"),
            "xlm-roberta": ("lm_head.layer_norm.weight", "roberta.pooler.dense.bias"),
            "camembert": ("lm_head.bias", "roberta.pooler.dense.bias"),
            "distilbert": ("vocab_transform.weight", "vocab_layer_norm.bias", "vocab_projector.weight"),
            "electra": (
                "discriminator_predictions.dense.weight",
                "generator_predictions.LayerNorm.weight",
                "generator_lm_head.weight",
            ),
            "mpnet": ("lm_head.layer_norm.weight", "lm_head.decoder.bias", "mpnet.pooler.dense.bias"),
            "deberta-v2": ("lm_predictions.lm_head.bias", "mask_predictions.dense.weight", "cls.predictions.bias"),
            "albert": ("predictions.decoder.weight", "predictions.bias", "sop_classifier.classifier.weight"),
            "deberta": ("lm_predictions.lm_head.bias", "cls.predictions.bias"),
            "roberta-prelayernorm": ("lm_head.dense.weight", "roberta_prelayernorm.pooler.dense.weight"),
            "megatron-bert": ("cls.predictions.bias", "cls.seq_relationship.weight", "bert.pooler.dense.bias"),
            "ernie": ("cls.predictions.bias", "cls.seq_relationship.weight"),
        }
        for family, names in others.items():
            with self.subTest(family=family):
                extra = (*names, f"{folders.PREFIXES[family]}embeddings.position_ids")
                tensors = folders.write_folder(self.folder, "token-classification", 3, family)
                added = {name: np.ones(3, np.float32) for name in extra}
                folders.write_safetensors(self.folder / "model.safetensors", tensors | added)
                self.assertEqual(self.convert()["left_out"], sorted(extra))
                self.assert_same_state(family, tensors)

    def test_each_missing_tensor_is_named_and_no_family_takes_anothers(self) -> None:
        for family in FAMILIES:
            prefix = folders.PREFIXES[family]
            tensors = folders.write_folder(self.folder, "sequence-classification", 3, family)
            for name in tensors:
                rest = {other: values for other, values in tensors.items() if other != name}
                folders.write_safetensors(self.folder / "model.safetensors", rest)
                with self.subTest(family=family, name=name):
                    reference = name.removeprefix(prefix).replace(".", r"\.")
                    self.assert_refused(f"'{reference}' is missing|head was never trained.*lacks '{reference}'")
        for family, other in itertools.permutations(("bert", "roberta", "distilbert", "electra", "albert", "mpnet"), 2):
            with self.subTest(family=family, other=other):
                folders.write_folder(self.folder, "sequence-classification", 3, family)
                tensors = folders.weights(folders.FAMILIES[other], "sequence-classification", 3)
                folders.write_safetensors(self.folder / "model.safetensors", tensors)
                self.assert_refused("is missing|another shape|never trained")

    def test_the_report_names_the_prefix(self) -> None:
        for family in FAMILIES:
            folders.write_folder(self.folder, "token-classification", 3, family)
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                self.assertEqual(cli.main([str(self.folder), str(self.out), "--no-selftest"]), 0)
            expected = rf"renamed: (\d+) tensors: prefix {folders.PREFIXES[family]} removed \(\1\)"
            self.assertRegex(told.getvalue(), expected)

    def test_a_custom_head_goes_with_every_family(self) -> None:
        for family in FAMILIES:
            with self.subTest(family=family):
                tensors = folders.write_folder(self.folder, family=family)
                own = {"scorer.weight": np.ones((3, 12), np.float32)}
                folders.write_safetensors(self.folder / "model.safetensors", tensors | own)
                self.convert(keep=("scorer.",))
                self.assertEqual((self.config()["head"], self.config()["pooler"]), ("custom", POOLERS[family][1]))
                self.assert_same_state(family, tensors)


class Configuration(FolderTest):
    def test_sizes_are_read_under_the_familys_own_keys(self) -> None:
        fields = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        fields += ("max_position_embeddings", "type_vocab_size")
        for family, config in folders.FAMILIES.items():
            with self.subTest(family=family):
                folders.write_folder(self.folder, family=family)
                self.convert()
                expected = {field: config[field] for field in fields} | {
                    "embedding_size": config.get("embedding_size", config["hidden_size"]),
                    "num_hidden_layers": config["num_hidden_layers"] * config.get("inner_group_num", 1),
                }
                self.assertEqual({field: self.config()[field] for field in expected}, expected)

    def test_distilberts_keys_have_second_names_that_win(self) -> None:
        folders.write_folder(self.folder, family="distilbert")
        self.edit("config.json", n_heads=4, num_attention_heads=3, dim=13, hidden_size=12)
        self.convert()
        self.assertEqual((self.config()["num_attention_heads"], self.config()["hidden_size"]), (3, 12))
        self.out.unlink()
        for key in ("hidden_size", "n_heads", "num_attention_heads", "n_layers", "hidden_dim"):
            folders.write_folder(self.folder, family="distilbert")
            self.edit("config.json", **{key: 0})
            self.assert_refused(f"{key} is no valid size")

    def test_distilbert_has_its_own_activation_and_one_epsilon(self) -> None:
        folders.write_folder(self.folder, family="distilbert")
        self.edit("config.json", activation="relu", hidden_act="quick_gelu", layer_norm_eps=1e-5)
        self.convert()
        self.assertEqual((self.config()["hidden_act"], self.config()["layer_norm_eps"]), ("relu", 1e-12))
        self.out.unlink()
        self.edit("config.json", activation="quick_gelu")
        self.assert_refused("activation is not supported; expected gelu or .*; got quick_gelu")

    def test_sinusoidal_positions_of_distilbert_are_taken_from_the_checkpoint(self) -> None:
        tensors = folders.write_folder(self.folder, family="distilbert", sinusoidal_pos_embds=True)
        self.convert()
        found = self.state("distilbert")["embeddings.position_embeddings.weight"]
        np.testing.assert_array_equal(found, tensors.pop("embeddings.position_embeddings.weight"))
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        self.out.unlink()
        self.assert_refused("'embeddings.position_embeddings.weight' is missing")

    def test_positions_of_roberta_begin_after_the_padding_token(self) -> None:
        for family in ("roberta", "xlm-roberta", "camembert"):
            for given, padding in (({}, 1), ({"pad_token_id": 0}, 0), ({"pad_token_id": 9}, 9)):
                with self.subTest(family=family, given=given):
                    folders.write_folder(self.folder, family=family, **given)
                    self.edit("tokenizer_config.json", model_max_length=512)
                    self.convert()
                    config = self.config()
                    self.assertEqual((config["position_offset"], config["position_padding_id"]), (padding + 1, padding))
                    self.assertEqual(config["max_length"], 42 - padding - 1)
        self.out.unlink()
        for bad in (None, -1, 17, 41, "1", True, 1.0):
            folders.write_folder(self.folder, family="roberta", pad_token_id=bad)
            self.assert_refused("pad_token_id is no valid token id.*expected 0 to 16")
        folders.write_folder(self.folder, family="roberta", pad_token_id=3, max_position_embeddings=4)
        self.assert_refused("pad_token_id is no valid token id.*expected 0 to 2")

    def test_distances_become_biases_as_transformers_has_them(self) -> None:
        name = "encoder.relative_attention_bias.weight"
        table = folders.write_folder(self.folder, family="mpnet", max_position_embeddings=1500)[name]
        self.convert()
        self.assertEqual((self.config()["position_scheme"], self.config()["position_offset"]), ("distance_bias", 2))
        self.assertEqual(read_metadata(self.out)["format"], 2)
        found = read_tensors(self.out)["encoder.distance_bias"]
        self.assertEqual(found.shape, (3, layout.round_up(2 * 1498 - 1, 16)))
        known = {-1: 1, 0: 0, 1: 17, 7: 23, 8: 24, 11: 24, 12: 25, 15: 25, 16: 26, 22: 26, 23: 27, 31: 27, 32: 28, 45: 28, 46: 29}
        known |= {-64: 14, 63: 29, 64: 30, -90: 14, -91: 15, 1497: 31, -1497: 15}
        for distance, bucket in known.items():
            np.testing.assert_array_equal(found[:, 1497 + distance], table[bucket], err_msg=str(distance))
        if transformers is not None:
            distances = torch.arange(-1497, 1498)[None]
            buckets = transformers.models.mpnet.modeling_mpnet.MPNetEncoder.relative_position_bucket(distances)[0]
            np.testing.assert_array_equal(found[:, : 2 * 1498 - 1], table[buckets.numpy()].T)

    def test_too_few_buckets_are_refused(self) -> None:
        folders.write_folder(self.folder, family="mpnet")
        self.edit("config.json", relative_attention_num_buckets=31)
        self.assert_refused("relative_attention_num_buckets is too small: transformers asks for 32.*got 31")
        self.edit("config.json", relative_attention_num_buckets=34)
        self.assert_refused("another shape than config.json")

    def test_mpnets_positions_begin_after_token_1_whatever_the_padding_token_is(self) -> None:
        for given in ({}, {"pad_token_id": 0}, {"pad_token_id": None}):
            folders.write_folder(self.folder, family="mpnet", **given)
            self.convert()
            self.assertEqual((self.config()["position_offset"], self.config()["position_padding_id"]), (2, 1))

    def test_positions_of_the_others_begin_at_the_first_row(self) -> None:
        for family in ("bert", "distilbert", "electra"):
            folders.write_folder(self.folder, family=family, pad_token_id=3)
            self.convert()
            self.assertEqual((self.config()["position_offset"], self.config()["position_padding_id"]), (0, None))

    def test_a_tokenizer_alone_has_the_familys_limit(self) -> None:
        for family, limit in (("bert", 40), ("roberta", 40), ("distilbert", 40)):
            folders.write_folder(self.folder, family=family)
            self.edit("tokenizer_config.json", model_max_length=512)
            self.convert(tokenizer=True)
            self.assertEqual(self.config()["max_length"], limit)

    def test_the_embedding_size_is_electras_alone(self) -> None:
        folders.write_folder(self.folder, family="electra", embedding_size=12)
        self.convert()
        self.assertNotIn("embeddings_project.weight", self.state("electra"))
        folders.write_folder(self.folder)
        self.edit("config.json", embedding_size=8)
        self.convert()
        self.assertEqual(self.config()["embedding_size"], 12)

    def test_layers_share_weights_as_their_groups_say(self) -> None:
        for (count, groups, inner), expected in {
            (12, 1, 1): [0] * 12,
            (3, 2, 1): [0, 0, 1],
            (5, 3, 1): [0, 0, 1, 1, 2],
            (3, 2, 2): [0, 1, 0, 1, 2, 3],
            (2, 1, 3): [0, 1, 2, 0, 1, 2],
            (2, 2, 1): None,
            (1, 1, 2): None,
        }.items():
            with self.subTest(layers=count, groups=groups, inner=inner):
                sizes = {"num_hidden_layers": count, "num_hidden_groups": groups, "inner_group_num": inner}
                tensors = folders.write_folder(self.folder, family="albert", **sizes)
                self.convert()
                config = self.config()
                self.assertEqual((config["num_hidden_layers"], config.get("layer_weights")), (count * inner, expected))
                self.assertEqual(sorted(self.state("albert")), sorted(tensors))
                self.assertEqual(read_metadata(self.out)["format"], 1 if expected is None else 2)

    def test_the_first_task_is_added_to_token_types(self) -> None:
        tensors = folders.write_folder(self.folder, family="ernie", use_task_id=True, task_type_vocab_size=4)
        self.convert()
        task, types = (tensors[f"embeddings.{name}_embeddings.weight"] for name in ("task_type", "token_type"))
        found = self.state("ernie")
        np.testing.assert_array_equal(found["embeddings.token_type_embeddings.weight"], types + task[0])
        self.assertFalse(found["embeddings.task_type_embeddings.weight"].any())
        self.out.unlink()
        self.edit("config.json", task_type_vocab_size=3)
        self.assert_refused("another shape than config.json")
        self.edit("config.json", use_task_id=1)
        self.assert_refused("use_task_id is no choice; expected true or false; got 1")
        self.edit("config.json", use_task_id=False)
        self.assert_refused("that Ernie doesn't have; got 'embeddings.task_type_embeddings.weight'")

    def test_groups_that_make_no_layers_are_refused(self) -> None:
        folders.write_folder(self.folder, family="albert")
        good = json.loads((self.folder / "config.json").read_text())
        for changes, pattern in (
            ({"num_hidden_groups": 4}, "some groups of layers would never run; expected 3 groups at most; got 4"),
            ({"num_hidden_groups": 0}, "num_hidden_groups is no valid size"),
            ({"num_hidden_groups": 1.5}, "num_hidden_groups is no valid size"),
            ({"inner_group_num": "2"}, "inner_group_num is no valid size"),
            ({"inner_group_num": 2**23}, "too many layers.*got 3 times 8388608"),
            ({"num_hidden_groups": 3}, "'encoder.albert_layer_groups.2.albert_layers.0.*is missing"),
            ({"num_hidden_groups": 1}, "that Albert doesn't have; got 'encoder.albert_layer_groups.1"),
            ({"inner_group_num": 1}, "that Albert doesn't have; got 'encoder.albert_layer_groups.0.albert_layers.1"),
        ):
            folders.write_json(self.folder / "config.json", good | changes)
            with self.subTest(changes=changes):
                self.assert_refused(pattern)

    def test_albert_projects_its_embeddings_always(self) -> None:
        folders.write_folder(self.folder, family="albert", embedding_size=12)
        self.convert()
        self.assertTrue(self.config()["embedding_projection"])
        folders.write_folder(self.folder, family="albert")
        self.convert()
        self.assertNotIn("embedding_projection", self.config())

    def test_deberta_refuses_its_convolution_and_its_projection_by_name(self) -> None:
        for changes, pattern in (
            ({"conv_kernel_size": 3, "conv_act": "gelu"}, "conv_kernel_size: a convolution beside the first layer.*expected 0; got 3"),
            ({"embedding_size": 8}, "embedding_size is not hidden_size: .* projects embeddings before their norm.*got 8"),
            ({"attention_head_size": 5}, "attention_head_size is no hidden_size / num_attention_heads.*got 5"),
        ):
            folders.write_folder(self.folder, family="deberta-v2", **changes)
            with self.subTest(changes=changes):
                self.assert_refused(pattern)

    def test_every_family_refuses_what_the_encoder_can_not_do(self) -> None:
        bad = {
            "position_embedding_type": "relative_key",
            "is_decoder": True,
            "add_cross_attention": True,
            "pruned_heads": {"0": [1]},
        }
        for family, (key, value) in itertools.product(FAMILIES, bad.items()):
            folders.write_folder(self.folder, family=family, **{key: value})
            with self.subTest(family=family, key=key):
                self.assert_refused(key.replace("pruned_heads", "pruned attention heads"))

    def test_architectures_tell_the_family_where_model_type_is_missing_and_the_head_in_any_case(self) -> None:
        for family in FAMILIES:
            folders.write_folder(self.folder, "token-classification", 3, family, model_type=family)
            self.edit("config.json", model_type=None)
            self.convert()
            self.assertEqual(self.config()["head"], "token-classification")
        folders.write_folder(self.folder, "token-classification", 3, "xlm-roberta")
        self.edit("config.json", architectures=["RobertaForTokenClassification"])
        self.convert()
        self.assertEqual(self.config()["head"], "token-classification")
        self.out.unlink()
        for other in ("RobertaPreNormModel", "MobileBertForMaskedLM", "BertGenerationDecoder", 3):
            self.edit("config.json", model_type=None, architectures=[other])
            self.assert_refused("names no family.*one of bert, roberta, .*albert, mpnet.*; got .*write its model_type")


class TokenTypes(FolderTest):
    def types(self, family: str, **options: object) -> set[int]:
        """The token types of the file's template for pairs."""
        folders.write_folder(self.folder, family=family)
        self.edit("tokenizer_config.json", **options)
        self.convert()
        return {piece["type_id"] for piece in read_metadata(self.out)["tokenizer"]["pair"]}

    def test_a_model_without_token_types_gets_none(self) -> None:
        self.assertEqual(self.types("bert"), {0, 1})
        self.assertEqual(self.types("electra"), {0, 1})
        self.assertEqual(self.types("distilbert"), {0})

    def test_a_class_that_gives_no_token_types_is_followed(self) -> None:
        self.assertEqual(self.types("bert", tokenizer_class="ElectraTokenizerFast"), {0, 1})
        self.assertEqual(self.types("bert", tokenizer_class="DistilBertTokenizer"), {0})
        self.assertEqual(self.types("electra", model_input_names=["input_ids", "attention_mask"]), {0})
        names = ["input_ids", "token_type_ids"]
        self.assertEqual(self.types("bert", tokenizer_class="DistilBertTokenizer", model_input_names=names), {0, 1})

    def test_self_tests_have_the_types_that_the_model_is_given(self) -> None:
        for family, expected in (("bert", {0, 1}), ("distilbert", {0})):
            folders.write_folder(self.folder, family=family)
            self.convert(selftest=None)
            cases = read_metadata(self.out)["selftest"]
            self.assertIn(TEXTS[-1][1], [case["text_pair"] for case in cases])
            self.assertEqual({index for case in cases for index in case["type_ids"]}, expected)


@unittest.skipIf(transformers is None, "needs torch and transformers")
class AgainstTransformers(FolderTest):
    def model_class(self, family: str, head: str) -> object:
        """The family's class for a head."""
        return getattr(transformers, folders.CLASSES[family] + folders.ARCHITECTURES[head].removeprefix("Bert"))

    def test_activations_are_its_functions(self) -> None:
        """Each name is taken for the function that it is, and no name of one of these is refused."""
        from transformers.activations import ACT2FN

        x = torch.linspace(-12, 12, 4801)
        ours = {"gelu": ACT2FN["gelu"], "gelu_tanh": ACT2FN["gelu_new"], "relu": torch.relu, "silu": torch.nn.functional.silu}
        for name in ACT2FN:
            values = ACT2FN[name](x)
            same = [known for known, function in ours.items() if torch.allclose(values, function(x), rtol=0, atol=1e-5)]
            expected = [] if name == "gelu_10" else same  # which ends at 10
            self.assertEqual([ACTIVATIONS[name]] if name in ACTIVATIONS else [], expected, name)

    def test_tensors_are_those_of_its_models(self) -> None:
        for family, head in itertools.product(FAMILIES, HEADS):
            with self.subTest(family=family, head=head):
                folders.write_folder(self.folder, head, 3, family)
                _, told = self.model_class(family, head).from_pretrained(self.folder, output_loading_info=True)
                self.assertEqual((set(told["missing_keys"]), set(told["unexpected_keys"])), (set(), set()))
                self.assertFalse(told["mismatched_keys"])

    def test_unused_and_missing_weights_are_those_that_it_names(self) -> None:
        for family, saved in itertools.product(FAMILIES, HEADS):
            with self.subTest(family=family, saved=saved):
                folders.write_folder(self.folder, saved, 3, family)
                model = self.model_class(family, "none")
                _, told = model.from_pretrained(self.folder, output_loading_info=True)
                report = self.convert(head="none")
                unused = [name for name in report["left_out"] if not name.endswith(QUIET)]
                self.assertEqual(unused, sorted(told["unexpected_keys"]))
                self.assertEqual(set(report["missing"]), set(told["missing_keys"]))

    def test_self_tests_are_recorded_for_every_family_and_head(self) -> None:
        torch.set_num_threads(1)
        for family, head in itertools.product(("distilbert", "electra", "albert"), HEADS[:3]):
            with self.subTest(family=family, head=head):
                folders.write_folder(self.folder, head, 3, family)
                self.convert(selftest=True)
                cases = read_metadata(self.out)["selftest"]
                self.assertGreater(len(cases), 3)
                self.assertTrue(all(case["logits"] for case in cases))


if __name__ == "__main__":
    unittest.main()
