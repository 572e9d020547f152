// y = activation(x W^T + b) + residual: the linear layer, on weights in panels of 16 outputs.

#pragma once

#include <bertha/encoder/precision.hpp>

BERTHA_NAMESPACE_BEGIN

/// A linear layer [outputs, inputs] in one precision. Immutable; `const` methods may run concurrently.
/// Equals torch.nn.Linear and what follows it: activation, then residual.
template <Precision P>
class Linear {
 public:
  using Operand = typename P::Operand;

  /// Takes `<name>.weight` and `<name>.bias` (which `take_bias` may do without). Throws Error{missing_tensor | shape}.
  Linear(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs, bool needs_bias = true)
      : n_panels_(kernels::padded(outputs) / 16),
        weight_(file, name, outputs, inputs),
        bias_(take_bias(file, name, outputs, needs_bias)) {}

  /// The same from rows [outputs, inputs rounded up to 16], as heads have them. Throws Error{missing_tensor | shape}.
  static Linear from_rows(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs) {
    const std::size_t stride = kernels::padded(inputs);
    return Linear(typename P::Panels(file.take<float>(name + ".weight", {outputs, stride}), outputs, inputs, stride),
                  take_bias(file, name, outputs, true));
  }

  const typename P::Panels& weight() const { return weight_; }

  /// x [rows, inputs] to out [rows, outputs], whose rows have room for whole panels.
  void operator()(MatrixView<const float> x, MatrixView<float> out, const Team& team,
                  const Epilogue& epilogue = {}) const {
    const Operand operand = prepare(x, team);
    team.split(n_panels_, [&](std::size_t begin, std::size_t end, ThreadMemory& memory) {
      product(operand, {begin, end}, {out.data + begin * 16, out.rows, (end - begin) * 16, out.stride}, memory,
              epilogue);
    });
  }

  /// Memory for calls on `rows` rows: then they don't allocate.
  void reserve(const Team& team, std::size_t rows) const { reserve(team, rows, team.members(n_panels_).size()); }
  /// The same for a caller that divides the panels itself, into `parts` of the same size.
  void reserve(const Team& team, std::size_t rows, std::size_t parts) const {
    weight_.reserve(team.chunk(), rows);
    for (ThreadMemory& memory : team.members(parts)) weight_.reserve(memory, rows, (n_panels_ + parts - 1) / parts);
  }

  /// The two halves of the call, for a caller that divides the panels itself. `prepare` once for all panels.
  Operand prepare(MatrixView<const float> x, const Team& team) const { return weight_.prepare(x, team); }
  /// The outputs of `range` only, by a thread that has `memory`; the first of them is the first column of `out`.
  void product(const Operand& x, PanelRange range, MatrixView<float> out, ThreadMemory& memory,
               const Epilogue& epilogue = {}) const {
    weight_.product(x, range, bias_.data(), out, epilogue, memory);
  }

 private:
  Linear(typename P::Panels weight, Weights<float> bias)
      : n_panels_(bias.size() / 16), weight_(std::move(weight)), bias_(std::move(bias)) {}

  std::size_t n_panels_;
  typename P::Panels weight_;
  Weights<float> bias_;  // [N']
};

BERTHA_NAMESPACE_END
