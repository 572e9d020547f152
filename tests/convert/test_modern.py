"""ModernBERT: its tensors, what config.json chooses, the angles and the windows of its layers. Logits are goldens'."""

import importlib.util
import itertools
import json
import tempfile
import unittest
from pathlib import Path

import folders
import numpy as np
from bertha_convert import distances, rotary
from bertha_convert.container import read_tensors
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.families import FAMILIES, GEMMA_3, GTE_PUBLISHED, JINA_BERT, MODERNBERT
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
        write_tokenizer(self.folder)
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

    def test_an_older_files_rope_scaling_is_for_the_kinds_that_transformers_gives_it_to(self) -> None:
        for family, expected in (
            (MODERNBERT, [rotary.Rule(160_000.0, factor=8), rotary.Rule(10_000.0, factor=8)]),
            (GEMMA_3, [rotary.Rule(1_000_000.0, factor=8), rotary.Rule(10_000.0)]),
        ):
            for key in ("rope_type", "type"):
                config = {"rope_scaling": {key: "linear", "factor": 8.0}, "layer_types": ["full_attention", "sliding_attention"]}
                with self.subTest(family=family.model_type, key=key):
                    self.assertEqual(rotary.places(config, family, 2, Path("x")).rules, expected)

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
        for mode in ("max", None, [], {"cls": 1}):
            self.write("sequence-classification", classifier_pooling=mode)
            with self.subTest(mode=mode), self.assertRaisesRegex(ConvertError, "classifier_pooling is not supported; expected cls or mean"):
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

    def test_gtes_ntk_slows_the_slowest_pair_by_the_whole_factor(self) -> None:
        for base, factor, size in ((10_000.0, 2.0, 64), (160_000.0, 8.0, 64), (500.0, 3.0, 12)):
            rule = rotary._rule({"rope_theta": base, "rope_scaling": {"type": "ntk", "factor": factor}}, GTE_PUBLISHED.angles[0], Path("x"))
            ratio = rotary.frequencies(rule, size).astype(np.float64) * base ** (np.arange(0, size, 2) / size)
            # Each pair one step more than the one before, and the last one the factor itself, as if places were divided by it.
            np.testing.assert_allclose(ratio, factor ** (-np.arange(2, size + 2, 2) / size), rtol=3e-7)
            self.assertAlmostEqual(ratio[-1] * factor, 1, places=6)


SIZES: folders.Json = {"vocab_size": 17, "max_position_embeddings": 40, "type_vocab_size": 2}
NOMIC_KEYS = {"n_embd": 12, "n_layer": 2, "n_head": 3, "n_inner": 20, "n_positions": 40, "activation_function": "swiglu"}
NATIVE = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
SAME: dict[str, tuple[folders.Json, folders.Json, dict[str, str]]] = {  # as published, as in transformers, names' ends
    "nomic_bert": (
        {"model_type": "nomic_bert", **NOMIC_KEYS, "rotary_emb_base": 500},
        {"model_type": "nomic_bert", **NATIVE, "rope_parameters": {"rope_theta": 500}},
        {"out": "attn.out_proj", "first": "norm1", "second": "norm2", "down": "mlp.fc2", "layers": "encoder.layers"},
    ),
    "gte": (
        {"model_type": "new", **NATIVE, "position_embedding_type": "rope", "rope_theta": 500, "pack_qkv": True},
        {"model_type": "gte", **NATIVE, "rope_parameters": {"rope_theta": 500}},
        {"out": "attention.o_proj", "first": "attn_ln", "second": "mlp_ln", "down": "mlp.down_proj", "layers": "encoder.layer"},
    ),
}


