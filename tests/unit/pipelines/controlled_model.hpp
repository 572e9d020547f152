// Models whose answers a test chooses: every token has the same hidden state wherever it stands, and logits of its own.

#pragma once

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../../support/model_writer.hpp"

namespace bertha_test {

/// Logits of each token of the vocabulary; tokens that are not named have zeros.
using TokenLogits = std::map<std::string, std::vector<float>>;

/// A model whose head gives a token the logits that `logits` names. The word rows are one-hot, everything that mixes
/// tokens is zero, so that a hidden state is the normalised one-hot row of its word; the head undoes the norm.
/// Needs a vocabulary of at most `options.hidden_size` tokens, and a head that reads tokens.
inline ModelWriter controlled(TinyOptions options, const TokenLogits& logits) {
  options.pooler = "";
  options.max_position_embeddings = std::max<std::size_t>(options.max_position_embeddings, 24);
  ModelWriter writer = ModelWriter::tiny(options);
  const std::size_t h = options.hidden_size, n_labels = options.labels.size();
  const auto put = [](TensorData& tensor, std::size_t i, float value) {
    std::memcpy(tensor.bytes.data() + 4 * i, &value, 4);
  };
  for (TensorData& tensor : writer.tensors) {
    if (tensor.name.starts_with("tokenizer.")) continue;
    std::fill(tensor.bytes.begin(), tensor.bytes.end(), '\0');
    if (tensor.name.ends_with("norm.weight"))
      for (std::size_t i = 0; i < h; ++i) put(tensor, i, 1.0f);
  }
  const std::size_t stride = bertha::kernels::padded(h);
  for (std::size_t v = 0; v < options.vocabulary.size(); ++v)
    put(writer.tensor("embeddings.word.weight"), v * stride + v, 1.0f);
  // The norm makes of one-hot: `low` everywhere, `low + rise` at the one.
  const float n = static_cast<float>(h), rise = n / std::sqrt(n - 1), low = -1 / std::sqrt(n - 1);
  for (std::size_t l = 0; l < n_labels; ++l) {
    float sum = 0;
    for (std::size_t v = 0; v < options.vocabulary.size(); ++v) {
      const auto found = logits.find(options.vocabulary[v]);
      const float weight = found == logits.end() ? 0.0f : found->second.at(l) / rise;
      put(writer.tensor("head.output.weight"), l * stride + v, weight);
      sum += weight;
    }
    put(writer.tensor("head.output.bias"), l, -low * sum);
  }
  return writer;
}

/// A classifier that gives every text these logits.
inline ModelWriter constant_classifier(const std::vector<std::string>& labels, const std::vector<float>& logits) {
  TinyOptions options;
  options.labels = labels;
  ModelWriter writer = ModelWriter::tiny(options);
  TensorData& weight = writer.tensor("head.output.weight");
  std::fill(weight.bytes.begin(), weight.bytes.end(), '\0');
  std::memcpy(writer.tensor("head.output.bias").bytes.data(), logits.data(), logits.size() * sizeof(float));
  return writer;
}

}  // namespace bertha_test
