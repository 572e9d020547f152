// The most probable sequence of labels that a label scheme allows: Viterbi's algorithm.
//
// The largest sum of log-probabilities is the largest product of probabilities; products need no logarithm, whose bits
// differ between libraries. After each step they are scaled by a power of two, so that none vanishes.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/pipelines/entity_labels.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A label for each row of probabilities [units, L]. Of equally probable sequences, the one whose last labels come
/// first among the labels. Where no sequence is valid (one token, and no label that is an entity of its own), the end
/// of the text may leave an entity open. Takes units x L steps.
BERTHA_FUNCTION std::vector<std::size_t> most_probable_valid(MatrixView<const float> probabilities,
                                                             const EntityLabels& labels);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<std::size_t> most_probable_valid(MatrixView<const float> probabilities,
                                                             const EntityLabels& labels) {
  const std::size_t n = probabilities.rows, n_labels = labels.size();
  if (n == 0) return {};
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<double> best(n_labels, 1.0), next(n_labels);  // products of the best sequences that end so
  std::vector<std::size_t> before(n * n_labels, kNone);     // the label before, in that sequence
  const auto better = [&](std::size_t label, std::size_t than) { return than == kNone || best[label] > best[than]; };
  std::vector<std::size_t> open(labels.types());
  for (std::size_t i = 0; i < n; ++i) {
    // Every label has at most two that it may follow best: one that leaves its entity open, and one that needn't be
    // gone on with.
    std::size_t closed = kNone;
    std::fill(open.begin(), open.end(), kNone);
    for (std::size_t label = 0; i > 0 && label < n_labels; ++label) {
      std::size_t& of_type = open[labels[label].type];
      if (labels[label].is_open() && better(label, of_type)) of_type = label;
      if (!labels[label].stays_open && better(label, closed)) closed = label;
    }
    double largest = 0;
    for (std::size_t label = 0; label < n_labels; ++label) {
      std::size_t from = labels[label].needs_open ? kNone : closed;
      if (const std::size_t of_type = open[labels[label].type]; labels[label].goes_on() && of_type != kNone)
        if (from == kNone || best[of_type] > best[from] || (best[of_type] == best[from] && of_type < from))
          from = of_type;
      const bool starts = i == 0 && !labels[label].needs_open;
      const float probability = probabilities(i, label);
      const double least = 0x1p-149;  // a probability that rounding made 0 is none: sequences stay comparable
      const double factor = probability > 0 ? static_cast<double>(probability) : least;
      before[i * n_labels + label] = from;
      next[label] = from != kNone ? best[from] * factor : starts ? factor : 0.0;
      largest = std::max(largest, next[label]);
    }
    int exponent = 0;
    std::frexp(largest, &exponent);
    for (double& product : next) product = std::ldexp(product, -exponent);
    std::swap(best, next);
  }

  std::vector<std::size_t> path(n);
  std::size_t last = kNone;
  const auto choose_last = [&](bool may_stay_open) {
    for (std::size_t label = 0; label < n_labels; ++label)
      if (best[label] > 0 && (may_stay_open || !labels[label].stays_open) && better(label, last)) last = label;
  };
  choose_last(false);
  if (last == kNone) choose_last(true);
  for (std::size_t i = n; i-- > 0; last = before[i * n_labels + last]) path[i] = last;
  return path;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
