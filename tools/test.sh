#!/usr/bin/env bash
# Builds and runs the test suite. The last line counts the tests of all stages; the exit status is 0 when none failed.
#
#   bash tools/test.sh          g++: the sources' rules, all tests of a Release build, the unit tests under
#                               AddressSanitizer and UndefinedBehaviorSanitizer. Within 25 minutes on two cores.
#   bash tools/test.sh --full   and more: -Os, every header alone, clang 14, ThreadSanitizer, valgrind, further compilers
#                               and dialects and musl, and aarch64 under qemu where these can be installed.
#
# On Debian 12 it installs what is missing; with everything there it needs no network. Builds go to build-test-*.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh

full=no
more=OFF
case "${1:-}" in
  "") ;;
  --full) full=yes && more=ON && export BERTHA_FULL=1 ;;  # for tests that can look at more cases
  *) echo "usage: bash tools/test.sh [--full]" && exit 2 ;;
esac

passed=0
failed=0
times=()
launcher=()
out=build-test
jobs=$(nproc)

# stage NAME BUDGET COMMAND...: runs it, and notes its time against the budget in seconds. A command that isn't a run of
# tests counts as one failed test when it fails.
stage() {
  local name=$1 budget=$2 start=$SECONDS
  shift 2
  printf '\n== %s\n' "$name"
  "$@" || failed=$((failed + 1))
  local took=$((SECONDS - start)) note=""
  [ "$took" -gt "$budget" ] && note="  over its budget"
  times+=("$(printf '%5d s of %4d  %s%s' "$took" "$budget" "$name" "$note")")
}

configure() {
  local folder=$1
  shift
  cmake -S . -B "$out-$folder" -G Ninja --log-level=WARNING -D BERTHA_BUILD_TESTS=ON -D Python3_EXECUTABLE="$python" \
    -D BERTHA_TEST_MORE="$more" "$@"
}

# build FOLDER TARGET...: goes on after a failure, so that one broken source doesn't hide the other tests.
build() {
  local folder=$1
  shift
  cmake --build "$out-$folder" -j "$jobs" --target "$@" -- -k 0
}

# The commands of the README are run as they stand by a test, in a copy of the project. They compile what the Release build
# has compiled, byte for byte: with ccache once. Its keys hold paths as seen from a build folder, hence all folders' depth.
share_objects() {
  command -v ccache >/dev/null || return 0
  export CCACHE_DIR=$PWD/$out-ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
  launcher=(-D CMAKE_CXX_COMPILER_LAUNCHER=ccache)
}

# run_tests FOLDER CTEST_OPTION...: adds its tests to the sums. Skipped ones are in neither.
run_tests() {
  local folder=$1 log=$PWD/$out-$1/tests.log bad total skipped status
  shift
  ctest --test-dir "$out-$folder" -j "$jobs" --output-on-failure --no-tests=error "$@" | tee "$log"
  status=${PIPESTATUS[0]}
  read -r bad total < <(sed -nE 's/.* ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")
  skipped=$(grep -cE '\*\*\*Skipped' "$log")
  if [ -z "${total:-}" ]; then
    return 1
  fi
  passed=$((passed + total - bad - skipped))
  failed=$((failed + bad))
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ]
}

