// Heads: what turns hidden states into logits. A head knows nothing of precision; it is a type that fits this concept.

#pragma once

#include <bertha/encoder/encoder.hpp>
#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What a head looks at: the pooled vector of each sequence and nothing else, the hidden state of every token, or that
/// of each sequence's first token, row starts[s], where those of the others may be missing.
enum class Reads : std::uint8_t { pooled, tokens, first_tokens };

/// What a head makes of it: a row for every sequence, one for every token, or one for each token that the call chooses.
/// In the last case the head is shown no other tokens, and of a text that has many of them a part at a time: `hidden`
/// and `starts` of its EncoderOutput are of those chosen.
enum class Gives : std::uint8_t { sequence_rows, token_rows, chosen_rows };

/// What `gives` asks for, in words.
constexpr std::string_view to_string(Gives gives) noexcept {
  switch (gives) {
    case Gives::sequence_rows: return "a row for each sequence";
    case Gives::token_rows: return "a row for each token";
    case Gives::chosen_rows: return "a row for each chosen token";
  }
  return "unknown";
}

/// A matrix of logits that owns its numbers: a row per sequence or per token, a column per label.
struct Logits {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<float> values;  // [rows, cols]

  std::span<const float> row(std::size_t r) const { return {values.data() + r * cols, cols}; }
};

namespace detail {

inline std::size_t count_rows(const Logits& logits) { return logits.rows; }
inline void append_rows(Logits& all, Logits more) {
  if (all.rows == 0) return std::swap(all, more);
  all.rows += more.rows;
  all.values.insert(all.values.end(), more.values.begin(), more.values.end());
}

template <class Rows>
std::size_t count_rows(const Rows& rows) {
  return rows.size();
}
template <class Rows>
void append_rows(Rows& all, Rows more) {
  for (auto& row : more) all.push_back(std::move(row));
}

}  // namespace detail

/// What a head may give: Logits, or a container like std::vector with an element for each row.
template <class O>
concept HeadOutput = std::same_as<O, Logits> || requires(O all, const O& part) {
  { part.size() } -> std::convertible_to<std::size_t>;
  all.push_back(std::move(*all.begin()));
};

/// Everything that `Model` asks of a head: loading, what it reads and gives (of the type, or of the object), and the
/// call. A call sees a part of the texts, so what it makes of one must not depend on the others.
/// `examples/custom_head.cpp` has one.
template <class H>
concept Head = HeadOutput<typename H::Output> &&
    requires(const H& head, WeightFile& file, const ModelConfig& config, const EncoderOutput& output, Workspace& work) {
  { H::load(file, config) } -> std::same_as<H>;
  { head(output, work) } -> std::same_as<typename H::Output>;
  { head.reads } -> std::convertible_to<Reads>;
  { head.gives } -> std::convertible_to<Gives>;
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

/// The same of each token's hidden state [T, H], which goes through the file's `token_layers` first.
class TokenLogits {
 public:
  /// Takes `head.*`. Throws Error{missing_tensor | shape}.
  TokenLogits(WeightFile& file, const ModelConfig& config)
      : layers_(file, config.token_layers, config.hidden_size),
        output_(file, "head.output", config.labels.size(), layers_.size()) {}

  Logits operator()(MatrixView<const float> hidden, Workspace& work) const {
    const FloatEnvironment environment;
    return output_(layers_(hidden, work), work);
  }

 private:
  DenseLayers layers_;
  OutputLayer output_;  // [L, H]
};

/// Throws Error{unsupported} unless the file's head is `expected`.
inline void require_head(const WeightFile& file, const ModelConfig& config, HeadKind expected) {
  const std::string_view name = to_string(expected);
  if (config.head != expected)
    throw_error(ErrorCode::unsupported, {file.name(), ": the head is '", to_string(config.head), "', expected '", name,
                                         "'; use the pipeline of that head, or convert with --head ", name});
}

BERTHA_NAMESPACE_END
