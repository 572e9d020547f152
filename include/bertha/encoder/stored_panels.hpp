// The weights of a linear layer in float32 panels, whatever the file has them in: where every conversion to another
// precision begins. tools/format.md, section 5, describes the panels.

#pragma once

#include <bertha/encoder/weights.hpp>
#include <bertha/file/model_file.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Takes the panels that the layout describes.
template <class Element>
Weights<Element> take_panels(WeightFile& file, const std::string& tensor, const kernels::PanelLayout<Element>& layout) {
  const auto shape = layout.shape();
  if constexpr (shape.size() == 3)
    return Weights<Element>(file, tensor, {shape[0], shape[1], shape[2]});
  else
    return Weights<Element>(file, tensor, {shape[0], shape[1], shape[2], shape[3]});
}

/// number(n, k), the weight of an output and an input, for all of a matrix [outputs, inputs], in float32 panels.
template <class Number>
Weights<float> made_panels(std::size_t outputs, std::size_t inputs, const Number& number) {
  const kernels::PanelLayout<float> layout(outputs, inputs);
  AlignedBuffer<float> panels(layout.size());
  for (std::size_t first = 0; first < layout.panels() * kernels::kLanes; first += kernels::kLanes)
    for (std::size_t k = 0; k < inputs; ++k)  // in the order of memory
      for (std::size_t n = first; n < first + kernels::kLanes; ++n) panels.data()[layout.at(n, k)] = number(n, k);
  return Weights<float>(std::move(panels));
}

/// int8 panels times their scales, and times what inputs would be multiplied by first.
inline Weights<float> dequantised_panels(WeightFile& file, const std::string& name, std::size_t outputs,
                                         std::size_t inputs) {
  const kernels::PanelLayout<std::int8_t> layout(outputs, inputs);
  const auto quantised = take_panels(file, name + ".weight", layout);
  const auto scale = file.take<float>(name + ".scale", {kernels::padded(outputs)});
  file.take<std::int32_t>(name + ".sum", {kernels::padded(outputs)});
  const Weights<float> smoothing = take_smoothing(file, name, inputs);
  return made_panels(outputs, inputs, [&](std::size_t n, std::size_t k) {
    const float weight = static_cast<float>(quantised.data()[layout.at(n, k)]) * scale[n];
    return smoothing.size() > 0 ? weight * smoothing.data()[k] : weight;
  });
}

/// bfloat16 panels, widened.
inline Weights<float> widened_panels(WeightFile& file, const std::string& name, std::size_t outputs,
                                     std::size_t inputs) {
  const kernels::PanelLayout<bf16> layout(outputs, inputs);
  const auto stored = take_panels(file, name + ".weight", layout);
  return made_panels(outputs, inputs,
                     [&](std::size_t n, std::size_t k) { return widened(stored.data()[layout.at(n, k)]); });
}

}  // namespace detail

/// Takes `<name>.weight` [outputs, inputs] of a file of any precision, of an int8 file also what belongs to it: panels
/// [N'/16, K, 16], mapped where the file has them so. Throws Error{missing_tensor | shape}.
inline Weights<float> float32_panels(WeightFile& file, const std::string& name, std::size_t outputs,
                                     std::size_t inputs) {
  const DType stored = file.dtype(name + ".weight");
  if (stored == DType::i8) return detail::dequantised_panels(file, name, outputs, inputs);
  if (stored == DType::bf16) return detail::widened_panels(file, name, outputs, inputs);
  return detail::take_panels(file, name + ".weight", kernels::PanelLayout<float>(outputs, inputs));
}

BERTHA_NAMESPACE_END