class Published(unittest.TestCase):
    """Folders as they were first published, with code of their own, give the files that transformers' own give."""

    def tensors(self, kind: str) -> tuple[folders.Tensors, folders.Tensors]:
        """The same weights under both kinds of names."""
        rng, ends = np.random.default_rng(1), SAME[kind][2]

        def made(*shape: int) -> np.ndarray:
            return rng.normal(0, 0.5, shape).astype(np.float32)

        native = {"embeddings.word_embeddings.weight": made(17, 12), "embeddings.token_type_embeddings.weight": made(2, 12)}
        published = dict(native)

        def put(new: str, old: str, *shape: int, bias: bool = True) -> None:
            for part, values in (("weight", made(*shape)), ("bias", made(shape[0])))[: 1 + bias]:
                native[f"{new}.{part}"] = published[f"{old}.{part}"] = values

        put("embeddings.LayerNorm", "emb_ln" if kind == "nomic_bert" else "embeddings.LayerNorm", 12)
        for index in range(2):
            new, old, has_bias = f"layers.{index}", f"{ends['layers']}.{index}", kind == "gte"
            put(f"{new}.self_attn.o_proj", f"{old}.{ends['out']}", 12, 12, bias=has_bias)
            put(f"{new}.post_attention_layernorm", f"{old}.{ends['first']}", 12)
            put(f"{new}.post_mlp_layernorm", f"{old}.{ends['second']}", 12)
            put(f"{new}.mlp.down_proj", f"{old}.{ends['down']}", 12, 20, bias=has_bias)
            for part in ("weight", "bias")[: 1 + has_bias]:
                three = [made(12, 12) if part == "weight" else made(12) for _ in range(3)]
                native |= {f"{new}.self_attn.{name}_proj.{part}": values for name, values in zip("qkv", three)}
                whole = f"{old}.attn.Wqkv" if kind == "nomic_bert" else f"{old}.attention.qkv_proj"
                published[f"{whole}.{part}"] = np.concatenate(three)
            up, gate = made(20, 12), made(20, 12)
            native |= {f"{new}.mlp.up_proj.weight": up, f"{new}.mlp.gate_proj.weight": gate}
            if kind == "nomic_bert":
                published |= {f"{old}.mlp.fc11.weight": up, f"{old}.mlp.fc12.weight": gate}
            else:
                published[f"{old}.mlp.up_gate_proj.weight"] = np.concatenate([up, gate])
        return published, native

    def test_both_give_the_same_file(self) -> None:
        for kind, (published, native, _) in SAME.items():
            found = []
            weights = self.tensors(kind)
            for config, tensors in zip((published, native, native), (*weights, weights[0])):  # the last as transformers saves it
                with self.subTest(kind=kind), tempfile.TemporaryDirectory() as name:
                    folder, out = Path(name) / "model", Path(name) / "out.safetensors"
                    folders.write_folder(folder)
                    code = {"AutoModel": "modeling.Model"} if config is published else {}
                    folders.write_json(folder / "config.json", {**SIZES, **config, "auto_map": code})
                    folders.write_safetensors(folder / "model.safetensors", tensors)
                    report = convert(Options(folder, out, selftest=False))
                    self.assertEqual((report["left_out"], report["missing"]), ([], []))
                    found.append((read_metadata(out)["config"], read_tensors(out)))
            (config, tensors), *others = found
            for other_config, other in others:
                self.assertEqual(config, other_config)
                self.assertEqual(list(tensors), list(other))
                for name, values in tensors.items():
                    np.testing.assert_array_equal(values, other[name], err_msg=name)

    def test_what_their_code_has_and_the_encoder_lacks_is_refused_by_name(self) -> None:
        bad = {
            "nomic_bert": {"num_experts": 8, "prenorm": True, "rotary_emb_fraction": 0.5, "rotary_scaling_factor": 2},
            "gte": {"position_embedding_type": "absolute", "layer_norm_type": "rms_norm", "logn_attention_scale": True},
        }
        for kind, values in bad.items():
            for key, value in values.items():
                with self.subTest(kind=kind, key=key), tempfile.TemporaryDirectory() as name:
                    folder = Path(name) / "model"
                    folders.write_folder(folder)
                    folders.write_json(folder / "config.json", {**SIZES, **SAME[kind][0], key: value})
                    folders.write_safetensors(folder / "model.safetensors", self.tensors(kind)[0])
                    with self.assertRaisesRegex(ConvertError, f"{key} is not supported"):
                        convert(Options(folder, None, selftest=False))


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