finish() {
  printf '\nTimes:\n'
  printf '%s\n' "${times[@]}"
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# The converter's tests want three Python packages: the system's where it has them, else an environment below build/. That
# one gets transformers too, and what it reads .model files by, if they can be had: without them some tests are skipped.
python=$(command -v python3)
choose_python() {
  local wants="import numpy, safetensors, tokenizers"
  python3 -c "$wants" 2>/dev/null && return 0
  python=$PWD/build/venv/bin/python
  "$python" -c "$wants" 2>/dev/null ||
    { python3 -m venv build/venv && build/venv/bin/pip install --quiet numpy safetensors tokenizers==0.23.3; } || return 1
  "$python" -c "import transformers, sentencepiece, google.protobuf" 2>/dev/null ||
    build/venv/bin/pip install --quiet --retries 0 transformers==5.23.0 sentencepiece protobuf ||
    echo "Without transformers: tests of the converter's rules against it are skipped"
}

packages=(g++ cmake ninja-build ccache nlohmann-json3-dev libgtest-dev libcli11-dev libeigen3-dev libsentencepiece-dev
  clang-format-14 clang-14 libclang-rt-14-dev locales python3 python3-venv)
[ $full = yes ] && packages+=(valgrind)
stage "packages" 180 need_packages "${packages[@]}"
stage "Python packages" 120 choose_python
[ "$failed" -gt 0 ] && finish

share_objects
stage "configure" 20 configure release -D CMAKE_BUILD_TYPE=Release "${launcher[@]}"
stage "rules of the sources" 20 run_tests release -L rules
stage "headers alone" 240 run_tests release -L headers
stage "build, Release" 420 build release all
stage "tests, Release" 400 run_tests release -LE 'rules|headers'

# Not optimised: with sanitizers that would take three times as long to compile. The kernels' regions are, by themselves.
sanitized=(-D CMAKE_BUILD_TYPE=Debug -D CMAKE_CXX_FLAGS_DEBUG="-g1" -D BERTHA_BUILD_TOOLS=OFF -D BERTHA_BUILD_EXAMPLES=OFF)
# A check of every pointer for null and alignment costs a third of that build again; without, ASan still sees null.
undefined=shift,integer-divide-by-zero,unreachable,return,signed-integer-overflow,bounds,bool,enum,pointer-overflow,builtin
[ $full = yes ] && undefined=undefined
stage "configure, ASan and UBSan" 20 configure memory "${sanitized[@]}" -D BERTHA_SANITIZE="address,$undefined"
stage "build, ASan and UBSan" 270 build memory bertha_unit_tests bertha_fuzz_tests
stage "tests, ASan and UBSan" 110 run_tests memory -L 'unit|fuzz'

if [ $full = yes ]; then
  unset BERTHA_FULL  # more cases would take hours under TSan and qemu
  stage "build of the rest, ASan and UBSan" 300 build memory bertha_kernels_tests bertha_golden_tests
  # Models of real size once: with each level they would take half an hour, and read no memory in another way.
  stage "tests of the rest, ASan and UBSan" 300 run_tests memory -L 'kernels|golden' -E '^[a-z0-9_]+/.*demo_'

  stage "configure, clang" 20 configure clang -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER=clang++-14
  stage "headers alone, clang" 120 run_tests clang -L headers
  stage "build, clang" 600 build clang all
  stage "tests, clang" 200 run_tests clang -LE 'rules|headers'

  stage "configure, TSan" 20 configure threads "${sanitized[@]}" -D BERTHA_SANITIZE=thread
  stage "build, TSan" 300 build threads bertha_unit_tests
  stage "tests, TSan" 300 run_tests threads -L unit

  # valgrind 3.19 doesn't know AVX-512; the level below it has the same texts. Models of real size would take an hour, and
  # read no memory in another way than the tiny ones.
  # Threads of the pool live as long as the process, so their memory counts as possibly lost.
  valgrind_golden() {
    local program
    for program in "$out"-release/tests/golden_*; do
      case $program in *_O0 | *_Os | *_native | *.cmake) continue ;; esac
      BERTHA_ISA=avx2 valgrind --quiet --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite \
        --show-leak-kinds=definite "$program" --gtest_filter='-*/demo_*' || return 1
    done
    passed=$((passed + 1))
  }
  stage "valgrind" 600 valgrind_golden

  # A million generated texts through tokenizers of every kind, beside `tokenizers`.
  parity() {
    local made=$PWD/$out-tokenizers
    "$python" -c "import transformers, sentencepiece, google.protobuf" 2>/dev/null ||
      { echo "Without transformers: nothing is compared with it" && return 0; }
    "$python" tests/convert/tokenizer_folders.py "$made" &&
      "$python" tools/diff/parity.py "$made"/* --count 80000 --ways 1000 --bertha "$out-release/bertha" 2>/dev/null &&
      passed=$((passed + 1))
  }
  stage "tokenizers beside tokenizers" 1200 parity

  # Further compilers, C libraries and dialects.
  platforms() {
    local log=$PWD/$out-platforms.log good bad
    bash tools/platforms.sh | tee "$log"
    read -r good bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log")
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
    [ -n "${good:-}" ]
  }
  stage "platforms" 600 platforms

  # aarch64, under qemu, without the models of real size. A child of fork() can't start threads there: qemu 7.2 stops at
  # an assertion of its own. GoogleTest is built from Debian's sources of it.
  if need_packages g++-aarch64-linux-gnu qemu-user googletest; then
    stage "configure, aarch64" 30 configure aarch64 "${sanitized[@]}" -D CMAKE_BUILD_TYPE=Release \
      -D CMAKE_TOOLCHAIN_FILE="$PWD/tools/cmake/aarch64.cmake"
    stage "build, aarch64" 600 build aarch64 bertha_unit_tests bertha_kernels_tests bertha_golden_tests
    stage "tests, aarch64" 600 run_tests aarch64 -L 'unit|kernels|golden' -E 'demo_|InAChild|FirstUse'
    stage "inner loops, aarch64" 60 run_tests aarch64 -R inner_loops_stay_in_registers
  else
    echo "aarch64 is left out: its compiler or qemu could not be installed"
  fi
fi
finish
