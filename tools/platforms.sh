#!/usr/bin/env bash
# Compilers, C libraries, dialects and machines that the other tests don't use: compiles tests/package/logit_bits.cpp with
# each, and holds the bits that it prints against those of g++. A part of `tools/test.sh --full`; the last line counts.
#
#   bash tools/platforms.sh
#
# clang 19 and the cross compiler are Debian's; clang 22 with musl and libc++, for two machines, is the package `ziglang`
# of PyPI. What can't be installed is left out, and said.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh

out=build-platforms
mkdir -p "$out/include"
passed=0
failed=0
model=examples/models/sentiment.safetensors
expected=

# bits NAME RUNNER... -- COMPILER...: compiles and runs; the first one's bits are what the others must print.
bits() {
  local name=$1 runner=() found start=$SECONDS
  shift
  while [ "$1" != -- ]; do runner+=("$1") && shift; done
  shift
  if ! "$@" -O2 -Wall -Werror -Iinclude tests/package/logit_bits.cpp -pthread -o "$out/$name"; then
    echo "$name: does not compile" && failed=$((failed + 1)) && return
  fi
  found=$("${runner[@]}" "$out/$name" "$model")
  : "${expected:=$found}"
  if [ -n "$found" ] && [ "$found" = "$expected" ]; then
    passed=$((passed + 1)) && echo "$name: the same bits, $((SECONDS - start)) s"
  else
    failed=$((failed + 1)) && printf '%s: other bits\n%s\n' "$name" "$found"
  fi
}

need_packages g++ nlohmann-json3-dev python3 python3-venv || exit 1
bits gcc -- g++ -std=c++20
bits gcc-c++23 -- g++ -std=c++23
bits gcc-no-rtti -- g++ -std=c++20 -fno-rtti
# Two sources that include the library, as one.
printf '#include "%s"\n' "$PWD"/tests/package/two_units_{a,b}.cpp >"$out/unity.cpp"
if g++ -std=c++20 -O1 -Wall -Werror -Iinclude -Itests/package "$out/unity.cpp" -pthread -o "$out/unity" && "$out/unity"; then
  passed=$((passed + 1)) && echo "unity build: works"
else
  failed=$((failed + 1)) && echo "unity build: fails"
fi

if need_packages clang-19; then
  bits clang-19 -- clang++-19 -std=c++20
  bits clang-19-c++23 -- clang++-19 -std=c++23
  if need_packages g++-aarch64-linux-gnu qemu-user; then
    bits clang-19-aarch64 qemu-aarch64 -L /usr/aarch64-linux-gnu -- clang++-19 --target=aarch64-linux-gnu -std=c++20
  fi
else
  echo "clang 19 is left out: it could not be installed"
fi

# Its own C library and C++ library must not meet the system's headers.
ln -sfn /usr/include/nlohmann "$out/include/nlohmann"
if python3 -m venv "$out/venv" && "$out/venv/bin/pip" install --quiet ziglang; then
  zig=("$out/venv/bin/python" -m ziglang c++ -std=c++20 -isystem "$out/include")
  bits musl -- "${zig[@]}" -target x86_64-linux-musl
  if need_packages qemu-user; then
    bits musl-aarch64 qemu-aarch64 -- "${zig[@]}" -target aarch64-linux-musl
  fi
else
  echo "musl is left out: ziglang could not be installed"
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