def write_tokenizer(folder: Path) -> None:
    """That tokenizer, under the class that ModernBERT's folders name."""
    folders.write_json(folder / "tokenizer.json", tokenizer_json())
    named = {f"{key}_token": f"[{key.upper()}]" for key in ("unk", "cls", "sep", "pad", "mask")}
    folders.write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **named})


FLASH = {**SIZES, **NATIVE, "use_flash_attn": True, "architectures": ["XLMRobertaModel"]}  # it names no model_type
FLASH_NAMES = {
    "embeddings.LayerNorm": "emb_ln",
    "encoder.layer.": "encoder.layers.",
    "layers.": "encoder.layers.",
    "attention.output.dense": "mixer.out_proj",
    "self_attn.o_proj": "mixer.out_proj",
    "attention.output.LayerNorm": "norm1",
    "post_attention_layernorm": "norm1",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "output.LayerNorm": "norm2",
    "post_mlp_layernorm": "norm2",
}
TASKS = ["retrieval.query", "separation", "classification"]


class Jina(unittest.TestCase):
    """Jina's folders as they were first published."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder, self.out = Path(temporary.name) / "model", Path(temporary.name) / "out.safetensors"

    def convert(self, config: folders.Json, tensors: folders.Tensors, **options: object) -> folders.Json:
        """The report on a folder of these."""
        folders.write_folder(self.folder)
        folders.write_json(self.folder / "config.json", config)
        folders.write_safetensors(self.folder / "model.safetensors", tensors)
        return convert(Options(self.folder, self.out, **{"selftest": False, **options}))

    def found(self) -> tuple[folders.Json, folders.Tensors]:
        """What the file has."""
        return read_metadata(self.out)["config"], read_tensors(self.out)

    def assert_same(self, one: folders.Tensors, other: folders.Tensors) -> None:
        """Both files have the same weights."""
        self.assertEqual(list(one), list(other))
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)

    def of_v3(self) -> folders.Tensors:
        """Weights under the names that transformers has for Jina v3."""
        rng = np.random.default_rng(4)
        shapes = {f"embeddings.{name}_embeddings": (rows, 12) for name, rows in (("word", 17), ("token_type", 2))}
        for index in range(2):
            shapes |= {f"layers.{index}.self_attn.{name}_proj": (12, 12) for name in "qkvo"}
            shapes |= {f"layers.{index}.mlp.fc1": (20, 12), f"layers.{index}.mlp.fc2": (12, 20)}
        made = {f"{name}.weight": shape for name, shape in shapes.items()}
        made |= {f"{name}.bias": shape[:1] for name, shape in shapes.items() if "embeddings" not in name}
        norms = [f"layers.{index}.post_{name}_layernorm" for index in range(2) for name in ("attention", "mlp")]
        made |= {f"{name}.{part}": (12,) for name in ("embeddings.LayerNorm", *norms) for part in ("weight", "bias")}
        return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in made.items()}

    def as_flash(self, tensors: folders.Tensors) -> folders.Tensors:
        """The same under the names of the folders' own code."""
        result, three = {}, {}
        for name, values in tensors.items():
            for old, new in FLASH_NAMES.items():
                name = new + name.removeprefix(old) if old.endswith(".") and name.startswith(old) else name.replace(f".{old}.", f".{new}.")
            name = name.replace("embeddings.LayerNorm", "emb_ln")
            if ".self" in name:
                parts = name.split(".")
                three.setdefault((".".join(parts[:3]), parts[-1]), []).append(values)
            else:
                result[f"roberta.{name}"] = values
        for (layer, part), each in three.items():
            result[f"roberta.{layer}.mixer.Wqkv.{part}"] = np.concatenate(each)
        return result

    def test_flash_names_give_the_files_of_transformers_own(self) -> None:
        v3, rotary = self.of_v3(), {"position_embedding_type": "rotary", "rotary_emb_base": 500}
        rope = {"model_type": "jina_embeddings_v3", "rope_parameters": {"rope_theta": 500}, "layer_norm_eps": 1e-5}
        config = folders.FAMILIES["xlm-roberta"] | {"type_vocab_size": 2}
        absolute = {"position_embedding_type": "absolute", "max_position_embeddings": 42}
        for given, native, weights in (
            ({**FLASH, **rotary}, {**SIZES, **NATIVE, **rope}, v3),
            ({**FLASH, **absolute}, config, folders.weights(config)),
        ):
            report = self.convert(given, self.as_flash(weights))
            self.assertEqual(report["left_out"], [])
            flash_config, flash = self.found()
            self.convert(native, weights)
            native_config, found = self.found()
            self.assertEqual(flash_config, native_config)
            self.assert_same(flash, found)

    def with_factors(self, weights: folders.Tensors) -> tuple[folders.Tensors, list[folders.Tensors]]:
        """A checkpoint with adapters of tasks, and the weights that it has with each of them."""
        rng, result, merged = np.random.default_rng(5), {}, [dict(weights) for _ in TASKS]
        for name, values in weights.items():
            if values.ndim == 1:
                result[name] = values
                continue
            start, rank = name.removesuffix("weight") + "parametrizations.weight", 2
            first, second = (rng.normal(0, 0.5, (len(TASKS), *shape)).astype(np.float32) for shape in ((values.shape[0], rank), (rank, values.shape[1])))
            a, b = (first, second) if "_embeddings" in name else (second, first)
            result |= {f"{start}.original": values, f"{start}.0.lora_A": a, f"{start}.0.lora_B": b}
            for index, each in enumerate(merged):
                each[name] = values + first[index] @ second[index] * np.float32(0.5)
        return result, merged

    def test_the_adapter_of_a_task_is_merged(self) -> None:
        weights = self.as_flash(self.of_v3())
        stored, merged = self.with_factors(weights)
        config = {**FLASH, "position_embedding_type": "rotary", "lora_adaptations": TASKS, "lora_rank": 2, "lora_alpha": 1}
        for task, expected in ((None, weights), *zip(TASKS, merged)):
            report = self.convert(config, stored, task=task)
            self.assertEqual(any("--task takes one of retrieval.query, separation" in told for told in report["warnings"]), task is None)
            found = self.found()[1]
            self.convert(config, expected)
            self.assert_same(found, self.found()[1])
        with self.assertRaisesRegex(ConvertError, "no adapter of that name; expected retrieval.query or separation"):
            self.convert(config, stored, task="x")
        with self.assertRaisesRegex(ConvertError, "--task separation: the checkpoint has no adapters in itself"):
            self.convert(config, weights, task="separation")
        for pattern, change in (
            ("have other sizes than 3 tasks and rank 4", {"lora_rank": 4}),
            ("have other sizes than 2 tasks and rank 2", {"lora_adaptations": TASKS[:2]}),
            ("lora_adaptations names no tasks", {"lora_adaptations": None}),
            ("lora_rank is no valid size", {"lora_rank": 0}),
            ("lora_alpha is no valid number", {"lora_alpha": "1"}),
        ):
            with self.subTest(pattern=pattern), self.assertRaisesRegex(ConvertError, pattern):
                self.convert({**config, **change}, stored)
        for name in stored:
            if "parametrizations" in name:
                with self.subTest(name=name), self.assertRaisesRegex(ConvertError, "not all of the adapters' parts"):
                    self.convert(config, {other: values for other, values in stored.items() if other != name})

    def test_a_task_has_its_prompt(self) -> None:
        stored, _ = self.with_factors(self.as_flash(self.of_v3()))
        config = {**FLASH, "position_embedding_type": "rotary", "lora_adaptations": TASKS, "lora_rank": 2}
        config["task_instructions"] = {"separation": "Apart: ", "retrieval.query": "never read: "}
        self.folder.mkdir()
        modules = [{"path": "", "type": "custom_st.Transformer"}, {"path": "1", "type": "sentence_transformers.models.Pooling"}]
        folders.write_json(self.folder / "modules.json", modules)
        (self.folder / "1").mkdir()
        folders.write_json(self.folder / "1" / "config.json", {"word_embedding_dimension": 12, "pooling_mode_mean_tokens": True})
        prompts = {"prompts": {"retrieval.query": "Find: "}}
        folders.write_json(self.folder / "config_sentence_transformers.json", prompts)
        named = {"query": "", "document": "", "retrieval.query": "Find: "}
        for task, expected in ((None, named), ("retrieval.query", named), ("separation", {**named, "separation": "Apart: "})):
            self.convert(config, stored, task=task)
            embedding = self.found()[0]["embedding"]
            self.assertEqual((embedding["prompts"], embedding["default_prompt"]), (expected, task))
        with self.assertRaisesRegex(ConvertError, "custom_st.Transformer is code of the folder's own"):
            self.convert({**config, "lora_adaptations": None}, self.as_flash(self.of_v3()))

    def test_jina_bert_is_taken_whole(self) -> None:
        rng = np.random.default_rng(6)
        config = {**SIZES, **NATIVE, "model_type": "bert", "position_embedding_type": "alibi", "feed_forward_type": "reglu"}
        weights = {name: values for name, values in folders.weights(folders.CONFIG).items() if "position" not in name and "pooler" not in name}
        for index in range(2):
            layer = f"encoder.layer.{index}"
            weights[f"{layer}.mlp.gated_layers.weight"] = rng.normal(0, 0.5, (40, 12)).astype(np.float32)
            del weights[f"{layer}.intermediate.dense.weight"], weights[f"{layer}.intermediate.dense.bias"]
            for part in ("weight", "bias"):
                weights[f"{layer}.mlp.wo.{part}"] = weights.pop(f"{layer}.output.dense.{part}")
                weights[f"{layer}.mlp.layernorm.{part}"] = weights.pop(f"{layer}.output.LayerNorm.{part}")
        report = self.convert(config, weights, selftest=None)
        self.assertIn("code of their folder alone", report["selftest"])
        found, _ = self.found()
        self.assertEqual((found["hidden_act"], found["position_scheme"], found["gating"]), ("relu", "distance_bias", True))
        state = reference_state(self.out, JINA_BERT, config)
        self.assertEqual(sorted(state), sorted(weights))
        for name, values in weights.items():
            np.testing.assert_array_equal(state[name], values, err_msg=name)
        powers_of_heads = {1: (8,), 2: (4, 8), 3: (4, 8, 2), 8: range(1, 9), 12: (*range(1, 9), 0.5, 1.5, 2.5, 3.5)}
        for heads, powers in powers_of_heads.items():
            np.testing.assert_array_equal(distances.slopes(heads), np.array([2.0**-power for power in powers], np.float32))
        biases = read_tensors(self.out)["encoder.distance_bias"]
        np.testing.assert_array_equal(biases[0, 39 - 3 : 39 + 4], -np.float32(2**-4) * np.abs(np.arange(-3, 4)))
        default = {key: value for key, value in config.items() if key != "feed_forward_type"}
        for given in (default, {**config, "feed_forward_type": "original"}):
            with self.assertRaisesRegex(ConvertError, "feed_forward_type is not supported; expected geglu or reglu; got original"):
                self.convert(given, weights)
        more = {"encoder.layer.0.attention.self.layer_norm_q.weight": np.ones(12, np.float32)}  # of jina-embeddings-v2-base-code
        with self.assertRaisesRegex(ConvertError, "has tensors that JinaBert doesn't have"):
            self.convert(config, weights | more)


if __name__ == "__main__":
    unittest.main()
