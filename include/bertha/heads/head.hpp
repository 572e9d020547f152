// Heads: what turns hidden states into logits. A head knows nothing of precision; it is a type that fits this concept.

#pragma once

#include <bertha/encoder/encoder.hpp>
#include <concepts>
#include <span>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What a head looks at: one vector per sequence, or the hidden state of every token.
enum class Reads : std::uint8_t { pooled, tokens };

/// A matrix of logits that owns its numbers: a row per sequence or per token, a column per label.
struct Logits {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<float> values;  // [rows, cols]

  std::span<const float> row(std::size_t r) const { return {values.data() + r * cols, cols}; }
};

/// Everything that `Model` asks of a head: loading, what it reads, and the call. `examples/custom_head.cpp` has one.
template <class H>
concept Head = requires(const H& head, WeightFile& file, const ModelConfig& config, const EncoderOutput& output,
                        Workspace& work) {
  typename H::Output;
  { H::load(file, config) } -> std::same_as<H>;
  { head(output, work) } -> std::same_as<typename H::Output>;
  { H::reads } -> std::convertible_to<Reads>;
};

/// logits = x W^T + b in float32: the last layer of a head. Immutable; `const` methods may run concurrently.
class OutputLayer {
 public:
  /// Takes `<name>.weight` [L, H'] and `<name>.bias` [L']. Throws Error{missing_tensor | shape}.
  OutputLayer(WeightFile& file, const std::string& name, std::size_t n_labels, std::size_t hidden_size)
      : n_labels_(n_labels), linear_(Linear<Float32>::from_rows(file, name, n_labels, hidden_size)) {}

  /// x [rows, H] to logits [rows, L].
  Logits operator()(MatrixView<const float> x, Workspace& work) const {
    const FloatEnvironment environment;
    const auto padded = work.logits.matrix(x.rows, n_labels_);  // [rows, L']
    linear_(x, padded, work.team());
    Logits logits{x.rows, n_labels_, {}};
    logits.values.reserve(x.rows * n_labels_);
    for (std::size_t r = 0; r < x.rows; ++r)
      logits.values.insert(logits.values.end(), padded.row(r), padded.row(r) + n_labels_);
    return logits;
  }

 private:
  std::size_t n_labels_;
  Linear<Float32> linear_;  // [L, H]
};

/// Throws Error{unsupported} unless the file's head is `expected`.
inline void require_head(const WeightFile& file, const ModelConfig& config, HeadKind expected) {
  const std::string name(to_string(expected));
  if (config.head != expected)
    throw Error(ErrorCode::unsupported, file.name() + ": the head is '" + std::string(to_string(config.head)) +
                                            "', expected '" + name +
                                            "'; use the pipeline of that head, or convert with --head " + name);
}

BERTHA_NAMESPACE_END
