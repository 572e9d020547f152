#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz, by clang's libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer, and runs
# each for a time; those of the converter's readers are Python's, by atheris. The last line counts them; the exit status
# is 0 when none found anything.
#
#   bash tools/fuzz.sh               60 seconds each
#   bash tools/fuzz.sh 3600          an hour each, as many at once as there are CPUs
#   bash tools/fuzz.sh 60 tokenizers
#   bash tools/fuzz.sh --coverage    no new inputs: the share of lines of its part that those found so far reach
#
# Each begins with the inputs of tests/fuzz/seeds (a reader of the converter with files that it makes), and with what
# earlier runs have left in build-fuzz/corpus. An input that something is wrong with stays in build-fuzz, and its log says
# so: `build-fuzz/tests/fuzz/fuzz_NAME FILE`, or the log's first line with FILE at its end, runs it again.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh

seconds=${1:-60}
[ $# -gt 0 ] && shift
case $seconds in
  --coverage) ;;
  *[!0-9]* | "") echo "usage: bash tools/fuzz.sh [SECONDS|--coverage [FUZZER ...]]" && exit 2 ;;
esac
named=("$@")
[ $# -eq 0 ] &&
  named=(model_file tokenizers pipelines line_reader quantize torch_file sentencepiece_model safetensors)
fuzzers=()  # in C++
readers=()  # in Python
for name in "${named[@]}"; do
  case $name in
    torch_file | sentencepiece_model | safetensors) readers+=("$name") ;;
    *) fuzzers+=("$name") ;;
  esac
done

out=build-fuzz
corpora=$out/corpus
flags="-O1 -g1"
sanitize=address,undefined
if [ "$seconds" = --coverage ]; then
  need_packages llvm-14 || exit 1
  out=build-fuzz-coverage
  flags="-O1 -fprofile-instr-generate -fcoverage-mapping"
  sanitize=
fi
need_packages clang-14 libclang-rt-14-dev cmake ninja-build nlohmann-json3-dev python3 python3-venv || exit 1
cmake -S . -B $out -G Ninja --log-level=WARNING -D CMAKE_CXX_COMPILER=clang++-14 -D CMAKE_BUILD_TYPE=Debug \
  -D CMAKE_CXX_FLAGS_DEBUG="$flags" -D BERTHA_SANITIZE=$sanitize -D BERTHA_BUILD_FUZZERS=ON \
  -D BERTHA_BUILD_TOOLS=OFF -D BERTHA_BUILD_EXAMPLES=OFF -D BERTHA_INSTALL=OFF >/dev/null || exit 1
if [ ${#fuzzers[@]} -gt 0 ]; then
  cmake --build $out -j "$(nproc)" --target "${fuzzers[@]/#/fuzz_}" || exit 1
fi

# What the converter's readers are watched and held against by.
python=$out/venv/bin/python
if [ ${#readers[@]} -gt 0 ] && ! "$python" -c "import atheris, coverage, google.protobuf, numpy, sentencepiece" 2>/dev/null; then
  python3 -m venv $out/venv &&
    $out/venv/bin/pip install --quiet atheris coverage numpy protobuf sentencepiece tokenizers==0.23.3 safetensors ||
    exit 1
fi

# prepare NAME: what runs it, in `program`, and its first inputs in the folder `corpus`.
prepare() {
  corpus=$corpora/$1
  program=("$out/tests/fuzz/fuzz_$1")
  local seeds=tests/fuzz/seeds/${1/quantize/model_file}.txt  # edits of the same files
  if [ -f "$seeds" ]; then
    python3 tests/fuzz/seeds.py unpack "$seeds" "$corpus"
  else
    program=("$python" tests/fuzz/converter_readers.py "$1")
  fi
}

# fuzz NAME: one line of what it did, or all that it said and status 1.
fuzz() {
  local corpus program log=$out/$1.log
  prepare "$1" || return 1
  program+=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 -entropic=0 -print_final_stats=1
    -artifact_prefix="$out/$1-")
  echo "${program[*]}" >"$log"
  if "${program[@]}" "$corpus" >>"$log" 2>&1; then
    printf '%s: %s inputs, %s points of the code reached\n' "$1" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -1)"
  else
    cat "$log"
    return 1
  fi
}

# part FUZZER: the sources that it is to reach.
part() {
  case $1 in
    model_file) echo include/bertha/file ;;
    quantize) echo include/bertha/quantize include/bertha/quantize.hpp include/bertha/file/new_file.hpp ;;
    tokenizers) echo include/bertha/tokenizer ;;
    pipelines) echo include/bertha/pipelines include/bertha/heads ;;
    line_reader) echo tools/bertha/line_reader.cpp tools/bertha/json_line.cpp tools/bertha/streams.cpp ;;
  esac
}

# cover NAME: the share of lines that its inputs reach, of each source and of all.
cover() {
  local corpus program sources
  prepare "$1" || return 1
  if [ ${#program[@]} -gt 1 ]; then
    printf '\n%s\n' "$1" && "${program[@]}" --coverage "$corpus" 2>/dev/null
    return
  fi
  LLVM_PROFILE_FILE=$out/$1.profraw "${program[@]}" -runs=0 -timeout=20 "$corpus" >"$out/$1.log" 2>&1 || return 1
  llvm-profdata-14 merge -sparse "$out/$1.profraw" -o "$out/$1.profdata" || return 1
  read -ra sources < <(part "$1")
  printf '\n%s: lines of %s\n' "$1" "${sources[*]}"
  llvm-cov-14 export -summary-only -instr-profile "$out/$1.profdata" "$out/tests/fuzz/fuzz_$1" "${sources[@]/#/$PWD/}" |
    python3 -c '
import json, os, sys
found = json.load(sys.stdin)["data"][0]
for one in found["files"]:
    lines = one["summary"]["lines"]
    print("%6.1f %% of %4d  %s" % (lines["percent"], lines["count"], os.path.relpath(one["filename"])))
lines = found["totals"]["lines"]
print("%6.1f %% of %4d  in all" % (lines["percent"], lines["count"]))'
}

if [ "$seconds" = --coverage ]; then
  for name in "${named[@]}"; do cover "$name" || exit 1; done
  exit
fi

passed=0
failed=0
running=()
wait_for_one() {
  if wait "${running[0]}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  running=("${running[@]:1}")
}
for name in "${named[@]}"; do
  [ ${#running[@]} -lt "$(nproc)" ] || wait_for_one
  fuzz "$name" &
  running+=($!)
done
while [ ${#running[@]} -gt 0 ]; do wait_for_one; done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
