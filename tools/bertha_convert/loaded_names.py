"""Tensors that transformers saved under a family's first names, by the names that its modules have: adapters are made for these."""

from __future__ import annotations

import functools

import numpy as np

from .canonical import reference_name
from .families import SAVED, Family, Names
from .source import AnyTensor, MadeTensor, load


def _modules(saved: Names, own: Names) -> dict[str, list[str]]:
    """The modules of a layer: by their saved names those that transformers has, several where one matrix holds theirs."""
    halves = [own.factor, own.intermediate] if saved.factor_first else [own.intermediate, own.factor]
    packed = saved.factor is not None and saved.intermediate == saved.factor
    network = {saved.intermediate: halves} if packed else {saved.intermediate: [own.intermediate]}
    if saved.factor is not None and not packed:
        network[saved.factor] = [own.factor]
    return {
        saved.query_key_value: [own.query, own.key, own.value],
        saved.attention_output: [own.attention_output],
        saved.attention_norm: [own.attention_norm],
        saved.output: [own.output],
        saved.output_norm: [own.output_norm],
        **network,
    }


def _part(name: str, tensor: AnyTensor, index: int, count: int) -> np.ndarray:
    """One of so many parts of a tensor's rows."""
    return np.split(load(name, tensor), count)[index]


def as_loaded(stored: dict[str, AnyTensor], family: Family) -> dict[str, AnyTensor]:
    """The checkpoint with those names; as it is where it has no others."""
    saved = SAVED.get(family.model_type)
    if saved is None:
        return stored
    modules = _modules(saved.names, family.names)
    begin = f"{saved.names.layers}."
    outside = {saved.names.norm: family.names.norm, saved.masked.norm: family.masked.norm}
    found: dict[str, AnyTensor] = {}
    for name, tensor in stored.items():
        reference = reference_name(name, family)
        module, _, ending = reference.rpartition(".")
        index, _, inner = module.removeprefix(begin).partition(".")
        if not reference.startswith(begin) or inner not in modules:
            found[f"{family.prefix}{outside[module]}.{ending}" if outside.get(module, module) != module else name] = tensor
            continue
        parts = modules[inner]
        rows, *columns = tensor.shape
        for number, part in enumerate(parts):
            made = f"{family.prefix}{family.names.layers}.{index}.{part}.{ending}"
            if len(parts) == 1 or rows % len(parts):
                found[made] = tensor
            else:
                values = functools.partial(_part, name, tensor, number, len(parts))
                found[made] = MadeTensor(tensor.path, (rows // len(parts), *columns), values)
    return found
