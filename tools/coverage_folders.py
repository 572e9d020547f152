"""Tiny folders with random weights in the shape that a checkpoint of tools/coverage.tsv has on the Hub."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
import torch
import transformers

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "convert")]
import character_folders  # noqa: E402
import torch_writer  # noqa: E402
import unigram_folders  # noqa: E402
from goldens import models  # noqa: E402

if TYPE_CHECKING:
    from coverage import Row

transformers.logging.set_verbosity_error()
logging.disable(logging.WARNING)

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]

HIDDEN, INNER, LAYERS, HEADS, POSITIONS = 32, 48, 2, 4, 128
SIZES: Json = {
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": POSITIONS,
}
DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": "c2p|p2c",
    "max_relative_positions": -1,
    "type_vocab_size": 0,
}
KINDS: dict[str, tuple[str, Json]] = {  # what a class begins with -> model_type, what its config.json has beside SIZES
    "Bert": ("bert", {}),
    "Roberta": ("roberta", {"type_vocab_size": 1, "pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}),
    "XLMRoberta": ("xlm-roberta", {"type_vocab_size": 1, "pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}),
    "Camembert": ("camembert", {"type_vocab_size": 1, "pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}),
    "DistilBert": ("distilbert", {"dim": HIDDEN, "hidden_dim": INNER, "n_layers": LAYERS, "n_heads": HEADS}),
    "Electra": ("electra", {"embedding_size": 16}),
    "Albert": ("albert", {"embedding_size": 16}),
    "MPNet": ("mpnet", {"max_position_embeddings": POSITIONS + 2, "pad_token_id": 1}),
    "DebertaV2": (
        "deberta-v2",
        {
            **DISENTANGLED,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
        },
    ),
    "Deberta": ("deberta", DISENTANGLED),
    "ModernBert": ("modernbert", {"local_attention": 16, "global_attn_every_n_layers": 2, "pad_token_id": 0}),
    "Bart": (
        "bart",
        {
            "d_model": HIDDEN,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
        },
    ),
    "Gemma3Text": (
        "gemma3_text",
        {
            "num_key_value_heads": 1,
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "use_bidirectional_attention": True,
            "sliding_window": 16,
            "_sliding_window_pattern": 6,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
        },
    ),
    "EuroBert": ("eurobert", {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}),
}
QKV = 3 * HIDDEN
LINEAR_NEW = {
    "attention.qkv_proj": (QKV, HIDDEN),
    "attention.o_proj": (HIDDEN, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
UNBIASED = ("up_gate_proj", "Wqkv", "out_proj", "fc11", "fc12", "fc2")  # of those, but of Jina's, which are called alike
GATED = "gated_layers"  # of Jina's
TASKS, RANK = ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"], 4
PUBLISHED: dict[str, tuple[str, Json, Json]] = (
    {  # classes of code in their own folders: model_type, config.json, tensors
        "NewModel": (
            "new",
            {
                **SIZES,
                "position_embedding_type": "rope",
                "type_vocab_size": 1,
                "rope_theta": 500000,
                "rope_scaling": {"type": "ntk", "factor": 2.0},
                "layer_norm_type": "layer_norm",
                "pack_qkv": True,
                "hidden_act": "gelu",
            },
            {**LINEAR_NEW, "mlp.up_gate_proj": (2 * INNER, HIDDEN), "attn_ln": (HIDDEN,), "mlp_ln": (HIDDEN,)},
        ),
        "NomicBertModel": (
            "nomic_bert",
            {
                "n_embd": HIDDEN,
                "n_head": HEADS,
                "n_inner": INNER,
                "n_layer": LAYERS,
                "n_positions": POSITIONS,
                "rotary_emb_fraction": 1.0,
                "rotary_emb_base": 1000,
                "activation_function": "swiglu",
                "prenorm": False,
            },
            {
                "attn.Wqkv": (QKV, HIDDEN),
                "attn.out_proj": (HIDDEN, HIDDEN),
                **{f"mlp.fc{part}": (INNER, HIDDEN) for part in ("11", "12")},
                "mlp.fc2": (HIDDEN, INNER),
                **{f"norm{part}": (HIDDEN,) for part in "12"},
            },
        ),
        "JinaBertForMaskedLM": (
            "bert",
            {**SIZES, "position_embedding_type": "alibi", "feed_forward_type": "geglu"},
            {
                **{f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")},
                "attention.output.dense": (HIDDEN, HIDDEN),
                "attention.output.LayerNorm": (HIDDEN,),
                "mlp.gated_layers": (2 * INNER, HIDDEN),
                "mlp.wo": (HIDDEN, INNER),
                "mlp.layernorm": (HIDDEN,),
            },
        ),
    }
)
FLASH: Json = {
    "mixer.Wqkv": (QKV, HIDDEN),
    "mixer.out_proj": (HIDDEN, HIDDEN),
    "norm1": (HIDDEN,),
    "mlp.fc1": (INNER, HIDDEN),
    "mlp.fc2": (HIDDEN, INNER),
    "norm2": (HIDDEN,),
}
OF_FLASH: Json = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1, "use_flash_attn": True}
PUBLISHED["XLMRobertaLoRA"] = (
    "xlm-roberta",
    {
        **OF_FLASH,
        "architectures": ["XLMRobertaModel"],
        "position_embedding_type": "rotary",
        "rotary_emb_base": 20000.0,
        "lora_adaptations": TASKS,
        "lora_rank": RANK,
        "lora_alpha": 1,
    },
    FLASH,
)
PUBLISHED["XLMRobertaFlashForSequenceClassification"] = (
    "xlm-roberta",
    {**OF_FLASH, "position_embedding_type": "absolute", "max_position_embeddings": POSITIONS + 2},
    FLASH,
)
PUBLISHED["NewForSequenceClassification"] = PUBLISHED["NewModel"]
ENTITY_LABELS = {
    "bio": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "bilou": ["O", "B-PATIENT", "I-PATIENT", "L-PATIENT", "U-PATIENT"],
    "plain": ["NOUN", "VERB", "ADJ", "PUNCT"],
}
INFERENCE = {2: ["entailment", "not_entailment"], 3: ["entailment", "neutral", "contradiction"]}
SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def write_word_pieces(folder: Path, cased: bool, row: Row) -> int:
    """vocab.txt, and in folders that have them the other files."""
    count = models.write_word_pieces(folder, cased)
    if row.fact("no_tokenizer_config") is None:
        limit = {} if row.fact("vocab_only") is not None else {"model_max_length": POSITIONS}
        named = {f"{key}_token": token for key, token in SPECIAL.items()} if limit else {}
        write_json(
            folder / "tokenizer_config.json",
            {"do_lower_case": not cased, **limit, "tokenizer_class": word_piece_class(row), **named},
        )
    if row.fact("vocab_only") is None:
        write_json(folder / "special_tokens_map.json", {f"{key}_token": token for key, token in SPECIAL.items()})
        engine = transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=not cased).backend_tokenizer
        if row.fact("pads") is not None:
            engine.enable_padding(length=POSITIONS)
            engine.enable_truncation(POSITIONS)
        engine.save(str(folder / "tokenizer.json"))
    return count


def word_piece_class(row: Row) -> str:
    """The class of a tokenizer of word pieces: that of the model, but for models of other families."""
    known = ("DistilBert", "Electra", "MPNet")
    return next((name for name in known if row.architecture.startswith(name)), "Bert") + "Tokenizer"


def write_words(folder: Path, name: str) -> int:
    """A tokenizer without a fast form: fastBPE's, or one that MeCab cuts words for."""
    count = models.write_word_pieces(folder, True)
    if name != "mecab":
        (folder / "bpe.codes").write_text("t h 10\nth e</w> 5\n", encoding="utf-8")
        named = "PhobertTokenizer" if name == "fastbpe_words" else "BertweetTokenizer"
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": named})
    else:
        options = {
            "tokenizer_class": "BertJapaneseTokenizer",
            "word_tokenizer_type": "mecab",
            "subword_tokenizer_type": "wordpiece",
        }
        write_json(folder / "tokenizer_config.json", {**options, "mecab_kwargs": {"mecab_dic": "unidic_lite"}})
    return count


