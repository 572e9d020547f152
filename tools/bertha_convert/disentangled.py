"""What disentangled attention has for relative positions: which row of a table stands for which distance, and the keys and
queries that layers make of the rows, which depend on no input."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .errors import fail
from .families import Family

Config = dict[str, Any]
KEYS, QUERIES = "c2p", "p2c"  # content to position: queries times relative keys; and position to content


class Relative(NamedTuple):
    """Relative keys and queries, as all layers have them."""

    count: int  # rows of the checkpoint's table
    embeddings: np.ndarray  # its row for each row of the file, in the order of distances from query to key
    rows: np.ndarray  # the file's row for each distance from -reach to reach; further ones have those of the ends
    keys: bool
    queries: bool
    shared: bool  # the layers that make keys and queries of tokens make these too
    norm: bool  # of the table

    @property
    def reach(self) -> int:
        """The distance from which on nothing changes."""
        return len(self.rows) // 2

    def fields(self) -> Config:
        """What tools/format.md, section 3, has of it."""
        of_rows = {"rows": len(self.embeddings), "reach": self.reach}
        return of_rows | {"relative_keys": self.keys, "relative_queries": self.queries}


def flag(config: Config, key: str, default: bool, path: Path) -> bool:
    """A choice of config.json."""
    value = config.get(key, default)
    if type(value) is not bool:
        raise fail(f"{key} is no choice", where=path, expected="true or false", got=value)
    return value


def _integer(config: Config, key: str, default: int, most: int, path: Path) -> int:
    """A number of config.json, which may be negative: then it counts as not given."""
    value = config.get(key, default)
    if type(value) is not int or value > most:
        raise fail(f"{key} is no valid number", where=path, expected=f"{most} at most", got=value)
    return value


def terms(config: Config, path: Path) -> set[str]:
    """What config.json says that attention adds to the products of queries and keys."""
    given = config.get("pos_att_type")
    if isinstance(given, str):
        given = [part.strip() for part in given.lower().split("|")]
    if given is None:
        return set()
    if not isinstance(given, list) or not set(map(str, given)) <= {KEYS, QUERIES} or len(set(given)) < len(given):
        raise fail("pos_att_type is not known", where=path, expected=f"a list of {KEYS}, {QUERIES}", got=given)
    return set(given)


def score_terms(config: Config, family: Family, path: Path) -> int:
    """By the root of how many head sizes scores are divided: as many terms as they have, computed or not."""
    if family.disentangled is None:
        return 1
    return 1 + len(terms(config, path))


def buckets_of(distances: np.ndarray, buckets: int, furthest: int) -> np.ndarray:
    """make_log_bucket_position of transformers, in float32 as there."""
    middle, size = buckets // 2, np.abs(distances)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(size < middle, middle - 1, size).astype(np.float32) / np.float32(middle)
        steps = np.log(far) / np.log(np.float32((furthest - 1) / middle if middle else np.inf)) * np.float32(middle - 1)
        further = (np.ceil(steps) + np.float32(middle)) * np.sign(distances).astype(np.float32)
    return np.where(size <= middle, distances.astype(np.float32), further)


def read(config: Config, family: Family, positions: int, path: Path) -> Relative | None:
    """What config.json asks for, for sequences of so many tokens; None: no relative positions."""
    if family.disentangled is None or not flag(config, "relative_attention", False, path):
        return None
    given = terms(config, path)
    if KEYS not in given and QUERIES not in given:
        return None
    furthest = _integer(config, "max_relative_positions", -1, positions_most := 2**20, path)
    if furthest < 1:
        furthest = _integer(config, "max_position_embeddings", 512, positions_most, path)
    chooses = family.disentangled.chooses
    buckets = _integer(config, "position_buckets", -1, positions_most, path) if chooses else -1
    span = buckets if buckets > 0 else furthest
    distances = np.arange(1 - positions, positions)  # from query to key; the reference counts from key to query
    far = buckets_of(-distances, buckets, furthest) if buckets > 0 else -distances.astype(np.float32)
    if not np.isfinite(far).all():
        got = f"{buckets} and {furthest}"
        raise fail("position_buckets and max_relative_positions make no buckets", where=path, got=got)
    row = np.clip(far.astype(np.int64) + span, 0, 2 * span - 1)
    steps = np.flatnonzero(np.diff(row))
    middle = positions - 1
    reach = max(1, middle - int(steps[0]), int(steps[-1]) + 1 - middle) if len(steps) else 1
    row = row[max(0, middle - reach) : middle + reach + 1] if positions > 1 else np.repeat(row, 3)
    number = np.concatenate([[0], np.cumsum(np.diff(row) != 0)]).astype(np.uint32)
    first_of = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1])
    norms = [part.strip() for part in str(config.get("norm_rel_ebd", "none")).lower().split("|")] if chooses else []
    shared = chooses and flag(config, "share_att_key", False, path)
    return Relative(2 * span, row[first_of], number, KEYS in given, QUERIES in given, shared, "layer_norm" in norms)
