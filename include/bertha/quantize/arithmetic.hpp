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

/// Adds the mean of its diagonal to the diagonal of a matrix [n, n].
BERTHA_NOINLINE void add_mean_to_diagonal(float* matrix, std::size_t stride, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(matrix[i * stride + i]);
  const auto mean = static_cast<float>(sum / static_cast<double>(n));
  for (std::size_t i = 0; i < n; ++i) matrix[i * stride + i] += mean;
}

/// Moves n integers q, -127 to 127, one after the other to where an error is least that has the second derivatives
/// 2 moments [n, n] scale^2, and `gradient` as half of the first by q scale: it follows each move. `changes` are those
/// of q scale. Says how many moved.
BERTHA_NOINLINE std::size_t descend(float* gradient, const float* moments, std::size_t stride, std::size_t n,
                                    float scale, float* q, float* changes) {
  constexpr float kWhole = 0x1.8p23f;  // added and taken off again, it rounds to the nearest integer
  std::size_t moved = 0;
  for (std::size_t i = 0; i < n; ++i) {
    changes[i] = 0;
    float best = q[i] - gradient[i] / (moments[i * stride + i] * scale);
    if (!(best > -1e30f && best < 1e30f)) continue;  // nothing was read, or the weights are 0
    best = best < -127 ? -127 : best > 127 ? 127 : best;
    best = (best + kWhole) - kWhole;
    if (best == q[i]) continue;
    const float change = (best - q[i]) * scale;
    for (std::size_t j = i + 1; j < n; ++j) {
      float by = change * moments[i * stride + j];
      BERTHA_ROUND(by);
      gradient[j] += by;
    }
    changes[i] = change;
    q[i] = best;
    ++moved;
  }
  return moved;
}

BERTHA_STRICT_END

}  // namespace detail

BERTHA_NAMESPACE_END
