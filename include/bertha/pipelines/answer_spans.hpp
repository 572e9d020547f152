// From the logits of one window of a question answering model to the most probable spans of tokens.
//
// Equals `select_starts_ends` and `decode_spans` in transformers/pipelines/question_answering.py (4.57.6), quirks and
// all; each is named where it is. Where scores are equal numpy's order is an accident: here it is the order of the
// spans.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <cmath>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Tokens `start` to `end`, both included, with the probability that they are the answer.
struct TokenSpan {
  std::size_t start = 0;
  std::size_t end = 0;
  float score = 0;
};

struct WindowSpans {
  std::vector<TokenSpan> spans;  // best first
  float null_score = 0;          // probability that the window has no answer
};

/// Softmax over the tokens that may be part of an answer; the others have probability 0.
inline std::vector<float> answer_probabilities(MatrixView<const float> logits, std::size_t column,
                                               const std::vector<bool>& allowed) {
  std::vector<float> scores(logits.rows);
  for (std::size_t i = 0; i < logits.rows; ++i) scores[i] = allowed[i] ? logits(i, column) : -10000.0f;
  kernels::table().softmax(scores.data(), scores.size());
  for (std::size_t i = 0; i < logits.rows; ++i)
    if (!allowed[i]) scores[i] = 0;  // there exp(-10000) is 0
  return scores;
}

/// The `n` best spans of at most `max_answer_len` tokens; `start` and `end` are probabilities [tokens].
inline std::vector<TokenSpan> best_spans(const std::vector<float>& start, const std::vector<float>& end, std::size_t n,
                                         std::size_t max_answer_len) {
  const std::size_t tokens = start.size();
  const auto before = [](const TokenSpan& a, const TokenSpan& b) {
    if (a.score != b.score) return ranks_before(a.score, b.score);
    return a.start != b.start ? a.start < b.start : a.end < b.end;
  };
  std::vector<TokenSpan> spans;
  for (std::size_t s = 0; s < tokens; ++s) {
    const std::size_t stop = max_answer_len < tokens - s ? s + max_answer_len : tokens;
    for (std::size_t e = s; e < stop; ++e) {
      const float score = start[s] * end[e];
      if (score > 0) spans.push_back({s, e, score});
    }
  }
  const auto kept = std::min(n, spans.size());
  std::partial_sort(spans.begin(), spans.begin() + static_cast<std::ptrdiff_t>(kept), spans.end(), before);
  spans.resize(kept);
  // There every pair of tokens is a candidate, with score 0 when it is no span: short contexts reach them.
  for (std::size_t s = 0; s < tokens && spans.size() < n; ++s)
    for (std::size_t e = 0; e < tokens && spans.size() < n; ++e)
      if (e < s || e - s >= max_answer_len || !(start[s] * end[e] > 0)) spans.push_back({s, e, 0.0f});
  return spans;
}

/// logits [tokens, 2] of one window to its `n` best spans. A span begins and ends in the second sequence or on a token
/// with the id of [CLS], wherever it stands: some models point there when there is no answer.
inline WindowSpans answer_spans(MatrixView<const float> logits, const Encoding& encoding, std::uint32_t cls_token_id,
                                std::size_t n, std::size_t max_answer_len) {
  std::vector<bool> allowed(encoding.size());
  for (std::size_t i = 0; i < encoding.size(); ++i)
    allowed[i] = (encoding.sequences[i] == 1 && !encoding.special[i]) || encoding.ids[i] == cls_token_id;
  std::vector<float> start = answer_probabilities(logits, 0, allowed);
  std::vector<float> end = answer_probabilities(logits, 1, allowed);
  WindowSpans window;
  window.null_score = start[0] * end[0];
  start[0] = end[0] = 0;  // and the other probabilities are not made to sum to 1 again
  window.spans = best_spans(start, end, n, max_answer_len);
  // Token 0 passes there whether or not it is allowed: the mask is looked up in a matrix of one row.
  std::erase_if(window.spans, [&](const TokenSpan& span) {
    return (span.start != 0 && !allowed[span.start]) || (span.end != 0 && !allowed[span.end]);
  });
  return window;
}

}  // namespace detail

BERTHA_NAMESPACE_END
