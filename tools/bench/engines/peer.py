"""What every engine other than bertha is to this program: a class that loads a model and runs padded batches."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Settings = dict[str, Any]


class Unavailable(Exception):
    """The engine, or this precision of it, is not there; the message says why."""


def padded(sequences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids [batch, longest] with 0 behind the shorter ones, and the attention mask."""
    longest = max(len(ids) for ids in sequences)
    ids = np.zeros((len(sequences), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask


class Peer(ABC):
    """One engine with one model, in one precision, on a fixed number of threads.

    Its package is imported when it is made, in the worker: the others don't need it, and nothing of it disturbs them.
    """

    name: ClassVar[str]
    # By the names of bertha's levels: the environment that keeps the engine off better instructions than that level's.
    limits: ClassVar[dict[str, dict[str, str]]] = {}

    @classmethod
    @abstractmethod
    def candidates(cls, precision: str, threads: int) -> list[Settings]:
        """The settings worth a trial, the ones that are usually best first. "environment" holds variables."""

    @abstractmethod
    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        """Loads what models.py left in `folder`. Throws Unavailable or ImportError."""

    @abstractmethod
    def version(self) -> str:
        """Of the engine."""

    @abstractmethod
    def prepare(self, ids: np.ndarray, mask: np.ndarray) -> Any:
        """The batch as `run` takes it: not timed."""

    @abstractmethod
    def run(self, batch: Any) -> Any:
        """One batch through the model: timed. Logits [batch, labels], or what `logits` makes them of."""

    def logits(self, result: Any) -> np.ndarray:
        """What `run` gave, as an array: not timed."""
        return np.asarray(result)

    def run_all(self, batches: list[Any]) -> list[Any]:
        """All batches of a workload: timed. Engines that can run several at once do so here."""
        return [self.run(batch) for batch in batches]
