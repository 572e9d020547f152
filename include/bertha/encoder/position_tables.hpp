// What attention reads of a file that knows more of positions than the rows which are added to embeddings: numbers that
// depend on no input, which the converter has computed. Layers share them.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/encoder/weights.hpp>
#include <cstddef>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Copies see the same numbers. Immutable.
class PositionTables {
 public:
  /// Takes `encoder.distance_bias` [A, (2 P - 1)'], P positions, or `encoder.rotary.*` [P, (D / 2)'], where the scheme
  /// has it. Throws Error{missing_tensor | shape}.
  PositionTables(WeightFile& file, const ModelConfig& config)
      : positions_(config.positions()), bias_stride_(kernels::padded(2 * positions_ - 1)) {
    if (config.position_scheme == PositionScheme::distance_bias)
      distance_bias_ = Weights<float>(file, "encoder.distance_bias", {config.num_attention_heads, bias_stride_});
    if (config.position_scheme != PositionScheme::rotary) return;
    angle_stride_ = kernels::padded(config.head_size() / 2);
    const auto& tables = config.rotary_tables;
    const std::size_t count = tables.empty() ? 1 : 1 + *std::max_element(tables.begin(), tables.end());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = concat({"encoder.rotary.", i});
      rotary_.push_back({Weights<float>(file, name + ".cos", {positions_, angle_stride_}),
                         Weights<float>(file, name + ".sin", {positions_, angle_stride_})});
    }
  }

  /// What an attention head adds to scores, as kernels::Attention reads it: the number of distance 0 among those of all
  /// distances from query to key, 1 - P to P - 1. Null: it adds nothing.
  const float* distance_bias(std::size_t attention_head) const {
    if (distance_bias_.size() == 0) return nullptr;
    return distance_bias_.data() + attention_head * bias_stride_ + positions_ - 1;
  }

  /// Turns the rows of one sequence by the angles of their places, where the scheme has angles: those of table `table`.
  void rotate(kernels::RotateRows rows, std::size_t table) const {
    if (rotary_.empty()) return;
    rows.cos = rotary_[table].cos.data();
    rows.sin = rotary_[table].sin.data();
    rows.angle_stride = angle_stride_;
    kernels::table().rotate_rows(rows);
  }

 private:
  struct Angles {
    Weights<float> cos, sin;  // [P, (D / 2)']
  };

  std::size_t positions_, bias_stride_, angle_stride_ = 0;
  Weights<float> distance_bias_;  // [A, (2 P - 1)'], or none
  std::vector<Angles> rotary_;    // or none
};

BERTHA_NAMESPACE_END
