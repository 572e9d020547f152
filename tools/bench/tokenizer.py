#!/usr/bin/env python3
"""Times bertha's tokenizer against others: `python3 tools/bench/tokenizer.py build/bertha_bench_tokenizer FOLDER...`.

FOLDERs are Hugging Face folders with a tokenizer; the converter makes bertha's files of them. Texts are files of UTF-8,
a text a line, or folders of *.txt; without --texts they are what this project has: prose in many languages, and code.
Each is timed as it is, again and again, so that caches of words are warm, and (`new words`) on texts of as many words,
another one in each round, of which none ever comes twice: each is the front of one word and the back of another.

The others are `tokenizers`, which is the reference, and of iree-tokenizer, tokie, nanotoken, flash-tokenizer and
blingfire those that are installed. Each runs in a process of its own, in turn, and gets all lines of a text in one call;
bertha and `tokenizers` give offsets as well. A cell is MB/s, and behind it the share of lines whose token ids are those of
`tokenizers` (special tokens at the ends left out; of bertha offsets as well), unless it is 100 %. `ratio` is bertha to
`tokenizers`, then to the fastest other. Times are medians: of the CPU time with one thread, else of the clock on the wall.

With --hostile bertha alone is timed, on texts of 10 MB in a line that are made to take long: time per byte, of the second call
of a process, which has its memory from the first, against English (of --texts the file en.txt, else README.md). Where the
normaliser makes a text longer, that is said, and the time per byte of what it makes as well.
"""

import argparse
import array
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.process import Process
from table import lined_up
from tokenizer_engines import ENGINES
from tokenizer_hostile import hostile_texts

Json = dict[str, Any]
BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
LEAST_BYTES = 250_000  # of a text; one that is shorter comes several times
HOSTILE_BYTES = 10_000_000


def own_texts(scratch: Path) -> list[Path]:
    """What there is without --texts."""
    code = sorted((ROOT / "include" / "bertha").glob("*/*.hpp"))
    source = "".join(path.read_text(encoding="utf-8") for path in code if "tables" not in path.name)
    (scratch / "code.txt").write_text(source, encoding="utf-8")
    prose = (ROOT / "tools" / "bertha" / "calibration.txt").read_text(encoding="utf-8")
    (scratch / "prose.txt").write_text(prose * 4, encoding="utf-8")
    return [scratch / "prose.txt", scratch / "code.txt"]


