"""What the converter needs and from which version on, each found by trying older ones; said before anything else runs.

Python's own number is in tools/convert.py, which older ones can read.
"""

from __future__ import annotations

import importlib
import re

NEEDED = {"numpy": "1.20", "safetensors": "0.3.3", "tokenizers": "0.20"}
FOR_SELFTEST = {"torch": "2.6", "transformers": "4.45"}
FOR_ADAPTERS = {"peft": "0.18"}
FOR_ONNX = {"onnx": "1.17"}


def _numbers(version: str) -> list[int]:
    """The numbers that a version begins with."""
    return [int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3]]


def _fault(name: str, minimum: str) -> str:
    """Why a package can't be used; empty where it can."""
    try:
        version = str(importlib.import_module(name).__version__)
    except ModuleNotFoundError as error:
        if error.name == name:
            return f"{name} is missing"
        return f"{name} can't be imported ({error})"
    except Exception as error:  # a package that doesn't fit another one may throw anything
        return f"{name} can't be imported ({type(error).__name__}: {error})"
    return f"{name} {version} is too old" if _numbers(version) < _numbers(minimum) else ""


def faults(packages: dict[str, str]) -> str:
    """What is wrong with the installed packages, in one line with what to do; empty where all can be used."""
    found = [fault for name, minimum in packages.items() if (fault := _fault(name, minimum))]
    if not found:
        return ""
    wanted = " ".join(f"'{name}>={minimum}'" for name, minimum in packages.items())
    return f"{', '.join(found)}; needed are {wanted}: python3 -m pip install -U {wanted}"
