// Position-wise feed-forward network of one encoder layer.
//
//     hidden += W2 a + b2    where a = activation(W1 x + b1), or, gated, a = activation(W1 x + b1) * (W3 x + b3)
//
// Shapes: x, hidden [T, H]; W1, W3 [F, H]; W2 [H, F]; T tokens of the chunk, H hidden_size, F intermediate_size. Equals
// `BertIntermediate` + `BertOutput` in transformers/models/bert/modeling_bert.py (5.23.0), without dropout and
// without the norm, which is the layer's, and gated `ModernBertMLP` in .../modernbert/modeling_modernbert.py. W1 and W3
// are one linear layer, each of whole panels.

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
        gating_(config.gating),
        expand_(file, layer.weights + ".intermediate",
                gating_ ? 2 * kernels::padded(intermediate_size_) : intermediate_size_, config.hidden_size,
                layer.needs_bias),
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
    if (gating_)
      expand_.reserve(team, size.rows, team.members(panels()).size());
    else
      expand_.reserve(team, size.rows);
    contract_.reserve(team, size.rows);
  }

  /// Adds to `hidden` [T, H] what it makes of x [T, H], which may be `hidden` itself, or writes that alone to `apart`
  /// where it has rows; x may be these.
  void operator()(MatrixView<const float> x, MatrixView<float> hidden, MatrixView<float> apart,
                  const Team& team) const {
    const auto widened = team.chunk().intermediate.matrix(hidden.rows, intermediate_size_);  // [T, F]
    team.check_stop();
    if (gating_)
      expand_gated(x, widened, team);
    else
      expand_(x, widened, team, {.activation = activation_});
    team.check_stop();
    if (apart.rows > 0)
      contract_(widened, apart, team);
    else
      contract_(widened, hidden, team, {.residual = hidden});
  }

 private:
  std::size_t panels() const { return kernels::padded(intermediate_size_) / kernels::kLanes; }

  /// Both products of a few panels after each other: what the first one gives is in cache when it becomes a factor.
  void expand_gated(MatrixView<const float> x, MatrixView<float> widened, const Team& team) const {
    constexpr std::size_t kPanelsAtOnce = 8;
    const auto operand = expand_.prepare(x, team);
    team.split(panels(), [&](std::size_t begin, std::size_t end, ThreadMemory& memory) {
      for (std::size_t panel = begin, next; panel < end; panel = next) {
        next = std::min(end, panel + kPanelsAtOnce);
        const std::size_t columns = (next - panel) * kernels::kLanes;
        const MatrixView<float> out{widened.data + panel * kernels::kLanes, widened.rows, columns, widened.stride};
        expand_.product(operand, {panels() + panel, panels() + next}, out, memory);
        expand_.product(operand, {panel, next}, out, memory,
                        {.activation = activation_, .residual = widened, .gated = true});
      }
    });
  }

  std::size_t intermediate_size_;
  Activation activation_;
  bool gating_;
  Linear<P> expand_;    // [F, H], or gated [2 F', H]: W1, then W3
  Linear<P> contract_;  // [H, F]
};

BERTHA_NAMESPACE_END
