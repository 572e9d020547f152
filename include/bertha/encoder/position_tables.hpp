// What attention reads of a file that knows more of positions than the rows which are added to embeddings: numbers that
// depend on no input, which the converter has computed. Layers share them.

#pragma once

#include <bertha/config.hpp>
#include <bertha/encoder/weights.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

/// Copies see the same numbers. Immutable.
class PositionTables {
 public:
  /// Takes `encoder.distance_bias` [A, (2 P - 1)'], P positions, where the scheme has it.
  /// Throws Error{missing_tensor | shape}.
  PositionTables(WeightFile& file, const ModelConfig& config)
      : positions_(config.positions()), bias_stride_(kernels::padded(2 * positions_ - 1)) {
    if (config.position_scheme == PositionScheme::distance_bias)
      distance_bias_ = Weights<float>(file, "encoder.distance_bias", {config.num_attention_heads, bias_stride_});
  }

  /// What an attention head adds to scores, as kernels::Attention reads it: the number of distance 0 among those of all
  /// distances from query to key, 1 - P to P - 1. Null: it adds nothing.
  const float* distance_bias(std::size_t attention_head) const {
    if (distance_bias_.size() == 0) return nullptr;
    return distance_bias_.data() + attention_head * bias_stride_ + positions_ - 1;
  }

 private:
  std::size_t positions_, bias_stride_;
  Weights<float> distance_bias_;  // [A, (2 P - 1)'], or none
};

BERTHA_NAMESPACE_END
