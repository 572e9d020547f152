// y = activation(x W^T + b) + residual: the linear layer, on weights in panels of 16 outputs.

#pragma once

#include <bertha/encoder/precision.hpp>

BERTHA_NAMESPACE_BEGIN

/// A linear layer [outputs, inputs] in one precision. Immutable; `const` methods may run concurrently.
/// Equals torch.nn.Linear and what follows it: activation, then residual.
template <class Precision>
class Linear {
 public:
  using Operand = typename Precision::Operand;

  /// Takes `<name>.weight` and `<name>.bias`. Throws Error{missing_tensor | shape}.
  Linear(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
      : n_panels_(kernels::round_up(outputs, 16) / 16),
        weight_(file, name, outputs, inputs),
        bias_(file.take<float>(name + ".bias", {n_panels_ * 16})) {}

  /// The same from rows [outputs, inputs rounded up to 16], as heads have them. Throws Error{missing_tensor | shape}.
  static Linear from_rows(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs) {
    const std::size_t stride = kernels::round_up(inputs, 16);
    return Linear(
        typename Precision::Panels(file.take<float>(name + ".weight", {outputs, stride}), outputs, inputs, stride),
        Weights<float>(file.take<float>(name + ".bias", {kernels::round_up(outputs, 16)})));
  }

  /// x [rows, inputs] to out [rows, outputs], whose rows have room for whole panels.
  void operator()(MatrixView<const float> x, MatrixView<float> out, const Team& team,
                  const Epilogue& epilogue = {}) const {
    const Operand operand = prepare(x, team);
    team.split(n_panels_, [&](std::size_t begin, std::size_t end, Scratch& scratch) {
      product(operand, {begin, end}, {out.data + begin * 16, out.rows, (end - begin) * 16, out.stride}, scratch,
              epilogue);
    });
  }

  /// Room for the operand of `rows` rows in `scratch`: then `prepare` doesn't allocate.
  void reserve(Scratch& scratch, std::size_t rows) const { weight_.reserve(scratch, rows); }

  /// The two halves of the call, for a caller that divides the panels itself. `prepare` once for all panels.
  Operand prepare(MatrixView<const float> x, const Team& team) const { return weight_.prepare(x, team); }
  /// The outputs of `range` only, by a thread that has `scratch`; the first of them is the first column of `out`.
  void product(const Operand& x, PanelRange range, MatrixView<float> out, Scratch& scratch,
               const Epilogue& epilogue = {}) const {
    weight_.product(x, range, bias_.data(), out, epilogue, scratch);
  }

 private:
  Linear(typename Precision::Panels weight, Weights<float> bias)
      : n_panels_(bias.size() / 16), weight_(std::move(weight)), bias_(std::move(bias)) {}

  std::size_t n_panels_;
  typename Precision::Panels weight_;
  Weights<float> bias_;  // [N']
};

BERTHA_NAMESPACE_END
