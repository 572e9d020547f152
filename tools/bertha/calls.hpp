// What bench and inspect --profile time: calls of a model, whatever its head.

#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "commands.hpp"

namespace program {

/// One call of a model: from token ids to logits.
using Call = std::function<bertha::Logits(const std::vector<bertha::Encoding>&)>;

/// Loads the model as `arguments` says. Throws bertha::Error.
Call make_call(const BenchArguments& arguments);

/// `batch` sequences of `length` token ids that look like text: spread over the vocabulary, the same in every run.
std::vector<bertha::Encoding> random_encodings(std::size_t batch, std::size_t length, std::size_t vocab_size);

/// Milliseconds that one call takes.
template <class F>
double time_ms(const F& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begin;
  return passed.count();
}

}  // namespace program
