// One stable sort for everything that is ranked, compiled once: std::stable_sort for each kind of key costs more to
// compile than to run.

#pragma once

#include <bertha/version.hpp>
#include <cstddef>
#include <span>
#include <vector>

#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#include <cmath>
#endif

BERTHA_NAMESPACE_BEGIN

/// The indices of `keys`, that of the largest key first, those of equal keys in their order, those of NaN last.
BERTHA_FUNCTION std::vector<std::size_t> sorted_indices(std::span<const double> keys);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<std::size_t> sorted_indices(std::span<const double> keys) {
  std::vector<std::size_t> indices(keys.size());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = i;
  std::stable_sort(indices.begin(), indices.end(), [&](std::size_t a, std::size_t b) {
    return keys[a] > keys[b] || (std::isnan(keys[b]) && !std::isnan(keys[a]));
  });
  return indices;
}

#endif

BERTHA_NAMESPACE_END
