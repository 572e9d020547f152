#!/usr/bin/env python3
"""The inner loops of products stay in registers: `inner_loops.py --objdump OBJDUMP --at O2,O0 --levels LEVEL... -- SOURCE COMPILER...`

Compiles SOURCE, which holds every kernel, at each of the named optimisations, and disassembles it: g++'s regions have an
optimisation of their own, so that a Debug build runs at full speed (there a pointer may go to the stack, which costs
little). The tiles of a matrix product, and of attention's two
products, are loops in the functions tiles_* of a level: one for each height and number of panels. Between such a loop's
label and its jump back no instruction may have an operand on the stack: an accumulator, a row of weights or a pointer
there costs a third of the speed and more, and shows nowhere else. Nor may a pointer wait in a vector register: fetching it
takes the place of a product in each step, 3 % of a tile of 26. The scalar level is the specification, and exempt.
Exits with 1 when a loop touches the stack, or when a level has no such loops to look at. Standard library only.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SYMBOL = re.compile(r"^[0-9a-f]+ <.*\bkernels::(\w+)::(tiles_\w+)\(.*>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(?:\{vex\} )?(\S.*)$")
# x86-64's and aarch64's instructions.
JUMP = re.compile(r"^(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s+#\d+,)\s+([0-9a-f]+)\b")
PRODUCT = re.compile(r"^(?:vfmadd|vpmadd|vpdp|vdp|tdp|fmla|smlal|smull|sdot)\w*\s")
STACK = re.compile(r"\(%rsp\b|\[sp\b")
STACK_OR_FRAME = re.compile(r"\(%r[sb]p\b|\[(?:sp|x29)\b")
FROM_VECTOR = re.compile(r"^(?:vmov[dq]\s+%xmm\d+,%[er]|fmov\s+[wx]\d+, [sd]\d)")
FRAME = re.compile(r"^mov\s+(?:%rsp,%rbp|x29, sp)$")  # without it, rbp and x29 are registers like others


def functions(listing):
    """(level, name, [(address, instruction)]) of every function with tiles."""
    for block in re.split(r"\n\s*\n", listing):
        header, *lines = block.strip().split("\n")
        symbol = SYMBOL.match(header)
        if symbol:
            found = (INSTRUCTION.match(line) for line in lines)
            yield symbol[1], symbol[2], [(int(match[1], 16), match[2]) for match in found if match]


def inner_loops(code):
    """The instructions of every loop that has none inside it and that multiplies."""
    place = {address: index for index, (address, _) in enumerate(code)}
    loops = set()
    for index, (_, instruction) in enumerate(code):
        jump = JUMP.match(instruction)
        begin = place.get(int(jump[1], 16)) if jump else None
        if begin is not None and begin <= index:
            loops.add((begin, index))
    for begin, end in sorted(loops):
        inside = any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in loops)
        body = [instruction for _, instruction in code[begin:end + 1]]
        if not inside and any(PRODUCT.match(instruction) for instruction in body):
            yield body


def look(listing, levels, pointers=True):
    """What is wrong, a line each, and a summary of what was seen; without `pointers`, those may be on the stack."""
    wrong, seen = [], {}
    for level, name, code in functions(listing):
        if level == "scalar":
            continue
        stack = STACK_OR_FRAME if any(FRAME.match(instruction) for _, instruction in code) else STACK
        for body in inner_loops(code):
            products = sum(1 for instruction in body if PRODUCT.match(instruction))
            seen.setdefault((level, name), []).append(products)
            spills = [instruction for instruction in body if stack.search(instruction) and (pointers or instruction[0] == "v")]
            spills += [instruction for instruction in body if pointers and FROM_VECTOR.match(instruction)]
            if spills:
                wrong.append(f"{level}::{name}: the loop of {products} products leaves its registers: " + "; ".join(spills))
    for level in levels:
        if not any(of == level for of, _ in seen):
            wrong.append(f"{level}: no inner loop of a product found")
    return wrong, [f"{level}::{name}: {len(sizes)} loops, of up to {max(sizes)} products" for (level, name), sizes in sorted(seen.items())]


def main(arguments):
    options, command = arguments[:arguments.index("--")], arguments[arguments.index("--") + 1:]
    assert options[0] == "--objdump" and options[2] == "--at" and options[4] == "--levels", __doc__
    source, *compiler = command
    failed = False
    for optimisation in options[3].split(","):
        with tempfile.TemporaryDirectory() as folder:
            binary = Path(folder) / "object.o"
            subprocess.run([*compiler, f"-{optimisation}", "-c", source, "-o", str(binary)], check=True)
            listing = subprocess.run([options[1], "-d", "-C", "--no-show-raw-insn", str(binary)],
                                     capture_output=True, text=True, check=True).stdout
        wrong, seen = look(listing, options[5:], optimisation != "O0")
        print(f"-{optimisation}:", *seen, *wrong, sep="\n")
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
