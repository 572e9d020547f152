// Labels with their scores.

#pragma once

#include <bertha/runtime/sorted_indices.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A label and its score.
struct LabelScore {
  std::string label;
  float score = 0;
};

namespace detail {

/// The `n` labels of the largest scores, best first; equal scores in the order of the labels.
BERTHA_FUNCTION std::vector<LabelScore> best_labels(std::span<const float> scores,
                                                    const std::vector<std::string>& labels, std::size_t n);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<LabelScore> best_labels(std::span<const float> scores,
                                                    const std::vector<std::string>& labels, std::size_t n) {
  std::vector<LabelScore> best;
  if (n == 0) return best;
  for (const std::size_t label : sorted_indices(std::vector<double>(scores.begin(), scores.end()))) {
    if (best.size() == n) break;
    best.push_back({labels[label], scores[label]});
  }
  return best;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
