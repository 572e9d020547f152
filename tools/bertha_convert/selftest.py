"""Records what the file must reproduce (tools/format.md section 6), from the original checkpoint."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional
from unittest import mock

import numpy as np

from .adapter import Adapter
from .config import LARGEST_SIZE
from .errors import ConvertError, fail
from .families import EMBEDDING, FAMILIES, MASKED, NEXT_SENTENCE
from .requirements import FOR_ADAPTERS, FOR_SELFTEST, faults
from .tokenizer import Resolved, lower_first
from .tokenizer_rules import ORACLES

Json = dict[str, Any]
Case = tuple[str, Optional[str]]
Vector = Callable[[np.ndarray], np.ndarray]

LONG = " ".join(
    f"On day {n} the boat left the harbour of Porto before sunrise, and Maria counted {n * 7} gulls above the pier."
    for n in range(1, 9)
)
TEXTS: tuple[Case, ...] = (
    ("The two rivers meet below the old bridge, and the market there opens at 9:30.", None),
    ("Zo\u00eb's caf\u00e9 in S\u00e3o Paulo \u2014 a na\u00efve plan \u2014 costs \u20ac3.50 (or $4)!", None),
    ("\u0130stanbul'da ya\u011fmur ya\u011f\u0131yor; I\u015f\u0131k Bey Ankara'ya gitti.", None),
    ("\u041c\u0430\u0448\u0430 \u0436\u0438\u0432\u0451\u0442 \u0442\u0430\u043c, \u039f\u0394\u039f\u03a3 5", None),
    ("\u6771\u4eac\u30bf\u30ef\u30fc\u3068\uc11c\uc6b8\uc740 \u9060\u3044\u3002 \u0928\u0938\u094d\u0924\u0947", None),
    ("zero\u200bwidth, soft\u00adhyphen, Cafe\u0301, \U0001f3f3\ufe0f\u200d\U0001f308 and a [SEP] in the text", None),
    ("", None),
    (LONG, None),
    ("Did the ferry leave on time?", "Yes: it left Lisbon at noon with Ana and her brother on board."),
)
MASKS: tuple[Case, ...] = (  # where {} stands for the mask
    ("The two rivers meet below the old {}, and the market there opens at 9:30.", None),
    ("Maria counted {} gulls; Ana {} them all.", None),
    ("{}", None),
    ("\u0130stanbul'da {} ya\u011f\u0131yor.{}", None),
    ("Did the ferry leave on {}?", "Yes: it left {} at noon with Ana and her brother on board."),
)
COLUMNS = 24  # of a masked token's logits, spread over the vocabulary, that are recorded beside the best
BEST = 5
QUESTIONS: tuple[Case, ...] = (
    (
        "Who keeps the lighthouse?",
        "The lighthouse of Cabo Verde is kept by Jo\u00e3o, whose father kept it before him.",
    ),
    ("When does the market open?", "The two rivers meet below the old bridge, and the market there opens at 9:30."),
    (
        "Ya\u011fmur nerede ya\u011f\u0131yor?",
        "\u0130stanbul'da ya\u011fmur ya\u011f\u0131yor; I\u015f\u0131k Bey Ankara'ya gitti.",
    ),
    ("What is far?", "\u6771\u4eac\u30bf\u30ef\u30fc is far, \U0001f3f3\ufe0f is near, Cafe\u0301 is here."),
    ("Where?", "Here."),
    ("", "Here."),
    ("How many gulls did Maria count on day 3?", LONG),
)


class Mismatch(ConvertError):
    """The converter's tokens are not those of the version that it answers to: no file is written."""


class Recording(NamedTuple):
    """What transformers made of the cases."""

    cases: list[Json]
    sentence: str  # for the report
    version: str | None = None  # of transformers, where it recorded logits
    float32_split: bool = False  # of the file's configuration
    warnings: tuple[str, ...] = ()


def import_oracle() -> Any:
    """The transformers module, quiet. Throws unless it and torch can be used."""
    if told := faults(FOR_SELFTEST):
        raise ConvertError(f"a self-test with logits needs torch and transformers: {told}")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def tokens_only(resolved: Resolved, config: Json, why: str, warnings: tuple[str, ...] = ()) -> Recording:
    """A recording without logits, and why it has none."""
    found = cases(resolved, config)
    return Recording(found, f"{len(found)} cases, tokens only: {why}", warnings=warnings)


