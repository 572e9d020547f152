// Position-wise feed-forward network of one encoder layer, with its residual and norm.
//
//     y = LayerNorm(x + W2 activation(W1 x + b1) + b2)
//
// Shapes: x, y [T, H]; W1 [F, H]; W2 [H, F]; T tokens of the chunk, H hidden_size, F intermediate_size. Equals
// `BertIntermediate` + `BertOutput` in transformers/models/bert/modeling_bert.py (5.23.0), without dropout.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <bertha/encoder/linear.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// The feed-forward network with its norm. Immutable; `const` methods may run concurrently.
template <class Precision>
class FeedForward {
 public:
  /// Takes `<layer>.intermediate.*` and `<layer>.output.*`. Throws Error{missing_tensor | shape}.
  FeedForward(WeightFile& file, const ModelConfig& config, const std::string& layer)
      : intermediate_size_(config.intermediate_size),
        activation_(config.hidden_act),
        expand_(file, layer + ".intermediate", config.intermediate_size, config.hidden_size),
        contract_(file, layer + ".output", config.hidden_size, config.intermediate_size),
        norm_(file, layer + ".output.norm", config.hidden_size, config.layer_norm_eps) {}

  /// Room for a call of that size: then calls don't allocate.
  void reserve(Scratch& scratch, const ScratchSize& size) const {
    scratch.intermediate.matrix(size.rows, intermediate_size_);
    expand_.reserve(scratch, size.rows);
    contract_.reserve(scratch, size.rows);
  }

  /// In place: `hidden` [T, H] is x before and y after.
  void operator()(MatrixView<float> hidden, const Team& team) const {
    const auto widened = team.shared().intermediate.matrix(hidden.rows, intermediate_size_);  // [T, F]
    team.check_stop();
    expand_(hidden, widened, team, {.activation = activation_});
    team.check_stop();
    contract_(widened, hidden, team, {.residual = hidden});
    norm_(hidden, team);
  }

 private:
  std::size_t intermediate_size_;
  Activation activation_;
  Linear<Precision> expand_;    // [F, H]
  Linear<Precision> contract_;  // [H, F]
  LayerNorm norm_;              // [H]
};

BERTHA_NAMESPACE_END
