// The few sums of products by which a file is made: the same bits whatever the flags of the caller's source, so that
// the same texts give the same file everywhere.

#pragma once

#include <bertha/kernels/region.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

namespace detail {

BERTHA_STRICT_BEGIN

/// The sum of (found - exact)^2 over n numbers.
BERTHA_NOINLINE double squared_error(const float* exact, const float* found, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double difference = static_cast<double>(found[i]) - static_cast<double>(exact[i]);
    sum += difference * difference;
  }
  return sum;
}

/// The share of what rounding to q * scale took from a value.
BERTHA_NOINLINE float lost(float share, float value, float q, float scale) { return share * (value - q * scale); }

BERTHA_STRICT_END

}  // namespace detail

BERTHA_NAMESPACE_END
