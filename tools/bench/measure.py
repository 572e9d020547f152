"""Turns: which engine runs when, so that all see the same machine."""

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines import PEERS, Bertha
from engines.peer import Settings, Unavailable
from engines.process import PeerProcess
from workloads import Workload

SHORT_MS = 250  # calls shorter than this have an untimed one before them, and are repeated for as long
PAUSE_S = 0.25  # between turns on several threads: idle threads of some engines keep looking for work for 0.2 s
# Largest difference of a logit from PyTorch's float32. That of int8 only tells a model that works from one that doesn't.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 1e-1}


@dataclass
class Entry:
    """An engine in a process, and what was measured of it, by workload."""

    name: str
    engine: Bertha | PeerProcess
    ms: dict[str, list[float]] = field(default_factory=dict)  # a median for each turn
    difference: dict[str, float] = field(default_factory=dict)
    last_ms: dict[str, float] = field(default_factory=dict)

    def first_call(self, workload: Workload, reference: np.ndarray) -> None:
        """Warms up, and notes how far the logits are from the reference."""
        self.engine.define(workload)
        self.last_ms[workload.name], logits = self.engine.call(workload)
        self.last_ms[workload.name], _ = self.engine.call(workload)  # the first one may have compiled something
        self.difference[workload.name] = float(np.abs(logits - reference).max())

    def turn(self, workload: Workload) -> None:
        """One timed call, or as many short ones as fit."""
        short = self.last_ms[workload.name] < SHORT_MS
        if short:
            self.engine.call(workload)
        times = [self.engine.call(workload)[0]]
        while short and sum(times) < SHORT_MS:
            times.append(self.engine.call(workload)[0])
        self.last_ms[workload.name] = statistics.median(times)
        self.ms.setdefault(workload.name, []).append(self.last_ms[workload.name])


@dataclass(frozen=True)
class Group:
    """What goes into one table."""

    folder: Path
    shape: str
    precision: str
    threads: int
    isa: str

    def peer(self, name: str, settings: Settings) -> PeerProcess:
        """A process of a peer. Throws Unavailable."""
        limits = PEERS[name].limits.get(self.isa, {})
        return PeerProcess(name, self.folder, self.precision, self.threads, settings, limits)


def reference(folder: Path, workloads: list[Workload]) -> dict[str, np.ndarray]:
    """The logits of PyTorch in float32, eager and without limits."""
    process = PeerProcess("PyTorch", folder, "float32", 2, {"attention": "eager", "compile": "no"}, {})
    found = {}
    for workload in workloads:
        process.define(workload)
        _, found[workload.name] = process.call(workload)
    process.close()
    return found


def tune(group: Group, name: str, workloads: list[Workload], references: dict[str, np.ndarray]) -> dict[str, Settings]:
    """The fastest settings of a peer for each workload, each candidate by itself. Throws Unavailable."""
    best: dict[str, tuple[float, Settings]] = {}
    reason = ""
    for settings in PEERS[name].candidates(group.precision, group.threads):
        try:
            entry = Entry(name, group.peer(name, settings))
        except Unavailable as error:
            reason = str(error)
            continue
        for workload in workloads:
            try:
                entry.first_call(workload, references[workload.name])
                for _ in range(2):
                    entry.turn(workload)
            except Unavailable as error:
                reason = str(error)
                continue
            ms = min(entry.ms[workload.name])
            print(f"  {name} {settings} {workload.name}: {ms:.1f} ms", file=sys.stderr)
            if workload.name not in best or ms < best[workload.name][0]:
                best[workload.name] = ms, settings
        entry.engine.close()
    if len(best) < len(workloads):
        raise Unavailable(reason)
    return {workload: settings for workload, (_, settings) in best.items()}


def run_rounds(entries: dict[str, list[Entry]], workloads: list[Workload], rounds: int, threads: int) -> None:
    """Every engine has one turn at every workload in every round; who begins moves on from round to round."""
    for i in range(rounds):
        for workload in workloads:
            found = entries[workload.name]
            for entry in found[i % len(found) :] + found[: i % len(found)]:
                if threads > 1:
                    time.sleep(PAUSE_S)
                entry.turn(workload)


def result(group: Group, workload: Workload, entries: list[Entry]) -> dict[str, Any]:
    """What one column of a table says."""
    name = workload.name
    record: dict[str, Any] = {"shape": group.shape, "precision": group.precision, "threads": group.threads, "workload": name}
    record["tokens"] = sum(len(ids) for ids in workload.sequences)
    record["engines"] = {}
    rivals = {}
    for entry in entries:
        ms = statistics.median(entry.ms[name])
        same = entry.difference[name] <= TOLERANCE[group.precision]
        record["engines"][entry.name] = {
            "median_ms": round(ms, 3),
            "turns_ms": [round(turn, 3) for turn in entry.ms[name]],
            "largest_difference": entry.difference[name],
            "computes_the_same": same,
            "settings": entry.engine.settings,
        }
        if entry.name != Bertha.name:
            limited = not group.isa or group.isa in PEERS[entry.name].limits
            record["engines"][entry.name]["limited"] = limited
            if same and limited:
                rivals[entry.name] = ms
    if rivals:
        record["fastest_peer"] = min(rivals, key=lambda peer: rivals[peer])
        ours = record["engines"].get(Bertha.name)
        if ours and ours["computes_the_same"]:
            record["ratio"] = round(rivals[record["fastest_peer"]] / ours["median_ms"], 3)
    return record
