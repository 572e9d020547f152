#!/usr/bin/env python3
"""Records what transformers makes of small models and own texts, for tests/golden.

    python3 tools/make_goldens.py --bertha PROGRAM   all that the installed transformers is the oracle for
    python3 tools/make_goldens.py --demo FOLDER      the demo checkpoints in FOLDER/{sentiment,entities,answers} instead

transformers 5.23.0 is the oracle for everything but question answering, 4.57.6 for that: run it once under each.
The tiny models have random weights from a fixed seed; tools/convert.py turns them into
tests/golden/models/NAME.safetensors.

tests/golden/NAME.json is an object:
  generator, transformers, tokenizers, torch   where it comes from
  model        the model file, relative to tests/golden
  precision    "float32", or "float32 on dequantised int8 weights": transformers ran with the file's q * scale
  head         as in the file's config
  cases        what the model does with ids, a list of
    text, text_pair (or null), ids, type_ids, offsets ([[start, end], ...] in code points)
    logits       one row for sequence-classification, else a row per token; null where there is no head
    hidden       [after embeddings, after layer 0, ...], each [tokens][hidden_size]; null but for a few short texts
    pooled       [hidden_size] after tanh; only with `hidden`, and only for a head that is `none`
    original     demo models only: argmax over each row of the original checkpoint's logits
               (a head that is `custom`: text and scores, what PyTorch makes of the head in examples/custom_head.cpp)
  pipelines    what the task's pipeline answers, a list of
    text, text_pair   as given (question answering: question, context)
    options           the pipeline's own names; what is not named has its default ("top_k": null asks for all labels)
    answers           always a list, in the pipeline's order, entries as the pipeline prints them
    gap               the smallest difference between the scores of two neighbours in `answers`, null below two:
                      where it is under 1e-5 their order is not promised
    original          demo models only: the same of the original checkpoint
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import tokenizers
import torch
import transformers
from bertha_convert.conversion import Options, convert
from bertha_convert.selftest import nine_digits, plain
from bertha_convert.tokenizer_rules import ORACLES
from bertha_convert.unpack import reference_state

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
TEXTS = json.loads((GOLDEN / "inputs" / "texts.json").read_text(encoding="utf-8"))
SEQUENCE, TOKEN, QUESTION, NONE = "sequence-classification", "token-classification", "question-answering", "none"
CLASSES = {
    SEQUENCE: "BertForSequenceClassification",
    TOKEN: "BertForTokenClassification",
    QUESTION: "BertForQuestionAnswering",
    NONE: "BertModel",
}
BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
MIXED = ("B-PER", "I-PER", "LOC", "E-ORG", "S-ORG", "B-MISC-X", "I-MISC-X", "O")

Json = dict[str, Any]


class Tiny(NamedTuple):
    """A small random model."""

    name: str
    head: str
    layers: int
    hidden: int
    heads: int
    inner: int
    act: str = "gelu"
    cased: bool = False
    labels: tuple[str, ...] | None = None
    problem_type: str | None = None
    precision: str = "float32"
    max_length: int = 128
    selftest: bool = False
    seed: int = 1


MODELS = (
    Tiny("classify_two", SEQUENCE, 2, 32, 4, 64, labels=("negative", "positive"), selftest=True),
    Tiny("classify_deep", SEQUENCE, 12, 16, 2, 24, "gelu_new", cased=True, labels=tuple("abcdefg")),
    Tiny(
        "classify_multi_label",
        SEQUENCE,
        1,
        36,
        3,
        52,
        "relu",
        labels=("k", "\u00fc", "n o"),
        problem_type="multi_label_classification",
    ),
    Tiny("classify_regression", SEQUENCE, 1, 20, 5, 33, "silu", labels=("LABEL_0",), problem_type="regression"),
    Tiny("classify_one", SEQUENCE, 1, 16, 1, 24, cased=True, labels=("yes",)),
    Tiny("classify_int8", SEQUENCE, 2, 36, 3, 52, labels=("negative", "positive", "neither"), precision="int8", selftest=True),
    Tiny("entities", TOKEN, 2, 36, 3, 52, labels=BIO, selftest=True, seed=3),
    Tiny("entities_cased", TOKEN, 1, 40, 2, 48, "gelu_new", cased=True, labels=MIXED, max_length=48, seed=7),
    Tiny("entities_int8", TOKEN, 1, 32, 2, 64, cased=True, labels=BIO, precision="int8", selftest=True, seed=3),
    Tiny("encoder", NONE, 3, 28, 7, 30, "relu"),
    Tiny("answers", QUESTION, 2, 36, 3, 52, selftest=True),
    Tiny("answers_cased", QUESTION, 1, 32, 4, 40, "gelu_new", cased=True),
    Tiny("answers_int8", QUESTION, 2, 32, 2, 48, precision="int8", selftest=True),
)


def vocabulary(cased: bool) -> list[str]:
    """A few hundred pieces of the texts: single characters, and the most frequent beginnings and insides of words."""
    fold = (lambda text: text) if cased else str.lower
    words = [
        word for text in [*TEXTS["texts"], TEXTS["long"]] + sum(TEXTS["questions"], []) for word in fold(text).split()
    ]
    letters = "abcdefghijklmnopqrstuvwxyz"
    singles = (
        letters
        + (letters.upper() + "\u00e9\u00fc\u0131\u011f\u0130\u015f" if cased else "")
        + "0123456789.,!?'-()[]/%$"
    )
    counts: dict[str, int] = {}
    for word in words:
        pieces = [word[:n] for n in (2, 3, 4, 5)] + [
            "##" + word[i : i + n] for i in range(1, len(word)) for n in (2, 3)
        ]
        for piece in {piece for piece in pieces if piece.removeprefix("##").isalnum() and piece.isascii()}:
            counts[piece] = counts.get(piece, 0) + 1
    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))
    others = "\u6771\u4eac\u043c\u0430\u0448\u03bf\u03b4\u20ac\u00a3"
    pieces = [*singles, *("##" + letter for letter in singles if letter.isalnum()), *others, "##\u03bf", "##\u0430"]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*specials, *pieces, *frequent]))[:300]


def spread(name: str, layers: int) -> float:
    """The standard deviation of a parameter: tokens keep their own direction through the layers, and logits spread."""
    if name.endswith("bias") or "LayerNorm" in name:
        return 0.2 / layers
    if "output.dense" in name:
        return 0.4 / layers
    return 0.7 if "embeddings" in name or "encoder" not in name else 0.45


def write_model(folder: Path, tiny: Tiny) -> None:
    """A Hugging Face folder with random weights, large enough that the logits spread."""
    tokens = vocabulary(tiny.cased)
    config = {
        "architectures": [CLASSES[tiny.head]],
        "model_type": "bert",
        "vocab_size": len(tokens) + 3,
        "hidden_size": tiny.hidden,
        "num_hidden_layers": tiny.layers,
        "num_attention_heads": tiny.heads,
        "intermediate_size": tiny.inner,
        "hidden_act": tiny.act,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    if tiny.labels:
        config["id2label"] = {str(index): label for index, label in enumerate(tiny.labels)}
        config["label2id"] = {label: index for index, label in enumerate(tiny.labels)}
    if tiny.problem_type:
        config["problem_type"] = tiny.problem_type
    options = {"do_lower_case": not tiny.cased, "model_max_length": tiny.max_length, "tokenizer_class": "BertTokenizer"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    with torch.device("meta"):
        model = getattr(transformers, CLASSES[tiny.head])(transformers.BertConfig(**config))
    rng = np.random.default_rng(tiny.seed)
    state = {}
    for name, parameter in sorted(model.named_parameters()):
        values = rng.normal(0, spread(name, tiny.layers), tuple(parameter.shape)).astype(np.float32)
        state[name] = values + np.float32(1) if name.endswith("LayerNorm.weight") else values
    safetensors.numpy.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def load_model(folder: Path, head: str) -> Any:
    """The checkpoint in float32."""
    return getattr(transformers, CLASSES[head]).from_pretrained(str(folder)).float().eval()


def run_model(model: Any, head: str, ids: list[int], type_ids: list[int]) -> tuple[np.ndarray | None, Any]:
    """The logits in rows (None without a head), and the whole output."""
    with torch.no_grad():
        output = model(torch.tensor([ids]), token_type_ids=torch.tensor([type_ids]), output_hidden_states=True)
    if head == QUESTION:
        return torch.stack([output.start_logits[0], output.end_logits[0]], dim=1).numpy(), output
    if head == NONE:
        return None, output
    return (output.logits if head == SEQUENCE else output.logits[0]).numpy(), output


def model_case(model: Any, loaded: Any, head: str, text: str, pair: str | None, hidden: bool) -> Json:
    """One entry of `cases`."""
    encoding = loaded(text, pair, return_offsets_mapping=True)
    ids, types = encoding["input_ids"], encoding["token_type_ids"]
    logits, output = run_model(model, head, ids, types)
    case = {"text": text, "text_pair": pair, "ids": ids, "type_ids": types}
    case["offsets"] = [list(span) for span in encoding["offset_mapping"]]
    case["logits"] = None if logits is None else nine_digits(logits)
    case["hidden"] = [nine_digits(layer[0].numpy()) for layer in output.hidden_states] if hidden else None
    if hidden and head == NONE:
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
    while isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    return plain(found if isinstance(found, list) else [found])


def pipeline_case(run: Any, head: str, text: str, pair: str | None, options: Json) -> Json:
    """One entry of `pipelines`."""
    found = answers(run, head, text, pair, options)
    scores = [answer["score"] for answer in found]
    gaps = [abs(a - b) for a, b in zip(scores, scores[1:])] if head != TOKEN else []
    return {"text": text, "text_pair": pair, "options": options, "answers": found, "gap": min(gaps, default=None)}


def pipeline(model: Any, loaded: Any, head: str) -> Any:
    """The pipeline of a head; None where there is none."""
    task = {SEQUENCE: "text-classification", TOKEN: TOKEN, QUESTION: QUESTION}.get(head)
    return transformers.pipeline(task, model=model, tokenizer=loaded, device="cpu") if task else None


def sequence_requests() -> list[tuple[str, str | None, Json]]:
    """Text classification: plain, all labels, every function, pairs."""
    requests: list[tuple[str, str | None, Json]] = [(text, None, {}) for text in TEXTS["texts"]]
    for text, pair in TEXTS["pairs"]:
        requests += [(text, pair, {}), (text, pair, {"top_k": None})]
    for text in TEXTS["texts"][:4]:
        requests += [(text, None, {"top_k": None}), (text, None, {"top_k": 2})]
        requests += [
            (text, None, {"top_k": None, "function_to_apply": name}) for name in ("none", "sigmoid", "softmax")
        ]
    return requests


def token_requests() -> list[tuple[str, str | None, Json]]:
    """Token classification: each token and groups, with labels ignored and shown, and a text that is cut."""
    long = TEXTS["long"] * 5
    requests: list[tuple[str, str | None, Json]] = []
    for text in [*(text for text in TEXTS["texts"] if "xxx" not in text), long]:
        requests += [(text, None, {}), (text, None, {"aggregation_strategy": "simple"})]
    for text in TEXTS["texts"][2:5]:
        requests += [(text, None, {"ignore_labels": []}), (text, None, {"ignore_labels": ["O", "B-PER", "LOC"]})]
        for ignored in ([], ["PER"], ["O", "ORG", "LOC"]):
            requests.append((text, None, {"aggregation_strategy": "simple", "ignore_labels": ignored}))
    return requests


def question_requests() -> list[tuple[str, str | None, Json]]:
    """Question answering: every option of the pipeline, and contexts that need several windows."""
    requests: list[tuple[str, str | None, Json]] = []
    for question, context in TEXTS["questions"]:
        variants: tuple[Json, ...] = (
            {},
            {"top_k": 3},
            {"top_k": 20},
            {"top_k": 3, "handle_impossible_answer": True},
            {"top_k": 3, "align_to_words": False},
            {"top_k": 2, "max_answer_len": 1},
            {"max_answer_len": 40},
        )
        requests += [(question, context, options) for options in variants]
    long = TEXTS["long"] * 4
    windows: tuple[Json, ...] = (
        {},
        {"top_k": 5, "doc_stride": 16},
        {"top_k": 5, "max_seq_len": 64},
        {"top_k": 3, "max_seq_len": 48, "doc_stride": 8},
        {"top_k": 3, "max_seq_len": 40, "doc_stride": 0},
        {"max_seq_len": 64, "handle_impossible_answer": True, "top_k": 4},
    )
    return requests + [("Who counted the boats?", long, options) for options in windows]


REQUESTS = {SEQUENCE: sequence_requests, TOKEN: token_requests, QUESTION: question_requests, NONE: list}


def model_texts(head: str) -> list[tuple[str, str | None]]:
    """The texts whose ids and logits are recorded."""
    if head == QUESTION:
        return [(question, context) for question, context in TEXTS["questions"]]
    return [(text, None) for text in TEXTS["texts"]] + [(text, pair) for text, pair in TEXTS["pairs"]]


def check_margins(tiny: Tiny, cases: list[Json]) -> None:
    """Throws where two labels are so close that rounding could decide: the model needs another seed."""
    rows = [sorted(row)[-2:] for case in cases for row in case["logits"] or [] if tiny.head in (SEQUENCE, TOKEN)]
    if any(len(row) == 2 and row[1] - row[0] < 2e-3 for row in rows):
        raise ValueError(f"{tiny.name}: two labels are nearly equal, give it another seed")


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


def dequantised(model: Any, file: Path) -> Any:
    """The model with the weights that an int8 file stands for."""
    state = {name: torch.from_numpy(values.copy()) for name, values in reference_state(file).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    left = [name for name in missing if "position_ids" not in name and "pooler" not in name]
    if left or unexpected:
        raise ValueError(f"{file}: weights missing {left}, not expected {unexpected}")
    return model


def custom_golden() -> None:
    """A model with a head of one's own: the mean of the hidden states through a linear layer, as in examples/custom_head.cpp."""
    tiny = Tiny("custom_head", NONE, 2, 28, 7, 30)
    file = GOLDEN / "models" / f"{tiny.name}.safetensors"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
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
    cases = [model_case(model, loaded, tiny.head, text, pair, True) for text, pair in short]
    cases += [model_case(model, loaded, tiny.head, text, pair, False) for text, pair in model_texts(tiny.head)]
    check_margins(tiny, cases)
    run = pipeline(model, loaded, tiny.head)
    pipelines = [pipeline_case(run, tiny.head, text, pair, options) for text, pair, options in REQUESTS[tiny.head]()]
    golden = {
        "model": f"models/{file.name}",
        "precision": precision,
        "head": tiny.head,
        "cases": cases,
        "pipelines": pipelines,
    }
    write_golden(tiny.name, golden)


