"""The goldens of the tiny models."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
import transformers
from bertha_convert.conversion import Options, convert
from bertha_convert.families import QUESTION, SEQUENCE, TOKEN
from bertha_convert.selftest import nine_digits

from .inputs import GOLDEN, REQUESTS, TEXTS, model_texts, padded_texts
from .models import NONE, Tiny, load_model, write_model
from .record import dequantised, model_case, pipeline, pipeline_case, run_model, write_golden

Json = dict[str, Any]


def check_margins(tiny: Tiny, cases: list[Json]) -> None:
    """Throws where two labels are so close that rounding could decide: the model needs another seed."""
    rows = [sorted(row)[-2:] for case in cases for row in case["logits"] or [] if tiny.head in (SEQUENCE, TOKEN)]
    if any(len(row) == 2 and row[1] - row[0] < 2e-3 for row in rows):
        raise ValueError(f"{tiny.name}: two labels are nearly equal, give it another seed")


def custom_golden() -> None:
    """A model with a head of one's own, as in examples/custom_head.cpp: a linear layer on the mean of hidden states."""
    tiny = Tiny("custom_head", NONE, 2, 28, 7, 30)
    file = GOLDEN / "models" / f"{tiny.name}.safetensors"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / tiny.name
        folder.mkdir()
        write_model(folder, tiny)
        rng = np.random.default_rng(11)
        scorer = {"scorer.weight": rng.normal(0, 0.5, (3, tiny.hidden)), "scorer.bias": rng.normal(0, 0.5, 3)}
        scorer = {key: values.astype(np.float32) for key, values in scorer.items()}
        weights = safetensors.numpy.load_file(folder / "model.safetensors")
        safetensors.numpy.save_file(weights | scorer, folder / "model.safetensors")
        convert(Options(folder, file, keep=("scorer.",), selftest=False))
        model, loaded = load_model(folder, NONE), transformers.AutoTokenizer.from_pretrained(str(folder))
    cases = []
    for text in TEXTS["texts"]:
        encoding = loaded(text)
        _, output = run_model(model, NONE, encoding["input_ids"], encoding["token_type_ids"])
        mean = output.last_hidden_state[0].mean(dim=0)
        scores = torch.from_numpy(scorer["scorer.weight"]) @ mean + torch.from_numpy(scorer["scorer.bias"])
        cases.append({"text": text, "scores": nine_digits(scores.numpy())})
    write_golden(tiny.name, {"model": f"models/{file.name}", "head": "custom", "cases": cases})


def tiny_golden(tiny: Tiny, bertha: Path | None) -> None:
    """Builds, converts and records one tiny model."""
    file = GOLDEN / "models" / f"{tiny.name}.safetensors"
    file.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / tiny.name
        folder.mkdir()
        write_model(folder, tiny)
        convert(Options(folder, file, tiny.precision, selftest=tiny.selftest, bertha=bertha))
        model, loaded = load_model(folder, tiny.head), transformers.AutoTokenizer.from_pretrained(str(folder))
    precision = "float32"
    if tiny.precision == "int8":
        model, precision = dequantised(model, file), "float32 on dequantised int8 weights"
    short = [(text, None) for text in TEXTS["short"]] if tiny.head != QUESTION else [("Who?", "Tom met Ada.")]
    cases = [model_case(model, loaded, tiny.head, text, pair, True) for text, pair in short[:: tiny.every]]
    padded = padded_texts(tiny.head) if tiny.padded else []
    texts = model_texts(tiny.head)[:: tiny.every] + padded
    cases += [model_case(model, loaded, tiny.head, text, pair, False) for text, pair in texts]
    check_margins(tiny, cases)
    run = pipeline(model, loaded, tiny.head)
    requests = REQUESTS[tiny.head]()[:: tiny.every] if run else []
    requests += [(text, pair, {}) for text, pair in padded]
    pipelines = [pipeline_case(run, tiny.head, text, pair, options) for text, pair, options in requests]
    golden = {
        "model": f"models/{file.name}",
        "architecture": type(model).__name__,
        "precision": precision,
        "head": tiny.head,
        "cases": cases,
        "pipelines": pipelines,
    }
    write_golden(tiny.name, golden)
