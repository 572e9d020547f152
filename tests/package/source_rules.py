#!/usr/bin/env python3
"""Rules of the house that can be read off the sources: `source_rules.py RULE`, or no argument for all of them.

Prints one line for each place that breaks a rule and exits with 1 when there is one. Python's standard library only.
source_rules_test.py shows for every rule a text that breaks it.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


# What a folder of include/bertha may include of the others. `base` are the headers that everybody may include.
BASE = {"bf16.hpp", "config.hpp", "error.hpp", "head_config.hpp", "version.hpp"}
MAY_INCLUDE = {
    "base": set(),
    "file": {"file", "runtime/aligned_memory.hpp"},
    "tokenizer": {"tokenizer", "file/model_file.hpp", "runtime/function_ref.hpp", "runtime/pool.hpp", "runtime/stop.hpp"},
    "kernels": {"kernels"},
    "runtime": {"runtime", "kernels"},
    "encoder": {"encoder", "kernels", "runtime", "file/model_file.hpp", "tokenizer/encoding.hpp"},  # a batch packs encodings
    "heads": {"heads", "encoder", "kernels", "runtime", "file/model_file.hpp", "tokenizer/encoding.hpp"},
    "self_test.hpp": {"tokenizer"},
    "model.hpp": {"heads/head.hpp", "heads/chosen_tokens.hpp", "self_test.hpp", "encoder", "kernels", "runtime", "tokenizer", "file"},
    "pipelines": {"pipelines", "heads", "model.hpp", "encoder", "kernels", "runtime", "tokenizer", "file"},
    "bertha.hpp": {"pipelines", "heads", "model.hpp", "encoder", "kernels", "runtime", "tokenizer", "file"},
    "quantize": {"quantize", "model.hpp", "heads", "encoder", "kernels", "runtime", "tokenizer", "file"},
    "quantize.hpp": {"quantize", "model.hpp", "heads", "encoder", "kernels", "runtime", "tokenizer", "file"},
    "eigen.hpp": {"pipelines", "heads", "encoder"},
    "sentencepiece": {"sentencepiece", "tokenizer"},
    "sentencepiece.hpp": {"sentencepiece", "tokenizer", "file/mapped_file.hpp"},
}
NOT_IN_HEADERS = {"iostream", "fstream", "regex", "filesystem", "cassert", "assert.h"}
PLATFORM = re.compile(r"(sys/.*|unistd\.h|fcntl\.h|pthread\.h|sched\.h|cpuid\.h|linux/.*|asm/.*|sys\w*\.h)$")
PLATFORM_HOMES = ("file/mapped_file.hpp", "file/new_file.hpp", "runtime/", "kernels/cpu.hpp")
LONGEST_HEADER = 300
CALLS = re.compile(
    r"\b(?:v?f?printf|f?puts|putchar|fputs|fwrite|abort|_?exit|_Exit|quick_exit|assert|terminate)\s*\(|"
    r"\bstd\s*::\s*(?:cout|cerr|clog)\b")


def strip(text, strings=True):
    """`text` without comments and, with `strings`, without the contents of literals; lines stay where they are."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match):
        found = match.group(0)
        newlines = "\n" * found.count("\n")
        if found[0] == "/":
            return " " + newlines
        return '""' + newlines if strings else found

    # A quote between digits is a separator, not a literal.
    return pattern.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "", text))


def includes(text):
    """Yields (line number, included file, "<" or the quote) of each #include."""
    for number, line in enumerate(strip(text, strings=False).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2), match.group(1)


def part_of(header):
    """The key of MAY_INCLUDE for a header named as below include/bertha."""
    if header in BASE:
        return "base"
    return header.split("/")[0]


def rule_include_direction(header, text):
    """Includes point one way: pipelines -> heads -> model -> encoder -> kernels; model -> tokenizer, file."""
    part = part_of(header)
    if part not in MAY_INCLUDE:
        yield 1, f"source_rules.py doesn't know the place {part}: add it to MAY_INCLUDE"
        return
    for number, name, quote in includes(text):
        if quote == '"':
            yield number, f'#include "{name}": headers are included as <bertha/...>'
        elif name.startswith("bertha/"):
            target = name[len("bertha/"):]
            allowed = MAY_INCLUDE[part]
            if target in BASE or target in allowed or part_of(target) in allowed:
                continue
            yield number, f"{header} may not include {target}"


def rule_includes_outside(header, text):
    """JSON stays in file/, Eigen outside, the system's headers in the few places for platform calls."""
    for number, name, _ in includes(text):
        if name.startswith("nlohmann/") and not header.startswith("file/"):
            yield number, f"<{name}>: JSON is read in file/ only"
        if name.startswith(("Eigen/", "unsupported/Eigen")) and header != "eigen.hpp":
            yield number, f"<{name}>: Eigen is for tests and for users, in include/ for eigen.hpp alone"
        if name in NOT_IN_HEADERS:
            yield number, f"<{name}> costs compile time or prints: not in include/"
        if PLATFORM.match(name) and not header.startswith(PLATFORM_HOMES):
            yield number, f"<{name}>: platform calls live in {', '.join(PLATFORM_HOMES)}"


