"""The models of pipelines.py: checkpoints of Hugging Face as they are, or of BERT-base's size with random weights; in
ONNX Runtime's formats; in OpenVINO's.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from models import CONVERT, SHAPES

SEQUENCE, TOKEN, QUESTION = "SequenceClassification", "TokenClassification", "QuestionAnswering"
HEADS = {"classify": SEQUENCE, "ner": TOKEN, "qa": QUESTION}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def of_base_size(folder: Path, out: Path, task: str) -> None:
    """A checkpoint with the tokenizer and the labels of `folder`, and random weights."""
    config = transformers.AutoConfig.from_pretrained(folder)
    base = transformers.BertConfig(**SHAPES["base"].sizes)
    for size in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"):
        setattr(config, size, getattr(base, size))
    torch.manual_seed(1)
    model = getattr(transformers, f"AutoModelFor{HEADS[task]}").from_config(config, dtype=torch.float32)
    model.save_pretrained(out)
    for path in folder.iterdir():
        if path.name != "config.json" and not path.name.endswith((".safetensors", ".bin")):
            shutil.copy(path, out / path.name)


class Outputs(torch.nn.Module):
    """Ids, mask and types to what the head gives, or to hidden states."""

    def __init__(self, model: Any, names: list[str]):
        super().__init__()
        self.model, self.names = model.eval(), names

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor) -> Any:
        """As exporters want it: tensors in, tensors out."""
        found = self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return tuple(found[name] for name in self.names)


def export(folder: Path, out: Path, task: str) -> None:
    """fused.onnx with ONNX Runtime's fusions for BERT, and dynamic.onnx, in int8; exported.onnx for OpenVINO."""
    from onnx import TensorProto
    from onnxruntime import quantization
    from onnxruntime.transformers import optimizer

    names = {"qa": ["start_logits", "end_logits"], "embed": ["last_hidden_state"]}.get(task, ["logits"])
    auto = getattr(transformers, f"AutoModelFor{HEADS[task]}" if task in HEADS else "AutoModel")
    model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    ids = torch.ones(2, 16, dtype=torch.long)
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS}
    path = str(out / "exported.onnx")
    torch.onnx.export(Outputs(model, names), (ids, torch.ones_like(ids), torch.zeros_like(ids)), path,
                      input_names=list(INPUTS), output_names=names, dynamic_axes=axes, dynamo=False)
    config = model.config
    fused = optimizer.optimize_model(path, "bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size)
    fused.save_model_to_file(str(out / "fused.onnx"))
    types = {"DefaultTensorType": TensorProto.FLOAT}  # shapes aren't inferred through the fused operations
    quantization.quantize_dynamic(out / "fused.onnx", out / "dynamic.onnx", per_channel=True, extra_options=types)


def convert(program: str, folder: Path, out: Path) -> None:
    """bertha-float32.safetensors by the converter of this project, and of that bertha-int8.safetensors."""
    files = [str(out / f"bertha-{precision}.safetensors") for precision in ("float32", "int8")]
    # With its self-test: only that tells whether products of split numbers keep the promise of float32.
    subprocess.run([sys.executable, str(CONVERT), str(folder), files[0], "--selftest"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "quantize", *files], check=True, stdout=subprocess.DEVNULL)


def longest(folder: Path) -> int:
    """Tokens that a sentence-transformers folder keeps of a text."""
    return int(json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"])
