#!/usr/bin/env python3
"""Compiles the programs that a page shows, and runs those whose output it shows:
`readme_snippets.py PAGE... --link LIBRARY -- COMPILER...`

A ```cpp block that starts with #include is a program. A ```text block right after it is what it prints, run from the
project's folder. Blocks that are marked ```cpp body are bodies of functions: those of a page are compiled together. Exits with 1 when one doesn't compile or prints something else. Standard library only.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Block(NamedTuple):
    """A fenced block of a Markdown page: where it begins, its language and what else is said there, what is in it, and its
    place in the page."""

    line: int
    language: str
    info: str
    text: str
    start: int
    end: int


def blocks(page):
    """The fenced blocks of a Markdown page, in its order."""
    return [Block(page.count("\n", 0, match.start()) + 1, match.group(1), match.group(2).strip(), match.group(3),
                  match.start(), match.end())
            for match in re.finditer(r"^```([\w+-]*)([^\n]*)\n(.*?)^```[ \t]*$", page, re.M | re.S)]


def bodies(page):
    """The fragments of a page as one source, a function each; nothing if there are none."""
    found = [block.text for block in blocks(page) if (block.language, block.info) == ("cpp", "body")]
    functions = "".join(f"void fragment_{i}();\nvoid fragment_{i}() {{\n{text}}}\n" for i, text in enumerate(found))
    return f"#include <bertha/bertha.hpp>\n#include <iostream>\n{functions}" if found else ""


def snippets(page):
    """[(line of the program, program, what it prints or None)] of a Markdown page."""
    found, all_blocks = [], blocks(page)
    for index, block in enumerate(all_blocks):
        if block.language != "cpp" or not block.text.lstrip().startswith("#include"):
            continue
        after = all_blocks[index + 1] if index + 1 < len(all_blocks) else None
        follows = after is not None and after.language == "text" and not page[block.end : after.start].strip()
        found.append((block.line, block.text, after.text if follows else None))
    return found


def check(program, output, library, compiler, folder):
    """What is wrong with one program, or None."""
    source, binary = folder / "snippet.cpp", folder / "snippet"
    source.write_text(program, encoding="utf-8")
    runs = "int main" in program
    link = [library, "-pthread"] if runs else ["-c"]
    built = subprocess.run([*compiler, str(source), "-o", str(binary), *link], capture_output=True, text=True)
    if built.returncode:
        return f"doesn't compile:\n{built.stderr}"
    if output is None or not runs:
        return None
    ran = subprocess.run([str(binary)], capture_output=True, text=True, cwd=ROOT, timeout=120)
    if ran.returncode or ran.stdout != output:
        return f"exits with {ran.returncode} and prints\n{ran.stdout}{ran.stderr}but the page says\n{output}"
    return None


def main(arguments):
    *pages, option, library, dashes = arguments[: arguments.index("--") + 1]
    compiler = arguments[arguments.index("--") + 1 :]
    assert option == "--link" and dashes == "--", __doc__
    failed = 0
    for page in pages:
        text = Path(page).read_text(encoding="utf-8")
        found = snippets(text)
        if bodies(text):
            found.append(("its fragments", bodies(text), None))
        if not found:
            print(f"{page} shows no program")
            failed += 1
        for line, program, output in found:
            with tempfile.TemporaryDirectory() as folder:
                problem = check(program, output, library, compiler, Path(folder))
            print(f"{page}:{line}: {problem or ('prints what it says' if output else 'compiles')}")
            failed += problem is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
