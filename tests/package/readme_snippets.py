#!/usr/bin/env python3
"""Compiles the programs that a page shows, and runs those whose output it shows:
`readme_snippets.py PAGE --link LIBRARY -- COMPILER...`

A ```cpp block that starts with #include is a program. A ```text block right after it is what it prints, run from the
project's folder. Exits with 1 when one doesn't compile or prints something else. Standard library only.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def snippets(page):
    """[(line of the program, program, what it prints or None)] of a Markdown page."""
    blocks = [(page.count("\n", 0, match.start()) + 1, match.group(1), match.group(2), match.start(), match.end())
              for match in re.finditer(r"^```([\w+-]*)[^\n]*\n(.*?)^```[ \t]*$", page, re.M | re.S)]
    found = []
    for index, (line, language, text, _, end) in enumerate(blocks):
        if language != "cpp" or not text.lstrip().startswith("#include"):
            continue
        after = blocks[index + 1] if index + 1 < len(blocks) else None
        follows = after is not None and after[1] == "text" and not page[end:after[3]].strip()
        found.append((line, text, after[2] if follows else None))
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
    page, option, library, dashes, *compiler = arguments
    assert option == "--link" and dashes == "--", __doc__
    found = snippets(Path(page).read_text(encoding="utf-8"))
    if not found:
        print(f"{page} shows no program")
        return 1
    failed = 0
    for line, program, output in found:
        with tempfile.TemporaryDirectory() as folder:
            problem = check(program, output, library, compiler, Path(folder))
        print(f"{page}:{line}: {problem or ('prints what it says' if output else 'compiles')}")
        failed += problem is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
