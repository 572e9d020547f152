"""What is run: token ids, the same in every run of the program."""

from dataclasses import dataclass

import numpy as np

LENGTHS = {"1": (16, 128, 384, 512, 4096), "8": (128,), "32": (128,)}  # by batch
FULL = {f"{batch}x{length}": (int(batch), length) for batch, lengths in LENGTHS.items() for length in lengths}
MIXED = {"mixed": False, "sorted": True}  # whether peers get their batches sorted by length
NAMES = [*FULL, *MIXED]
BATCH = 32  # of peers, where lengths are mixed


@dataclass(frozen=True)
class Workload:
    """Sequences of token ids, and the batches that peers are given them in. bertha gets all in one call."""

    name: str
    sequences: list[list[int]]
    by_length: bool

    def order(self) -> list[int]:
        """The peers' order."""
        indices = list(range(len(self.sequences)))
        return sorted(indices, key=lambda i: len(self.sequences[i])) if self.by_length else indices

    def batches(self) -> list[list[list[int]]]:
        """The peers' batches."""
        ordered = [self.sequences[i] for i in self.order()]
        return [ordered[i : i + BATCH] for i in range(0, len(ordered), BATCH)]

    def in_given_order(self, logits: np.ndarray) -> np.ndarray:
        """Rows in the order of `batches`, in that of `sequences`."""
        found = np.empty_like(logits)
        found[self.order()] = logits
        return found


def workload(name: str) -> Workload:
    """`mixed` and `sorted` have lengths as sentences have: a log-normal distribution with median 24, from 4 to 256."""
    random = np.random.default_rng(1)
    if name in FULL:
        batch, length = FULL[name]
        lengths = [length] * batch
    else:
        lengths = np.clip(np.exp(random.normal(np.log(24), 0.8, 256)), 4, 256).astype(int).tolist()
    sequences = [random.integers(5, 30000, length).tolist() for length in lengths]
    return Workload(name, sequences, MIXED.get(name, False))
