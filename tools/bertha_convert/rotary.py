"""What layers make of places: the angles that they turn queries and keys by, and the windows of keys that they see.

Angles are computed in float32 as torch does it in modeling_rope_utils.py and compute_default_rope_parameters of transformers
5.23.0: powers are rounded once, where torch's may be one unit of the last place off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import layout
from .config import Config, size_of
from .errors import fail
from .families import Angles, Family

SAME = ("default", "dynamic")  # rules that change nothing up to max_position_embeddings tokens
DO = "Any other angles would give other results."


class Rule(NamedTuple):
    """How fast angles grow with places."""

    base: float
    factor: float = 1.0  # that frequencies are divided by
    ntk: float = 1.0  # the same of the base and, by a power, of frequencies: what GTE's own code calls ntk


class Places(NamedTuple):
    """What the layers of a model make of places."""

    rules: list[Rule]  # of each layer; empty: they have no angles
    windows: list[int]  # of each layer; 0: all keys

    def config(self) -> Config:
        """The fields of tools/format.md that say it, those that a file of format 1 has and others."""
        tables = list(dict.fromkeys(self.rules))
        same = len(set(self.windows)) == 1
        return {
            "key_window": self.windows[0] if same else 0,
            **({} if same else {"key_windows": self.windows}),
            **({"rotary_tables": [tables.index(rule) for rule in self.rules]} if len(tables) > 1 else {}),
        }

    def tensors(self, positions: int, head_size: int) -> layout.Tensors:
        """The tables of angles."""
        result: layout.Tensors = {}
        for index, rule in enumerate(dict.fromkeys(self.rules)):
            angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies(rule, head_size)
            for name, function in (("cos", np.cos), ("sin", np.sin)):
                values = function(angles.astype(np.float64)).astype(np.float32)
                result[f"encoder.rotary.{index}.{name}"] = layout.stored(layout.rows(values))
        return result


def frequencies(rule: Rule, head_size: int) -> np.ndarray:
    """What angles grow by from token to token, one for each pair of numbers of a query or key."""
    exponents = (np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)).astype(np.float64)
    powers = (np.float64(rule.base * rule.ntk) ** exponents).astype(np.float32)
    result = np.float32(1) / powers
    if rule.ntk != 1:
        result = result / np.float32(rule.ntk ** (2 / head_size))
    return result / np.float32(rule.factor) if rule.factor != 1 else result


def _number(given: Config, name: str, default: float, path: Path) -> float:
    """A number above 0."""
    value = given.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e30:
        raise fail(f"{name} is no valid number", where=path, expected="a number above 0", got=value)
    return float(value)


def _object(given: Any, name: str, path: Path) -> Config:
    """An object, or nothing."""
    if given is not None and not isinstance(given, dict):
        raise fail(f"{name} is no object", where=path, got=given)
    return given or {}


def _rule(config: Config, angles: Angles, path: Path) -> Rule:
    """The rule of one kind of layer."""
    whole = _object(config.get("rope_parameters"), "rope_parameters", path)
    given = _object(whole.get(angles.kind), f"rope_parameters.{angles.kind}", path) if angles.kind else whole
    if not whole and angles.old_rule:
        given = _object(config.get("rope_scaling"), "rope_scaling", path)
    base = _number(config, angles.old_name, angles.base, path) if angles.old_name else angles.base
    base = _number(given, "rope_theta", base, path)
    if (part := given.get("partial_rotary_factor", config.get("partial_rotary_factor", 1))) not in (1, None):
        raise fail("partial_rotary_factor is not supported", where=path, expected=1, got=part, do=DO)
    kind = given.get("rope_type", given.get("type", "default")) or "default"
    if kind in SAME:
        return Rule(base)
    if kind == "linear":
        return Rule(base, factor=_number(given, "factor", 1.0, path))
    if kind == "ntk" and given.get("mixed_b") is None:
        return Rule(base, ntk=_number(given, "factor", 1.0, path))
    expected = ", ".join((*SAME, "linear"))
    raise fail("rope_type is not supported", where=path, expected=expected, got=kind, do=DO)


def _sees_all(config: Config, family: Family, count: int, path: Path) -> list[bool]:
    """Of each layer whether its tokens see all keys."""
    local = family.local
    if local is None:
        return [True] * count
    kinds = config.get(local.kinds)
    if kinds is None:
        every = size_of(config, local.every, path)
        return [(index + local.last) % every == 0 for index in range(count)]
    all_keys, window = (angles.kind for angles in family.angles)
    if not isinstance(kinds, list) or len(kinds) != count or not set(map(str, kinds)) <= {all_keys, window}:
        expected = f"{all_keys} or {window} for each of num_hidden_layers, {count}"
        raise fail(f"{local.kinds} doesn't name the kind of each layer", where=path, expected=expected, got=kinds)
    return [kind == all_keys for kind in kinds]


def places(config: Config, family: Family, count: int, path: Path) -> Places:
    """What each of `count` layers makes of places."""
    sees_all = _sees_all(config, family, count, path)
    window = size_of(config, family.local.window, path) // 2 if family.local else 0
    if window == 0 and not all(sees_all):
        raise fail(f"{family.local.window.names[0]} leaves each token alone", where=path, expected="2 or more")
    rules = [_rule(config, angles, path) for angles in family.angles]
    of_layers = [rules[0 if all_keys else -1] for all_keys in sees_all] if rules else []
    return Places(of_layers, [0 if all_keys else window for all_keys in sees_all])
