// Position-wise feed-forward network of one encoder layer.
//
//     hidden += W2 activation(W1 x + b1) + b2
//
// Shapes: x, hidden [T, H]; W1 [F, H]; W2 [H, F]; T tokens of the chunk, H hidden_size, F intermediate_size. Equals
// `BertIntermediate` + `BertOutput` in transformers/models/bert/modeling_bert.py (5.23.0), without dropout and
// without the norm, which is the layer's.

#pragma once

#include <bertha/encoder/linear.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// Immutable; `const` methods may run concurrently.
template <Precision P>
class FeedForward {
 public:
  /// Takes `<layer.weights>.intermediate.*` and `<layer.weights>.output.*`. Throws Error{missing_tensor | shape}.
  FeedForward(WeightFile& file, const ModelConfig& config, const LayerConfig& layer)
      : intermediate_size_(config.intermediate_size),
        activation_(config.hidden_act),
        expand_(file, layer.weights + ".intermediate", config.intermediate_size, config.hidden_size, layer.needs_bias),
        contract_(file, layer.weights + ".output", config.hidden_size, config.intermediate_size, layer.needs_bias) {}

  /// visit(linear) for each linear layer.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    visit(expand_);
    visit(contract_);
  }

  /// Memory for a chunk of that size: then calls don't allocate.
  void reserve(const Team& team, const ChunkSize& size) const {
    team.chunk().intermediate.matrix(size.rows, intermediate_size_);
    expand_.reserve(team, size.rows);
    contract_.reserve(team, size.rows);
  }

  /// Adds to `hidden` [T, H] what it makes of x [T, H], which may be `hidden` itself.
  void operator()(MatrixView<const float> x, MatrixView<float> hidden, const Team& team) const {
    const auto widened = team.chunk().intermediate.matrix(hidden.rows, intermediate_size_);  // [T, F]
    team.check_stop();
    expand_(x, widened, team, {.activation = activation_});
    team.check_stop();
    contract_(widened, hidden, team, {.residual = hidden});
  }

 private:
  std::size_t intermediate_size_;
  Activation activation_;
  Linear<P> expand_;    // [F, H]
  Linear<P> contract_;  // [H, F]
};

BERTHA_NAMESPACE_END
