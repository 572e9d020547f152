"""ModernBERT: its tensors, what config.json chooses, the angles and the windows of its layers. Logits are goldens'."""

import importlib.util
import itertools
import json
import tempfile
import unittest
from pathlib import Path

import folders
import numpy as np
from bertha_convert import rotary
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.families import FAMILIES
from bertha_convert.unpack import read_metadata, reference_state

CONFIG: folders.Json = {
    "model_type": "modernbert",
    "vocab_size": 17,
    "hidden_size": 12,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
    "local_attention": 8,
}
CLASSES = {
    "none": "Model",
    "sequence-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    folders.MASKED_LM: "ForMaskedLM",
}
BIASES = ("attention_bias", "mlp_bias", "norm_bias", "classifier_bias", "decoder_bias")


def shapes(config: folders.Json, head: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that transformers saves."""
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    prefix = "" if head == "none" else "model."
    found: dict[str, tuple[int, ...]] = {f"{prefix}embeddings.tok_embeddings.weight": (vocab, hidden)}

    def add(name: str, *shape: int, flag: str) -> None:
        found[f"{name}.weight"] = shape
        if config.get(flag, flag == "decoder_bias"):
            found[f"{name}.bias"] = shape[:1]

    for name in ("embeddings.norm", "final_norm"):
        add(prefix + name, hidden, flag="norm_bias")
    for index in range(config["num_hidden_layers"]):
        layer = f"{prefix}layers.{index}"
        for norm in ("attn_norm", "mlp_norm") if index else ("mlp_norm",):
            add(f"{layer}.{norm}", hidden, flag="norm_bias")
        add(f"{layer}.attn.Wqkv", 3 * hidden, hidden, flag="attention_bias")
        add(f"{layer}.attn.Wo", hidden, hidden, flag="attention_bias")
        add(f"{layer}.mlp.Wi", 2 * inner, hidden, flag="mlp_bias")
        add(f"{layer}.mlp.Wo", hidden, inner, flag="mlp_bias")
    if head != "none":
        add("head.dense", hidden, hidden, flag="classifier_bias")
        add("head.norm", hidden, flag="norm_bias")
    if head == folders.MASKED_LM:
        add("decoder", vocab, hidden, flag="decoder_bias")
        del found["decoder.weight"]  # tied
    elif head != "none":
        labels = 2 if head == "question-answering" else 3
        found |= {"classifier.weight": (labels, hidden), "classifier.bias": (labels,)}
    return found


class Modern(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder, self.out = Path(temporary.name) / "model", Path(temporary.name) / "out.safetensors"

    def write(self, head: str = "none", **config: object) -> folders.Tensors:
        """A folder with random weights, which it returns."""
        folders.write_folder(self.folder)
        self.raw = {**CONFIG, "architectures": [f"ModernBert{CLASSES[head]}"], **config}
        if head.endswith("classification"):
            self.raw["id2label"] = {str(index): f"label {index}" for index in range(3)}
        folders.write_json(self.folder / "config.json", self.raw)
        folders.write_json(self.folder / "tokenizer.json", tokenizer_json())
        named = {f"{key}_token": f"[{key.upper()}]" for key in ("unk", "cls", "sep", "pad", "mask")}
        options = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
        folders.write_json(self.folder / "tokenizer_config.json", options)
        rng = np.random.default_rng(0)
        made = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes(self.raw, head).items()}
        folders.write_safetensors(self.folder / "model.safetensors", made)
        return made

    def convert(self, **options: object) -> folders.Json:
        """The report; the file's config is `config`."""
        report = convert(Options(self.folder, self.out, **{"selftest": False, **options}))
        self.config = read_metadata(self.out)["config"]
        return report

    def state(self) -> folders.Tensors:
        """The weights that the file stands for."""
        return reference_state(self.out, FAMILIES["modernbert"], self.raw)

    def test_every_head_is_taken_whole_with_each_choice_of_biases(self) -> None:
        for head, flags in itertools.product(CLASSES, ({}, *({name: name != "decoder_bias"} for name in BIASES))):
            with self.subTest(head=head, **flags):
                made = self.write(head, **flags)
                report = self.convert()
                self.assertEqual((report["left_out"], report["missing"], report["warnings"]), ([], [], []))
                found = self.state()
                if head == folders.MASKED_LM:
                    made["decoder.weight"] = made["model.embeddings.tok_embeddings.weight"]
                    made.setdefault("decoder.bias", np.zeros(17, np.float32))
                self.assertEqual(sorted(found), sorted(made))
                for name, values in made.items():
                    np.testing.assert_array_equal(found[name], values, err_msg=name)
                self.convert(precision="int8")
                self.assertEqual(sorted(self.state()), sorted(made))

    def test_each_missing_tensor_is_named_and_each_bias_too_many_is_refused(self) -> None:
        made = self.write("sequence-classification")
        for name in made:
            rest = {other: values for other, values in made.items() if other != name}
            folders.write_safetensors(self.folder / "model.safetensors", rest)
            reference = name.removeprefix("model.")
            with self.subTest(name=name), self.assertRaisesRegex(ConvertError, f"'{reference}' is missing|lacks '{reference}'"):
                self.convert()
            more = made | {name.replace("weight", "bias"): np.ones(made[name].shape[:1], np.float32)}
            folders.write_safetensors(self.folder / "model.safetensors", more)
            if name.startswith("model.") and "tok_embeddings" not in name:
                with self.subTest(name=name), self.assertRaisesRegex(ConvertError, "has tensors that ModernBert doesn't"):
                    self.convert()

    def test_layers_see_what_config_json_says(self) -> None:
        self.write()
        self.convert()
        self.assertEqual((self.config["key_window"], self.config["key_windows"]), (0, [0, 4, 4, 0]))
        self.assertEqual(self.config["rotary_tables"], [0, 1, 1, 0])
        self.write(global_attn_every_n_layers=2, local_rope_theta=160_000.0)
        self.convert()
        self.assertEqual(self.config["key_windows"], [0, 4, 0, 4])
        self.assertNotIn("rotary_tables", self.config)  # the angles are the same
        self.write(layer_types=["sliding_attention"] * 4)
        self.convert()
        self.assertEqual(self.config["key_window"], 4)
        self.assertFalse({"key_windows", "rotary_tables"} & self.config.keys())

    def test_what_would_give_other_results_is_refused(self) -> None:
        kinds = ["full_attention", "sliding_attention"]
        for pattern, config in (
            ("rope_type is not supported", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}),
            ("rope_theta is no valid number", {"rope_parameters": {"full_attention": {"rope_theta": 0}}}),
            ("rope_parameters is no object", {"rope_parameters": [1]}),
            ("partial_rotary_factor is not supported", {"partial_rotary_factor": 0.5}),
            ("global_rope_theta is no valid number", {"global_rope_theta": "big"}),
            ("layer_types doesn't name the kind of each layer", {"layer_types": kinds}),
            ("layer_types doesn't name the kind of each layer", {"layer_types": [*kinds, *kinds[:1], "linear"]}),
            ("local_attention leaves each token alone", {"local_attention": 1}),
            ("mlp_bias is neither true nor false", {"mlp_bias": 1}),
            ("hidden_activation is not supported", {"hidden_activation": "quick_gelu"}),
            ("norm_eps is no valid number", {"norm_eps": 0}),
        ):
            self.write(**config)
            with self.subTest(pattern=pattern), self.assertRaisesRegex(ConvertError, pattern):
                self.convert()
        self.write("sequence-classification", classifier_pooling="max")
        with self.assertRaisesRegex(ConvertError, "classifier_pooling is not supported; expected cls or mean"):
            self.convert()

    @unittest.skipUnless(importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"), "needs transformers")
    def test_tensors_and_angles_are_those_of_transformers(self) -> None:
        import torch
        import transformers

        for head, name in CLASSES.items():
            self.write(head)
            config = transformers.ModernBertConfig(**{key: self.raw[key] for key in CONFIG if key != "model_type"}, pad_token_id=3)
            with torch.device("meta"):
                model = getattr(transformers, f"ModernBert{name}")(config)
            self.assertEqual(set(dict(model.named_parameters())), set(shapes(self.raw, head)))
        for theta in (10_000.0, 160_000.0, 1000.0):
            rule = rotary.Rule(theta)
            expected = 1.0 / (theta ** (torch.arange(0, 64, 2, dtype=torch.float) / 64))
            np.testing.assert_array_equal(rotary.frequencies(rule, 64), expected.numpy())


def tokenizer_json() -> folders.Json:
    """A byte-level BPE of single characters, with special tokens in BERT's template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    vocabulary = {token: index for index, token in enumerate(("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "a", "b", "ab"))}
    engine = Tokenizer(models.BPE(vocabulary, [("a", "b")], unk_token="[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    engine.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    return json.loads(engine.to_str())


if __name__ == "__main__":
    unittest.main()
