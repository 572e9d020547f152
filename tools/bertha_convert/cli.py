"""The command: arguments in, a model file and a report out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import FORMAT, VERSION
from .conversion import Options, convert
from .errors import ConvertError
from .families import EMBEDDING, FAMILIES, HEADS, MASKED, NEXT_SENTENCE, WRAPPERS, unwrapped
from .load_report import some
from .requirements import FOR_SELFTEST, NEEDED

Json = dict[str, Any]

EPILOG = f"""families (model_type): {", ".join(FAMILIES)}
needs: {", ".join(f"{name} >= {version}" for name, version in NEEDED.items())}; for logits in the self-test also
{", ".join(f"{name} >= {version}" for name, version in FOR_SELFTEST.items())}
exit status: 0 the file stands (or could be written: --check), 1 it doesn't (standard error says why), 2 the command line is wrong"""


def _options(arguments: list[str], program: str) -> tuple[Options, bool]:
    """The parsed command line, and whether the report is for machines."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Turns a Hugging Face folder into one bertha model file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{program} {VERSION}, writes formats up to {FORMAT}")
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="with config.json, model.safetensors or pytorch_model.bin, and the tokenizer's files",
    )
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT.safetensors", help="the model file to write")
    parser.add_argument(
        "--check", action="store_true", help="write nothing: report what would be written, or why it can't (in place of OUT)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "int8"),
        default="float32",
        help="how weights are stored: bfloat16 is half the size, int8 a quarter (default: float32)",
    )
    parser.add_argument(
        "--head",
        choices=("auto", *HEADS, NEXT_SENTENCE, MASKED, EMBEDDING, "none"),
        default="auto",
        help="auto: by modules.json of sentence-transformers or config.json; embedding: vectors of texts; none: the "
        "encoder alone, or the tokenizer of a folder without weights",
    )
    parser.add_argument(
        "--pooling",
        choices=("first", "mean", "max", "last", "mean_sqrt_len", "weighted_mean"),
        help="makes an embedding head of an encoder whose folder doesn't say how its hidden states become a vector",
    )
    parser.add_argument("--normalize", action="store_true", help="such vectors have the length 1")
    parser.add_argument(
        "--adapter", type=Path, metavar="FOLDER", help="merge this LoRA adapter of PEFT into the weights of its base model"
    )
    parser.add_argument(
        "--task", metavar="NAME", help="merge the adapter of this task, of those that a checkpoint of Jina v3 has in itself"
    )
    parser.add_argument("--tokenizer", action="store_true", help="a file of the tokenizer alone, without weights")
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="PREFIX",
        help="carry the tensors whose names begin so, for a head of your own (may be repeated)",
    )
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="PREFIX",
        help="leave out the tensors whose names begin so: what no encoder has is refused otherwise (may be repeated)",
    )
    parser.add_argument(
        "--selftest",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="record what the file must reproduce; without this option logits only where torch and transformers work",
    )
    parser.add_argument(
        "--bertha", type=Path, metavar="PROGRAM", help="record an int8 file's own logits with this program"
    )
    parser.add_argument("--json", action="store_true", help="print the report, or the error, as JSON")
    values = vars(parser.parse_args(arguments))
    as_json = values.pop("json")
    if values.pop("check") != (values["out"] is None):
        parser.error("give OUT.safetensors, or --check in its place")
    return Options(**{**values, "keep": tuple(values["keep"]), "drop": tuple(values["drop"])}), as_json


def _rules(renamed: dict[str, str]) -> str:
    """What was changed in the names, and how often."""
    rest = {old: unwrapped(old) for old in renamed}
    prefixes = sorted({family.prefix for family in FAMILIES.values()} - WRAPPERS.keys())
    rules = {
        **{f"prefix {prefix} removed": sum(prefix in found for _, found in rest.values()) for prefix in WRAPPERS},
        **{f"prefix {prefix} removed": sum(name.startswith(prefix) for name, _ in rest.values()) for prefix in prefixes},
        "LayerNorm gamma and beta are weight and bias": sum(old.endswith(("gamma", "beta")) for old in renamed),
    }
    used = [f"{rule} ({count})" for rule, count in rules.items() if count]
    return ": " + ", ".join(used) if used else ""


def _readable(report: Json) -> str:
    """The report for people."""
    config = report["config"]
    size = f"{report['bytes']:,} bytes, {report['taken']} tensors"
    lines = [f"{report['out']}: {size}" if report["out"] else f"can be converted: {size}; nothing was written"]
    others = f" ({some(report['source_files_not_read'])} not read)" if report["source_files_not_read"] else ""
    if config["kind"] == "tokenizer":
        lines.append(f"model: none, the tokenizer only{others}")
    else:
        shared = config.get("layer_weights")
        sizes = f"{config['num_hidden_layers']} layers" + (f" with the weights of {1 + max(shared)}" if shared else "")
        sizes += f", hidden {config['hidden_size']}"
        sizes += f", {config['num_attention_heads']} heads"
        lines.append(
            f"model: {sizes}, {config['hidden_act']}, {config['precision']}, pooler {config['pooler'] or 'none'}"
        )
        lines.append(f"head: {config['head']}" + (f", labels {some(config['labels'])}" if config["labels"] else ""))
        lines.append(f"weights: {some(report['source_files'])}{others}")
    lines.append(f"max_length: {config['max_length']} (the tokenizer's own: {config['model_max_length']:g})")
    lines += [f"tokenizer: {decision}" for decision in report["tokenizer"]]
    lines.append(f"renamed: {len(report['renamed'])} tensors" + _rules(report["renamed"]))
    lines.append(
        f"left out: {len(report['left_out'])} tensors"
        + (f": {some(report['left_out'])}" if report["left_out"] else "")
    )
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    lines.append(f"self-test: {report['selftest']}")
    return "\n".join(lines)


def _message(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; no file was written"
    if isinstance(error, MemoryError):
        return "there is not enough memory; no file was written"
    if isinstance(error, OSError):
        return f"{error.filename or 'writing the file'}: {error.strerror or error}; no file was written"
    return str(error)


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Being ended from outside cleans up as Ctrl-C does. A signal that is ignored stays so, as nohup wants it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str, program: str) -> int:
    """Prints the report, in UTF-8 everywhere; a reader that left early has lost nothing but that."""
    if hasattr(sys.stdout, "reconfigure"):  # which what a caller puts in its place may lack
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
    except OSError as error:
        print(f"{program}: the file stands, but its report can't be printed: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def main(arguments: list[str], program: str = "convert.py") -> int:
    """Runs the command; 0 when the file stands, 1 when not."""
    options, as_json = _options(arguments, program)
    try:
        with _ended_like_ctrl_c():
            report = convert(options)
    except (ConvertError, OSError, MemoryError, KeyboardInterrupt) as error:
        message = _message(error)
        print(f"{program}: {message}", file=sys.stderr)
        if as_json:
            _say(json.dumps({"error": message, "missing": getattr(error, "missing", [])}, ensure_ascii=False), program)
        return 1
    return _say(json.dumps(report, ensure_ascii=False) if as_json else _readable(report), program)
