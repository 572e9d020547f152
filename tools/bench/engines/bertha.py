"""bertha, by its program: `bertha bench --jsonl`."""

import subprocess
from pathlib import Path

import numpy as np

from engines.peer import Settings, Unavailable
from engines.process import Process
from workloads import Workload


class Bertha:
    """All sequences of a workload in one call, in the order in which they are given: there is no padding."""

    name = "bertha"

    def __init__(self, program: str, model: Path, precision: str, threads: int, isa: str):
        command = [program, "bench", str(model), "--jsonl", "--logits", "--threads", str(threads), "--precision", precision]
        self.settings: Settings = {"precision": precision, "threads": threads}
        self.process = Process(command, {"BERTHA_ISA": isa} if isa else {})
        # Any sequence will do to see whether it runs, and at which level.
        answer = self.process.ask({"ids": [[2, 3]]})
        if "error" in answer:
            raise Unavailable(answer["error"]["message"])
        self.settings["level"] = answer["level"]
        self.version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def define(self, workload: Workload) -> None:
        """Nothing is kept in the program."""

    def call(self, workload: Workload) -> tuple[float, np.ndarray]:
        """Milliseconds of one call, and the logits in the order of `workload.sequences`."""
        answer = self.process.ask({"ids": workload.sequences})
        if "error" in answer:
            raise Unavailable(answer["error"]["message"])
        return answer["ms"], np.array(answer["logits"])

    def close(self) -> None:
        """Ends the program."""
        self.process.close()