def demo_requests(name: str) -> list[tuple[str, str | None, Json]]:
    """What the demo models are asked."""
    if name == "answers":
        asked = [tuple(pair) for pair in TEXTS["demo"]["answers"]]
        whole = " ".join(dict.fromkeys(context for _, context in asked))
        requests = [(question, context, options) for question, context in asked for options in ({}, {"top_k": 3})]
        return requests + [(question, whole, options) for question, _ in asked[2:8] for options in ({}, {"top_k": 3})]
    texts = [(text, None) for text in TEXTS["demo"][name]]
    pairs = [tuple(pair) for pair in TEXTS["demo"].get(f"{name}_pairs", [])]
    other = {"top_k": None} if name == "sentiment" else {"aggregation_strategy": "simple"}
    return [(text, pair, options) for text, pair in texts + pairs for options in ({}, other)]


def labels_of(name: str, found: list[Json]) -> list[Any]:
    """What of a pipeline's answers counts as the same answer."""
    if name == "answers":
        return [found[0]["answer"], found[0]["start"]]
    if name == "sentiment":
        return [found[0]["label"]]
    return [[entry.get("entity", entry.get("entity_group")), entry["start"], entry["end"]] for entry in found]


def demo_golden(folder: Path, name: str, head: str) -> None:
    """Records one demo model on the weights of its int8 file, and what the original checkpoint says."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.safetensors"
        convert(Options(folder, file, "int8", selftest=False))
        model = dequantised(load_model(folder, head), file)
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
        same += labels_of(name, entry["answers"]) == labels_of(name, first)
    precision = "float32 on dequantised int8 weights"
    model_path = f"../../examples/models/{name}.safetensors"
    write_golden(
        f"demo_{name}",
        {"model": model_path, "precision": precision, "head": head, "cases": cases, "pipelines": pipelines},
    )
    rows = [(np.array(case["logits"]).argmax(axis=-1) == np.array(case["original"])) for case in cases]
    agreed, total = sum(int(row.sum()) for row in rows), sum(row.size for row in rows)
    print(f"  original checkpoint: {same} of {len(requests)} answers the same, argmax in {agreed} of {total} rows")


def main() -> int:
    """Writes the goldens of the oracle that is installed."""
    parser = argparse.ArgumentParser(description="Records tests/golden from transformers.")
    parser.add_argument(
        "--demo", type=Path, metavar="FOLDER", help="folder with the checkpoints sentiment, entities, answers"
    )
    parser.add_argument(
        "--bertha", type=Path, metavar="PROGRAM", help="records the bits of int8 self-tests by the scalar level of this build"
    )
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    options = parser.parse_args()
    version = transformers.__version__
    if version not in ORACLES.values():
        print(
            f"make_goldens.py: transformers {version} is no oracle; install {' or '.join(ORACLES.values())}",
            file=sys.stderr,
        )
        return 1
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    answering = version == ORACLES["v4"]
    if options.demo:
        for name, head in (("sentiment", SEQUENCE), ("entities", TOKEN), ("answers", QUESTION)):
            if (head == QUESTION) == answering and name in (options.names or [name]):
                demo_golden(options.demo / name, name, head)
        return 0
    for tiny in MODELS:
        if (tiny.head == QUESTION) == answering and tiny.name in (options.names or [tiny.name]):
            tiny_golden(tiny, options.bertha if tiny.precision == "int8" else None)
    if not answering and "custom_head" in (options.names or ["custom_head"]):
        custom_golden()
    return 0


if __name__ == "__main__":
    sys.exit(main())
