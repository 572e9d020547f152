#!/usr/bin/env python3
"""Tests of the tests: changes the sources at random, one place at a time, and sees whether a test notices.

    python3 tools/mutate.py [--count 300] [--seed 1] [--only 'include/bertha/heads/*']

A mutation is one operator, bound, constant or sign changed in one line of the library or of the converter. What doesn't
compile is none, and another is drawn. It is killed when a test that depends on the line fails, or takes far longer than
before: the tests of the file's own name are asked first, then those of its folder, then those that run whole models. What
all of them let pass has survived: either nothing depends on the difference, or a test is missing.

Works on a copy of the tracked files in build-mutate. Results are kept there in results.jsonl as they come, and a run goes on
where the last one with the same seed ended. The last line counts.
"""

import argparse
import fnmatch
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MUTATED = ("include/bertha/*.hpp", "include/bertha/*.inl", "tools/bertha_convert/*.py")
# Generated tables; text of errors and versions; what only other CPUs compile; Google's library; what only measures.
LEFT_OUT = ("*_tables.hpp", "*/version.hpp", "*/error.hpp", "*neon*", "*/sentencepiece*")
SWAPS = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "), (" != ", " == "),
         (" + ", " - "), (" - ", " + "), (" * ", " + "), (" / ", " * "), (" % ", " / "), (" += ", " -= "), (" -= ", " += "),
         (" << ", " >> "), (" >> ", " << "), (" && ", " || "), (" || ", " && "), (" and ", " or "), (" or ", " and "),
         ("std::min", "std::max"), ("std::max", "std::min"), ("min(", "max("), ("max(", "min("), ("++", "--"),
         ("true", "false"), ("false", "true"), ("True", "False"), ("False", "True"), ("break;", "continue;"),
         ("(!", "("), (" !", " "), ("not ", ""), ("(-", "(")]
NO_CODE = re.compile(r"\s*(#|//|/?\*|using |template|requires|namespace|static_assert|import |from |\"\"\"|BERTHA_|friend )")
WHOLE = ("unit_model", "golden_models", "kernels_known_answers")  # they run whole models
MOST_PROGRAMS = 12  # that are asked about one mutation


def run(*command, timeout=None, folder=None):
    """(exit status, output) of a command; None as the status of one that took too long."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=folder, timeout=timeout, check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout


def code_lines(path, text):
    """(line number, columns that are code) for each line that may be changed."""
    if path.suffix == ".py":
        bare = re.sub(r'"""(?:.|\n)*?"""', lambda found: re.sub(r"[^\n]", " ", found.group()), text)
        bare = re.sub(r'"(?:\\.|[^"\\\n])*"|#[^\n]*', lambda found: " " * len(found.group()), bare)
    else:
        # A quote between digits is a separator, not a literal.
        bare = re.sub(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                      lambda found: " " * len(found.group()), text)
    for number, line in enumerate(bare.split("\n")):
        if line.strip() and not NO_CODE.match(line) and "throw_error" not in line and "concat(" not in line:
            yield number, line


def changes(line):
    """Every (begin, end, replacement) that is a mutation of a line of code."""
    for before, after in SWAPS:
        for found in re.finditer(re.escape(before), line):
            yield found.start(), found.end(), after
    for found in re.finditer(r"(?<![\w.'])\d+(?![\w.'])", line):
        yield found.start(), found.end(), str(int(found.group()) + 1)
        if int(found.group()) > 0:
            yield found.start(), found.end(), str(int(found.group()) - 1)


class Tree:
    """A copy of the project, built without optimisation, whose tests all pass as it is."""

    def __init__(self, folder):
        self.source, self.build = folder / "source", folder / "build"
        self.seconds = {}
        tracked = run("git", "ls-files", "-z", folder=ROOT)[1].split("\0")
        for name in filter(None, tracked):
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
                shutil.copy2(ROOT / name, target)
        self.must("cmake", "-S", self.source, "-B", self.build, "-G", "Ninja", "--log-level=WARNING", "-D", "CMAKE_BUILD_TYPE=Debug",
                  "-D", "CMAKE_CXX_FLAGS_DEBUG=-O0", "-D", "BERTHA_BUILD_TESTS=ON", "-D", "BERTHA_BUILD_EXAMPLES=OFF",
                  "-D", f"Python3_EXECUTABLE={sys.executable}")
        self.must("cmake", "--build", self.build, "--target", "bertha_unit_tests", "bertha_kernels_tests",
                  "bertha_golden_tests", "bertha")
        self.programs = sorted(path.name for path in (self.build / "tests").iterdir()
                               if re.match(r"(unit|kernels|golden)_", path.name) and path.suffix == ""
                               and not path.name.endswith(("_O0", "_Os", "_native")) and path.is_file())
        self.headers = self.included()

    def must(self, *command):
        status, output = run(*command)
        if status != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{output[-4000:]}")

    def included(self):
        """The library's headers that each test program is compiled from."""
        headers, target = {}, ""
        for line in run("ninja", "-C", self.build, "-t", "deps")[1].split("\n"):
            if found := re.match(r"tests/CMakeFiles/(\w+)\.dir/.*: #deps", line):
                target = found.group(1)
            elif line and line[0] != " ":
                target = ""
            elif target and (found := re.search(r"(include/bertha/\S+)", line)):
                headers.setdefault(target, set()).add(found.group(1))
        return headers

    def asked(self, name):
        """The test programs to ask about a header, most likely ones first."""
        parts = Path(name).with_suffix("").parts[2:]
        own = "_".join(parts)
        folder = parts[0] if len(parts) > 1 else ""

        def distance(program):
            plain = program.split("_", 1)[1]
            return (plain != own, own not in plain and plain not in own, folder == "" or folder not in program,
                    program not in WHOLE, program)

        users = [program for program in self.programs
                 if name in self.headers.get(program, ()) or (folder == "kernels" and program.startswith("kernels_"))]
        nearest = sorted({*users, *WHOLE} & {*self.programs}, key=distance)[:MOST_PROGRAMS - len(WHOLE)]
        return [*nearest, *(program for program in WHOLE if program not in nearest)]

    def fails(self, program):
        """Whether a built test program fails. It may take ten times as long as it did in the unchanged tree."""
        limit = 20 + 10 * self.seconds[program] if program in self.seconds else None
        begin = time.monotonic()
        status, output = run(self.build / "tests" / program, "--gtest_brief=1", "--gtest_filter=-*demo_*", timeout=limit)
        if program not in self.seconds:
            if status != 0:
                sys.exit(f"{program} fails in the unchanged tree:\n{output[-4000:]}")
            self.seconds[program] = time.monotonic() - begin
        return status != 0

    def measure(self, name):
        """Sees that all tests that will be asked pass, and how long they take."""
        for program in self.asked(name):
            if program not in self.seconds:
                self.must("cmake", "--build", self.build, "--target", program)
                self.fails(program)

    def killer(self, name):
        """The first test that notices what has become of the file; "" if none does, None if it doesn't compile."""
        if name.endswith(".py"):
            if run(sys.executable, "-m", "py_compile", self.source / name)[0] != 0:
                return None
            status, output = run("ctest", "--test-dir", self.build, "-L", "convert", "--stop-on-failure", timeout=1200)
            failed = re.search(r"\d+ - (\S+) \(", output)
            return "" if status == 0 else failed.group(1) if failed else "convert"
        for program in self.asked(name):
            if run("cmake", "--build", self.build, "--target", program, timeout=1200)[0] != 0:
                return None
            if self.fails(program):
                return program
        return ""


