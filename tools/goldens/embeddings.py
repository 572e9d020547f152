"""The goldens of embeddings and of reranking: what sentence-transformers 6.2.0 makes of tiny folders in their real shapes."""

import json
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
from .models import DISTILBERT, NONE, XLM_ROBERTA, Tiny, write_model

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
    }


MODELS = {
    "embed_bert": Tiny("embed_bert", NONE, 2, 32, 4, 48),
    "embed_xlm_roberta": Tiny("embed_xlm_roberta", NONE, 2, 28, 2, 40, **XLM_ROBERTA),
    "embed_distilbert": Tiny("embed_distilbert", NONE, 2, 32, 2, 40, cased=True, **DISTILBERT),
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


def embed_golden(name: str) -> None:
    """A model that makes vectors."""
    texts = [*TEXTS["texts"][::5], TEXTS["long"]]
    with tempfile.TemporaryDirectory() as root:
        encoder, folder = Path(root) / "encoder", Path(root) / name
        encoder.mkdir()
        write_model(encoder, MODELS[name])
        prompts = {"query": "query: ", "passage": "passage: "}
        modules = pipelines(encoder, MODELS[name].hidden)[name]
        model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name="query", device="cpu")
        model.save(str(folder))
        convert(Options(folder, GOLDEN / "models" / f"{name}.safetensors", selftest=True))
        model = SentenceTransformer(str(folder), device="cpu")
        cases = []
        for options in OPTIONS:
            # cut vectors are normalised again, as bertha does it: sentence-transformers does where it is asked
            again = options.get("truncate_dim") is not None and isinstance(modules[-1], Normalize)
            vectors = model.encode(texts, normalize_embeddings=again, **options)
            cases += [{"text": t, "options": options, "vector": nine_digits(v)} for t, v in zip(texts, vectors)]
        for text in texts[:3]:
            rows = model.encode(text, output_value="token_embeddings", prompt="").numpy()
            cases.append({"text": text, "options": {"tokens": True}, "rows": nine_digits(rows)})
    write(name, {"cases": cases})


def rerank_golden() -> None:
    """A model of one output, whose rule is the logit itself."""
    name, texts = "rerank", [text for text in TEXTS["texts"] if text][::8]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / name
        folder.mkdir()
        write_model(folder, Tiny(name, SEQUENCE, 2, 32, 4, 48, labels=("LABEL_0",), max_length=40))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity", "version": ORACLE}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        convert(Options(folder, GOLDEN / "models" / f"{name}.safetensors", selftest=True))
        model = CrossEncoder(str(folder), device="cpu")
        cases = []
        for query in ("What is the price?", "\u00bf", TEXTS["long"]):
            for score, function in (("automatic", None), ("sigmoid", torch.nn.Sigmoid())):
                ranks = model.rank(query, texts, activation_fn=function)
                found = [{"index": each["corpus_id"], "score": float(each["score"])} for each in ranks]
                cases.append({"query": query, "texts": texts, "score": score, "ranks": found})
    write(name, {"cases": cases})


def embeddings_goldens(names: list[str]) -> None:
    """All of them, or those named."""
    if sentence_transformers.__version__ != ORACLE:
        raise ValueError(f"sentence-transformers {sentence_transformers.__version__} is no oracle; install {ORACLE}")
    for name in MODELS:
        if name in (names or [name]):
            embed_golden(name)
    if "rerank" in (names or ["rerank"]):
        rerank_golden()
