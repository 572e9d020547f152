// The integers of a linear layer's weights, rounded with regard to each other and to what the layer reads.
//
// A weight rounded to the nearest integer is the best by itself. But inputs go together: what rounding one weight adds
// to an output, rounding another the other way takes off. With the moments H = sum x x^T + c I of the inputs x, an
// output's error is d H d^T, d = q scale - w. Integer by integer goes to where that is least, all others as they are,
// and so again. The c, the mean of the diagonal of sum x x^T, keeps the error small for inputs that x is no sample of.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/encoder/quantised_weights.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/quantize/arithmetic.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// out = a b^T, or, `onto` it, out += a b^T: a [rows, K], b [outputs, K], whose elements are b(n, k).
template <class Element>
void multiply(MatrixView<const float> a, std::size_t outputs, const Element& b, MatrixView<float> out,
              bool onto = false) {
  const kernels::PanelLayout<float> layout(outputs, a.cols);
  AlignedBuffer<float> panels(layout.size());
  for (std::size_t n = 0; n < layout.panels() * kernels::kLanes; ++n)
    for (std::size_t i = 0; i < a.cols; ++i) panels.data()[layout.at(n, i)] = n < outputs ? b(n, i) : 0.0f;
  AlignedBuffer<std::byte> scratch(kernels::product_scratch(a.rows));
  kernels::table().gemm_f32({.a = a.data,
                             .a_stride = a.stride,
                             .panels = panels.data(),
                             .residual = onto ? out.data : nullptr,
                             .residual_stride = out.stride,
                             .out = out.data,
                             .out_stride = out.stride,
                             .rows = a.rows,
                             .k = a.cols,
                             .n_panels = layout.panels(),
                             .scratch = scratch.data()});
}

/// The integers of one layer on their way.
class Rounding {
 public:
  /// `rows` [T, K] are what the layer reads, `panels` its float32 weights, `quantised` these, each rounded by itself.
  Rounding(MatrixView<const float> rows, const float* panels, std::size_t outputs, const QuantisedWeights& quantised)
      : outputs_(outputs), inputs_(rows.cols), quantised_(quantised), layout_(outputs, inputs_) {
    const std::size_t width = kernels::padded(inputs_);
    const float* factors = quantised.smoothing.size() > 0 ? quantised.smoothing.data() : nullptr;
    const auto factor = [&](std::size_t k) { return factors ? factors[k] : 1.0f; };
    AlignedBuffer<float> columns_memory;
    const auto columns = columns_memory.matrix(inputs_, rows.rows);
    for (std::size_t k = 0; k < inputs_; ++k)
      for (std::size_t r = 0; r < rows.rows; ++r) columns(k, r) = rows(r, k) * factor(k);
    moments_ = moments_memory_.matrix(inputs_, width);
    multiply(
        columns, inputs_, [&](std::size_t k, std::size_t r) { return columns(k, r); }, moments_);
    add_mean_to_diagonal(moments_.data, moments_.stride, inputs_);

    values_.reserve(layout_.size());
    std::copy_n(quantised.values.data(), layout_.size(), values_.data());
    AlignedBuffer<float> errors_memory;
    const auto errors = errors_memory.matrix(outputs, inputs_);
    const kernels::PanelLayout<float> from(outputs, inputs_);
    for (std::size_t n = 0; n < outputs; ++n)
      for (std::size_t k = 0; k < inputs_; ++k)
        errors(n, k) = -lost(1.0f, panels[from.at(n, k)] / factor(k),
                             static_cast<float>(values_.data()[layout_.at(n, k)]), quantised.scale.data()[n]);
    gradient_ = gradient_memory_.matrix(outputs, width);
    multiply(
        errors, inputs_, [&](std::size_t k, std::size_t i) { return moments_(k, i); }, gradient_);
  }

  /// Moves each integer once. Says how many were moved.
  std::size_t sweep() {
    std::size_t moved = 0;
    AlignedBuffer<float> changes_memory;
    for (std::size_t begin = 0; begin < inputs_; begin += kBlock) {
      const std::size_t size = std::min(kBlock, inputs_ - begin);
      const auto changes = changes_memory.matrix(outputs_, size);
      for (std::size_t n = 0; n < outputs_; ++n) moved += move(n, begin, changes);
      multiply(
          changes, inputs_, [&](std::size_t k, std::size_t i) { return moments_(begin + i, k); }, gradient_, true);
    }
    return moved;
  }

  /// The weights as they are now.
  QuantisedWeights weights() const {
    QuantisedWeights weights = quantised_;
    AlignedBuffer<std::int8_t> values(layout_.size());
    std::copy_n(values_.data(), layout_.size(), values.data());
    AlignedBuffer<std::int32_t> sum(weights.sum.size());
    for (std::size_t n = 0; n < sum.size(); ++n) {
      sum.data()[n] = 0;
      for (std::size_t k = 0; k < inputs_; ++k) sum.data()[n] += values_.data()[layout_.at(n, k)];
    }
    weights.values = Weights<std::int8_t>(std::move(values));
    weights.sum = Weights<std::int32_t>(std::move(sum));
    return weights;
  }

 private:
  static constexpr std::size_t kBlock = 64;  // inputs whose changes reach the gradient of the others together

  /// Output n: `changes` of the inputs from `begin` on.
  std::size_t move(std::size_t n, std::size_t begin, MatrixView<float> changes) {
    float gradient[kBlock], q[kBlock];
    for (std::size_t i = 0; i < changes.cols; ++i) {
      gradient[i] = gradient_(n, begin + i);
      q[i] = static_cast<float>(values_.data()[layout_.at(n, begin + i)]);
    }
    const std::size_t moved = descend(gradient, moments_.row(begin) + begin, moments_.stride, changes.cols,
                                      quantised_.scale.data()[n], q, changes.row(n));
    for (std::size_t i = 0; i < changes.cols; ++i)
      values_.data()[layout_.at(n, begin + i)] = static_cast<std::int8_t>(q[i]);
    return moved;
  }

  std::size_t outputs_, inputs_;
  const QuantisedWeights& quantised_;
  kernels::PanelLayout<std::int8_t> layout_;
  AlignedBuffer<std::int8_t> values_;
  AlignedBuffer<float> moments_memory_, gradient_memory_;
  MatrixView<float> moments_;   // [K, K']
  MatrixView<float> gradient_;  // [N, K'], half that of the error by each weight
};

}  // namespace detail

BERTHA_NAMESPACE_END
