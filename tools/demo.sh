#!/usr/bin/env bash
# Builds the bertha program and runs its three tasks on the small models of examples/models.
# On Debian it installs what is missing to build: a compiler, CMake, make and two header libraries. The program is build/bertha.

set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh

need_packages g++ cmake make nlohmann-json3-dev libcli11-dev
cmake -S . -B build -D CMAKE_BUILD_TYPE=Release -D BERTHA_BUILD_TESTS=OFF -D BERTHA_BUILD_EXAMPLES=OFF \
  --log-level=WARNING
cmake --build build --target bertha -j "$(nproc)"

# show WHAT COMMAND...: what to look at, the command as one would type it, and what it prints.
show() {
  printf '\n# %s\n$' "$1"
  shift
  local word
  for word in "$@"; do
    if [[ $word =~ ^[a-zA-Z0-9_./-]+$ ]]; then printf ' %s' "$word"; else printf ' "%s"' "$word"; fi
  done
  printf '\n'
  "$@"
}

models=examples/models
show "A model that has read film reviews says whether one is good or bad." \
  build/bertha classify $models/sentiment.safetensors \
  "A warm, funny film that stays with you for days." "The acting is fine, but the plot makes no sense."
show "A model that has read encyclopaedia articles finds persons, places and organisations, and where they are in the text." \
  build/bertha ner $models/entities.safetensors --aggregation simple "Marie Curie taught at the University of Paris."
show "A model that answers a question with the part of a passage that says it." \
  build/bertha qa $models/answers.safetensors --question "Who built the bridge?" \
  --context "The old bridge was built in 1566 by Mimar Hayruddin. It fell in a war, and was opened again in 2004."
