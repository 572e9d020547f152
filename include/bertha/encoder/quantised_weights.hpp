// The weights of a linear layer in int8, and how its inputs are to be quantised: as a file has them, or made of float32
// weights in the way that tools/convert.py and tools/format.md, section 5, make them.

#pragma once

#include <bertha/encoder/stored_panels.hpp>
#include <bertha/encoder/weights.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <string>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#endif

BERTHA_NAMESPACE_BEGIN

/// An output is fma(float(acc), input's scale * scale[n], bias[n]), acc the sum over k of (input - zero point) * value.
struct QuantisedWeights {
  Weights<std::int8_t> values;  ///< PanelLayout<std::int8_t>(N, K)
  Weights<float> scale;         ///< [N']
  Weights<std::int32_t> sum;    ///< [N'], of each output's values
  Weights<float> smoothing;     ///< [K'], what inputs are multiplied by before they are quantised; or empty
  bool zero_point = false;      ///< inputs are quantised with one
};

/// Takes `<name>.weight`, `.scale`, `.sum` and perhaps `.smoothing` of an int8 file. Throws Error{missing_tensor |
/// shape}, and Error{format} for numbers that no products are exact with.
BERTHA_FUNCTION QuantisedWeights take_quantised(WeightFile& file, const std::string& name, std::size_t outputs,
                                                std::size_t inputs);

/// Quantises float32 panels [N'/16, K, 16], the weights of each input divided by its factor of `smoothing` [K'], if
/// any.
BERTHA_FUNCTION QuantisedWeights quantise_weights(const float* panels, std::size_t outputs, std::size_t inputs,
                                                  const Weights<float>& smoothing = {});

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION QuantisedWeights take_quantised(WeightFile& file, const std::string& name, std::size_t outputs,
                                                std::size_t inputs) {
  const kernels::PanelLayout<std::int8_t> layout(outputs, inputs);
  const std::size_t padded = kernels::padded(outputs);
  const auto& shifted = file.config().zero_points;
  QuantisedWeights weights{.values = detail::take_panels(file, name + ".weight", layout),
                           .scale = Weights<float>(file, name + ".scale", {padded}),
                           .sum = Weights<std::int32_t>(file, name + ".sum", {padded}),
                           .smoothing = take_smoothing(file, name, inputs),
                           .zero_point = std::binary_search(shifted.begin(), shifted.end(), name)};
  if (!weights.zero_point) return weights;
  if (layout.depth() > kernels::kMostShiftedInputsS8)
    throw_error(ErrorCode::unsupported,
                {file.name(), ": tensor '", name, ".weight' has ", inputs,
                 " inputs; int8 products with a zero point are exact up to ", kernels::kMostShiftedInputsS8,
                 "; leave it out of 'zero_points', or run the model in float32"});
  const auto most = static_cast<std::int32_t>(128 * layout.depth());
  for (std::size_t n = 0; n < padded; ++n) {
    const std::int32_t sum = weights.sum.data()[n];
    if (sum < -most || sum > most)
      throw_error(ErrorCode::format, {file.name(), ": tensor '", name, ".sum' has ", sum, " for output ", n,
                                      "; expected the sum of its values, at most ", most,
                                      "; the file is damaged: convert or quantise the model again"});
  }
  return weights;
}

BERTHA_FUNCTION QuantisedWeights quantise_weights(const float* panels, std::size_t outputs, std::size_t inputs,
                                                  const Weights<float>& smoothing) {
  const kernels::PanelLayout<std::int8_t> layout(outputs, inputs);
  const kernels::PanelLayout<float> from(outputs, inputs);
  const std::size_t padded = kernels::padded(outputs);
  AlignedBuffer<std::int8_t> values(layout.size()), row_values(layout.depth());
  AlignedBuffer<float> scale(padded), row(kernels::padded(inputs));
  AlignedBuffer<std::int32_t> sum(padded);
  for (std::size_t n = 0; n < padded; ++n) {
    for (std::size_t k = 0; k < inputs; ++k) row.data()[k] = panels[from.at(n, k)];
    for (std::size_t k = 0; k < smoothing.size() && k < inputs; ++k) row.data()[k] /= smoothing.data()[k];
    kernels::table().quantise_rows({.x = row.data(),
                                    .stride = row.size(),
                                    .rows = 1,
                                    .size = inputs,
                                    .q = row_values.data(),
                                    .q_stride = layout.depth(),
                                    .scale = scale.data() + n});
    sum.data()[n] = 0;
    for (std::size_t k = 0; k < layout.depth(); ++k) {
      values.data()[layout.at(n, k)] = row_values.data()[k];
      sum.data()[n] += row_values.data()[k];
    }
  }
  return {.values = Weights<std::int8_t>(std::move(values)),
          .scale = Weights<float>(std::move(scale)),
          .sum = Weights<std::int32_t>(std::move(sum)),
          .smoothing = smoothing};
}

#endif

BERTHA_NAMESPACE_END
