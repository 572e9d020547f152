"""The command: arguments in, a model file and a report out."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import config as model_config
from .conversion import Options, convert
from .errors import ConvertError
from .families import FAMILIES
from .load_report import some

Json = dict[str, Any]


def _options(arguments: list[str]) -> tuple[Options, bool]:
    """The parsed command line, and whether the report is for machines."""
    parser = argparse.ArgumentParser(
        prog="convert.py", description="Turns a Hugging Face folder into one bertha model file."
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="with config.json, model.safetensors or pytorch_model.bin, vocab.txt or tokenizer.json",
    )
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="the model file to write")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "int8"), default="float32")
    parser.add_argument(
        "--head", choices=("auto", *model_config.HEADS, "none"), default="auto", help="auto: by config.json"
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="PREFIX", help="carry these tensors for a head of your own"
    )
    parser.add_argument(
        "--selftest",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="record what the file must reproduce; logits need torch and transformers (default: if they are installed)",
    )
    parser.add_argument(
        "--bertha", type=Path, metavar="PROGRAM", help="record an int8 file's own logits with this program"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    values = vars(parser.parse_args(arguments))
    as_json = values.pop("json")
    return Options(**{**values, "keep": tuple(values["keep"])}), as_json


def _rules(renamed: dict[str, str]) -> str:
    """What was changed in the names, and how often."""
    prefixes = sorted({family.prefix for family in FAMILIES.values()})
    rules = {
        "prefix module. removed": sum(old.startswith("module.") for old in renamed),
        **{
            f"prefix {prefix} removed": sum(old.removeprefix("module.").startswith(prefix) for old in renamed)
            for prefix in prefixes
        },
        "LayerNorm gamma and beta are weight and bias": sum(old.endswith(("gamma", "beta")) for old in renamed),
    }
    used = [f"{rule} ({count})" for rule, count in rules.items() if count]
    return ": " + ", ".join(used) if used else ""


def _readable(report: Json) -> str:
    """The report for people."""
    config = report["config"]
    lines = [f"{report['out']}: {report['bytes']:,} bytes, {report['taken']} tensors"]
    if config["kind"] == "tokenizer":
        lines.append("model: none (the folder has no weights), tokenizer only")
    else:
        sizes = f"{config['num_hidden_layers']} layers, hidden {config['hidden_size']}"
        sizes += f", {config['num_attention_heads']} heads"
        lines.append(
            f"model: {sizes}, {config['hidden_act']}, {config['precision']}, pooler {config['pooler'] or 'none'}"
        )
        lines.append(f"head: {config['head']}" + (f", labels {some(config['labels'])}" if config["labels"] else ""))
        weights = some(report["source_files"])
        others = f" ({some(report['source_files_not_read'])} not read)" if report["source_files_not_read"] else ""
        lines.append(f"weights: {weights}{others}")
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


def main(arguments: list[str]) -> int:
    """Runs the command; 0 when the file stands, 1 when not."""
    options, as_json = _options(arguments)
    try:
        report = convert(options)
    except (ConvertError, OSError, MemoryError) as error:
        message = str(error) or type(error).__name__
        print(f"convert.py: {message}", file=sys.stderr)
        if as_json:
            print(json.dumps({"error": message, "missing": getattr(error, "missing", [])}, ensure_ascii=False))
        return 1
    print(json.dumps(report, ensure_ascii=False) if as_json else _readable(report))
    return 0
