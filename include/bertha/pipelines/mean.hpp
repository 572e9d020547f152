// The mean of scores.

#pragma once

#include <bertha/kernels/region.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

namespace detail {

BERTHA_STRICT_BEGIN
/// The mean of n numbers that lie `stride` apart, summed one after the other whatever the user's flags allow.
inline float mean(const float* values, std::size_t n, std::size_t stride = 1) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += values[i * stride];
  return sum / static_cast<float>(n);
}
BERTHA_STRICT_END

}  // namespace detail

BERTHA_NAMESPACE_END
