#!/usr/bin/env python3
"""The library never prints, aborts or exits, and takes no lock: `symbols.py --nm NM SOURCE -- COMPILER...`

Compiles SOURCE, a program that uses the whole library, and looks at what its object wants from the C and C++ runtime.
With NDEBUG: without it nlohmann/json brings assertions of its own, and the rule never_prints_or_ends covers ours.
At -O2, and with BERTHA_FULL set at -O0 too. Warnings that only an optimising compiler sees are errors here as well, by the
flags of CMakeLists.txt.
Exits with 1 when that is a function that prints or ends the process, or one that waits for another thread to leave a
section, as static objects' guards do: a child of fork() would wait for a thread that it doesn't have. pthread_once is
none of these: it begins anew in the child. Standard library only.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FORBIDDEN = re.compile(
    r"^(?:__)?(?:v?f?printf(?:_chk)?|f?puts|putc|putchar|fputc|fwrite|write|perror|"
    r"abort|_?exit|_Exit|quick_exit|raise|kill|__assert_fail|assert_fail|syslog|"
    r"std::(?:cout|cerr|clog|wcout|wcerr|exit|abort|quick_exit|ios_base::Init::.*)|"
    r"std::__glibcxx_assert_fail.*|stdout|stderr|"
    r"__cxa_guard_acquire|pthread_(?:mutex|rwlock|spin|cond|barrier)_\w+|sem_wait|mtx_lock|"
    r"std::(?:condition_variable|__once_call|__future_base).*)(?:@.*)?$")


def undefined_symbols(nm, binary):
    listing = subprocess.run([nm, "-C", "-u", str(binary)], capture_output=True, text=True, check=True).stdout
    return [line.split(maxsplit=1)[1] for line in listing.splitlines() if len(line.split(maxsplit=1)) == 2]


def main(arguments):
    option, nm, source, dashes, *compiler = arguments
    assert option == "--nm" and dashes == "--", __doc__
    failed = 0
    for level in ("-O0", "-O2") if os.environ.get("BERTHA_FULL") else ("-O2",):
        with tempfile.TemporaryDirectory() as folder:
            binary = Path(folder) / "object.o"
            subprocess.run([*compiler, level, "-DNDEBUG", "-c", source, "-o", str(binary)], check=True)
            wanted = undefined_symbols(nm, binary)
        bad = [symbol for symbol in wanted if FORBIDDEN.match(symbol)]
        print(f"{level}: {len(wanted)} symbols from outside, {len(bad)} of them print, end or lock", *bad, sep="\n  ")
        failed += len(bad)
        if not any("bertha" in symbol or symbol.startswith(("std::", "operator", "__cxa")) for symbol in wanted):
            print("  and none that a program of the library must have: was the right thing compiled?")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
