"""What a family's config.json leaves out: the defaults of its configuration, for every family, whole. And what it may only say
as published checkpoints do."""

import sys
import types
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bertha_convert import config as model_config  # noqa: E402
from bertha_convert import families, rotary  # noqa: E402
from bertha_convert.errors import ConvertError  # noqa: E402

try:
    import transformers
except ImportError:
    transformers = None

# The configurations of these are code in their own folders.
OTHERS = {
    "neobert": {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_length": 1024,
        "norm_eps": 1e-6,
        "rope_theta": 10_000.0,
    },
    "new": {
        "vocab_size": 30528,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 2048,
        "type_vocab_size": 1,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "rope_theta": 10_000.0,
    },
}


@unittest.skipIf(transformers is None, "needs transformers")
class Defaults(unittest.TestCase):
    def setUp(self) -> None:
        self.each: list[tuple[families.Family, Any]] = []
        for name, family in families.FAMILIES.items():
            given = types.SimpleNamespace(**OTHERS[name]) if name in OTHERS else transformers.CONFIG_MAPPING[name]()
            if not hasattr(given, "embedding_size"):  # no table is narrower
                given.embedding_size = given.hidden_size
            self.each.append((family, given))
        self.assertTrue(OTHERS.keys() <= families.FAMILIES.keys())

    def assert_default(self, family: families.Family, given: Any, key: str, default: Any) -> None:
        """A key's default is the configuration's."""
        with self.subTest(family=family.model_type, key=key):
            self.assertEqual(default, getattr(given, key))

    def test_of_sizes(self) -> None:
        for family, given in self.each:
            sizes = [*family.sizes.values(), *(family.groups or ())[:2]]
            sizes += [part.rows for part in (family.buckets, family.tasks) if part]
            sizes += [family.local.window] if family.local else []
            for size in sizes:
                for key in size.names:
                    self.assert_default(family, given, key, size.default)
            if family.key_value_heads:
                default = family.key_value_heads.default or given.num_attention_heads
                self.assert_default(family, given, family.key_value_heads.names[0], default)
            if family.head_dim is not None:
                self.assert_default(family, given, "head_dim", family.head_dim)

    def test_of_numbers_and_words(self) -> None:
        for family, given in self.each:
            if family.activation:
                self.assert_default(family, given, family.activation, family.default_activation)
            self.assertIn(family.default_activation, model_config.ACTIVATIONS)
            if family.layer_norm_eps:
                self.assert_default(family, given, family.layer_norm_eps, family.default_layer_norm_eps)
            if family.padding_id is not None:
                self.assert_default(family, given, "pad_token_id", family.padding_id)
            if hasattr(given, "tie_word_embeddings"):
                self.assert_default(family, given, "tie_word_embeddings", family.ties)
            for bias in family.biases.values():
                if isinstance(bias, tuple):
                    self.assert_default(family, given, *bias)

    def test_of_angles_and_windows(self) -> None:
        for family, given in self.each:
            found = rotary.places({}, family, given.num_hidden_layers, Path("config.json"))
            kinds = getattr(given, "layer_types", None) if family.local else None
            if family.angles:
                rope = getattr(given, "rope_parameters", None) or {"rope_theta": given.rope_theta}
                of_layers = [rope[kind] if kinds else rope for kind in kinds or range(given.num_hidden_layers)]
                self.assertEqual([rule.base for rule in found.rules], [one["rope_theta"] for one in of_layers], family.model_type)
                self.assertEqual({one.get("rope_type", "default") for one in of_layers}, {"default"}, family.model_type)
            if kinds:
                self.assertEqual([window == 0 for window in found.windows], [kind == "full_attention" for kind in kinds])


class OneValue(unittest.TestCase):
    """Values of which one is run."""

    TAKEN = (
        {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False},
        {"model_type": "bert", "position_embedding_type": "alibi"},
        {"model_type": "xlm-roberta", "position_embedding_type": "rotary"},
        {"model_type": "deberta", "talking_head": False},
        {"model_type": "deberta-v2", "conv_kernel_size": 0},
        {"model_type": "deberta-v2", "base_model": "a", "conv_kernel_size": 0},
        {"model_type": "gemma3_text", "use_bidirectional_attention": True, "attn_logit_softcapping": None},
        {
            "model_type": "new",
            "position_embedding_type": "rope",
            "layer_norm_type": "layer_norm",
            "pack_qkv": True,
            "logn_attention_scale": False,
        },
        {
            "model_type": "nomic_bert",
            "n_embd": 768,
            "prenorm": False,
            "use_rms_norm": False,
            "parallel_block": False,
            "rotary_emb_fraction": 1.0,
            "rotary_emb_interleaved": False,
            "rotary_emb_scale_base": None,
            "rotary_scaling_factor": None,
            "qkv_proj_bias": False,
            "mlp_fc1_bias": False,
            "mlp_fc2_bias": False,
            "num_experts": 0,
        },
    )

    def test_is_taken_and_each_other_refused_by_its_name(self) -> None:
        path = Path("config.json")
        tested = set()
        for config in self.TAKEN:
            family = model_config.family(config, path)
            for key in config.keys() - {"model_type", "base_model", "n_embd"}:
                value, tested = config[key], tested | {(family.class_name, key)}
                others = {bool: (not value,), str: ("other",), int: (1,), float: (0.5,), type(None): (2.0,)}[type(value)]
                for other in others:
                    with self.subTest(key=key), self.assertRaisesRegex(ConvertError, key):
                        model_config.family({**config, key: other}, path)
        ours = [*families.FAMILIES.values(), *(its for *_, its in families.PUBLISHED)]
        needed = {(its.class_name, key) for its in ours for key in (*its.only, *(key for key, *_ in its.refused + its.required))}
        self.assertEqual(needed - tested, set())


if __name__ == "__main__":
    unittest.main()
