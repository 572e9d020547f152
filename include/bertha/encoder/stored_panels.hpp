// The weights of a linear layer in float32 panels, whatever the file has them in: where every conversion to another
// precision begins. tools/format.md, section 5, describes the panels.

#pragma once

#include <bertha/encoder/weights.hpp>
#include <bertha/file/model_file.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// int8 panels times their scales.
inline Weights<float> dequantised_panels(WeightFile& file, const std::string& name, std::size_t panels,
                                         std::size_t inputs) {
  const std::size_t groups = kernels::round_up(inputs, 64) / 4;
  const auto quantised = file.take<std::int8_t>(name + ".weight", {panels, groups, 16, 4});
  const auto scale = file.take<float>(name + ".scale", {panels * 16});
  file.take<std::int32_t>(name + ".sum", {panels * 16});
  AlignedBuffer<float> out(panels * inputs * 16);
  for (std::size_t p = 0; p < panels; ++p)
    for (std::size_t k = 0; k < inputs; ++k)
      for (std::size_t j = 0; j < 16; ++j)
        out.data()[(p * inputs + k) * 16 + j] =
            static_cast<float>(quantised[((p * groups + k / 4) * 16 + j) * 4 + k % 4]) * scale[p * 16 + j];
  return Weights<float>(std::move(out));
}

/// bfloat16 panels, widened.
inline Weights<float> widened_panels(WeightFile& file, const std::string& name, std::size_t panels,
                                     std::size_t inputs) {
  const std::size_t pairs = kernels::round_up(inputs, 32) / 2;
  const auto stored = file.take<bf16>(name + ".weight", {panels, pairs, 16, 2});
  AlignedBuffer<float> out(panels * inputs * 16);
  for (std::size_t p = 0; p < panels; ++p)
    for (std::size_t k = 0; k < inputs; ++k)
      for (std::size_t j = 0; j < 16; ++j)
        out.data()[(p * inputs + k) * 16 + j] = widened(stored[((p * pairs + k / 2) * 16 + j) * 2 + k % 2]);
  return Weights<float>(std::move(out));
}

}  // namespace detail

/// Takes `<name>.weight` [outputs, inputs] of a file of any precision, of an int8 file also `.scale` and `.sum`:
/// panels [N'/16, K, 16], mapped where the file has them so. Throws Error{missing_tensor | shape}.
inline Weights<float> float32_panels(WeightFile& file, const std::string& name, std::size_t outputs,
                                     std::size_t inputs) {
  const std::size_t panels = kernels::round_up(outputs, 16) / 16;
  const DType stored = file.dtype(name + ".weight");
  if (stored == DType::i8) return detail::dequantised_panels(file, name, panels, inputs);
  if (stored == DType::bf16) return detail::widened_panels(file, name, panels, inputs);
  return Weights<float>(file, name + ".weight", {panels, inputs, 16});
}

BERTHA_NAMESPACE_END