def recording(
    asked: bool | None,
    folder: Path,
    resolved: Resolved,
    config: Json,
    vector: Vector | None = None,
    lowercase: bool = False,
    adapter: Adapter | None = None,
    unloadable: str = "",
) -> Recording:
    """The self-test as far as it can be recorded; `asked` None: without logits where that fails, and told so.

    `vector` makes an embedding of hidden states; with `lowercase` texts are lowered first; `adapter` is merged.
    `unloadable` says why transformers can't load the weights, if it can't.
    """
    if asked is False:
        return Recording([], "none (--no-selftest)")
    if unloadable and not asked:
        return tokens_only(resolved, config, unloadable)
    if asked is None and not all(map(importlib.util.find_spec, FOR_SELFTEST)):
        return tokens_only(resolved, config, "torch and transformers are not installed")
    try:
        return record(import_oracle(), folder, resolved, config, vector, lowercase, adapter)
    except Mismatch:
        raise
    except Exception as error:  # of any kind: torch and transformers throw all of them
        what = str(error) if isinstance(error, ConvertError) else f"{type(error).__name__}: {error}".split("\n")[0]
        if asked:
            do = "Leave --selftest out for a self-test of the tokens only."
            raise fail("the self-test can't be recorded", where=folder, got=what, do=do) from error
        return tokens_only(resolved, config, "recording logits failed", (f"the self-test has no logits: {what}",))


def _encoded(resolved: Resolved, text: str, pair: str | None) -> Json:
    """A case's text and what the tokenizer makes of it."""
    encoding = resolved.engine.encode(text, pair)
    return {
        "text": text,
        "text_pair": pair,
        "ids": encoding.ids,
        "type_ids": encoding.type_ids if resolved.has_types else [0] * len(encoding.ids),
        "offsets": [list(span) for span in encoding.offsets],
        "logits": None,
        "logits_bytes": None,
        "answer": None,
    }


def cases(resolved: Resolved, config: Json) -> list[Json]:
    """The cases that fit into the model, without logits and answers."""
    texts = QUESTIONS if config.get("head") == "question-answering" else TEXTS
    if masked := config.get("head") == MASKED:
        mask = resolved.engine.id_to_token(resolved.description["mask_token_id"])
        texts += tuple((text.replace("{}", mask), pair and pair.replace("{}", mask)) for text, pair in MASKS)
    types, rows = max(1, config.get("type_vocab_size", 2)), config.get("vocab_size", LARGEST_SIZE)
    found = [
        case
        for case in (_encoded(resolved, text, pair) for text, pair in texts)
        if len(case["ids"]) <= config["max_length"] and max(case["type_ids"]) < types and max(case["ids"]) < rows
    ]
    for case in found if masked else ():
        case["positions"] = [i for i, token in enumerate(case["ids"]) if token == resolved.description["mask_token_id"]]
        case["columns"] = []
    return found


def nine_digits(values: Any) -> Any:
    """Nested lists of float32 as the shortest decimals of nine digits, which give the same float32 back."""
    return [nine_digits(v) for v in values] if isinstance(values, (list, np.ndarray)) else float(f"{values:.9g}")


def plain(value: Any) -> Any:
    """An answer with Python's own numbers: scores become the double of their float32."""
    return json.loads(json.dumps(value, default=float))


def _check_tokenizer(loaded: Any, transformers: Any, recorded: list[Json], question_answering: bool) -> str:
    """Compares the resolved tokenizer with the one that transformers loads."""
    wrong = 0
    for case in recorded:
        encoding = loaded(case["text"], case["text_pair"], return_offsets_mapping=True)
        offsets = [list(span) for span in encoding["offset_mapping"]]
        wrong += encoding["input_ids"] != case["ids"] or offsets != case["offsets"]
    version = transformers.__version__
    if wrong and version == ORACLES["v4" if question_answering else "v5"]:
        do = "This is a fault of the converter: please report it with the folder's tokenizer files."
        raise Mismatch(f"the resolved tokenizer differs from transformers {version} in {wrong} self-test cases. {do}")
    return f"{wrong} of {len(recorded)} cases are tokenized otherwise by transformers {version}"


def _model(transformers: Any, folder: Path, config: Json, adapter: Adapter | None) -> tuple[Any, list[str]]:
    """The checkpoint with its head, in float32, and the weights that transformers made from random numbers."""
    head = config["head"]
    classes = {
        "sequence-classification": transformers.AutoModelForSequenceClassification,
        "token-classification": transformers.AutoModelForTokenClassification,
        "question-answering": transformers.AutoModelForQuestionAnswering,
        NEXT_SENTENCE: transformers.AutoModelForNextSentencePrediction,
        MASKED: transformers.AutoModelForMaskedLM,
        EMBEDDING: transformers.AutoModel,
    }
    import torch

    # 4 and 5 know the older name of dtype; without it 5 rounds to what config.json or the first tensor has.
    options: Json = {"num_labels": 2} if head == "question-answering" else {}
    if adapter:
        if told := faults(FOR_ADAPTERS):
            raise ConvertError(f"logits of a model with an adapter need peft: {told}")
        names = {"id2label": dict(enumerate(config["labels"]))} if config["labels"] else {}
        options = {**options, **(names if not options else {}), "ignore_mismatched_sizes": True}
    options |= {"local_files_only": True, "trust_remote_code": False}  # code of the folder's own is never run
    model, told = classes[head].from_pretrained(str(folder), output_loading_info=True, torch_dtype=torch.float32, **options)
    missing = [key for key in told["missing_keys"] if head != EMBEDDING or not key.startswith("pooler.")]
    if adapter:
        import peft

        model = peft.PeftModel.from_pretrained(model, str(adapter.folder)).merge_and_unload()
        missing = [key for key in missing if key not in adapter.tensors]
    return model.float().eval(), sorted(missing)


