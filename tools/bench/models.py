"""The same random model in the format of every engine, in one folder.

checkpoint/ of Hugging Face, bertha.safetensors, exported.onnx and fused.onnx (ONNX Runtime's fusions), openvino.xml,
ctranslate2/ and classifier.npz. In int8: bertha-int8.safetensors; dynamic.onnx, dynamic_reduced.onnx and static.onnx by
onnxruntime.quantization; openvino_static.xml and openvino_weights.xml by NNCF; CTranslate2 quantises when it loads. What
can't be made, for want of a package, is left out with a message.
"""

import contextlib
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
import torch
import transformers

CONVERT = Path(__file__).resolve().parents[1] / "convert.py"


class Shape(NamedTuple):
    """A family, by the begin of transformers' class names, and what its configuration has beside its defaults."""

    family: str
    sizes: dict[str, Any]


DEBERTA_V3 = {
    "vocab_size": 128100,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
SHAPES = {
    "base": Shape("Bert", {}),
    "minilm": Shape("Bert", {"num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536}),
    "mpnet": Shape("MPNet", {"max_position_embeddings": 514}),
    "modernbert": Shape("ModernBert", {}),
    "deberta": Shape("DebertaV2", {**DEBERTA_V3, "num_hidden_layers": 12}),
    "deberta-small": Shape("DebertaV2", {**DEBERTA_V3, "num_hidden_layers": 6}),
}


class Logits(torch.nn.Module):
    """Ids and mask to logits."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """As exporters want it: tensors in, a tensor out."""
        return self.model(input_ids, attention_mask=attention_mask).logits


def checkpoint(folder: Path, shape: str) -> None:
    """A random model, saved as a Hugging Face folder."""
    family, sizes = SHAPES[shape]
    torch.manual_seed(1)
    # CTranslate2's converter reads position_embedding_type
    own = {"position_embedding_type": "absolute"} if family == "Bert" else {}
    config = getattr(transformers, f"{family}Config")(num_labels=3, **own, **sizes)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder / "checkpoint")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{i}" for i in range(config.vocab_size - len(words))]
    (folder / "checkpoint" / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    if family == "ModernBert":  # whose tokenizer has no other file
        tokenizers.BertWordPieceTokenizer({word: index for index, word in enumerate(words)}).save(
            str(folder / "checkpoint" / "tokenizer.json")
        )
    options = {f"{word[1:-1].lower()}_token": word for word in words[:5]} | {"tokenizer_class": "BertTokenizer"}
    (folder / "checkpoint" / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    if family == "Bert":
        weight, bias = model.classifier.weight.detach().numpy(), model.classifier.bias.detach().numpy()
        np.savez(folder / "classifier.npz", weight=weight, bias=bias)


def longest(folder: Path) -> int:
    """Tokens that a sequence may have."""
    return int(transformers.AutoConfig.from_pretrained(folder / "checkpoint").max_position_embeddings)


def loaded(folder: Path, attention: str, **options: Any) -> Any:
    """The checkpoint by transformers; attention in one operation where the family has it so."""
    config = transformers.AutoConfig.from_pretrained(folder / "checkpoint")
    if config.model_type not in ("deberta-v2", "mpnet"):
        options["attn_implementation"] = attention
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder / "checkpoint", **options).eval()


def bertha_file(folder: Path, precision: str) -> Path:
    """bertha's model for a precision."""
    return folder / ("bertha-int8.safetensors" if precision == "int8" else "bertha.safetensors")


def bertha(folder: Path) -> None:
    """By the converter of this project."""
    # With its self-test: only that tells whether products of split numbers keep the promise of float32.
    for precision, options in (("float32", ["--selftest"]), ("int8", ["--precision", "int8"])):
        command = [sys.executable, str(CONVERT), str(folder / "checkpoint"), str(bertha_file(folder, precision)), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def calibration() -> list[dict[str, np.ndarray]]:
    """Batches of random ids, as the workloads have them, for peers that need ranges of activations beforehand."""
    random = np.random.default_rng(2)
    found = [{"input_ids": random.integers(5, 30000, (1, length))} for length in (16, 48, 64, 128) for _ in range(8)]
    return [{**batch, "attention_mask": np.ones_like(batch["input_ids"])} for batch in found]


def exportable(folder: Path) -> tuple[Logits, tuple[torch.Tensor, torch.Tensor]]:
    """The model with attention in plain operations, which the fusions of ONNX Runtime and OpenVINO know; an example."""
    model = loaded(folder, "eager")
    ids = torch.ones(2, 16, dtype=torch.long)
    return Logits(model), (ids, torch.ones_like(ids))


def onnx(folder: Path) -> None:
    """The exported graph, and that with ONNX Runtime's fusions for BERT."""
    model, example = exportable(folder)
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    path = str(folder / "exported.onnx")
    torch.onnx.export(model, example, path, input_names=list(axes), output_names=["logits"], dynamic_axes=axes, dynamo=False)

    from onnxruntime.transformers import optimizer

    config = transformers.AutoConfig.from_pretrained(folder / "checkpoint")
    sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
    optimizer.optimize_model(path, "bert", **sizes).save_model_to_file(str(folder / "fused.onnx"))


def onnx_int8(folder: Path) -> None:
    """By ONNX Runtime: weights per channel, activations as they come or by ranges of a calibration set."""
    from onnx import TensorProto
    from onnxruntime import quantization

    types = {"DefaultTensorType": TensorProto.FLOAT}  # shapes aren't inferred through the fused operations
    for name, reduce_range in (("dynamic", False), ("dynamic_reduced", True)):
        quantization.quantize_dynamic(
            folder / "fused.onnx",
            folder / f"{name}.onnx",
            per_channel=True,
            reduce_range=reduce_range,
            extra_options=types,
        )

    class Reader(quantization.CalibrationDataReader):
        """One batch after another."""

        def __init__(self) -> None:
            self.batches = iter(calibration())

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    quantization.shape_inference.quant_pre_process(
        str(folder / "exported.onnx"), str(folder / "inferred.onnx"), skip_symbolic_shape=True
    )
    quantization.quantize_static(
        folder / "inferred.onnx",
        folder / "static.onnx",
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def openvino(folder: Path) -> None:
    """From PyTorch directly, with the attention operation that PyTorch has."""
    import openvino as ov

    model = loaded(folder, "sdpa")
    ids = torch.ones(2, 16, dtype=torch.long)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = ov.convert_model(Logits(model), example_input=example, input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])])
    ov.save_model(found, folder / "openvino.xml", compress_to_fp16=False)


def openvino_int8(folder: Path) -> None:
    """By NNCF: activations by ranges of a calibration set, or weights alone."""
    import nncf
    import openvino as ov

    core = ov.Core()
    batches = nncf.Dataset(calibration())
    found = nncf.quantize(core.read_model(folder / "openvino.xml"), batches, model_type=nncf.ModelType.TRANSFORMER)
    ov.save_model(found, folder / "openvino_static.xml", compress_to_fp16=False)
    found = nncf.compress_weights(core.read_model(folder / "openvino.xml"), mode=nncf.CompressWeightsMode.INT8_SYM)
    ov.save_model(found, folder / "openvino_weights.xml", compress_to_fp16=False)


def ctranslate2(folder: Path) -> None:
    """By its converter for transformers."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(folder / "checkpoint")).convert(str(folder / "ctranslate2"))


def make(folder: Path, shape: str, precisions: list[str]) -> None:
    """Everything that the installed packages can make."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")  # of the exporters, about Python's values in a trace
    checkpoint(folder, shape)
    bertha(folder)
    makers: list[Callable[[], None]] = [lambda: onnx(folder), lambda: openvino(folder)]
    if SHAPES[shape].family == "Bert":  # of these CTranslate2 has no other
        makers.append(lambda: ctranslate2(folder))
    if "int8" in precisions:
        makers += [lambda: onnx_int8(folder), lambda: openvino_int8(folder)]
    for maker in makers:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output is for tables
                maker()
        except ImportError as error:
            print(f"peers.py: {error}; its model is left out", file=sys.stderr)