LLAMA_3 = (  # what words of Llama 3's tokenizer are
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_llama_3(folder: Path) -> int:
    """Byte-level BPE behind an expression of its own, tokens that no merges make, and names for the ends alone."""
    count = models.write_modern(folder, True)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA_3}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    tokenizer["model"]["ignore_merges"] = True
    write_json(folder / "tokenizer.json", tokenizer)
    named = {"bos_token": SPECIAL["cls"], "eos_token": SPECIAL["sep"], "pad_token": SPECIAL["sep"], "mask_token": SPECIAL["mask"]}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS, **named})
    return count


def write_tokenizer(row: Row, folder: Path) -> int:
    """Writes the tokenizer's files and returns the number of its tokens."""
    kind, _, of = row.tokenizer.partition(":")
    if kind in ("wordpiece", "wordpiece_cased"):
        return write_word_pieces(folder, kind == "wordpiece_cased", row)
    if kind in ("fastbpe", "fastbpe_words", "mecab"):
        return write_words(folder, kind)
    if kind == "bpe":
        tokenizer = getattr(character_folders, of)()
        character_folders.write_folder(folder, tokenizer)
        return len(tokenizer["model"]["vocab"])
    if of == "llama3":
        return write_llama_3(folder)
    if kind == "spm" or of == "deberta-v2":
        if kind == "spm":
            unigram_folders.write_model(folder, "DebertaV2Tokenizer")
        else:
            unigram_folders.write_json(folder, "tokenizer.json", unigram_folders.tokenizer_json("DebertaV2Tokenizer"))
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False})
        return len(unigram_folders.vocabulary("DebertaV2Tokenizer"))
    named = {}
    family = of or "roberta"
    if row.architecture.startswith("ModernBert"):
        family, named = "modernbert", {f"{key}_token": token for key, token in SPECIAL.items()}
    name, write = models.TOKENIZERS[family]
    count = write(folder, family != "albert")
    if not (folder / "tokenizer.json").is_file():
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": name})
        transformers.AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer.save(str(folder / "tokenizer.json"))
    if row.architecture.startswith(("ModernBert", "EuroBert")):
        name = "PreTrainedTokenizerFast"
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": name, "model_max_length": POSITIONS, **named})
    return count


