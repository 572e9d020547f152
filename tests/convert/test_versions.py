"""The converter's sources are those of Python 3.9, and what it needs is written in one place.

Where Python 3.9 is not at hand, its grammar is asked of a newer one, and names that came later are looked for.
"""

from __future__ import annotations

import ast
import re
import unittest
from pathlib import Path

import folders  # noqa: F401  (puts tools/ on the path)
from bertha_convert.requirements import FOR_ADAPTERS, FOR_ONNX, FOR_SELFTEST, NEEDED

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "convert.py"
SOURCES = sorted([SCRIPT, *(ROOT / "tools/bertha_convert").glob("*.py"), *(ROOT / "tests/convert").glob("*.py")])
LATER_NAMES = {"file_digest", "pairwise", "batched", "TaskGroup", "ExceptionGroup", "add_note", "StrEnum", "Self", "override"}
LATER_NAMES |= {"get_annotations", "bit_count", "aclosing", "hardlink_to", "TypeAlias", "ParamSpec", "chdir", "walk_up"}
LATER_KEYWORDS = {("zip", "strict"), ("write_text", "newline"), ("dataclass", "slots"), ("dataclass", "kw_only")}


def is_union(node: ast.AST) -> bool:
    """Whether this is X | None or X | Y of types, which Python 3.9 can't evaluate."""
    types = {"int", "str", "bytes", "bool", "float", "dict", "list", "tuple", "set", "Path", "Any", "Json"}
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    sides = (node.left, node.right)
    none = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
    return none or all(isinstance(side, ast.Name) and side.id in types for side in sides)


def annotations(tree: ast.AST) -> list[ast.AST]:
    """All annotations of a source."""
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        found.append(node.annotation if isinstance(node, (ast.arg, ast.AnnAssign)) else getattr(node, "returns", None))
    return [node for node in found if node is not None]


class Versions(unittest.TestCase):
    def test_the_sources_parse_as_python_3_9(self) -> None:
        for path in SOURCES:
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))
        ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 4))  # so that older ones say what is needed

    def test_unions_of_types_are_in_annotations_that_are_not_evaluated(self) -> None:
        for path in SOURCES:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            unevaluated = {id(node) for each in annotations(tree) for node in ast.walk(each)}
            unions = [node for node in ast.walk(tree) if is_union(node)]
            outside = [node.lineno for node in unions if id(node) not in unevaluated]
            self.assertEqual(outside, [], path)
            imported = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
            self.assertTrue(imported or not unions, path)

    def test_nothing_that_came_after_python_3_9_is_called(self) -> None:
        for path in SOURCES:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node, "attr", getattr(node, "id", None))
                self.assertNotIn(name, LATER_NAMES, f"{path}: {getattr(node, 'lineno', '')}")
                if isinstance(node, ast.Call):
                    called = getattr(node.func, "attr", getattr(node.func, "id", None))
                    later = {(called, keyword.arg) for keyword in node.keywords} & LATER_KEYWORDS
                    self.assertEqual(later, set(), f"{path}: {node.lineno}")

    def test_the_page_names_the_versions_that_are_checked(self) -> None:
        text = (ROOT / "tools/bertha_convert/README.md").read_text(encoding="utf-8")
        table = dict(re.findall(r"^\| (\w+) \| ([0-9.]+) \|", text, re.MULTILINE))
        python = re.search(r"^PYTHON = \((\d+), (\d+)\)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(table, {"Python": ".".join(python.groups()), **NEEDED, **FOR_SELFTEST, **FOR_ADAPTERS, **FOR_ONNX})


if __name__ == "__main__":
    unittest.main()
