// y = (x - mean) / sqrt(variance + eps) * gamma + beta, over each row.

#pragma once

#include <bertha/encoder/weights.hpp>
#include <bertha/encoder/workspace.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// Layer normalisation, float32 in every precision. Equals torch.nn.LayerNorm (biased variance).
class LayerNorm {
 public:
  /// Takes `<name>.weight` and `<name>.bias` (which `take_bias` may do without), [H] each.
  /// Throws Error{missing_tensor | shape}.
  LayerNorm(WeightFile& file, const std::string& name, std::size_t size, float eps, bool needs_bias = true)
      : size_(size),
        eps_(eps),
        gamma_(file, name + ".weight", {kernels::padded(size)}),
        beta_(take_bias(file, name, size, needs_bias)) {}

  /// In place, on the rows of `x` [rows, H].
  void operator()(MatrixView<float> x, const Team& team) const {
    team.split(x.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
      kernels::table().layer_norm({.x = x.row(begin),
                                   .stride = x.stride,
                                   .rows = end - begin,
                                   .size = size_,
                                   .gamma = gamma_.data(),
                                   .beta = beta_.data(),
                                   .eps = eps_});
    });
  }

 private:
  std::size_t size_;
  float eps_;
  Weights<float> gamma_, beta_;  // [H']
};

BERTHA_NAMESPACE_END