def draw(rng, files):
    """A mutation: the file, the line's number, the line before and after."""
    name = rng.choices(list(files), [len(lines) for lines in files.values()])[0]
    number, whole, code = rng.choice(files[name])
    begin, end, after = rng.choice(list(changes(code)))
    return {"file": name, "line": number + 1, "before": whole, "after": whole[:begin] + after + whole[end:]}


def mutable_files(only):
    files = {}
    for name in run("git", "ls-files", folder=ROOT)[1].split("\n"):
        if any(fnmatch.fnmatch(name, pattern) for pattern in MUTATED) and fnmatch.fnmatch(name, only) and not any(
                fnmatch.fnmatch("/" + name, pattern) for pattern in LEFT_OUT):
            text = (ROOT / name).read_text(encoding="utf-8")
            whole = text.split("\n")
            lines = [(number, whole[number], code) for number, code in code_lines(Path(name), text) if any(changes(code))]
            if lines:
                files[name] = lines
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the files' names")
    options = parser.parse_args()

    folder = ROOT / "build-mutate"
    tree = Tree(folder)
    files = mutable_files(options.only)
    rng = random.Random(options.seed)
    log = folder / "results.jsonl"
    known = [json.loads(line) for line in log.read_text().split("\n") if line] if log.exists() else []
    known = {(one["file"], one["line"], one["after"]): one for one in known if one["seed"] == options.seed}
    killed, survived = 0, []
    while killed + len(survived) < options.count:
        mutation = draw(rng, files)
        name = mutation["file"]
        result = known.get((name, mutation["line"], mutation["after"]))
        if result is None or result["before"] != mutation["before"]:
            if name.endswith(".hpp") or name.endswith(".inl"):
                tree.measure(name)
            path = tree.source / name
            original = path.read_text(encoding="utf-8")
            lines = original.split("\n")
            lines[mutation["line"] - 1] = mutation["after"]
            try:
                path.write_text("\n".join(lines), encoding="utf-8")
                killer = tree.killer(name)
            finally:
                path.write_text(original, encoding="utf-8")
            result = {"seed": options.seed, **mutation, "killer": killer}
            with log.open("a") as out:
                out.write(json.dumps(result) + "\n")
        if result["killer"] is None:
            continue
        killed += result["killer"] != ""
        if result["killer"] == "":
            survived.append(result)
        print(f"{killed + len(survived):4} {name}:{result['line']} {result['killer'] or 'SURVIVED'}\n"
              f"       {result['before'].strip()}\n       {result['after'].strip()}", flush=True)
    print("\nSurvived:")
    for one in survived:
        print(f"{one['file']}:{one['line']}\n    {one['before'].strip()}\n    {one['after'].strip()}")
    print(f"{options.count} mutations, {killed} killed ({100 * killed / options.count:.1f} %), {len(survived)} survived")


if __name__ == "__main__":
    main()
