#!/usr/bin/env python3
"""Runs the commands that a page shows, in its order, as somebody would who pastes them: `readme_commands.py PAGE`.

They run in a copy of the project, with an empty home and the system's environment alone. Each ```sh block is one script,
which must succeed. Each ```cmake block is the end of a CMakeLists.txt of a project beside it, whose program is the first one
of the page and must print what the page says.

Three things are not what they are for a reader. `hf download` is a stand-in that makes a small checkpoint with random weights,
since tests need no network; pip finds the converter's packages installed already, where this interpreter has them; and with
CCACHE_DIR, ccache gives what it has of the same sources. Standard library only, but for numpy in the stand-in.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from readme_snippets import blocks, snippets

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("bash tools/test.sh",)  # runs this script
CHECKPOINT = """#!{python}
import sys
sys.path.insert(0, {folders!r})
from pathlib import Path
from folders import write_folder
assert sys.argv[1:2] == ["download"] and sys.argv[3:4] == ["--local-dir"] and len(sys.argv) == 5, sys.argv
write_folder(Path(sys.argv[4]), "sequence-classification", 3)
"""


def environment(tree, home, tools):
    """The variables of a user who has set none, with `tools` before the system's programs."""
    python = Path(sys.executable).parent
    (tools / "hf").write_text(CHECKPOINT.format(python=sys.executable, folders=str(ROOT / "tests" / "convert")))
    (tools / "hf").chmod(0o755)
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    variables = {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1",
                 "PATH": os.pathsep.join([str(tools), str(python), os.environ["PATH"]])}
    if "CCACHE_DIR" in os.environ:
        variables |= {name: value for name, value in os.environ.items() if name.startswith("CCACHE_")}
        variables |= {"CCACHE_BASEDIR": str(tree), "CMAKE_CXX_COMPILER_LAUNCHER": "ccache"}
    return variables


def shell_commands(text):
    """A block without what can't be run here. Lines that a comment ends are commands too."""
    return "".join(line + "\n" for line in text.splitlines() if line.split("#")[0].strip() not in LEFT_OUT)


def project(folder, block, program):
    """Writes a project whose CMakeLists.txt ends with `block`."""
    folder.mkdir()
    (folder / "main.cpp").write_text(program, encoding="utf-8")
    head = "cmake_minimum_required(VERSION 3.22)\nproject(app LANGUAGES CXX)\nadd_executable(app main.cpp)\n"
    (folder / "CMakeLists.txt").write_text(head + block, encoding="utf-8")


def run(command, folder, variables):
    """What `command` prints; None, and everything that it printed shown, when it fails."""
    done = subprocess.run(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        print(f"{command[-1]}\nexits with {done.returncode} and prints\n{done.stdout}{done.stderr}")
        return None
    return done.stdout


def run_project(source, tree, variables):
    """What the program of a project prints, run in the project's folder; None when it can't be built."""
    build = source / "build"
    configure = ["cmake", "-S", source, "-B", build, "-D", "CMAKE_BUILD_TYPE=Release", "-D", f"FETCHCONTENT_SOURCE_DIR_BERTHA={tree}",
                 "-D", f"CMAKE_PREFIX_PATH={variables['HOME']}/.local"]
    for command in (configure, ["cmake", "--build", build, "-j", "2"]):
        if run([str(word) for word in command], source, variables) is None:
            return None
    return run([str(build / "app")], tree, variables)


def main(page):
    """Exit status 1 when a command fails."""
    text = Path(page).read_text(encoding="utf-8")
    _, program, output = snippets(text)[0]
    failed = ran = 0
    with tempfile.TemporaryDirectory() as temporary:
        tree, home, tools = (Path(temporary) / name for name in ("bertha", "home", "tools"))
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build*", ".git", "__pycache__"))
        home.mkdir()
        tools.mkdir()
        variables = environment(tree, home, tools)
        for block in blocks(text):
            if block.language == "sh":
                good = run(["bash", "-e", "-o", "pipefail", "-c", shell_commands(block.text)], tree, variables) is not None
            elif block.language == "cmake":
                source = Path(temporary) / f"app{ran}"
                project(source, block.text, program)
                good = run_project(source, tree, variables) == output
            else:
                continue
            ran += 1
            failed += not good
            print(f"{page}:{block.line}: {'as it says' if good else 'not as it says'}", flush=True)
    if not ran:
        print(f"{page} shows no command")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