def _linears(model: Any) -> list[Any]:
    """The linear layers that run in the file's precision: those of the encoder, without the pooler."""
    import torch

    names = FAMILIES[model.config.model_type].names
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and (f"{names.layers}." in name or name.endswith(names.projection))
    ]


def _rounds_attention(model: Any) -> bool:
    """Whether as_bfloat16 can round in this model's attention: where transformers hands it to torch as one operation."""
    return getattr(model.config, "_attn_implementation", None) == "sdpa"


def _rounded_attention(query: Any, key: Any, value: Any, attn_mask: Any = None, **options: Any) -> Any:
    """torch's scaled_dot_product_attention as kernels/attention_bf16.inl computes it, but for masked keys."""
    import torch

    def rounded(x: Any) -> Any:
        return x.bfloat16().float()

    scale = options.get("scale") or query.size(-1) ** -0.5
    if (shared := query.size(-3) // key.size(-3)) > 1:
        key, value = key.repeat_interleave(shared, dim=-3), value.repeat_interleave(shared, dim=-3)
    scores = rounded(query * scale) @ rounded(key).transpose(-2, -1)
    if attn_mask is not None:
        unseen = torch.finfo(torch.float32).min
        scores = scores.masked_fill(~attn_mask, unseen) if attn_mask.dtype == torch.bool else scores + attn_mask
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return (rounded(exponentials) @ rounded(value)) / exponentials.sum(dim=-1, keepdim=True)


def as_bfloat16(model: Any) -> None:
    """Makes a float32 model compute as a bfloat16 file runs: with its weights, and its operands of products."""
    import torch

    forward = model.forward

    @functools.wraps(forward)
    def with_rounded_attention(*args: Any, **options: Any) -> Any:
        with mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", _rounded_attention):
            return forward(*args, **options)

    model.forward = with_rounded_attention
    linears = _linears(model)
    for module in linears:
        module.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16().float(),))
    for module in linears + [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]:
        factor = getattr(module, "scalar_embed_scale", 1.0)  # which a file's tables are multiplied by
        module.weight.data = (module.weight.data * factor).bfloat16().float() / factor


def as_split(model: Any) -> None:
    """Makes a float32 model compute as a CPU with bfloat16 tiles runs it: encoder/float32_split.hpp."""
    import torch

    def halves(x: Any) -> tuple[Any, Any]:
        high = x.bfloat16().float()
        return high, (x - high).bfloat16().float()

    def forward(module: Any, x: Any) -> Any:
        (high, low), (w_high, w_low) = halves(x), halves(module.weight)
        product = torch.nn.functional.linear
        made = product(high, w_low) + product(high, w_high) + product(low, w_high)
        return made if module.bias is None else made + module.bias

    for module in _linears(model):
        module.forward = functools.partial(forward, module)


def _keep_promise(expected: list[Any], found: list[Any], promise: float = 2e-4) -> bool:
    """Whether logits are within a quarter of what Float32 promises of those of transformers."""
    bounds = [0.25 * promise * np.maximum(1.0, np.abs(logits)) for logits in map(np.asarray, expected)]
    return all(np.all(np.abs(np.asarray(f) - e) <= b) for f, e, b in zip(found, expected, bounds))


