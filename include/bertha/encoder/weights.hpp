// The numbers of one tensor: where the file has them, or rewritten for the precision that they run in.

#pragma once

#include <bertha/encoder/matrix.hpp>
#include <bertha/file/model_file.hpp>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#endif

BERTHA_NAMESPACE_BEGIN

/// Numbers of a file, which stays mapped as long as this lives, or numbers that were made of them at load. Read-only.
/// Copies see the same numbers; there is no move, which would leave a view of what somebody else owns.
template <class T>
class Weights {
 public:
  Weights() = default;
  /// Takes the tensor `name`, or borrows it, because another part of the model takes it. Throws Error{missing_tensor |
  /// shape | unsupported}.
  Weights(WeightFile& file, std::string_view name, std::initializer_list<std::size_t> shape, bool borrowed = false)
      : owner_(file.keep_alive()), view_(borrowed ? file.borrow<T>(name, shape) : file.take<T>(name, shape)) {}
  explicit Weights(AlignedBuffer<T> made) : view_(made.data(), made.size()) {
    owner_ = std::make_shared<const AlignedBuffer<T>>(std::move(made));
  }
  Weights(const Weights&) = default;
  Weights& operator=(const Weights&) = default;

  const T* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }

 private:
  std::shared_ptr<const void> owner_;  // of a file's bytes, null where its user holds them
  std::span<const T> view_;
};

/// A bias of a norm or linear layer of `size` outputs that has none.
BERTHA_FUNCTION Weights<float> zeros(std::size_t size);

/// Takes the bias `<name>.bias` [N'] of a linear layer or norm of `size` outputs: zeros where the file has none and
/// `needed` is false. Throws Error{missing_tensor | shape}.
BERTHA_FUNCTION Weights<float> take_bias(WeightFile& file, const std::string& name, std::size_t size, bool needed);

/// Takes the smoothing vector `<name>.smoothing` [K'] of a linear layer of `inputs` inputs in an int8 file; nothing
/// where the file has none. Throws Error{shape}, and Error{format} unless every factor is from 2^-32 to 2^32.
BERTHA_FUNCTION Weights<float> take_smoothing(WeightFile& file, const std::string& name, std::size_t inputs);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION Weights<float> zeros(std::size_t size) {
  AlignedBuffer<float> made(kernels::padded(size));
  std::fill_n(made.data(), kernels::padded(size), 0.0f);
  return Weights<float>(std::move(made));
}

BERTHA_FUNCTION Weights<float> take_bias(WeightFile& file, const std::string& name, std::size_t size, bool needed) {
  const std::string bias = name + ".bias";
  return needed || file.has(bias) ? Weights<float>(file, bias, {kernels::padded(size)}) : zeros(size);
}

BERTHA_FUNCTION Weights<float> take_smoothing(WeightFile& file, const std::string& name, std::size_t inputs) {
  const std::string tensor = name + ".smoothing";
  if (!file.has(tensor)) return {};
  const Weights<float> smoothing(file, tensor, {kernels::padded(inputs)});
  for (std::size_t k = 0; k < inputs; ++k) {
    const float factor = smoothing.data()[k];
    if (factor >= 0x1p-32f && factor <= 0x1p32f) continue;  // which a NaN is not
    throw_error(ErrorCode::format, {file.name(), ": tensor '", tensor, "' has a factor for input ", k, " that is ",
                                    "not from 2^-32 to 2^32; the file is damaged: quantise the model again"});
  }
  return smoothing;
}

#endif

BERTHA_NAMESPACE_END
