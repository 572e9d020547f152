// What the windows of one context have to say, as answers: equal texts are one answer, whichever window they are from.

#pragma once

#include <bertha/runtime/sorted_indices.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How candidates whose texts are equal but for case become one answer. `hf_4_57`: their scores add up, over all
/// windows, as in transformers 4.57.6: a sum may exceed 1, and grows with the length of the context. `best`: the
/// highest score of a single candidate, at most 1.
enum class ScoreRule : std::uint8_t { hf_4_57, best };

namespace detail {

/// A part of the context that may be the answer.
struct AnswerCandidate {
  std::string_view text;
  double score = 0;  // adds up in double, as Python's numbers do
  std::size_t start = 0;
  std::size_t end = 0;
};

/// The candidates of one context in the order in which they came; linear in their number.
class AnswerCandidates {
 public:
  explicit AnswerCandidates(ScoreRule rule) : rule_(rule) {}

  /// One more. Of equal texts the first one's place is kept, or by `ScoreRule::best` the best one's.
  BERTHA_FUNCTION void add(const AnswerCandidate& candidate);
  /// The impossible answer: no text, wherever it is equal to another.
  void add_impossible(float score) { list_.push_back({{}, static_cast<double>(score), 0, 0}); }
  /// The `n` best, best first; equal scores in the order in which they came.
  BERTHA_FUNCTION std::vector<AnswerCandidate> best(std::size_t n) const;

 private:
  ScoreRule rule_;
  std::vector<AnswerCandidate> list_;
  std::unordered_map<std::string, std::size_t> by_lowered_;  // text as Python's str.lower() has it -> index in list_
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void AnswerCandidates::add(const AnswerCandidate& candidate) {
  const auto [place, is_new] = by_lowered_.try_emplace(python_lower(candidate.text), list_.size());
  if (is_new) {
    list_.push_back(candidate);
    return;
  }
  AnswerCandidate& same = list_[place->second];
  if (rule_ == ScoreRule::hf_4_57)
    same.score += candidate.score;
  else if (candidate.score > same.score)
    same = candidate;
}

BERTHA_FUNCTION std::vector<AnswerCandidate> AnswerCandidates::best(std::size_t n) const {
  std::vector<double> scores;
  scores.reserve(list_.size());
  for (const AnswerCandidate& candidate : list_) scores.push_back(candidate.score);
  std::vector<AnswerCandidate> ranked;
  for (const std::size_t i : sorted_indices(scores)) {
    if (ranked.size() == n) break;
    ranked.push_back(list_[i]);
  }
  return ranked;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