def _columns(logits: np.ndarray) -> list[int]:
    """The tokens whose logits are recorded, of rows [masked tokens, vocabulary]: the best, and some that lie apart."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :BEST]
    spread = np.linspace(0, logits.shape[1] - 1, COLUMNS).astype(int)
    return sorted({int(token) for token in [*best.reshape(-1), *spread]}) if len(logits) else []


def _logits(model: Any, case: Json, head: str, reads_types: bool, vector: Vector | None) -> list[Any]:
    """The logits of one case: one row, or a row per token; of an embedding its vector; of masks some of each one's."""
    import torch

    types = {"token_type_ids": torch.tensor([case["type_ids"]])} if reads_types else {}
    with torch.no_grad():
        output = model(input_ids=torch.tensor([case["ids"]]), **types)
    if vector:
        return nine_digits(vector(output.last_hidden_state[0].numpy())[None])
    if head == MASKED:
        masked = output.logits[0][case["positions"]].numpy()
        case["columns"] = case["columns"] or _columns(masked)
        return nine_digits(masked[:, case["columns"]])
    if head == "question-answering":
        rows = torch.stack([output.start_logits[0], output.end_logits[0]], dim=1)
    else:
        rows = output.logits if head in ("sequence-classification", NEXT_SENTENCE) else output.logits[0]
    return nine_digits(rows.numpy())


def _answer(run: Any, case: Json, head: str) -> Json | list[Json] | None:
    """What the pipeline says to one case; None where it takes no such input."""
    text, pair = case["text"], case["text_pair"]
    if head == "sequence-classification":
        found = run({"text": text, "text_pair": pair}) if pair is not None else run(text)
        return plain(found if isinstance(found, list) else [found])
    if head == MASKED:
        return plain(run(text)) if pair is None and case["positions"] else None
    if head == "token-classification":
        return plain(run(text)) if pair is None else None
    return plain(run(question=text, context=pair)) if text and pair else None


def record(
    transformers: Any,
    folder: Path,
    resolved: Resolved,
    config: Json,
    vector: Vector | None,
    lowercase: bool,
    adapter: Adapter | None,
) -> Recording:
    """The cases with logits and answers, as far as transformers has them."""
    head = config.get("head", "none")
    recorded = cases(resolved, config)
    if not (folder / "config.json").is_file():
        return Recording(recorded, f"{len(recorded)} cases, tokens only: transformers needs a config.json")
    loaded = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if lowercase:
        lower_first(loaded.backend_tokenizer)
    agreement = _check_tokenizer(loaded, transformers, recorded, head == "question-answering")
    if head in ("none", "custom"):
        sentence = f"{len(recorded)} cases, tokens only: the file has no head that transformers knows; {agreement}"
        return Recording(recorded, sentence)
    model, missing = _model(transformers, folder, config, adapter)
    version = transformers.__version__
    if missing:
        random = f"transformers {version} doesn't find {len(missing)} weights and makes them from random numbers"
        return Recording(recorded, f"{len(recorded)} cases, tokens only: {random}; {agreement}")
    if config["precision"] == "bfloat16" and not _rounds_attention(model):
        sentence = f"{len(recorded)} cases, tokens only: transformers {version} computes attention in steps"
        return Recording(recorded, f"{sentence}; {agreement}")
    if config["type_vocab_size"] == 0:  # a pipeline would hand the model types that a class for another family gives
        loaded.model_input_names = [name for name in loaded.model_input_names if name != "token_type_ids"]
    task = {"sequence-classification": "text-classification", MASKED: "fill-mask"}.get(head, head)
    has_pipeline = head not in (EMBEDDING, NEXT_SENTENCE) and (head != "question-answering" or int(version.split(".")[0]) < 5)
    run = transformers.pipeline(task, model=model, tokenizer=loaded) if has_pipeline else None
    for case in recorded:
        answer = _answer(run, case, head) if run else None
        case["answer"] = None if answer is None else json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    if config["precision"] == "bfloat16":
        as_bfloat16(model)
    reads_types = config["type_vocab_size"] > 0
    for case in recorded:
        case["logits"] = _logits(model, case, head, reads_types, vector)
    split = False
    if config["precision"] == "float32":
        as_split(model)
        found = [_logits(model, case, head, reads_types, vector) for case in recorded]
        split = _keep_promise([case["logits"] for case in recorded], found, 1e-5 if vector else 2e-4)
    answers = "logits and answers" if run else f"logits (it has no pipeline for {head}: no answers)"
    answers = "vectors" if vector else answers
    sentence = f"{len(recorded)} cases, {answers} of transformers {version}; {agreement}"
    return Recording(recorded, sentence, version, split)


def record_bytes(program: Path, file: Path) -> list[str]:
    """The logits of the scalar level as hexadecimal bytes, one string for each case of the file's self-test."""
    command = [str(program), "verify", str(file), "--record"]
    try:
        done = subprocess.run(
            command, env=os.environ | {"BERTHA_ISA": "scalar"}, capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        got = (getattr(error, "stderr", None) or str(error)).strip()
        raise fail(
            "the reference logits can't be recorded", where=" ".join(command), expected="a JSON list", got=got
        ) from error
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise fail(
            "the reference logits can't be recorded",
            where=" ".join(command),
            expected="a list of strings",
            got=done.stdout[:200],
        )
    return found
