// From the logits of all windows of a question to the most probable spans of tokens, as probabilities over all of them:
// the share of exp(start + end) that a span has in the sum over the spans of all windows.
//
// A token that several windows show begins spans in one of them: the one that shows most on its shorter side (as in
// BERT's own run_squad.py), the first of such.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/kernels/region.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/pipelines/answer_spans.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// What is taken for a span.
struct SpanLimits {
  std::size_t n = 1;  // spans of each window
  std::size_t max_answer_len = 1;
  std::size_t stride = 0;  // tokens that neighbouring windows of a passage share
  bool with_null = false;  // that there is no answer is a possibility too
};

/// For each window its best spans, whose scores are shares of what all windows have together. The null score of a
/// window is such a share; only the smallest of all windows is part of the whole.
BERTHA_FUNCTION std::vector<WindowSpans> calibrated_spans(std::span<const Encoding> windows,
                                                          std::span<const MatrixView<const float>> logits,
                                                          const SpanLimits& limits);

BERTHA_STRICT_BEGIN
/// The sum of start[i] * end[j] over all i <= j < i + length. Takes n steps: of blocks of `length` numbers, the sums up
/// to each and from each (`up_to`, `from`, each n numbers) make that of any stretch.
inline double mass_of_spans(const float* start, const float* end, std::size_t n, std::size_t length, double* up_to,
                            double* from) {
  for (std::size_t i = 0; i < n; ++i) {
    const double value = static_cast<double>(end[i]);
    up_to[i] = i % length == 0 ? value : up_to[i - 1] + value;
  }
  for (std::size_t i = n; i-- > 0;) {
    const double value = static_cast<double>(end[i]);
    from[i] = i + 1 == n || (i + 1) % length == 0 ? value : from[i + 1] + value;
  }
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t last = length < n - i ? i + length - 1 : n - 1;
    const double ends = last / length == i / length ? from[i] : from[i] + up_to[last];
    sum += static_cast<double>(start[i]) * ends;
  }
  return sum;
}
BERTHA_STRICT_END

#if defined(BERTHA_DEFINES_FUNCTIONS)

/// The first token of the context in a window and how many there are; they stand together.
inline TokenRange context_tokens(const Encoding& window) {
  TokenRange range;
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (window.special[i] || window.sequences[i] != 1) continue;
    if (range.end == 0) range.begin = i;
    range.end = i + 1;
  }
  return range;
}

/// For each token of each window, whether it begins spans there.
BERTHA_FUNCTION std::vector<std::vector<bool>> owned_tokens(std::span<const Encoding> windows, std::size_t stride) {
  struct Owner {
    std::size_t shown = 0, window = 0;  // how much the window shows, plus one
  };
  std::vector<std::vector<bool>> owned(windows.size());
  for (std::size_t begin = 0, end = 0; begin < windows.size(); begin = end) {
    while (end < windows.size() && windows[end].sample == windows[begin].sample) ++end;
    const std::size_t kept = context_tokens(windows[begin]).size();
    const std::size_t step = end - begin > 1 ? kept - stride : kept;
    std::vector<Owner> owners((end - begin - 1) * step + kept);  // of the tokens of the passage
    for (std::size_t w = begin; w < end; ++w) {
      const std::size_t n = context_tokens(windows[w]).size();
      for (std::size_t i = 0; i < n; ++i) {
        Owner& owner = owners[(w - begin) * step + i];
        const std::size_t shown = 100 * std::min(i, n - 1 - i) + n + 1;  // of equal sides, the longer window's
        if (shown > owner.shown) owner = {shown, w};
      }
    }
    for (std::size_t w = begin; w < end; ++w) {
      const TokenRange context = context_tokens(windows[w]);
      owned[w].resize(windows[w].size());
      for (std::size_t i = 0; i < context.size(); ++i)
        owned[w][context.begin + i] = owners[(w - begin) * step + i].window == w;
    }
  }
  return owned;
}

BERTHA_FUNCTION std::vector<WindowSpans> calibrated_spans(std::span<const Encoding> windows,
                                                          std::span<const MatrixView<const float>> logits,
                                                          const SpanLimits& limits) {
  // Softmax over the tokens of all windows: a product of two is the span's share, but for a factor that all share.
  std::vector<float> of_tokens[2];
  const auto for_each_token = [&](const auto& f) {
    for (std::size_t w = 0; w < windows.size(); ++w) {
      const TokenRange context = context_tokens(windows[w]);
      if (limits.with_null) f(w, 0);  // [CLS]
      for (std::size_t i = context.begin; i < context.end; ++i) f(w, i);
    }
  };
  for (std::size_t column = 0; column < 2; ++column) {
    for_each_token([&](std::size_t w, std::size_t i) { of_tokens[column].push_back(logits[w](i, column)); });
    if (!of_tokens[column].empty()) kernels::table().softmax(of_tokens[column].data(), of_tokens[column].size());
  }
  std::vector<std::vector<float>> start(windows.size()), end(windows.size());
  for (std::size_t w = 0; w < windows.size(); ++w) start[w].resize(windows[w].size());
  end = start;
  std::size_t next = 0;
  for_each_token([&](std::size_t w, std::size_t i) {
    start[w][i] = of_tokens[0][next];
    end[w][i] = of_tokens[1][next++];
  });

  const auto owned = owned_tokens(windows, limits.stride);
  std::vector<WindowSpans> found(windows.size());
  std::vector<double> up_to, from;
  double whole = 0;
  float null_score = 1;
  for (std::size_t w = 0; w < windows.size(); ++w) {
    const std::size_t n = windows[w].size();
    found[w].null_score = start[w][0] * end[w][0];
    null_score = std::min(null_score, found[w].null_score);
    end[w][0] = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (!owned[w][i]) start[w][i] = 0;
    up_to.resize(n);
    from.resize(n);
    whole += mass_of_spans(start[w].data(), end[w].data(), n, limits.max_answer_len, up_to.data(), from.data());
    found[w].spans = best_spans(start[w], end[w], limits.n, limits.max_answer_len).spans;
    std::erase_if(found[w].spans, [](const TokenSpan& span) { return !(span.score > 0); });
  }
  if (limits.with_null) whole += static_cast<double>(null_score);
  if (!(whole > 0)) whole = 1;  // there is nothing to share out
  const auto share = [&](float& score) { score = static_cast<float>(static_cast<double>(score) / whole); };
  for (WindowSpans& window : found) {
    share(window.null_score);
    for (TokenSpan& span : window.spans) share(span.score);
  }
  return found;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
