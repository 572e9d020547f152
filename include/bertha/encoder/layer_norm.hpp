// y = (x - mean) / sqrt(variance + eps) * gamma + beta, over each row; of the other kind without mean and beta.

#pragma once

#include <bertha/encoder/weights.hpp>
#include <bertha/encoder/workspace.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <optional>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// Layer normalisation, float32 in every precision. Equals torch.nn.LayerNorm (biased variance), or torch.nn.RMSNorm.
class LayerNorm {
 public:
  /// Takes `<name>.weight` and, of a layer_norm, `<name>.bias` (which `take_bias` may do without), [H] each.
  /// Throws Error{missing_tensor | shape}.
  LayerNorm(WeightFile& file, const std::string& name, std::size_t size, float eps, bool needs_bias = true,
            NormKind kind = NormKind::layer_norm)
      : size_(size),
        eps_(eps),
        kind_(kind),
        gamma_(file, name + ".weight", {kernels::padded(size)}),
        beta_(kind == NormKind::rms_norm ? zeros(size) : take_bias(file, name, size, needs_bias)) {}

  /// In place, on the rows of `x` [rows, H].
  void operator()(MatrixView<float> x, const Team& team) const { (*this)(x, x, team); }
  /// The same of x to y, which may be x.
  void operator()(MatrixView<const float> x, MatrixView<float> y, const Team& team) const {
    team.split(x.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
      (*this)(x.middle_rows(begin, end), y.middle_rows(begin, end));
    });
  }
  /// The same on the calling thread alone.
  void operator()(MatrixView<const float> x, MatrixView<float> y) const { run(x, y, beta_.data(), 0); }
  /// y += what it makes of x, of an rms_norm.
  void add(MatrixView<const float> x, MatrixView<float> y, const Team& team) const {
    team.split(x.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
      const MatrixView<float> sums = y.middle_rows(begin, end);
      run(x.middle_rows(begin, end), sums, sums.data, sums.stride);
    });
  }

 private:
  void run(MatrixView<const float> x, MatrixView<float> y, const float* beta, std::size_t beta_stride) const {
    kernels::table().layer_norm({.x = x.data,
                                 .stride = x.stride,
                                 .rows = x.rows,
                                 .size = size_,
                                 .gamma = gamma_.data(),
                                 .beta = beta,
                                 .eps = eps_,
                                 .y = y.data,
                                 .y_stride = y.stride,
                                 .centred = kind_ == NormKind::layer_norm,
                                 .beta_stride = beta_stride});
  }

  std::size_t size_;
  float eps_;
  NormKind kind_;
  Weights<float> gamma_, beta_;  // [H']
};

/// Takes the norm `name` of the encoder's, or nothing where the file has none and the model may do without.
/// Throws Error{missing_tensor | shape}.
BERTHA_FUNCTION std::optional<LayerNorm> take_norm(WeightFile& file, const ModelConfig& config, const std::string& name,
                                                   std::size_t size, bool needs_bias);

/// Takes the norm `name` over an attention head's queries or keys, if the model has such norms.
/// Throws Error{missing_tensor | shape}.
BERTHA_FUNCTION std::optional<LayerNorm> take_head_norm(WeightFile& file, const ModelConfig& config,
                                                        const std::string& name, bool needs_bias);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::optional<LayerNorm> take_norm(WeightFile& file, const ModelConfig& config, const std::string& name,
                                                   std::size_t size, bool needs_bias) {
  if (config.norm_place != NormPlace::post && !file.has(name + ".weight")) return std::nullopt;
  return LayerNorm(file, name, size, config.layer_norm_eps, needs_bias, config.norm_kind);
}

BERTHA_FUNCTION std::optional<LayerNorm> take_head_norm(WeightFile& file, const ModelConfig& config,
                                                        const std::string& name, bool needs_bias) {
  if (!config.query_key_norms) return std::nullopt;
  return LayerNorm(file, name, config.head_size(), config.layer_norm_eps, needs_bias, config.norm_kind);
}

#endif

BERTHA_NAMESPACE_END
