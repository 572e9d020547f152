"""The process of one peer: `python -m engines.worker NAME`, in tools/bench. Started by process.py.

Lines in and out are JSON. First {"folder", "precision", "threads", "settings"} comes in, and {"version"} goes out, or
{"unavailable": reason}. Then {"workload", "batches"} defines a workload, lists of lists of token ids, and gets {};
{"workload"} alone runs it once and gets {"ms", "logits"}.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from engines import PEERS, Peer
from engines.peer import Unavailable, padded


def load(name: str, request: dict[str, Any]) -> tuple[Peer | None, dict[str, Any]]:
    """The engine and what to answer."""
    try:
        peer = PEERS[name](Path(request["folder"]), request["precision"], request["threads"], request["settings"])
    except ImportError as error:
        return None, {"unavailable": f"{name}: {error}"}
    except Unavailable as error:
        return None, {"unavailable": str(error)}
    return peer, {"version": peer.version()}


def call(peer: Peer, batches: list[Any]) -> dict[str, Any]:
    """One timed run."""
    begin = time.perf_counter()
    results = peer.run_all(batches)
    ms = (time.perf_counter() - begin) * 1e3
    return {"ms": ms, "logits": np.concatenate([peer.logits(result) for result in results]).tolist()}


def main() -> None:
    """Answers until standard input ends."""
    # What the packages print must not mix with the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer: dict[str, Any]
    peer, answer = load(sys.argv[1], json.loads(sys.stdin.readline()))
    print(json.dumps(answer), file=out, flush=True)
    if not peer:
        return
    workloads: dict[str, list[Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["workload"]
        answer = {}
        if "batches" in request:
            workloads[name] = [peer.prepare(*padded(batch)) for batch in request["batches"]]
        else:
            answer = call(peer, workloads[name])
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
