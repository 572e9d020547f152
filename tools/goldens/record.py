"""Runs transformers on a model, and writes what it says."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from bertha_convert.config import family as family_of
from bertha_convert.families import FAMILIES, MASKED, NEXT_SENTENCE, QUESTION, SEQUENCE, TOKEN
from bertha_convert.selftest import nine_digits, plain
from bertha_convert.unpack import reference_state

from .disentangled import LEFT_OUT, take_relative_tables
from .inputs import GOLDEN
from .tiny_models import NONE

Json = dict[str, Any]
ORACLES = {  # by the precision of the file
    "float32": "float32",
    "bfloat16": "float32 on bfloat16 weights, the operands of the encoder's products rounded to bfloat16",
    "int8": "float32 on dequantised int8 weights",
}


def run_model(model: Any, head: str, ids: list[int], type_ids: list[int]) -> tuple[np.ndarray | None, Any]:
    """The logits in rows (None without a head), and the whole output."""
    inputs = {"input_ids": torch.tensor([ids])}
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        inputs["token_type_ids"] = torch.tensor([type_ids])
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    if head == QUESTION:
        return torch.stack([output.start_logits[0], output.end_logits[0]], dim=1).float().numpy(), output
    if head == NONE:
        return None, output
    return (output.logits if head in (SEQUENCE, NEXT_SENTENCE) else output.logits[0]).float().numpy(), output


def hidden_states(model: Any, output: Any) -> list[Any]:
    """Those after the embeddings and after each layer; of the last one behind the norm that may follow, as version 5 has it."""
    states, norm = list(output.hidden_states), FAMILIES[model.config.model_type].names.last_norm
    if norm is not None and model.config.model_type != "megatron-bert" and int(transformers.__version__.split(".")[0]) < 5:
        with torch.no_grad():
            states[-1] = model.base_model.get_submodule(norm)(states[-1])
    return states


def model_case(model: Any, loaded: Any, head: str, text: str, pair: str | None, hidden: bool) -> Json:
    """One entry of `cases`."""
    encoding = loaded(text, pair, return_offsets_mapping=True)
    ids, types = encoding["input_ids"], encoding.get("token_type_ids", [0] * len(encoding["input_ids"]))
    if getattr(model.config, "type_vocab_size", None) == 0:  # whatever a tokenizer of another family gives
        types = [0] * len(ids)
    logits, output = run_model(model, head, ids, types)
    if head == MASKED:
        logits = logits[[index for index, token in enumerate(ids) if token == loaded.mask_token_id]]
    case = {"text": text, "text_pair": pair, "ids": ids, "type_ids": types}
    case["offsets"] = [list(span) for span in encoding["offset_mapping"]]
    case["logits"] = None if logits is None else nine_digits(logits)
    case["hidden"] = [nine_digits(layer[0].numpy()) for layer in hidden_states(model, output)] if hidden else None
    if hidden and head == NONE and "pooler_output" in output:
        case["pooled"] = nine_digits(output.pooler_output[0].numpy())
    return case


def answers(run: Any, head: str, text: str, pair: str | None, options: Json) -> list[Json]:
    """What the pipeline answers, as a list."""
    if head == QUESTION:
        found = run(question=text, context=pair, **options)
    elif head == SEQUENCE:
        found = run(text if pair is None else {"text": text, "text_pair": pair}, **options)
    else:
        found = run(text, **options)
    while head != MASKED and isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    return plain(found if isinstance(found, list) else [found])


def pipeline_case(run: Any, head: str, text: str, pair: str | None, options: Json) -> Json:
    """One entry of `pipelines`."""
    found = answers(run, head, text, pair, options)
    rows = found if found and isinstance(found[0], list) else [found]  # of several masks one for each
    scores = [[answer["score"] for answer in row] for row in rows if head != TOKEN]
    gaps = [abs(a - b) for row in scores for a, b in zip(row, row[1:])]
    return {"text": text, "text_pair": pair, "options": options, "answers": found, "gap": min(gaps, default=None)}


def zero_shot_case(run: Any, text: str, options: Json) -> Json:
    """One entry of `pipelines` of a zero-shot classifier."""
    found = plain(run(text, **options))
    answers = [{"label": label, "score": score} for label, score in zip(found["labels"], found["scores"])]
    gaps = [a["score"] - b["score"] for a, b in zip(answers, answers[1:])]
    return {"text": text, "text_pair": None, "options": options, "answers": answers, "gap": min(gaps, default=None)}


def pipeline(model: Any, loaded: Any, head: str) -> Any:
    """The pipeline of a head; None where there is none."""
    task = {SEQUENCE: "text-classification", TOKEN: TOKEN, QUESTION: QUESTION, MASKED: "fill-mask"}.get(head)
    return transformers.pipeline(task, model=model, tokenizer=loaded, device="cpu") if task else None


def write_golden(name: str, golden: Json) -> None:
    """Writes one golden file, a case per line."""
    versions = {
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "torch": torch.__version__,
    }
    lines = []
    for key, value in {"generator": "tools/make_goldens.py", **versions, **golden}.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value)
            lines.append(f'"{key}": [\n{rows}\n]')
        else:
            lines.append(f'"{key}": {json.dumps(value, ensure_ascii=False)}')
    path = GOLDEN / f"{name}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def same_if(head: str, found: list[Json]) -> list[Any]:
    """What of a pipeline's answers must be equal for them to be the same answer."""
    if head == QUESTION:
        return [found[0]["answer"], found[0]["start"]]
    if head == SEQUENCE:
        return [found[0]["label"]]
    if head == MASKED:
        return [row[0]["token"] for row in (found if isinstance(found[0], list) else [found])]
    return [[entry.get("entity", entry.get("entity_group")), entry["start"], entry["end"]] for entry in found]


def stored(model: Any, file: Path) -> Any:
    """The model with the weights that a file of another precision stands for."""
    raw = model.config.to_dict()
    family = family_of(raw, file)
    state = reference_state(file, family, raw)
    state = {name: torch.from_numpy(values.copy()) for name, values in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    not_there = ("position_ids", "pooler") + (LEFT_OUT if family.disentangled else ())
    left = [name for name in missing if not any(part in name for part in not_there)]
    if left or unexpected:
        raise ValueError(f"{file}: weights missing {left}, not expected {unexpected}")
    if family.disentangled:
        take_relative_tables(model, file)
    return model
