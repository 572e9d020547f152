"""The goldens of embeddings and of reranking: what sentence-transformers 6.2.0 makes of tiny folders in their real shapes."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers
from bertha_convert.conversion import Options, convert
from bertha_convert.families import SEQUENCE
from bertha_convert.selftest import nine_digits
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, Pooling, Transformer

from .inputs import GOLDEN, TEXTS
from .models import write_model
from .tiny_models import DISTILBERT, NONE, XLM_ROBERTA, Tiny, gemma

Json = dict[str, Any]
ORACLE = "6.2.0"
INSTRUCTION = "Represent the sentence: "
OPTIONS = ({}, {"prompt_name": "query"}, {"prompt": INSTRUCTION}, {"prompt": "", "truncate_dim": 5})


def layer(module: Any, seed: int) -> Any:
    """A module with random weights that are the same everywhere."""
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        values = rng.normal(0, 0.4, tuple(parameter.shape)).astype(np.float32)
        parameter.data = torch.from_numpy(values)
    return module


def pipelines(folder: Path, hidden: int) -> dict[str, list[Any]]:
    """The modules of each golden by the tiny model that they begin with."""
    gelu = torch.nn.GELU()
    return {
        "embed_bert": [Transformer(str(folder), max_seq_length=24), Pooling(hidden, "mean"), Normalize()],
        "embed_xlm_roberta": [
            Transformer(str(folder)),
            Pooling(hidden, ("mean", "cls", "weightedmean", "lasttoken"), include_prompt=False),
        ],
        "embed_distilbert": [
            Transformer(str(folder), do_lower_case=True),
            Pooling(hidden, ("max", "mean_sqrt_len_tokens")),
            layer(Dense(2 * hidden, 20, activation_function=gelu), 1),
            layer(LayerNorm(20), 2),
            layer(Dense(20, 9, bias=False), 3),
            Normalize(),
        ],
        "embed_gemma": [
            Transformer(str(folder)),
            Pooling(hidden, "mean"),
            layer(Dense(hidden, 40, bias=False, activation_function=torch.nn.Identity()), 1),
            layer(Dense(40, hidden, bias=False, activation_function=torch.nn.Identity()), 2),
            Normalize(),
        ],
    }


MODELS = {
    "embed_bert": Tiny("embed_bert", NONE, 2, 32, 4, 48),
    "embed_xlm_roberta": Tiny("embed_xlm_roberta", NONE, 2, 28, 2, 40, **XLM_ROBERTA),
    "embed_distilbert": Tiny("embed_distilbert", NONE, 2, 32, 2, 40, cased=True, **DISTILBERT),
    "embed_gemma": Tiny("embed_gemma", NONE, 4, 32, 4, 48, "gelu_pytorch_tanh", **gemma(8)),
}


def write(name: str, golden: Json) -> None:
    """The JSON file, a case a line."""
    versions = {
        "generator": "tools/make_goldens.py",
        "sentence_transformers": sentence_transformers.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "torch": torch.__version__,
        "model": f"models/{name}.safetensors",
    }
    cases = ",\n".join(json.dumps(case, ensure_ascii=False) for case in golden["cases"])
    head = json.dumps(versions, ensure_ascii=False)[:-1]
    (GOLDEN / f"{name}.json").write_text(f'{head}, "cases": [\n{cases}\n]}}\n', encoding="utf-8")


def write_folder(folder: Path, name: str) -> None:
    """The folder of a golden, as sentence-transformers saves it."""
    with tempfile.TemporaryDirectory() as root:
        encoder = Path(root) / "encoder"
        encoder.mkdir()
        write_model(encoder, MODELS[name])
        modules = pipelines(encoder, MODELS[name].hidden)[name]
        prompts = {"query": "query: ", "passage": "passage: "}
        model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name="query", device="cpu")
        model.save(str(folder))


def embed_golden(name: str) -> None:
    """A model that makes vectors."""
    texts = [*TEXTS["texts"][::5], TEXTS["long"]]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / name
        write_folder(folder, name)
        convert(Options(folder, GOLDEN / "models" / f"{name}.safetensors", selftest=True))
        model = SentenceTransformer(str(folder), device="cpu")
        cases = []
        for options in OPTIONS:
            # cut vectors are normalised again, as bertha does it: sentence-transformers does where it is asked
            again = options.get("truncate_dim") is not None and isinstance(model[-1], Normalize)
            vectors = model.encode(texts, normalize_embeddings=again, **options)
            cases += [{"text": t, "options": options, "vector": nine_digits(v)} for t, v in zip(texts, vectors)]
        for text in texts[:3]:
            rows = model.encode(text, output_value="token_embeddings", prompt="").numpy()
            cases.append({"text": text, "options": {"tokens": True}, "rows": nine_digits(rows)})
    write(name, {"cases": cases})


def write_reranker(folder: Path) -> None:
    """A model of one output, whose rule is the logit itself."""
    folder.mkdir()
    write_model(folder, Tiny("rerank", SEQUENCE, 2, 32, 4, 48, labels=("LABEL_0",), max_length=40))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity", "version": ORACLE}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def rerank_golden() -> None:
    """Of that model."""
    name, texts = "rerank", [text for text in TEXTS["texts"] if text][::8]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / name
        write_reranker(folder)
        convert(Options(folder, GOLDEN / "models" / f"{name}.safetensors", selftest=True))
        model = CrossEncoder(str(folder), device="cpu")
        cases = []
        for query in ("What is the price?", "\u00bf", TEXTS["long"]):
            for score, function in (("automatic", None), ("sigmoid", torch.nn.Sigmoid())):
                ranks = model.rank(query, texts, activation_fn=function)
                found = [{"index": each["corpus_id"], "score": float(each["score"])} for each in ranks]
                cases.append({"query": query, "texts": texts, "score": score, "ranks": found})
    write(name, {"cases": cases})


def int8_golden(program: Path) -> None:
    """The vectors that the scalar level gives in int8, the specification of all others, of the files' weights."""
    texts, cases = [*TEXTS["texts"][::3], TEXTS["long"]], []
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    for name in MODELS:
        command = [str(program), "embed", str(GOLDEN / "models" / f"{name}.safetensors"), "--jsonl", "--precision", "int8"]
        scalar = {**os.environ, "BERTHA_ISA": "scalar"}
        found = subprocess.run(command, input=lines, env=scalar, capture_output=True, text=True, check=True).stdout
        cases += [{"model": f"models/{name}.safetensors", "text": text, "vector": json.loads(line)}
                  for text, line in zip(texts, found.splitlines(), strict=True)]
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path = GOLDEN / "embed_int8.json"
    path.write_text(f'{{"generator": "tools/make_goldens.py", "cases": [\n{rows}\n]}}\n', encoding="utf-8")


def embeddings_goldens(names: list[str], program: Path | None) -> None:
    """All of them, or those named; those of int8 with a program that gives them."""
    if sentence_transformers.__version__ != ORACLE:
        raise ValueError(f"sentence-transformers {sentence_transformers.__version__} is no oracle; install {ORACLE}")
    for name in MODELS:
        if name in (names or [name]):
            embed_golden(name)
    if "rerank" in (names or ["rerank"]):
        rerank_golden()
    if program and "embed_int8" in (names or ["embed_int8"]):
        int8_golden(program)
