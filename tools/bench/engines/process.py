"""The parent's side of a peer's process: the same three methods as Bertha's."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from engines.peer import Settings, Unavailable
from workloads import Workload


class Process:
    """A program that answers a line of JSON with a line of JSON, and stays until `close`."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        # A file, not a pipe: nobody reads it until the process has ended before its time.
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, **environment},
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One line there and back. Throws Unavailable with the end of what it printed when it has ended."""
        assert self.process.stdin and self.process.stdout
        line = ""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise Unavailable(f"ended with status {self.process.returncode}: {self.errors.read()[-500:].strip()}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()


class PeerProcess:
    """One peer with one choice of settings."""

    def __init__(self, name: str, folder: Path, precision: str, threads: int, settings: Settings, limits: dict[str, str]):
        self.settings = settings
        variables = {"OMP_NUM_THREADS": str(threads), **limits, **settings.get("environment", {})}
        self.process = Process([sys.executable, "-B", "-m", "engines.worker", name], variables)
        request = {"folder": str(folder), "precision": precision, "threads": threads, "settings": settings}
        answer = self.process.ask(request)
        if "unavailable" in answer:
            self.process.close()
            raise Unavailable(answer["unavailable"])
        self.version: str = answer["version"]

    def define(self, workload: Workload) -> None:
        """Sends the token ids, in the batches and the order of peers."""
        self.process.ask({"workload": workload.name, "batches": workload.batches()})

    def call(self, workload: Workload) -> tuple[float, np.ndarray]:
        """Milliseconds of one call, and the logits in the order of `workload.sequences`."""
        answer = self.process.ask({"workload": workload.name})
        return answer["ms"], workload.in_given_order(np.array(answer["logits"]))

    def close(self) -> None:
        """Ends the process."""
        self.process.close()