def rule_never_prints_or_ends(header, text):
    """The library never prints, aborts or exits."""
    for number, line in enumerate(strip(text).split("\n"), 1):
        for match in CALLS.finditer(line):
            yield number, f"{match.group(0)}: the library never prints, aborts or exits"


def rule_header_length(header, text):
    """Headers have at most 300 lines, but for kernels and generated tables."""
    lines = text.count("\n")
    if lines > LONGEST_HEADER and not header.startswith("kernels/") and not header.endswith("_tables.hpp"):
        yield lines, f"{lines} lines, at most {LONGEST_HEADER}: can it be two headers?"


def namespace_statements(text):
    """Yields (line, statement, names of its namespaces) for each declaration at namespace scope; bodies are left out."""
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), strip(text), flags=re.M)
    text = re.sub(r"\bBERTHA_\w+_(?:BEGIN|END)\b", "", text)
    scopes, start, position, line = [], 0, 0, 1
    statement_line = None
    while position < len(text):
        char = text[position]
        if statement_line is None and not char.isspace() and char not in "};":
            statement_line, start = line, position
        if char == "\n":
            line += 1
        elif char == "}" and scopes:
            scopes.pop()
            statement_line = None
        elif char == ";":
            if statement_line is not None:
                yield statement_line, text[start:position + 1], list(scopes)
            statement_line = None
        elif char == "{":
            statement = text[start:position].strip()
            match = re.match(r"(?:inline\s+)?namespace\b\s*([\w:]*)$", statement)
            if match:
                scopes.append(match.group(1) or "<unnamed>")
                statement_line = None
            else:
                depth, position = 1, position + 1
                while position < len(text) and depth:
                    depth += {"{": 1, "}": -1}.get(text[position], 0)
                    line += text[position] == "\n"
                    position += 1
                # A type, or an initialiser, ends with the semicolon; a function with its body.
                if not re.match(r"\s*;", text[position:]) and not statement.endswith("="):
                    yield statement_line, statement + " {}", list(scopes)
                    statement_line = None
                else:
                    text = text[:start] + statement + " {}" + text[position:]
                    position = start + len(statement) + 3
                continue
        position += 1


def declared_symbol(statement):
    """(kind, name) that a statement at namespace scope declares for users, or None."""
    plain = re.sub(r"\[\[.*?\]\]|\balignas\s*\([^)]*\)|__attribute__\s*\(\(.*?\)\)", " ", statement, flags=re.S)
    if re.match(r"\s*template\s*<\s*>", plain) or re.match(r"\s*(using|static_assert|extern|friend|typedef|namespace)\b", plain):
        return None
    plain = plain.strip()
    while plain.startswith("template"):
        plain, depth = plain[plain.index("<"):], 0
        for position, char in enumerate(plain):
            depth += {"<": 1, ">": -1}.get(char, 0)
            if depth == 0:
                break
        plain = plain[position + 1:].strip()
        plain = re.sub(r"^requires\b[^;{]*?(?=\b(?:class|struct|inline|auto|void|constexpr)\b)", "", plain)
    match = re.match(r"(class|struct|union|enum(?:\s+class|\s+struct)?)\s+(\w+)", plain)
    if match and "{" in plain:
        return match.group(1).split()[0], match.group(2)
    if match:
        return None  # a declaration in advance, or a variable of such a type
    match = re.match(r"concept\s+(\w+)", plain)
    if match:
        return "concept", match.group(1)
    match = re.match(r"([^=({]*?)([\w:~]*(?:\boperator\s*(?:\(\)|[^\s\w(]+|\w+))?)\s*\(", plain, re.S)
    if match and match.group(1).strip() and match.group(2) and "::" not in match.group(2):
        return "function", match.group(2)
    return None


def undocumented(text):
    """Yields (line, kind, name, is documented) for the public symbols of a header."""
    lines = text.split("\n")
    for number, statement, scopes in namespace_statements(text):
        if any("detail" in scope or scope == "<unnamed>" for scope in scopes):
            continue
        symbol = declared_symbol(statement)
        if symbol is None:
            continue
        # Declarations that stand together, without an empty line, share what is said above them.
        above = number - 2
        while above >= 0 and lines[above].strip() and not lines[above].lstrip().startswith("///"):
            above -= 1
        # The first one of a header may have it before the namespace opens.
        if above > 0 and not lines[above].strip() and lines[above - 1].strip() == "BERTHA_NAMESPACE_BEGIN":
            above = next((i for i in range(above - 2, -1, -1) if lines[i].strip()), 0)
        documented = above >= 0 and lines[above].lstrip().startswith("///")
        yield number, symbol[0], symbol[1], documented or "///" in lines[number - 1]


def rule_documented(headers):
    """Every public type and function has a `///` line, where it is declared first or anywhere in include/."""
    symbols = [(header, *symbol) for header, text in headers.items() if is_public(header) for symbol in undocumented(text)]
    known = {name for _, _, kind, name, documented in symbols if documented and kind == "function"}
    for header, number, kind, name, documented in symbols:
        if not documented and name not in known:
            yield header, number, f"{kind} {name} has no /// line"


