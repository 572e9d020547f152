// What the windows of a context, or of several passages, have to say, as answers: equal texts of one passage are one
// answer, whichever window they are from.

#pragma once

#include <algorithm>
#include <bertha/pipelines/answer_options.hpp>
#include <bertha/runtime/sorted_indices.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A part of the context that may be the answer.
struct AnswerCandidate {
  std::string_view text;
  double score = 0;  // adds up in double, as Python's numbers do
  std::size_t start = 0;
  std::size_t end = 0;
  std::size_t passage = 0;
};

struct BestAnswers {
  std::vector<AnswerCandidate> answers;  // best first
  std::size_t comparisons = 0;           // of texts
};

/// The candidates of one question. Equal ones are found by sorting: n log n comparisons, where whoever wrote the
/// context may know texts that a hash takes for equal.
class AnswerCandidates {
 public:
  explicit AnswerCandidates(ScoreRule rule) : rule_(rule) {}

  /// Adds a candidate.
  void add(const AnswerCandidate& candidate) { list_.push_back({candidate, python_lower(candidate.text)}); }
  /// Adds the answer that there is none: an empty text, never merged with another, behind all that have its score.
  void add_impossible(float score) { impossible_ = score; }
  /// The `n` best answers, those of equal scores in the order in which they were added. Of candidates with equal texts
  /// the answer has the first one's place in the context, or by `ScoreRule::best` that of the best one.
  BERTHA_FUNCTION BestAnswers best(std::size_t n) const;

 private:
  struct Entry {
    AnswerCandidate candidate;
    std::string lowered;  // its text as Python's str.lower() has it
  };
  ScoreRule rule_;
  std::vector<Entry> list_;
  std::optional<float> impossible_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION BestAnswers AnswerCandidates::best(std::size_t n) const {
  BestAnswers best;
  std::vector<std::size_t> by_text(list_.size());  // equal texts in the order in which they came
  for (std::size_t i = 0; i < by_text.size(); ++i) by_text[i] = i;
  std::sort(by_text.begin(), by_text.end(), [&](std::size_t a, std::size_t b) {
    ++best.comparisons;
    const Entry &one = list_[a], &other = list_[b];
    if (one.candidate.passage != other.candidate.passage) return one.candidate.passage < other.candidate.passage;
    const int order = one.lowered.compare(other.lowered);
    return order != 0 ? order < 0 : a < b;
  });

  std::vector<std::optional<AnswerCandidate>> merged(list_.size());  // where the first of equal texts is
  for (std::size_t i = 0, first = 0; i < by_text.size(); ++i) {
    const AnswerCandidate& candidate = list_[by_text[i]].candidate;
    const bool is_new = i == 0 || rule_ == ScoreRule::hf_4_52 || candidate.passage != list_[first].candidate.passage ||
                        list_[by_text[i]].lowered != list_[first].lowered;
    if (is_new) {
      first = by_text[i];
      merged[first] = candidate;
    } else if (rule_ != ScoreRule::best) {
      merged[first]->score += candidate.score;
    } else if (candidate.score > merged[first]->score) {
      merged[first] = candidate;
    }
  }

  std::vector<AnswerCandidate> answers;
  for (const auto& answer : merged)
    if (answer) answers.push_back(*answer);
  if (impossible_) answers.push_back({{}, static_cast<double>(*impossible_), 0, 0, 0});
  std::vector<double> scores;
  scores.reserve(answers.size());
  for (const AnswerCandidate& answer : answers) scores.push_back(answer.score);
  for (const std::size_t i : sorted_indices(scores)) {
    if (best.answers.size() == n) break;
    best.answers.push_back(answers[i]);
  }
  return best;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