def labels(row: Row) -> list[str]:
    """The labels that a row's config.json names."""
    if (scheme := row.fact("scheme")) is not None:
        return ENTITY_LABELS[scheme]
    count = int(row.fact("labels") or 0)
    return INFERENCE[count] if row.task == "zero-shot" else [f"LABEL_{index}" for index in range(count)]


def random(shapes: Json) -> Tensors:
    """Weights of these shapes."""
    rng = np.random.default_rng(1)
    made = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in sorted(shapes.items())}
    norms = [name for name in made if name.lower().endswith(("norm.weight", "ln.weight"))]
    return made | {name: made[name] + np.float32(1) for name in norms}


def with_factors(shapes: Json) -> Json:
    """The shapes of a checkpoint that has an adapter for each task beside each of its matrices."""
    found: Json = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            found[f"roberta.{name}"] = shape
            continue
        start = f"roberta.{name.removesuffix('.weight')}.parametrizations.weight"
        first, second = (len(TASKS), shape[0], RANK), (len(TASKS), RANK, shape[1])
        a, b = (first, second) if "_embeddings" in name else (second, first)
        found |= {f"{start}.original": shape, f"{start}.0.lora_A": a, f"{start}.0.lora_B": b}
    return found


def published(row: Row, count: int) -> tuple[Json, Tensors]:
    """config.json and weights of a class whose code lies in its own folder."""
    model_type, config, layer = PUBLISHED[row.architecture]
    code = {"AutoConfig": "configuration.Config", "AutoModel": f"modeling.{row.architecture}"}
    shapes: Json = {
        f"embeddings.{part}_embeddings.weight": (rows, HIDDEN) for part, rows in (("word", count), ("token_type", config.get("type_vocab_size", 2)))
    }
    of_nomic, of_gte, of_flash = model_type == "nomic_bert", model_type == "new", layer is FLASH
    norm = "emb_ln" if of_nomic or of_flash else "embeddings.LayerNorm"
    shapes |= {f"{norm}.{part}": (HIDDEN,) for part in ("weight", "bias")}
    if config.get("position_embedding_type") == "absolute":
        shapes["embeddings.position_embeddings.weight"] = (config["max_position_embeddings"], HIDDEN)
    for index in range(LAYERS):
        start = f"encoder.{'layers' if of_nomic or of_flash else 'layer'}.{index}"
        for name, shape in layer.items():
            shapes[f"{start}.{name}.weight"] = shape
            last = name.split(".")[-1]
            if last != GATED and (not (of_nomic or of_gte) or last not in UNBIASED):
                shapes[f"{start}.{name}.bias"] = shape[:1]
    if row.architecture.endswith("ForSequenceClassification"):
        count_of_labels = int(row.fact("labels") or 1)
        if of_gte:
            outputs = {"new.pooler.dense": HIDDEN, "classifier": count_of_labels}
        else:
            outputs = {"classifier.dense": HIDDEN, "classifier.out_proj": count_of_labels}
        shapes = {f"{'new' if of_gte else 'roberta'}.{name}": shape for name, shape in shapes.items()}
        for name, size in outputs.items():
            shapes |= {f"{name}.weight": (size, HIDDEN), f"{name}.bias": (size,)}
        config = {**config, "id2label": {str(i): f"LABEL_{i}" for i in range(count_of_labels)}}
    if row.fact("tasks") is not None:
        return {"auto_map": code, "vocab_size": count, **config}, random(with_factors(shapes))
    experts = {"num_experts": 8, "moe_top_k": 2} if row.fact("experts") is not None else {}
    return {"model_type": model_type, "auto_map": code, "vocab_size": count, **config, **experts}, random(shapes)


