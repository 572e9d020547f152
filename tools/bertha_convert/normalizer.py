"""Normalisers of tokenizer.json as the steps of tools/format.md section 4."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from . import charsmap
from .errors import fail

Json = dict[str, Any]
Steps = list[Json]

STEPS = {
    "NFD": ["nfd"],
    "NFKD": ["nfkd"],
    "NFC": ["nfc"],
    "NFKC": ["nfkc"],
    "Lowercase": ["lowercase"],
    "StripAccents": ["strip_marks"],
}
OTHERS = ("Sequence", "BertNormalizer", "Strip", "Replace", "Precompiled")
OPTIONS = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
APART = re.compile(r"\(\\W\)(\??)([^\\()\[\]{}.*+?^$|]+)\(\\W\)")  # a string between characters of no word


def _replacement(state: Json) -> Json:
    """`Replace` of a string, or of one of the patterns that tokenizers of encoders have."""
    pattern, content = state["pattern"].get("String"), state["content"]
    if apart := APART.fullmatch(state["pattern"].get("Regex", "")):
        replaced = {"step": "replace_apart", "pattern": apart[2], "content": content}
        return replaced | {"optional_before": apart[1] == "?"}
    if state["pattern"].get("Regex") == " {2,}":
        return {"step": "replace_spaces", "content": content}
    if state["pattern"].get("Regex") == r"\s{2,}|[\n\r\t]" and content == " ":
        return {"step": "collapse_white_space"}
    if not pattern:
        got = f"Replace of {json.dumps(state['pattern'], ensure_ascii=False)}"
        expected = "Replace of a string that is not empty"
        raise fail("this normaliser is not supported", where="tokenizer.json: normalizer", expected=expected, got=got)
    return {"step": "replace", "pattern": pattern, "content": content}


def steps_of(state: Json) -> Steps:
    """The steps of a normaliser in its JSON form. Throws for one that bertha doesn't know, naming it."""
    kind = state["type"]
    if kind == "Sequence":
        return [step for part in state["normalizers"] for step in steps_of(part)]
    if kind == "Replace":
        return [_replacement(state)]
    if kind == "Precompiled":
        return [{"step": "charsmap", "precompiled_charsmap": state["precompiled_charsmap"]}]
    if kind == "Strip":
        names = [name for name in ("strip_left", "strip_right") if state[name]]
    elif kind == "BertNormalizer":
        strip_accents = state["lowercase"] if state["strip_accents"] is None else state["strip_accents"]
        names = [name for name in ("clean_text", "handle_chinese_chars") if state[name]]
        names += ["nfd", "strip_nonspacing_marks"] if strip_accents else []
        names += ["lowercase"] if state["lowercase"] else []
    elif kind in STEPS:
        names = STEPS[kind]
    else:
        expected = ", ".join([*OTHERS, *STEPS])
        where = "tokenizer.json: normalizer"
        raise fail(f"the normaliser '{kind}' is not supported", where=where, expected=expected, got=kind)
    return [{"step": name} for name in names]


def bert_options(steps: Steps) -> Json | None:
    """The options of BERT's normaliser that do the same, if there are any."""
    names = [step["step"] for step in steps]
    options = dict.fromkeys(OPTIONS, False)
    for option, parts in zip(OPTIONS, (OPTIONS[:1], OPTIONS[1:2], ("nfd", "strip_nonspacing_marks"), OPTIONS[3:])):
        if names[: len(parts)] == list(parts):
            options[option] = True
            del names[: len(parts)]
    return None if names else options


def take_charsmap(steps: Steps) -> charsmap.Replacements | None:
    """What the step `charsmap` replaces, if there is one: it keeps the number of replacements alone."""
    found = [step for step in steps if step["step"] == "charsmap"]
    if len(found) > 1:
        raise fail("tokenizer.json has several charsmaps", expected="one Precompiled", got=len(found))
    for step in found:
        replacements = charsmap.read(base64.b64decode(step.pop("precompiled_charsmap")))
        step["num_replacements"] = len(set(replacements.values()))
        return replacements
    return None


def state_of(normalizer: Any) -> Json:
    """The JSON form of an engine's normaliser; without one, of a sequence of none."""
    if normalizer is None:
        return {"type": "Sequence", "normalizers": []}
    return json.loads(normalizer.__getstate__())
