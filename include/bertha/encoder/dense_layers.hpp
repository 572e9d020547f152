// Layers that rows of numbers go through one after the other: those of a pooler, or of a head.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <bertha/encoder/linear.hpp>
#include <optional>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Linear layers with activations, and norms, float32 in every precision. Equals `Dense` and `LayerNorm` of
/// sentence-transformers (6.2.0), and `ModernBertPredictionHead` in
/// transformers/models/modernbert/modeling_modernbert.py (5.23.0). Immutable; any number of threads may call it, with a
/// workspace each.
class DenseLayers {
 public:
  /// None.
  explicit DenseLayers(std::size_t size) : size_(size) {}
  /// Takes the tensors of `layers`, of which the first reads `size` numbers. Throws Error{missing_tensor | shape}.
  DenseLayers(WeightFile& file, const std::vector<PoolerLayer>& layers, std::size_t size) : size_(size) {
    for (const PoolerLayer& layer : layers) {
      if (layer.norm_eps) {
        layers_.push_back({{}, LayerNorm(file, layer.name, size_, *layer.norm_eps, layer.needs_bias), size_, {}});
        continue;
      }
      layers_.push_back({Linear<Float32>(file, layer.name, layer.outputs, size_, layer.needs_bias),
                         {},
                         layer.outputs,
                         layer.activation});
      size_ = layer.outputs;
    }
  }

  /// Numbers of a row behind the last layer.
  std::size_t size() const { return size_; }

  /// What the rows of x become: x itself, or in memory of the workspace until its next call. Of that x may be in
  /// `pooled`.
  MatrixView<const float> operator()(MatrixView<const float> x, Workspace& work) const {
    const Team team = work.team();
    AlignedBuffer<float>*to = &team.chunk().context, *next = &work.pooled;
    for (const Layer& layer : layers_) {
      const MatrixView<float> y = to->matrix(x.rows, layer.outputs);
      if (layer.norm)
        (*layer.norm)(x, y, team);
      else
        (*layer.linear)(x, y, team, {.activation = layer.activation});
      x = y;
      std::swap(to, next);
    }
    return x;
  }

 private:
  /// One of the two.
  struct Layer {
    std::optional<Linear<Float32>> linear;
    std::optional<LayerNorm> norm;
    std::size_t outputs = 0;
    Activation activation = {};
  };

  std::size_t size_;
  std::vector<Layer> layers_;
};

BERTHA_NAMESPACE_END
