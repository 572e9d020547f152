"""The same random BERT in the format of every engine, in one folder.

checkpoint/ of Hugging Face, bertha.safetensors, exported.onnx and fused.onnx (ONNX Runtime's fusions), openvino.xml,
ctranslate2/ and classifier.npz. What can't be made, for want of a package, is left out with a message.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

CONVERT = Path(__file__).resolve().parents[1] / "convert.py"
SHAPES = {"base": (12, 768, 12, 3072), "minilm": (6, 384, 12, 1536)}  # layers, hidden, attention heads, intermediate


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
    """A random BERT, saved as a Hugging Face folder."""
    layers, hidden, heads, intermediate = SHAPES[shape]
    torch.manual_seed(1)
    config = transformers.BertConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        num_labels=3,
        position_embedding_type="absolute",  # CTranslate2's converter reads it
    )
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(folder / "checkpoint")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{i}" for i in range(config.vocab_size - len(words))]
    (folder / "checkpoint" / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    weight, bias = model.classifier.weight.detach().numpy(), model.classifier.bias.detach().numpy()
    np.savez(folder / "classifier.npz", weight=weight, bias=bias)


def bertha(folder: Path) -> None:
    """By the converter of this project."""
    # With its self-test: only that tells whether products of split numbers keep the promise of float32.
    command = [sys.executable, str(CONVERT), str(folder / "checkpoint"), str(folder / "bertha.safetensors"), "--selftest"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def exportable(folder: Path) -> tuple[Logits, tuple[torch.Tensor, torch.Tensor]]:
    """The model with attention in plain operations, which the fusions of ONNX Runtime and OpenVINO know; an example."""
    model = transformers.BertForSequenceClassification.from_pretrained(folder / "checkpoint", attn_implementation="eager")
    ids = torch.ones(2, 16, dtype=torch.long)
    return Logits(model), (ids, torch.ones_like(ids))


def onnx(folder: Path, shape: str) -> None:
    """The exported graph, and that with ONNX Runtime's fusions for BERT."""
    model, example = exportable(folder)
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    path = str(folder / "exported.onnx")
    torch.onnx.export(model, example, path, input_names=list(axes), output_names=["logits"], dynamic_axes=axes, dynamo=False)

    from onnxruntime.transformers import optimizer

    _, hidden, heads, _ = SHAPES[shape]
    optimizer.optimize_model(path, "bert", num_heads=heads, hidden_size=hidden).save_model_to_file(str(folder / "fused.onnx"))


def openvino(folder: Path) -> None:
    """From PyTorch directly, with the attention operation that PyTorch has."""
    import openvino as ov

    model = transformers.BertForSequenceClassification.from_pretrained(folder / "checkpoint", attn_implementation="sdpa")
    ids = torch.ones(2, 16, dtype=torch.long)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = ov.convert_model(Logits(model), example_input=example, input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])])
    ov.save_model(found, folder / "openvino.xml", compress_to_fp16=False)


def ctranslate2(folder: Path) -> None:
    """By its converter for transformers."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(folder / "checkpoint")).convert(str(folder / "ctranslate2"))


def make(folder: Path, shape: str) -> None:
    """Everything that the installed packages can make."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")  # of the exporters, about Python's values in a trace
    checkpoint(folder, shape)
    bertha(folder)
    makers: list[Callable[[], None]] = [lambda: onnx(folder, shape), lambda: openvino(folder), lambda: ctranslate2(folder)]
    for maker in makers:
        try:
            maker()
        except ImportError as error:
            print(f"peers.py: {error}; its model is left out", file=sys.stderr)
