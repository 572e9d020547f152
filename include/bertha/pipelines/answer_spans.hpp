// From the logits of one window of a question answering model to the most probable spans of tokens.
//
// Equals `select_starts_ends` and `decode_spans` in transformers/pipelines/question_answering.py (4.57.6), quirks and
// all; each is named where it is. Where scores are equal numpy's order is an accident: here it is the order of the
// spans.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Tokens `start` to `end`, both included, with the probability that they are the answer.
struct TokenSpan {
  std::size_t start = 0;
  std::size_t end = 0;
  float score = 0;
};

struct BestSpans {
  std::vector<TokenSpan> spans;  // best first
  std::size_t steps = 0;         // nodes, spans and pairs of spans that were looked at
};

struct WindowSpans {
  std::vector<TokenSpan> spans;  // best first
  float null_score = 0;          // probability that the window has no answer
};

/// Softmax over the tokens that may be part of an answer; the others have probability 0.
BERTHA_FUNCTION std::vector<float> answer_probabilities(MatrixView<const float> logits, std::size_t column,
                                                        const std::vector<bool>& allowed);

/// Finds the largest of a range of numbers [0, ..], NaN being 0: a tree of the maxima of pairs, pairs of pairs and so
/// on.
class RangeMaximum {
 public:
  explicit RangeMaximum(const std::vector<float>& values) {
    while (leaves_ < values.size()) leaves_ *= 2;
    tree_.resize(2 * leaves_, 0.0f);
    for (std::size_t i = 0; i < values.size(); ++i) tree_[leaves_ + i] = values[i] > 0 ? values[i] : 0.0f;
    for (std::size_t node = leaves_; --node > 0;) tree_[node] = std::max(tree_[2 * node], tree_[2 * node + 1]);
  }

  /// The largest factor * value of [begin, end), factor > 0. Takes log n steps, which are added to `steps`.
  float largest_product(float factor, std::size_t begin, std::size_t end, std::size_t& steps) const {
    float largest = 0;
    for (begin += leaves_, end += leaves_; begin < end; begin /= 2, end /= 2, ++steps) {
      if (begin % 2 == 1) largest = std::max(largest, tree_[begin++]);
      if (end % 2 == 1) largest = std::max(largest, tree_[--end]);
    }
    return factor * largest;
  }

  /// The first i >= begin, which there must be, with factor * value >= product. Takes log n steps.
  std::size_t first_product(float factor, float product, std::size_t begin, std::size_t& steps) const {
    std::size_t node = begin + leaves_;
    for (;; ++node, ++steps) {
      for (; node % 2 == 0; ++steps) node /= 2;  // as far up as nodes begin at the same number
      if (factor * tree_[node] >= product) break;
    }
    for (; node < leaves_; ++steps) {
      node *= 2;
      if (!(factor * tree_[node] >= product)) ++node;
    }
    return node - leaves_;
  }

 private:
  std::size_t leaves_ = 1;
  std::vector<float> tree_;  // node i is over nodes 2 i and 2 i + 1; the numbers are the last half
};

/// The order of spans: the larger score first, then the earlier start, then the earlier end.
inline bool ranks_before(const TokenSpan& a, const TokenSpan& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.start != b.start ? a.start < b.start : a.end < b.end;
}

/// The `n` best spans of at most `max_answer_len` tokens; `start` and `end` are probabilities [tokens]. Takes
/// (tokens + n) log (tokens + n) steps, however long spans may be: for every start the best end is known, and when that
/// span has been taken, the best before and the best after it.
BERTHA_FUNCTION BestSpans best_spans(const std::vector<float>& start, const std::vector<float>& end, std::size_t n,
                                     std::size_t max_answer_len);

