#!/usr/bin/env python3
"""Tests of the tests: changes the sources at random, one place at a time, and sees whether a test notices.

    python3 tools/mutate.py [--count 300] [--seed 1] [--jobs 2] [--only 'include/bertha/heads/*']

A mutation is one operator, bound, constant or sign changed in one line of the library or of the converter. What doesn't
compile is none, and another is drawn. It is killed when a test that depends on the line fails, or does not end: the tests of
the file's own name are asked first, then those of its folder, then those that run whole models. What all of them let pass has
survived: either nothing depends on the difference, or a test is missing.

Works on copies of the tracked files in build-mutate, one for each job. Results are kept there in results.jsonl as they come,
and a run goes on where the last one with the same seed ended. The last line counts.
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import json
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
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
MOST_PROGRAMS = 10  # that are asked about one mutation
LONGEST = 90  # seconds of a processor that a test may take
WAITS = 300  # seconds after which one that waits for something is given up
COMPILERS = ("clang++-14", "g++")  # the first takes half the time; g++ optimises kernels all the same
COMMON = ("gtest/gtest.h", "nlohmann/json.hpp", "algorithm", "atomic", "functional", "memory", "mutex", "thread", "immintrin.h")
RUNS_KERNELS = re.compile("kernels_(?!known_answers)|golden_|unit_model|unit_encoder_every_level")


def run(*command, timeout=None, folder=None):
    """(exit status, output) of a command; None as the status of one that took too long."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=folder, timeout=timeout, check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout


def test_fails(*command, folder):
    """Whether a test fails or doesn't end."""
    return run("prlimit", f"--cpu={LONGEST}", *command, timeout=WAITS, folder=folder)[0] != 0


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


class Tests:
    """The test programs that mutations are shown to: what each is made of, and which pass as the project is."""

    def __init__(self):
        text = (ROOT / "tests/CMakeLists.txt").read_text(encoding="utf-8")
        self.sources = {name: f"tests/{source}" for name, source in re.findall(r"bertha_test\((\w+) (\S+) LABEL", text)
                        if "sentencepiece" not in name}
        self.headers = {name: self.included(source) for name, source in self.sources.items()}
        self.passes = {}  # by name, of those that have been tried
        self.trying = threading.Lock()

    def included(self, source):
        """The library's headers that a source reaches."""
        found, to_read = set(), [ROOT / source]
        while to_read:
            path = to_read.pop()
            for name in re.findall(r'#include [<"]([^>"]+)[>"]', path.read_text(encoding="utf-8")):
                for place in (ROOT / "include" / name, path.parent / name):
                    if place.is_file() and place.resolve() not in found:
                        found.add(place.resolve())
                        to_read.append(place)
        return {str(path.relative_to(ROOT)) for path in found if path.is_relative_to(ROOT / "include")}

    def asked(self, name):
        """Those to ask about a source, most likely ones first."""
        if name.endswith(".py"):
            stem = Path(name).stem
            tests = (str(path.relative_to(ROOT)) for path in (ROOT / "tests/convert").glob("test_*.py"))
            return sorted(tests, key=lambda test: (stem not in test, test))
        parts = Path(name).with_suffix("").parts[2:]
        own = "_".join(parts)
        folder = parts[0] if len(parts) > 1 else ""

        def distance(program):
            plain = program.split("_", 1)[1]
            return (plain != own, own not in plain and plain not in own, folder == "" or folder not in program,
                    program not in WHOLE, program)

        users = [program for program, headers in self.headers.items() if name in headers]
        nearest = sorted(users, key=distance)[:MOST_PROGRAMS - len(WHOLE)]
        return [*nearest, *(program for program in WHOLE if program in users and program not in nearest)]


