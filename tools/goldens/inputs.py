"""The texts that models are asked, and with which options of the pipelines."""

import json
from pathlib import Path
from typing import Any

from bertha_convert.families import MASKED, QUESTION, SEQUENCE, TOKEN

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
TEXTS = json.loads((GOLDEN / "inputs" / "texts.json").read_text(encoding="utf-8"))

Json = dict[str, Any]
Request = tuple[str, str | None, Json]


def sequence_requests() -> list[Request]:
    """Text classification: plain, all labels, every function, pairs."""
    requests: list[Request] = [(text, None, {}) for text in TEXTS["texts"]]
    for text, pair in TEXTS["pairs"]:
        requests += [(text, pair, {}), (text, pair, {"top_k": None})]
    for text in TEXTS["texts"][:4]:
        requests += [(text, None, {"top_k": None}), (text, None, {"top_k": 2})]
        requests += [
            (text, None, {"top_k": None, "function_to_apply": name}) for name in ("none", "sigmoid", "softmax")
        ]
    return requests


def token_requests() -> list[Request]:
    """Token classification: each token and groups, with labels ignored and shown, and a text that is cut."""
    long = TEXTS["long"] * 5
    requests: list[Request] = []
    for text in [*(text for text in TEXTS["texts"] if "xxx" not in text), long]:
        requests += [(text, None, {}), (text, None, {"aggregation_strategy": "simple"})]
    for text in TEXTS["texts"][2:5]:
        requests += [(text, None, {"ignore_labels": []}), (text, None, {"ignore_labels": ["O", "B-PER", "LOC"]})]
        for ignored in ([], ["PER"], ["O", "ORG", "LOC"]):
            requests.append((text, None, {"aggregation_strategy": "simple", "ignore_labels": ignored}))
    return requests


def window_requests() -> list[Request]:
    """Token classification: texts that need several windows, which share more or fewer tokens."""
    odd = " ".join(text for text in TEXTS["texts"] if "xxx" not in text)
    grouped: Json = {"aggregation_strategy": "simple"}
    requests: list[Request] = [
        (text, None, {**grouped, "stride": stride}) for text in (TEXTS["long"] * 2, odd) for stride in (0, 1, 16, 40)
    ]
    requests.append((odd, None, {**grouped, "stride": 16, "ignore_labels": []}))
    return [*requests, (TEXTS["texts"][2], None, {**grouped, "stride": 16})]


def zero_shot_requests() -> list[Request]:
    """Zero-shot classification: every option, one label and several, and a text that is cut."""
    labels = ["travel", "boats", "Caf\u00e9 \u6771\u4eac", "", "a longer label, with a comma"]
    variants: tuple[Json, ...] = (
        {},
        {"multi_label": True},
        {"hypothesis_template": "{0}? Is {0} what {{it}} says?"},
        {"candidate_labels": labels[:1]},
        {"candidate_labels": labels[:2], "hypothesis_template": "{}"},
    )
    texts = [text for text in TEXTS["texts"] if text] + [TEXTS["long"] * 5]
    return [(text, None, {"candidate_labels": labels, **options}) for text in texts for options in variants]


def question_requests() -> list[Request]:
    """Question answering: every option of the pipeline, and contexts that need several windows."""
    requests: list[Request] = []
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


def masked_requests() -> list[Request]:
    """Fill-mask: one mask and several, fewer and more tokens, and targets, which need not be tokens."""
    variants: tuple[Json, ...] = ({}, {"targets": ["ok", "a", "boats", "ok"]}, {"top_k": 2})
    requests: list[Request] = [(text, None, options) for options in variants for text in TEXTS["masked"]]
    for targets in ("o", ["unseenword", "\u00fc", "?"], [" a", "a "], ["[PAD]", "<pad>", "s"]):
        requests.append((TEXTS["masked"][3], None, {"targets": targets, "top_k": 3}))
    return requests


REQUESTS = {SEQUENCE: sequence_requests, TOKEN: token_requests, QUESTION: question_requests, MASKED: masked_requests}


def model_texts(head: str) -> list[tuple[str, str | None]]:
    """The texts whose ids and logits are recorded."""
    if head == QUESTION:
        return [(question, context) for question, context in TEXTS["questions"]]
    if head == MASKED:
        return [(text, None) for text in TEXTS["masked"]]
    return [(text, None) for text in TEXTS["texts"]] + [(text, pair) for text, pair in TEXTS["pairs"]]


def padded_texts(head: str) -> list[tuple[str, str | None]]:
    """Texts with a padding token written out, which a model may count positions by."""
    padded = TEXTS["padded"]
    if head == QUESTION:
        return [(question, context) for question, context in padded["questions"]]
    return [(text, None) for text in padded["texts"]]


def demo_requests(name: str) -> list[Request]:
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
