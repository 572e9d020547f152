"""The goldens of the demo models."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from bertha_convert.conversion import Options, convert

from .inputs import demo_requests
from .models import load_model
from .record import ORACLES, answers, model_case, pipeline, pipeline_case, run_model, same_if, stored, write_golden

Json = dict[str, Any]


def demo_golden(folder: Path, name: str, head: str) -> None:
    """Records one demo model on the weights of its int8 file, and what the original checkpoint says."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.safetensors"
        convert(Options(folder, file, "int8", selftest=False))
        model = stored(load_model(folder, head), file)
    original, loaded = load_model(folder, head), transformers.AutoTokenizer.from_pretrained(str(folder))
    runs = pipeline(model, loaded, head), pipeline(original, loaded, head)
    requests = demo_requests(name)
    cases, pipelines, same = [], [], 0
    for text, pair in dict.fromkeys((text, pair) for text, pair, _ in requests):
        if len(loaded(text, pair)["input_ids"]) <= loaded.model_max_length:
            case = model_case(model, loaded, head, text, pair, False)
            logits, _ = run_model(original, head, case["ids"], case["type_ids"])
            cases.append({**case, "original": logits.argmax(axis=-1).tolist()})
    for text, pair, options in requests:
        entry = pipeline_case(runs[0], head, text, pair, options)
        first = answers(runs[1], head, text, pair, options)
        pipelines.append({**entry, "original": first})
        same += same_if(head, entry["answers"]) == same_if(head, first)
    model_path = f"../../examples/models/{name}.safetensors"
    write_golden(
        f"demo_{name}",
        {
            "model": model_path,
            "architecture": type(model).__name__,
            "precision": ORACLES["int8"],
            "head": head,
            "cases": cases,
            "pipelines": pipelines,
        },
    )
    rows = [(np.array(case["logits"]).argmax(axis=-1) == np.array(case["original"])) for case in cases]
    agreed, total = sum(int(row.sum()) for row in rows), sum(row.size for row in rows)
    print(f"  original checkpoint: {same} of {len(requests)} answers the same, argmax in {agreed} of {total} rows")