def neobert(count: int) -> tuple[Json, Tensors]:
    """config.json and weights of NeoBERT, whose masked-lm class has another name than the reference's."""
    code = {"AutoConfig": "model.NeoBERTConfig", "AutoModelForMaskedLM": "model.NeoBERTLMHead"}
    sizes = {key: value for key, value in SIZES.items() if key != "max_position_embeddings"}
    config = {"model_type": "neobert", "auto_map": code, "vocab_size": count, **sizes, "norm_eps": 1e-5, "max_length": POSITIONS}
    with torch.device("meta"):
        model = models.REFERENCES["NeoBERTForMaskedLM"](transformers.CONFIG_MAPPING["neobert"](**config))
    return config, random({name: tuple(values.shape) for name, values in model.named_parameters()})


def native(row: Row, count: int) -> tuple[Json, Tensors]:
    """config.json and weights of a class of transformers."""
    name = max((name for name in KINDS if row.architecture.startswith(name)), key=len)
    model_type, more = KINDS[name]
    sizes = {} if name in ("DistilBert", "Bart") else SIZES
    config: Json = {"model_type": model_type, "vocab_size": count, **sizes, **more}
    if found := labels(row):
        config["id2label"] = dict(enumerate(found))
        config["label2id"] = {label: index for index, label in enumerate(found)}
    if row.fact("multi_label") is not None:
        config["problem_type"] = "multi_label_classification"
    with torch.device("meta"):
        model = getattr(transformers, row.architecture)(transformers.CONFIG_MAPPING[model_type](**config))
    if found:
        config["id2label"] = {str(index): label for index, label in enumerate(found)}
    tied = model._tied_weights_keys if getattr(model.config, "tie_word_embeddings", True) else None
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return config, random(
        {name: tuple(values.shape) for name, values in parameters.items() if name not in (tied or {})}
    )


def other(row: Row, count: int) -> tuple[Json, Tensors]:
    """config.json and weights of a class that wraps an encoder of transformers."""
    if row.architecture == "HF_ColBERT":
        config, tensors = native(row._replace(architecture="BertModel"), count)
        tensors = {f"bert.{name}": values for name, values in tensors.items()}
        return config, tensors | random({"linear.weight": (16, HIDDEN)})
    encoder, tensors = native(
        row._replace(architecture="BertModel" if row.architecture == "SpanMarkerModel" else "DebertaV2Model"), count
    )
    if row.architecture == "CustomModel":  # config.json has the sizes only where they are not those of `base_model`
        count = int(row.fact("labels") or 1)
        head = random({"fc.weight": (count, HIDDEN), "fc.bias": (count,)})
        names = {f"LABEL_{index}": index for index in range(count)}
        config = {"base_model": "microsoft/deberta-v3-base", "fc_dropout": 0.2, "label2id": names}
        config |= {"id2label": {str(index): name for name, index in names.items()}}
        small = {key: encoder[key] for key in (*SIZES, "vocab_size", "position_buckets")}
        return config | small, {f"model.{name}": values for name, values in tensors.items()} | head
    tensors = {f"encoder.{name}": values for name, values in tensors.items()} | random(
        {"classifier.weight": (3, HIDDEN)}
    )
    return {"model_type": "span-marker", "encoder": encoder, "vocab_size": count}, tensors


