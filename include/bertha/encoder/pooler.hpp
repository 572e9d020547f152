// One vector for a whole sequence: pooled hidden states, and the layers that they go through.

#pragma once

#include <algorithm>
#include <bertha/encoder/dense_layers.hpp>
#include <bertha/encoder/pooling.hpp>
#include <span>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A pooler, float32 in every precision. Of the first token's hidden state and one layer with tanh it equals
/// `BertPooler` in transformers/models/bert/modeling_bert.py (5.23.0); other families' classification heads begin with
/// the same and another activation. Equals `Pooling`, `Dense` and `LayerNorm` of sentence-transformers (6.2.0).
/// Immutable; any number of threads may call it, with a workspace each.
class Pooler {
 public:
  /// Without layers.
  Pooler(std::vector<PoolingMode> modes, std::size_t hidden_size)
      : modes_(std::move(modes)), token_layers_(hidden_size), layers_(modes_.size() * hidden_size) {}
  /// Takes the tensors of the layers. Throws Error{missing_tensor | shape}.
  Pooler(WeightFile& file, const PoolerConfig& config, std::size_t hidden_size)
      : modes_(config.modes),
        token_layers_(file, config.token_layers, hidden_size),
        layers_(file, config.layers, modes_.size() * token_layers_.size()) {}

  /// Elements of a vector.
  std::size_t size() const { return layers_.size(); }

  /// Whether hidden states of other tokens than the first of each sequence mean nothing to it.
  bool reads_first() const { return modes_.size() == 1 && modes_[0] == PoolingMode::first; }

  /// The vectors [S, size] of hidden [T, H], sequence s being rows starts[s] to starts[s + 1], in the workspace until
  /// its next call. The first `skipped` tokens of each sequence are left out, but never its last one.
  MatrixView<const float> operator()(MatrixView<const float> hidden, std::span<const std::size_t> starts,
                                     Workspace& work, std::size_t skipped = 0) const {
    const Team team = work.team();
    hidden = token_layers_(hidden, work);  // of one layer not in `pooled`
    const std::size_t n = starts.size() - 1, size = hidden.cols;
    const MatrixView<float> pooled = work.pooled.matrix(n, modes_.size() * size);
    const auto pool_some = [&](std::size_t begin, std::size_t end) {
      for (std::size_t s = begin; s < end; ++s) {
        const std::size_t left_out = std::min(skipped, starts[s + 1] - starts[s] - 1);
        const auto rows = hidden.middle_rows(starts[s] + left_out, starts[s + 1]);
        for (std::size_t m = 0; m < modes_.size(); ++m) pool(modes_[m], rows, left_out, pooled.row(s) + m * size);
      }
    };
    if (reads_first())  // not worth waking others for
      pool_some(0, n);
    else
      team.split(n, [&](std::size_t begin, std::size_t end, ThreadMemory&) { pool_some(begin, end); });
    return layers_(pooled, work);
  }

 private:
  std::vector<PoolingMode> modes_;
  DenseLayers token_layers_, layers_;
};

BERTHA_NAMESPACE_END
