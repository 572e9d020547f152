#!/usr/bin/env python3
"""Times bertha against PyTorch, ONNX Runtime, OpenVINO and CTranslate2: `python3 tools/bench/peers.py build/bertha`.

A model with random weights is made in the format of each engine. All run the same token ids, from ids to logits, each in a
process of its own that stays for the whole run, in turn: every engine has one turn at every workload in every round.
Workloads are batch x length, and

  mixed    256 sequences of lengths as sentences have; peers get batches of 32 in the given order, padded and masked
  sorted   the same, but peers get them sorted by length; bertha gets them in the given order, in one call

With --tune each peer is first tried with all settings that its documentation recommends, and runs each workload with the
fastest; otherwise with the settings that were usually fastest. A peer whose logits are not PyTorch's, or which can't be
kept to the level that --isa names, is shown but not compared with. In int8 every peer is there in each of the ways that
its documentation recommends, as an engine of its own. Needs torch, transformers, onnx and onnxscript; of onnxruntime,
openvino (for int8 with nncf) and ctranslate2 those that are to be timed.

Prints a table for each shape, precision and number of threads: medians over the rounds in milliseconds, the ratio of the
fastest peer's to bertha's, and how far each engine's logits are from PyTorch's in float32. --json FILE has everything, settings included; it grows with each table.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import models
import numpy as np
from engines import PEERS, Bertha
from engines.peer import Settings, Unavailable
from measure import TOLERANCE, Entry, Group, reference, result, run_rounds, tune
from table import cpu, table
from workloads import NAMES, Workload, workload

ISAS = sorted({isa for peer in PEERS.values() for isa in peer.limits})


def arguments() -> argparse.Namespace:
    """Of the command line."""
    lines = __doc__.splitlines()
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=lines[0], epilog="\n".join(lines[2:]), formatter_class=formatter)
    parser.add_argument("program", type=lambda path: os.path.abspath(path), help="the bertha program")
    parser.add_argument("--shape", choices=models.SHAPES, nargs="+", default=list(models.SHAPES))
    parser.add_argument("--precision", choices=TOLERANCE, nargs="+", default=list(TOLERANCE))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--workload", choices=NAMES, nargs="+", default=NAMES)
    parser.add_argument("--peer", choices=PEERS, nargs="*", default=list(PEERS), help="engines to compare with")
    parser.add_argument("--isa", choices=ISAS, default="", help="keep bertha and the peers to this level")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tune", action="store_true", help="find the best settings of each peer first")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="use those that an earlier run with --tune put into FILE")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="make the models there, and take those that are")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where everything goes that was measured")
    return parser.parse_args()


def tuned_before(path: Path, group: Group, name: str) -> dict[str, Settings]:
    """The settings of a peer by workload, out of the JSON of an earlier run."""
    same = {"shape": group.shape, "precision": group.precision, "threads": group.threads}
    records = [r for r in json.loads(path.read_text(encoding="utf-8"))["results"] if r.items() >= same.items()]
    return {r["workload"]: r["engines"][name]["settings"] for r in records if name in r["engines"]}


def settings_of(
    name: str, group: Group, options: argparse.Namespace, workloads: list[Workload], references: dict[str, np.ndarray]
) -> dict[str, Settings]:
    """The settings of a peer by workload. Throws Unavailable."""
    if options.tune:
        return tune(group, name, workloads, references)
    known = tuned_before(options.settings, group, name) if options.settings else {}
    return {each.name: known.get(each.name, PEERS[name].candidates(group.precision, group.threads)[0]) for each in workloads}


def start_peers(
    group: Group, options: argparse.Namespace, workloads: list[Workload], references: dict[str, np.ndarray]
) -> Iterator[tuple[Workload, Entry]]:
    """A process for each choice of settings of each peer, with the workloads that it is for."""
    for name in options.peer:
        try:
            chosen = settings_of(name, group, options, workloads, references)
            entries: dict[str, Entry] = {}
            for each in workloads:
                key = json.dumps(chosen[each.name])
                if key not in entries:
                    entries[key] = Entry(name, group.peer(name, chosen[each.name]))
                    options.versions[name] = entries[key].engine.version
                yield each, entries[key]
        except Unavailable as error:
            print(f"peers.py: {name} is left out: {error}", file=sys.stderr)


def works(entry: Entry, each: Workload, expected: np.ndarray) -> bool:
    """Whether the engine can run the workload; says why when it can't."""
    try:
        entry.first_call(each, expected)
    except Unavailable as error:
        print(f"peers.py: {entry.name}, {each.name}: {error}", file=sys.stderr)
        return False
    return True


def measure(
    group: Group, options: argparse.Namespace, workloads: list[Workload], references: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """One table's records."""
    entries: dict[str, list[Entry]] = {each.name: [] for each in workloads}
    try:
        model = models.bertha_file(group.folder, group.precision)
        ours = Entry(Bertha.name, Bertha(options.program, model, group.precision, group.threads, group.isa))
        options.versions[ours.name] = ours.engine.version
        for each in workloads:
            entries[each.name].append(ours)
    except Unavailable as error:
        print(f"peers.py: bertha is left out: {error}", file=sys.stderr)
    for each, entry in start_peers(group, options, workloads, references):
        entries[each.name].append(entry)
    for each in workloads:
        entries[each.name] = [entry for entry in entries[each.name] if works(entry, each, references[each.name])]
    measured = [each for each in workloads if entries[each.name]]
    run_rounds(entries, measured, options.rounds, group.threads)
    records = [result(group, each, entries[each.name]) for each in measured]
    for entry in {id(entry): entry for found in entries.values() for entry in found}.values():
        entry.engine.close()
    return records


def main() -> int:
    """Measures, and prints a table for each combination of options."""
    options = arguments()
    options.versions = {}
    workloads = [workload(name) for name in options.workload]
    print(f"{cpu()}, {os.cpu_count()} CPUs, {datetime.date.today()}" + (f", kept to {options.isa}" if options.isa else ""))
    results: list[dict[str, Any]] = []
    for shape in options.shape:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.models or Path(temporary)) / shape
            if not folder.exists():
                folder.mkdir(parents=True)
                models.make(folder, shape, options.precision)
            fitting = [each for each in workloads if max(map(len, each.sequences)) <= models.longest(folder)]
            references = reference(folder, fitting)
            for precision in options.precision:
                for threads in options.threads:
                    found = measure(Group(folder, shape, precision, threads, options.isa), options, fitting, references)
                    if not found:
                        continue
                    print("\n" + table(found), flush=True)
                    results += found
                    document = {"date": str(datetime.date.today()), "cpu": cpu(), "cpus": os.cpu_count()}
                    document |= {"isa": options.isa or None, "rounds": options.rounds, "tuned": options.tune}
                    document |= {"versions": options.versions, "results": results}
                    if options.json:
                        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
