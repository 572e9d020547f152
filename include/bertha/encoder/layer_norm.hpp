// y = (x - mean) / sqrt(variance + eps) * gamma + beta, over each row.

#pragma once

#include <bertha/encoder/weights.hpp>
#include <bertha/encoder/workspace.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <optional>
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
  void operator()(MatrixView<float> x, const Team& team) const { (*this)(x, x, team); }
  /// The same of x to y, which may be x.
  void operator()(MatrixView<const float> x, MatrixView<float> y, const Team& team) const {
    team.split(x.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
      kernels::table().layer_norm({.x = x.row(begin),
                                   .stride = x.stride,
                                   .rows = end - begin,
                                   .size = size_,
                                   .gamma = gamma_.data(),
                                   .beta = beta_.data(),
                                   .eps = eps_,
                                   .y = y.row(begin),
                                   .y_stride = y.stride});
    });
  }

 private:
  std::size_t size_;
  float eps_;
  Weights<float> gamma_, beta_;  // [H']
};

/// Takes the norm `name` of the encoder's, or nothing where the file has none and the model may do without.
/// Throws Error{missing_tensor | shape}.
inline std::optional<LayerNorm> take_norm(WeightFile& file, const ModelConfig& config, const std::string& name,
                                          std::size_t size, bool needs_bias) {
  if (config.norm_place == NormPlace::pre && !file.has(name + ".weight")) return std::nullopt;
  return LayerNorm(file, name, size, config.layer_norm_eps, needs_bias);
}

BERTHA_NAMESPACE_END
