// pooled = activation(W x[0] + b): one vector for a whole sequence, from its first token.

#pragma once

#include <algorithm>
#include <bertha/encoder/linear.hpp>

BERTHA_NAMESPACE_BEGIN

/// The pooler, float32 in every precision. Equals `BertPooler` in transformers/models/bert/modeling_bert.py (5.23.0);
/// the first dense layer of other families' classification heads is the same with another activation.
class Pooler {
 public:
  /// Takes `pooler.dense.*`. Throws Error{missing_tensor | shape}.
  Pooler(WeightFile& file, const ModelConfig& config)
      : activation_(config.pooler_act), dense_(file, "pooler.dense", config.hidden_size, config.hidden_size) {}

  /// hidden [T, H] and the rows where sequences start, to `pooled` [S, H].
  void operator()(MatrixView<const float> hidden, std::span<const std::size_t> first_rows, MatrixView<float> pooled,
                  const Team& team) const {
    const auto first = team.chunk().context.matrix(pooled.rows, hidden.cols);  // [S, H]
    for (std::size_t s = 0; s < pooled.rows; ++s) std::copy_n(hidden.row(first_rows[s]), hidden.cols, first.row(s));
    dense_(first, pooled, team, {.activation = activation_});
  }

 private:
  Activation activation_;
  Linear<Float32> dense_;  // [H, H]
};

BERTHA_NAMESPACE_END
