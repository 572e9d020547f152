// One order, and one sort, for everything that is ranked. The sort is compiled once: one for each kind of key costs
// more to compile than to run.

#pragma once

#include <bertha/version.hpp>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#endif

BERTHA_NAMESPACE_BEGIN

/// The order of everything that is ranked: the larger key first, of equal keys and of two NaN the lower index, NaN
/// last.
inline bool ranks_before(double key, std::size_t index, double other_key, std::size_t other_index) {
  const bool is_nan = std::isnan(key), other_is_nan = std::isnan(other_key);
  if (is_nan != other_is_nan) return other_is_nan;
  if (key > other_key || key < other_key) return key > other_key;
  return index < other_index;
}

/// The indices of `keys` in that order.
BERTHA_FUNCTION std::vector<std::size_t> sorted_indices(std::span<const double> keys);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<std::size_t> sorted_indices(std::span<const double> keys) {
  std::vector<std::size_t> indices(keys.size());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = i;
  std::sort(indices.begin(), indices.end(),
            [&](std::size_t a, std::size_t b) { return ranks_before(keys[a], a, keys[b], b); });
  return indices;
}

#endif

BERTHA_NAMESPACE_END
