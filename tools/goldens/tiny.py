"""The goldens of the tiny models."""

import copy
import functools
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
import transformers
from bertha_convert.conversion import Options, convert
from bertha_convert.families import MASKED, NEXT_SENTENCE, QUESTION, SEQUENCE, TOKEN
from bertha_convert.selftest import as_bfloat16, nine_digits

from .inputs import GOLDEN, REQUESTS, TEXTS, model_texts, padded_texts, window_requests, zero_shot_requests
from .models import load_model, write_model
from .record import (
    ORACLES,
    answers,
    model_case,
    pipeline,
    pipeline_case,
    run_model,
    same_if,
    stored,
    write_golden,
    zero_shot_case,
)
from .tiny_models import NONE, Tiny

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


def filled(mask: str, asked: list[Any]) -> list[Any]:
    """Texts, or requests, with the mask in the place of {}."""
    return [(text.replace("{}", mask), *rest) for text, *rest in asked]


def decoded(loaded: Any, name: str) -> list[Json]:
    """Texts of random ids: many special tokens, single tokens, and ids that no token has."""
    rng, count = random.Random(name), len(loaded)
    cases = []
    for case in range(60):
        ids = [rng.randrange(count if rng.random() < 0.7 else 8) for _ in range(1 if case % 6 == 0 else rng.randint(0, 14))]
        cases += [{"ids": ids, "skip": skip, "text": loaded.decode(ids, skip_special_tokens=skip)} for skip in (False, True)]
    return cases


def record_bfloat16(model: Any, loaded: Any, head: str, cases: list[Json], pipelines: list[Json]) -> None:
    """Adds what a model in torch.bfloat16 says to all cases."""
    for case in cases:
        logits, _ = run_model(model, head, case["ids"], case["type_ids"])
        if head == MASKED:
            logits = logits[[index for index, token in enumerate(case["ids"]) if token == loaded.mask_token_id]]
        case["bfloat16"] = logits.argmax(axis=0 if head == QUESTION else -1).tolist()
    run = pipeline(model, loaded, head)
    for entry in pipelines if head != TOKEN else []:
        entry["bfloat16"] = same_if(head, answers(run, head, entry["text"], entry["text_pair"], entry["options"]))


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
    if tiny.precision != "float32":
        model = stored(model, file)
    coarse = None
    if tiny.precision == "bfloat16":
        coarse = copy.deepcopy(model).bfloat16()
        as_bfloat16(model)
    short = [(text, None) for text in TEXTS["short"]] if tiny.head != QUESTION else [("Who?", "Tom met Ada.")]
    short = [(text, None) for text in TEXTS["masked"][1:3]] if tiny.head == MASKED else short
    fill = functools.partial(filled, loaded.mask_token) if tiny.head == MASKED else lambda asked: asked
    short = fill(short)
    cases = [model_case(model, loaded, tiny.head, text, pair, True) for text, pair in short[:: tiny.every]]
    padded = padded_texts(tiny.head) if tiny.padded else []
    texts = fill(model_texts(tiny.head)[:: tiny.every]) + padded
    cases += [model_case(model, loaded, tiny.head, text, pair, False) for text, pair in texts]
    check_margins(tiny, cases)
    run = pipeline(model, loaded, tiny.head)
    requests = fill(REQUESTS[tiny.head]()[:: tiny.every]) if run else []
    requests += [(text, pair, {}) for text, pair in padded if tiny.head != MASKED]
    pipelines = [pipeline_case(run, tiny.head, text, pair, options) for text, pair, options in requests]
    if coarse and tiny.head != NONE:
        record_bfloat16(coarse, loaded, tiny.head, cases, pipelines)
    golden = {
        "model": f"models/{file.name}",
        "architecture": type(model).__name__,
        "precision": ORACLES[tiny.precision],
        "head": SEQUENCE if tiny.head == NEXT_SENTENCE else tiny.head,
        "cases": cases,
        "pipelines": pipelines,
    }
    if tiny.head == MASKED and tiny.precision == "float32":
        golden["decoded"] = decoded(loaded, tiny.name)
    write_golden(tiny.name, golden)
    if tiny.windows:
        pipelines = [pipeline_case(run, tiny.head, text, pair, options) for text, pair, options in window_requests()]
        write_golden(f"{tiny.name}_windows", golden | {"cases": [], "pipelines": pipelines})
    if tiny.zero_shot:
        run = transformers.pipeline("zero-shot-classification", model=model, tokenizer=loaded, device="cpu")
        pipelines = [zero_shot_case(run, text, options) for text, _, options in zero_shot_requests()]
        write_golden(f"{tiny.name}_zero_shot", golden | {"cases": [], "pipelines": pipelines})
