#!/usr/bin/env bash
# Builds the bertha program and runs its three tasks on the small models of examples/models.
# On Debian it installs what is missing to build: a compiler, CMake, Ninja and two header libraries. The program is build/bertha.

set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh

need_packages g++ cmake make nlohmann-json3-dev libcli11-dev
cmake -S . -B build -D CMAKE_BUILD_TYPE=Release -D BERTHA_BUILD_TESTS=OFF -D BERTHA_BUILD_EXAMPLES=OFF \
  --log-level=WARNING
cmake --build build --target bertha -j "$(nproc)"

show() {
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}
show build/bertha classify examples/models/sentiment.safetensors \
  "Stocks rallied and the British pound gained." "The company lost money for the third year running."
show build/bertha ner examples/models/entities.safetensors --aggregation simple \
  "My name is Sinan and I live in San Francisco."
show build/bertha qa examples/models/answers.safetensors \
  --question "Where is Sinan living these days?" --context "Sinan lives in California but Matt lives in Boston"