def is_public(header):
    """Of the kernels only the table is for users; the rest is the inside of one instruction set."""
    return header.endswith(".hpp") and (not header.startswith("kernels/") or header == "kernels/table.hpp")


def rule_no_cycles(headers):
    """No header includes itself by way of others."""
    graph = {header: [name[len("bertha/"):] for _, name, _ in includes(text) if name.startswith("bertha/")]
             for header, text in headers.items()}
    done, path = set(), []

    def visit(header):
        if header in path:
            cycle = path[path.index(header):] + [header]
            yield header, 1, "includes itself: " + " -> ".join(cycle)
        elif header not in done:
            path.append(header)
            for target in graph.get(header, []):
                yield from visit(target)
            path.pop()
            done.add(header)

    for header in graph:
        yield from visit(header)


def rule_ascii(_, text):
    """Sources are ASCII; other characters are escaped, or stand in data files."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isascii():
            odd = next(char for char in line if not char.isascii())
            yield number, f"U+{ord(odd):04X}: sources are ASCII"


def rule_no_leftovers(_, text):
    """What is to do stands in an issue."""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.search(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b", line)
        if match:
            yield number, f"{match.group(1)}: what is to do stands in an issue"


def rule_tests_listed(tests, listings):
    """Every test source stands in the CMakeLists.txt of its folder, or of one above it; `listings` are these by folder."""
    for test in tests:
        names = (str(Path(test).relative_to(folder)) for folder in listings if Path(test).is_relative_to(folder))
        texts = (text for folder, text in listings.items() if Path(test).is_relative_to(folder))
        if not any(re.search(r"(?<![\w./])" + re.escape(name) + r"(?![\w.])", text) for name, text in zip(names, texts)):
            yield test, 1, "is not listed in a CMakeLists.txt"


def rule_named_tests(documents, sources):
    """Every test that a table of a document names as Suite.Name is one of the `sources`'."""
    suites = {}
    for text in sources:
        for suite, name in re.findall(r"\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)", text):
            suites.setdefault(suite, set()).add(name)
    for document, text in documents.items():
        for number, line in enumerate(text.split("\n"), 1):
            for suite, name in re.findall(r"(?<![\w./])([A-Z]\w+)\.([A-Z][a-z]\w+)", line):
                if line.startswith("|") and name not in suites.get(suite, ()):
                    yield document, number, f"names the test {suite}.{name}, which isn't there"


def read(path):
    return path.read_text(encoding="utf-8")


def report_each(rule, root, files):
    for path in files:
        name = str(path.relative_to(root))
        for number, message in rule(name, read(path)):
            yield path.relative_to(ROOT), number, message


def report_all(rule, root, files):
    for name, number, message in rule({str(path.relative_to(root)): read(path) for path in files}):
        yield (root / name).relative_to(ROOT), number, message


def findings(rule):
    include = ROOT / "include" / "bertha"
    headers = sorted(path for path in include.rglob("*") if path.suffix in (".hpp", ".inl"))
    sources = sorted(path for folder in ("include", "tests", "tools", "examples") for path in (ROOT / folder).rglob("*")
                     if path.suffix in (".hpp", ".inl", ".cpp", ".py", ".sh", ".cmake") or path.name == "CMakeLists.txt")
    sources = [path for path in sources if not any(part.startswith("build") for part in path.relative_to(ROOT).parts)]
    if rule in PER_HEADER:
        return report_each(PER_HEADER[rule], include, headers)
    if rule in PER_TREE:
        return report_all(PER_TREE[rule], include, headers)
    if rule in PER_SOURCE:
        return report_each(PER_SOURCE[rule], ROOT, sources)
    is_test = re.compile(r"(_test\.(cpp|py)|^test_.*\.py)$").search
    if rule == "named_tests":
        documents = {name: read(ROOT / name) for name in ("tools/format.md", "tests/README.md")}
        return rule_named_tests(documents, [read(path) for path in sources if is_test(path.name)])
    tests = [str(path.relative_to(ROOT)) for path in sources if is_test(path.name)]
    listings = {str(path.parent.relative_to(ROOT)): read(path) for path in sources if path.name == "CMakeLists.txt"}
    return ((name, number, message) for name, number, message in rule_tests_listed(tests, listings))


PER_HEADER = {rule.__name__[len("rule_"):]: rule for rule in (
    rule_include_direction, rule_includes_outside, rule_never_prints_or_ends, rule_header_length)}
PER_TREE = {"no_cycles": rule_no_cycles, "documented": rule_documented}
PER_SOURCE = {"ascii": rule_ascii, "no_leftovers": rule_no_leftovers}
RULES = [*PER_HEADER, *PER_TREE, *PER_SOURCE, "tests_listed", "named_tests"]


def main(arguments):
    unknown = [rule for rule in arguments if rule not in RULES]
    if unknown:
        print(f"no such rule: {', '.join(unknown)}. Rules: {', '.join(RULES)}")
        return 2
    count = 0
    for rule in arguments or RULES:
        for path, number, message in findings(rule):
            print(f"{path}:{number}: [{rule}] {message}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
