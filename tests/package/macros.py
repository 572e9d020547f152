#!/usr/bin/env python3
"""The headers compile after others that make macros of plain words: `macros.py INCLUDE -- COMPILER...`

Compiles a source that includes everything that the headers below INCLUDE take from outside, then makes each of the words
below a macro that no program survives, and includes the library. `min` and `max` are not among them: who includes
<windows.h> defines NOMINMAX, for the C++ library's sake already.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = {
    "Qt": "emit foreach forever signals slots SIGNAL SLOT",
    "X11": """Above AllSources AllTemporary Always Below Bool Complex Convex CurrentTime CursorShape DestAll Expose False
        FocusIn FocusOut KeyPress KeyRelease LineSolid None Nonconvex Opposite ParentRelative Status Success True Unsorted
        YSorted""",
    "Windows": """ABSOLUTE ALTERNATE CALLBACK CONST CopyMemory CreateFile DELETE DIFFERENCE DOMAIN DrawText ERROR FALSE FAR
        FillMemory FindText GetClassName GetCurrentTime GetMessage GetObject IGNORE IN INFINITE LoadImage LoadString NEAR
        NO_ERROR OPAQUE OPTIONAL OUT OVERFLOW PASSTHROUGH PURE RELATIVE RGB ReplaceText STRICT SendMessage THIS
        TRANSPARENT TRUE UNDERFLOW VOID Yield ZeroMemory cdecl far hyper interface near pascal rad1 rad2 rad3 small""",
    "the C library and GNU C++": "I MAX MIN linux major minor unix",
}

# Headers of one machine, which a compiler for another may have and not bear.
MACHINES = {"arm_neon.h": "__aarch64__", "emmintrin.h": "__x86_64__", "immintrin.h": "__x86_64__"}


def main(arguments):
    folder, dashes, *compiler = arguments
    assert dashes == "--", __doc__
    headers = [path.read_text(encoding="ascii") for path in Path(folder).rglob("*") if path.suffix in (".hpp", ".inl")]
    outside = {name for text in headers for name in re.findall(r"^#include <([^>]+)>", text, re.M)
               if not name.startswith("bertha/") and " " not in name}
    assert {"string", "nlohmann/json.hpp"} <= outside, outside
    lines = [f"#if __has_include(<{name}>) && {MACHINES.get(name, 1)}\n#include <{name}>\n#endif" for name in sorted(outside)]
    for word in " ".join(WORDS.values()).split():
        lines.append(f"#undef {word}\n#define {word} }} a macro of the user ::")
    lines.append("#include <bertha/bertha.hpp>\n")
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "macros.cpp"
        source.write_text("\n".join(lines), encoding="ascii")
        return subprocess.run([*compiler, "-fsyntax-only", str(source)]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
