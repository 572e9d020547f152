// One vector of a sequence's hidden states, by each of the modes of config.hpp.
//
// Sums are float32, token after token from the first; a weight multiplies before it is added. What divides is rounded
// once. So the bits are the same on every level, alone and in any batch, and whatever the flags of the caller's source.

#pragma once

#include <bertha/config.hpp>
#include <bertha/encoder/matrix.hpp>
#include <bertha/kernels/region.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

namespace detail {

BERTHA_STRICT_BEGIN

/// Columns that are pooled together: a register of numbers, or a few.
inline constexpr std::size_t kPooledColumns = 16;

/// out[j] = the sum over i of x[i stride + j] (first_weight + i), or without weights, for n rows; j below
/// kPooledColumns or `columns`.
template <bool kWeighted>
BERTHA_INLINE void sum_columns(const float* x, std::size_t stride, std::size_t n, std::size_t columns,
                               std::size_t first_weight, float* out) {
  float sum[kPooledColumns] = {};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      float number = x[i * stride + j];
      if (kWeighted) {
        number *= static_cast<float>(first_weight + i);
        BERTHA_ROUND(number);
      }
      sum[j] += number;
    }
  }
  for (std::size_t j = 0; j < columns; ++j) out[j] = sum[j];
}

/// The sum of n rows, `size` numbers each, divided by `divisor`; with weights, row i times first_weight + i.
template <bool kWeighted>
BERTHA_NOINLINE void mean_of_rows(const float* x, std::size_t stride, std::size_t n, std::size_t size,
                                  std::size_t first_weight, float divisor, float* out) {
  std::size_t h = 0;
  for (; h + kPooledColumns <= size; h += kPooledColumns)
    sum_columns<kWeighted>(x + h, stride, n, kPooledColumns, first_weight, out + h);
  if (h < size) sum_columns<kWeighted>(x + h, stride, n, size - h, first_weight, out + h);
  for (h = 0; h < size; ++h) out[h] /= divisor;
}

/// A NaN is larger than all.
BERTHA_NOINLINE void largest_of_rows(const float* x, std::size_t stride, std::size_t n, std::size_t size, float* out) {
  for (std::size_t h = 0; h < size; ++h) out[h] = x[h];
  for (std::size_t i = 1; i < n; ++i)
    for (std::size_t h = 0; h < size; ++h) {
      const float number = x[i * stride + h];
      if (number > out[h] || number != number) out[h] = number;
    }
}

/// x divided by its length, or by 1e-12 if that is more. Squares are added up as the rows of LayerNorm are: lane j
/// those of the elements j, j + 16, ..., then lanes fold 8, 4, 2, 1.
BERTHA_NOINLINE void divide_by_length(float* x, std::size_t size) {
  float lanes[16] = {};
  for (std::size_t h = 0; h < size; ++h) {
    float square = x[h] * x[h];
    BERTHA_ROUND(square);
    lanes[h % 16] += square;
  }
  for (std::size_t half = 8; half > 0; half /= 2)
    for (std::size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  float length = __builtin_sqrtf(lanes[0]);
  if (length < 1e-12f) length = 1e-12f;
  for (std::size_t h = 0; h < size; ++h) x[h] /= length;
}

inline float square_root(std::size_t n) { return __builtin_sqrtf(static_cast<float>(n)); }

BERTHA_STRICT_END

}  // namespace detail

/// Writes to `out` [H] what `mode` makes of x [n, H], n at least 1, whose first row is the sequence's token number
/// `first`. Thread-safe.
inline void pool(PoolingMode mode, MatrixView<const float> x, std::size_t first, float* out) {
  const auto copy = [&](const float* row) {
    for (std::size_t h = 0; h < x.cols; ++h) out[h] = row[h];
  };
  switch (mode) {
    case PoolingMode::first: return copy(x.row(0));
    case PoolingMode::last: return copy(x.row(x.rows - 1));
    case PoolingMode::max: return detail::largest_of_rows(x.data, x.stride, x.rows, x.cols, out);
    case PoolingMode::mean:
      return detail::mean_of_rows<false>(x.data, x.stride, x.rows, x.cols, 0, static_cast<float>(x.rows), out);
    case PoolingMode::mean_sqrt_len:
      return detail::mean_of_rows<false>(x.data, x.stride, x.rows, x.cols, 0, detail::square_root(x.rows), out);
    case PoolingMode::weighted_mean: {
      const auto weights = static_cast<float>(x.rows * (first + 1) + x.rows * (x.rows - 1) / 2);
      return detail::mean_of_rows<true>(x.data, x.stride, x.rows, x.cols, first + 1, weights, out);
    }
  }
}

BERTHA_NAMESPACE_END