/// logits [tokens, 2] of one window to its `n` best spans. A span begins and ends in the second sequence or on a token
/// with the id of [CLS], wherever it stands: some models point at [CLS] when there is no answer.
BERTHA_FUNCTION WindowSpans answer_spans(MatrixView<const float> logits, const Encoding& encoding,
                                         std::uint32_t cls_token_id, std::size_t n, std::size_t max_answer_len);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<float> answer_probabilities(MatrixView<const float> logits, std::size_t column,
                                                        const std::vector<bool>& allowed) {
  std::vector<float> scores(logits.rows);
  for (std::size_t i = 0; i < logits.rows; ++i) scores[i] = allowed[i] ? logits(i, column) : -10000.0f;
  kernels::table().softmax(scores.data(), scores.size());
  for (std::size_t i = 0; i < logits.rows; ++i)
    if (!allowed[i]) scores[i] = 0;  // exp(-10000) is 0 in float32
  return scores;
}

BERTHA_FUNCTION BestSpans best_spans(const std::vector<float>& start, const std::vector<float>& end, std::size_t n,
                                     std::size_t max_answer_len) {
  struct Candidate {
    TokenSpan best;
    std::size_t begin, end;  // of the ends that it is the best of
  };
  const std::size_t tokens = start.size();
  const RangeMaximum ends(end);
  BestSpans found;
  std::vector<Candidate> heap;  // the best on top
  const auto ranks_after = [&](const Candidate& a, const Candidate& b) {
    ++found.steps;
    return ranks_before(b.best, a.best);
  };
  const auto push = [&](std::size_t s, std::size_t first, std::size_t last) {
    const float score = first < last && start[s] > 0 ? ends.largest_product(start[s], first, last, found.steps) : 0.0f;
    if (!(score > 0)) return;
    heap.push_back({{s, ends.first_product(start[s], score, first, found.steps), score}, first, last});
    std::push_heap(heap.begin(), heap.end(), ranks_after);
  };
  for (std::size_t s = 0; s < tokens; ++s) push(s, s, max_answer_len < tokens - s ? s + max_answer_len : tokens);
  while (!heap.empty() && found.spans.size() < n) {
    std::pop_heap(heap.begin(), heap.end(), ranks_after);
    const Candidate taken = heap.back();
    heap.pop_back();
    found.spans.push_back(taken.best);
    push(taken.best.start, taken.begin, taken.best.end);
    push(taken.best.start, taken.best.end + 1, taken.end);
  }
  // In transformers every pair of tokens is a candidate, with score 0 when it is no span: short contexts reach them.
  for (std::size_t s = 0; s < tokens && found.spans.size() < n; ++s)
    for (std::size_t e = 0; e < tokens && found.spans.size() < n; ++e, ++found.steps)
      if (e < s || e - s >= max_answer_len || !(start[s] * end[e] > 0)) found.spans.push_back({s, e, 0.0f});
  return found;
}

BERTHA_FUNCTION WindowSpans answer_spans(MatrixView<const float> logits, const Encoding& encoding,
                                         std::uint32_t cls_token_id, std::size_t n, std::size_t max_answer_len) {
  std::vector<bool> allowed(encoding.size());
  for (std::size_t i = 0; i < encoding.size(); ++i)
    allowed[i] = (encoding.sequences[i] == 1 && !encoding.special[i]) || encoding.ids[i] == cls_token_id;
  std::vector<float> start = answer_probabilities(logits, 0, allowed);
  std::vector<float> end = answer_probabilities(logits, 1, allowed);
  WindowSpans window;
  window.null_score = start[0] * end[0];
  start[0] = end[0] = 0;  // and the other probabilities are not made to sum to 1 again
  window.spans = best_spans(start, end, n, max_answer_len).spans;
  // Token 0 passes in transformers whether or not it is allowed: the mask is looked up in a matrix of one row.
  std::erase_if(window.spans, [&](const TokenSpan& span) {
    return (span.start != 0 && !allowed[span.start]) || (span.end != 0 && !allowed[span.end]);
  });
  return window;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