class Tree:
    """A copy of the project that is changed, one place at a time. Compiled without optimisation, each test for itself."""

    def __init__(self, folder, tests):
        self.folder, self.tests = folder, tests
        for name in filter(None, run("git", "ls-files", "-z", folder=ROOT)[1].split("\0")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
                shutil.copy2(ROOT / name, target)
        self.compiler = next(filter(shutil.which, COMPILERS))
        self.common = folder / "common.hpp"  # what all tests include, compiled once
        self.common.write_text("".join(f"#include <{name}>\n" for name in COMMON), encoding="utf-8")
        for compiler, ending in zip(COMPILERS, (".pch", ".gch")):
            if shutil.which(compiler):
                run(*self.flags(compiler), "-x", "c++-header", self.common, "-o", f"{self.common}{ending}")
        self.support = []
        for source in ["tests/test_main.cpp", *sorted(run("git", "ls-files", "tests/support/*.cpp", folder=ROOT)[1].split())]:
            made = folder / (Path(source).stem + ".o")
            if not self.compile(self.compiler, source, made, "-c"):
                sys.exit(f"{source} does not compile")
            self.support.append(made)

    def write(self, path, text):
        """Also drops what Python compiled before, which it tells from this by seconds and size alone."""
        path.write_text(text, encoding="utf-8")
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)

    def flags(self, compiler):
        """A compiler with its flags."""
        return [compiler, "-std=c++20", "-O0", "-w", "-pthread", f"-I{self.folder / 'include'}", "-I/usr/include/eigen3",
                f'-DBERTHA_TEST_DATA="{self.folder / "tests"}"']

    def compile(self, compiler, source, made, *flags):
        """Whether it compiles."""
        command = [*self.flags(compiler), "-include", self.common, self.folder / source, "-o", made, *flags]
        return run(*command, timeout=1200)[0] == 0

    def fails(self, test):
        """Whether a test fails or doesn't end; None if it doesn't compile."""
        if test.endswith(".py"):
            return test_fails(sys.executable, self.folder / test, folder=self.folder)
        made = self.folder / test
        compiler = COMPILERS[-1] if RUNS_KERNELS.match(test) else self.compiler
        if not self.compile(compiler, self.tests.sources[test], made, *self.support, "-lgtest"):
            return None
        return test_fails(made, "--gtest_brief=1", "--gtest_fail_fast", "--gtest_filter=-*demo_*", folder=self.folder)

    def passes(self, test):
        """Whether it does as the project is, tried once."""
        with self.tests.trying:
            if test not in self.tests.passes:
                self.tests.passes[test] = self.fails(test) is False
                if not self.tests.passes[test]:
                    print(f"{test} fails as it is, and is not asked", file=sys.stderr)
            return self.tests.passes[test]

    def killer(self, mutation):
        """The first test that notices a mutation; "" if none does, None if it doesn't compile."""
        path = self.folder / mutation["file"]
        original = path.read_text(encoding="utf-8")
        lines = original.split("\n")
        lines[mutation["line"] - 1] = mutation["after"]
        changed = "\n".join(lines)
        if path.suffix == ".py":
            try:
                compile(changed, path, "exec")
            except SyntaxError:
                return None
        for test in self.tests.asked(mutation["file"]):
            if not self.tests.passes.get(test, True):
                continue
            self.write(path, changed)
            try:
                failed = self.fails(test)
            finally:
                self.write(path, original)
            if failed is None:
                return None
            if failed and self.passes(test):
                return test
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
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the files' names")
    options = parser.parse_args()

    folder = ROOT / "build-mutate"
    tests, trees = Tests(), queue.SimpleQueue()
    for number in range(options.jobs):
        trees.put(Tree(folder / str(number), tests))
    log = folder / "results.jsonl"
    known = [json.loads(line) for line in log.read_text().split("\n") if line] if log.exists() else []
    known = {(one["file"], one["line"], one["after"]): one for one in known if one["seed"] == options.seed}
    writing = threading.Lock()

    def judge(mutation):
        """The mutation with its killer."""
        result = known.get((mutation["file"], mutation["line"], mutation["after"]))
        if result is not None and result["before"] == mutation["before"]:
            return result
        tree = trees.get()
        try:
            start = time.monotonic()
            killer = tree.killer(mutation)
            result = {"seed": options.seed, **mutation, "killer": killer, "seconds": round(time.monotonic() - start)}
        finally:
            trees.put(tree)
        with writing, log.open("a") as out:
            out.write(json.dumps(result) + "\n")
        return result

    files, rng = mutable_files(options.only), random.Random(options.seed)
    killed, survived, running = 0, [], collections.deque()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        while killed + len(survived) < options.count:
            while len(running) < 2 * options.jobs:
                running.append(pool.submit(judge, draw(rng, files)))
            result = running.popleft().result()
            if result["killer"] is None:
                continue
            killed += result["killer"] != ""
            if result["killer"] == "":
                survived.append(result)
            print(f"{killed + len(survived):4} {result['file']}:{result['line']} {result['killer'] or 'SURVIVED'}\n"
                  f"       {result['before'].strip()}\n       {result['after'].strip()}", flush=True)
        for one in running:
            one.cancel()
    print("\nSurvived:")
    for one in survived:
        print(f"{one['file']}:{one['line']}\n    {one['before'].strip()}\n    {one['after'].strip()}")
    print(f"{options.count} mutations, {killed} killed ({100 * killed / options.count:.1f} %), {len(survived)} survived")


if __name__ == "__main__":
    main()
