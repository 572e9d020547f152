// What a model file says of what stands on its encoder, as plain structs: how hidden states are pooled, and the head.

#pragma once

#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The activation between the two linear layers of a feed-forward block, or after a dense layer of a head.
/// `gelu` is x/2 (1 + erf(x / sqrt 2)); `gelu_tanh` is the tanh form (Hugging Face: gelu_new and its equals).
enum class Activation : std::uint8_t { none, gelu, gelu_tanh, relu, silu, tanh };

/// The head that stands on the encoder; `custom` belongs to a head of the user's own.
enum class HeadKind : std::uint8_t {
  none,
  sequence_classification,
  token_classification,
  question_answering,
  masked_lm,
  embedding,
  custom
};

/// The name of a head in the file and on the command line.
constexpr std::string_view to_string(HeadKind head) noexcept {
  switch (head) {
    case HeadKind::none: return "none";
    case HeadKind::sequence_classification: return "sequence-classification";
    case HeadKind::token_classification: return "token-classification";
    case HeadKind::question_answering: return "question-answering";
    case HeadKind::masked_lm: return "masked-lm";
    case HeadKind::embedding: return "embedding";
    case HeadKind::custom: return "custom";
  }
  return "unknown";
}

/// Hugging Face's `problem_type`; `unset` is null.
enum class ProblemType : std::uint8_t { unset, regression, single_label_classification, multi_label_classification };

/// What becomes of a sequence's hidden states x[0] to x[n - 1] in one of the parts of its pooled vector.
enum class PoolingMode : std::uint8_t {
  first,          ///< x[0]
  mean,           ///< their sum divided by n
  max,            ///< the largest, element by element
  last,           ///< x[n - 1]
  mean_sqrt_len,  ///< their sum divided by the square root of n
  weighted_mean   ///< their mean, x[i] counting i + 1 times
};

/// The name of a mode in the file and on the command line.
constexpr std::string_view to_string(PoolingMode mode) noexcept {
  switch (mode) {
    case PoolingMode::first: return "first";
    case PoolingMode::mean: return "mean";
    case PoolingMode::max: return "max";
    case PoolingMode::last: return "last";
    case PoolingMode::mean_sqrt_len: return "mean_sqrt_len";
    case PoolingMode::weighted_mean: return "weighted_mean";
  }
  return "unknown";
}

/// A layer on a pooled vector: a linear layer and its activation, or a LayerNorm.
struct PoolerLayer {
  std::string name;               ///< what the names of its tensors begin with
  std::optional<float> norm_eps;  ///< of a LayerNorm; empty: a linear layer, of which these are:
  std::size_t outputs = 0;
  Activation activation = Activation::none;
  bool needs_bias = true;
};

/// How one vector is made of the hidden states of a sequence.
struct PoolerConfig {
  std::vector<PoolingMode> modes;              ///< their vectors, one after the other
  std::vector<PoolerLayer> layers;             ///< what these go through, in this order
  std::vector<PoolerLayer> token_layers = {};  ///< what each token goes through before: one at most

  /// Elements of the vector, for hidden states of `hidden_size`.
  std::size_t size(std::size_t hidden_size) const {
    return behind(layers, modes.size() * behind(token_layers, hidden_size));
  }

 private:
  static std::size_t behind(const std::vector<PoolerLayer>& layers, std::size_t size) {
    for (const PoolerLayer& layer : layers)
      if (!layer.norm_eps) size = layer.outputs;
    return size;
  }
};

/// What makes a score of the one logit of a cross-encoder; automatic is sigmoid, or what somebody else has chosen.
enum class ScoreFunction : std::uint8_t { automatic, none, sigmoid };

/// How two embeddings are compared.
enum class Similarity : std::uint8_t { cosine, dot, euclidean, manhattan };

/// What a masked-lm head is, beside the sizes.
struct MaskedLmConfig {
  bool transform = true;                     ///< a dense layer and a norm stand before its decoder
  Activation activation = Activation::gelu;  ///< after the dense layer
  bool tied = true;                          ///< its decoder is the word table
};

/// What an embedding is made of a text, beside the encoder.
struct EmbeddingConfig {
  PoolerConfig pooler;
  bool include_prompt = true;                                ///< tokens of a prompt before the text are pooled too
  bool normalize = false;                                    ///< vectors have the length 1
  std::vector<std::pair<std::string, std::string>> prompts;  ///< names and texts
  std::optional<std::string> default_prompt;                 ///< the name of one
  Similarity similarity = Similarity::cosine;
};

BERTHA_NAMESPACE_END