def write_modules(row: Row, folder: Path, tensors: Tensors) -> None:
    """What sentence-transformers has beside the encoder."""
    listed = (
        ["Transformer", "Pooling"]
        + ["Dense"] * {None: 0, "tanh": 1, "none": 2}[row.fact("dense")]
        + ["Normalize"] * (row.fact("normalize") is not None)
    )
    entries = []
    for index, name in enumerate(listed):
        path = f"{index}_{name}" if index else ""
        module = f"sentence_transformers.models.{name}"
        if name == "Transformer" and row.fact("tasks") is not None:
            module = "custom_st.Transformer"
        entries.append({"idx": index, "name": str(index), "path": path, "type": module})
        (folder / path).mkdir(exist_ok=True)
    write_json(folder / "modules.json", entries)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len": "mean_sqrt_len_tokens"}
    pooling = {f"pooling_mode_{name}": row.fact("pool") == mode for mode, name in modes.items()}
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": HIDDEN, **pooling})
    if row.fact("dense") == "none":  # one to more numbers and one back
        activation = "torch.nn.modules.linear.Identity"
        for index, (inputs, outputs) in enumerate(((HIDDEN, 2 * HIDDEN), (2 * HIDDEN, HIDDEN)), 2):
            sizes = {"in_features": inputs, "out_features": outputs, "bias": False, "activation_function": activation}
            write_json(folder / f"{index}_Dense/config.json", sizes)
            weights = random({"linear.weight": (outputs, inputs)})
            safetensors.numpy.save_file(weights, folder / f"{index}_Dense/model.safetensors")
    elif "Dense" in listed:
        activation = "torch.nn.modules.activation.Tanh"
        write_json(
            folder / "2_Dense/config.json",
            {"in_features": HIDDEN, "out_features": 24, "bias": True, "activation_function": activation},
        )
        torch_writer.write(
            folder / "2_Dense/pytorch_model.bin", random({"linear.weight": (24, HIDDEN), "linear.bias": (24,)})
        )
    if row.fact("prompts") is not None:
        write_json(
            folder / "config_sentence_transformers.json", {"prompts": {"query": "query: ", "document": "passage: "}}
        )


def write_weights(row: Row, folder: Path, config: Json, tensors: Tensors) -> None:
    """The weights in the form that the folder has."""
    if row.fact("gamma") is not None:
        tensors = {
            name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): v
            for name, v in tensors.items()
        }
    if row.fact("onnx") is not None:
        return write_export(row, folder, config, tensors)
    if row.fact("bin") is not None:
        return torch_writer.write(folder / "pytorch_model.bin", tensors)
    return safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_export(row: Row, folder: Path, config: Json, tensors: Tensors) -> None:
    """An ONNX export, as optimum makes them."""
    model = getattr(transformers, row.architecture)(transformers.CONFIG_MAPPING[config["model_type"]](**config)).eval()
    model.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()}, strict=False)
    forward, ids = model.forward, torch.tensor([[5, 6, 7]])
    model.forward = lambda input_ids, attention_mask: forward(input_ids=input_ids, attention_mask=attention_mask)[0]
    (folder / "onnx").mkdir()
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in ("input_ids", "attention_mask")}
    options: Json = {"input_names": list(axes), "dynamic_axes": axes, "dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (ids, torch.ones_like(ids)), str(folder / "onnx/model.onnx"), **options)


def write_folder(row: Row, folder: Path) -> None:
    """The whole folder of a row."""
    count = write_tokenizer(row, folder)
    if row.architecture.startswith("GLiNER"):
        write_json(
            folder / "gliner_config.json",
            {"model_name": "microsoft/deberta-v3-base", "max_width": 12, "hidden_size": 512},
        )
        shape = {"token_rep_layer.bert_layer.model.embeddings.word_embeddings.weight": (count, HIDDEN)}
        return torch_writer.write(folder / "pytorch_model.bin", random(shape))
    if row.architecture == "NeoBERTLMHead":
        config, tensors = neobert(count)
    elif row.architecture in PUBLISHED:
        config, tensors = published(row, count)
    elif row.architecture in ("HF_ColBERT", "SpanMarkerModel", "CustomModel"):
        config, tensors = other(row, count)
    else:
        config, tensors = native(row, count)
    named = {} if row.architecture == "CustomModel" else {"architectures": [row.architecture]}
    write_json(folder / "config.json", named | config)
    write_weights(row, folder, config, tensors)
    if row.task == "embed" and row.fact("no_modules") is None:
        write_modules(row, folder, tensors)
    if row.fact("extra_heads") is not None:
        for name in ("colbert_linear", "sparse_linear"):
            torch_writer.write(folder / f"{name}.pt", random({"weight": (1, HIDDEN), "bias": (1,)}))
    return None