def new_words(text: str, n: int) -> Iterator[str]:
    """`n` texts of lines as long as those of `text`, of words of which none is in it or comes twice."""
    chance = random.Random(1)
    words = text.split()
    seen = set(words)
    for _ in range(n):
        lines = []
        for line in text.splitlines() * (1 + LEAST_BYTES // len(text.encode())):
            made = []
            for word in line.split():
                for attempt in range(99):  # then backs are whole words, then fronts as well
                    other = chance.choice(words)
                    front = word[: (len(word) + 1) // 2] if attempt < 60 else word + chance.choice(words)
                    found = front + other[len(other) // 2 if attempt < 30 else 0 :]
                    if found not in seen:
                        break
                seen.add(found)
                made.append(found)
            lines.append(" ".join(made))
        yield "\n".join(lines) + "\n"


def reference_of(folder: Path, out: Path) -> None:
    """Writes the tokenizer.json of what transformers makes of a folder."""
    import transformers

    transformers.logging.set_verbosity_error()
    its = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
    its.no_truncation()
    its.no_padding()
    out.write_text(its.to_str(), encoding="utf-8")


class Entry:
    """An engine in a process."""

    def __init__(self, name: str, process: Process):
        self.name, self.process = name, process
        self.mb_s: list[float] = []
        self.equal = 0.0

    def call(self, text: Path, threads: int) -> None:
        """One timed call, for which the process has read the text before."""
        n_bytes = self.process.ask({"texts": str(text)})["bytes"]
        self.mb_s.append(n_bytes / 1e3 / self.process.ask({})["cpu_ms" if threads == 1 else "ms"])

    def tokens(self, scratch: Path) -> Path:
        """What the last call gave."""
        self.process.ask({"tokens": str(scratch / "tokens")})
        return scratch / "tokens"


def core(ids: list[int], special: set[int]) -> list[int]:
    """Without the special tokens at its ends."""
    begin, end = 0, len(ids)
    begin += begin < end and ids[begin] in special
    end -= begin < end and ids[end - 1] in special
    return ids[begin:end]


def share(text: Path, tokenizer: Any, entries: list[Entry], scratch: Path) -> None:
    """Sets the share of lines that each entry tokenises as `tokenizers` does."""
    lines = text.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    expected = tokenizer.encode_batch(lines)
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    for entry in entries:
        found = entry.tokens(scratch)
        if entry.name == "bertha":
            equal = same_with_offsets(found, lines, expected)
        else:
            rows = [json.loads(row) for row in found.read_text(encoding="utf-8").splitlines()]
            equal = sum(core(a, special) == core(b.ids, special) for a, b in zip(rows, expected, strict=True))
        entry.equal = 100 * equal / len(lines)


def same_with_offsets(file: Path, lines: list[str], expected: list[Any]) -> int:
    """How many lines have equal ids and offsets: those in the file are bytes, those of `tokenizers` code points."""
    numbers, at, equal = array.array("I", file.read_bytes()), 0, 0
    for line, theirs in zip(lines, expected, strict=True):
        n = numbers[at]
        ids, offsets = numbers[at + 1 : at + 1 + n].tolist(), numbers[at + 1 + n : at + 1 + 3 * n].tolist()
        at += 1 + 3 * n
        before = [0]
        for character in line:
            before.append(before[-1] + len(character.encode()))
        equal += ids == theirs.ids and offsets == [before[edge] for span in theirs.offsets for edge in span]
    assert at == len(numbers)
    return equal


def convert(folder: Path, scratch: Path) -> Path:
    """The model file of a folder."""
    model = scratch / "bertha.safetensors"
    command = [sys.executable, str(ROOT / "tools" / "convert.py"), "--tokenizer", "--no-selftest", str(folder), str(model)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return model


def start(options: argparse.Namespace, folder: Path, scratch: Path, threads: int) -> tuple[list[Entry], list[str]]:
    """The processes, and why others are not there."""
    model = convert(folder, scratch)
    entries, missing = [Entry("bertha", Process([str(options.program), str(model), str(threads)], {}))], []
    for name, engine in ENGINES.items():
        if name not in options.engines or (threads > 1 and not engine.threads):
            continue
        process = Process([sys.executable, "-B", str(BENCH / "tokenizer_engines.py"), name],
                          {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"})
        request = {"folder": str(folder.resolve()), "tokenizer": str(scratch / "tokenizer.json"), "threads": threads}
        answer = process.ask(request)
        if "unavailable" in answer:
            missing.append(f"{name}: {answer['unavailable']}")
            process.close()
        else:
            entries.append(Entry(name, process))
    return entries, missing


def measure(
    options: argparse.Namespace, folder: Path, threads: int, texts: dict[str, list[Path]], scratch: Path
) -> Iterator[Json]:
    """A record for each text, of which each round has one, and one comes before them to warm up."""
    import tokenizers

    reference_of(folder, scratch / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(str(scratch / "tokenizer.json"))
    entries, missing = start(options, folder, scratch, threads)
    for name, rounds in texts.items():
        for i, text in enumerate(rounds):
            for entry in entries:
                entry.call(text, threads)
            if i == 0:
                share(text, tokenizer, entries, scratch)
                for entry in entries:
                    entry.mb_s = []
        found = {entry.name: {"mb_s": statistics.median(entry.mb_s), "equal": entry.equal} for entry in entries}
        for entry in entries:
            entry.mb_s = []
        yield {"model": folder.name, "threads": threads, "text": name, "engines": found, "missing": missing}
    for entry in entries:
        entry.process.close()


def table(records: list[Json]) -> str:
    """Of one model and number of threads."""
    names = list(records[0]["engines"])
    rows = [[f"{records[0]['model']}, {records[0]['threads']} thread(s)", *names, "ratio"]]
    for record in records:
        its = record["engines"]
        speed = {name: its[name]["mb_s"] for name in names}
        cells = [f"{speed[n]:.1f}" + (f" ({its[n]['equal']:.1f} %)" if its[n]["equal"] < 100 else "") for n in names]
        others = [speed[name] for name in names if name not in ("bertha", "tokenizers")]
        ratios = [speed["bertha"] / speed["tokenizers"]] if "tokenizers" in speed else []
        ratios += [speed["bertha"] / max(others)] if others else []
        rows.append([record["text"], *cells, ", ".join(f"{ratio:.1f}" for ratio in ratios)])
    return "\n".join([lined_up(rows), *(f"- {reason}" for reason in records[0]["missing"])]) + "\n"


def hostile(options: argparse.Namespace, folder: Path, english: str, scratch: Path) -> list[Json]:
    """A record for each hostile text: nanoseconds per byte, and how many times longer the normaliser makes it."""
    import tokenizers

    model = convert(folder, scratch)
    reference_of(folder, scratch / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(str(scratch / "tokenizer.json"))
    mask = next(token.content for token in tokenizer.get_added_tokens_decoder().values() if "mask" in token.content.lower())
    records: list[Json] = []
    for name, part in [("English", english), *hostile_texts(mask)]:
        text, size = scratch / "hostile.txt", len(part.encode())
        text.write_text(part * (HOSTILE_BYTES // size + 1) + "\n", encoding="utf-8", newline="")
        mb_s = []
        for _ in range(options.rounds):
            entry = Entry("bertha", Process([str(options.program), str(model), "1"], {}))
            entry.call(text, 1)
            entry.call(text, 1)
            mb_s += entry.mb_s[1:]
            entry.process.close()
        some = part * (1 + 1000 // size)  # a character at the start may be another matter
        made = tokenizer.normalizer.normalize_str(some) if tokenizer.normalizer else some
        longer = max(1.0, len(made.encode()) / len(some.encode()))
        records.append({"model": folder.name, "text": name, "ns": 1e3 / statistics.median(mb_s), "longer": longer})
    return records


def hostile_table(records: list[Json]) -> str:
    """Of one model, the slowest first."""
    rows = [[records[0]["model"], "ns per byte", "times English", "longer", "times English per byte of what it becomes"]]
    base = records[0]["ns"]
    for its in sorted(records, key=lambda its: -its["ns"] / its["longer"]):
        ratio, longer = its["ns"] / base, its["longer"]
        rows.append([its["text"], f"{its['ns']:.1f}", f"{ratio:.1f}", f"{longer:.1f}", f"{ratio / longer:.1f}"])
    return lined_up(rows) + "\n"


def arguments() -> argparse.Namespace:
    """Of the command line."""
    lines = __doc__.splitlines()
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=lines[0], epilog="\n".join(lines[2:]), formatter_class=formatter)
    parser.add_argument("program", type=lambda path: Path(path).resolve(), help="bertha_bench_tokenizer")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="Hugging Face folders with a tokenizer")
    parser.add_argument("--texts", type=Path, nargs="+", metavar="FILE", help="files, or folders of *.txt")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engines", choices=ENGINES, nargs="*", default=list(ENGINES), help="to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hostile", action="store_true", help="time bertha on texts that are made to take long")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where everything goes that was measured")
    return parser.parse_args()


def main() -> None:
    """Prints a table for each model and number of threads."""
    options, records = arguments(), []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        given = [text.resolve() for text in options.texts or own_texts(scratch)]
        files = [text for path in given for text in (sorted(path.glob("*.txt")) if path.is_dir() else [path])]
        if options.hostile:
            english = next((file for file in files if file.stem == "en"), ROOT / "README.md")
            line = " ".join(english.read_text(encoding="utf-8").split()) + " "
            for model in options.folders:
                records += hostile(options, model, line, scratch)
                print(hostile_table([its for its in records if its["model"] == model.name]), flush=True)
            if options.json:
                options.json.write_text(json.dumps(records, indent=1), encoding="utf-8")
            return
        texts = {}
        for file in files:
            text = file.read_text(encoding="utf-8")
            whole = scratch / f"{file.stem}.whole.txt"
            whole.write_text(text * (1 + LEAST_BYTES // len(text.encode())), encoding="utf-8")
            texts[file.stem] = [whole] * (1 + options.rounds)
            made = texts[f"{file.stem}, new words"] = []
            for text in new_words(file.read_text(encoding="utf-8"), 1 + options.rounds):
                made.append(scratch / f"{file.stem}-{len(made)}.txt")
                made[-1].write_text(text, encoding="utf-8")
        for model in options.folders:
            for threads in options.threads:
                found = list(measure(options, model, threads, texts, scratch))
                print(table(found), flush=True)
                records += found
                if options.json:
                    options.json.write_text(json.dumps(records, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
