// From tokens of a window to bytes of the context.

#pragma once

#include <algorithm>
#include <bertha/pipelines/answer_spans.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Where spans of the tokens of a window lie in the context.
class AnswerPlaces {
 public:
  AnswerPlaces(std::string_view question, std::string_view context, bool align_to_words)
      : align_to_words_(align_to_words),
        context_size_(context.size()),
        question_(question, OffsetUnit::code_point),
        context_(context, OffsetUnit::code_point) {}

  /// The bytes of the context that a span covers: of its words, when both of its ends are in words, else of its tokens.
  /// Of a span that ends before it starts, which transformers gives with score 0 for want of others, nothing.
  std::pair<std::size_t, std::size_t> operator()(const Encoding& window, const TokenSpan& span) const {
    const auto [start, end] = ends_of(window, span);
    return {start, std::max(start, end)};
  }

 private:
  std::pair<std::size_t, std::size_t> ends_of(const Encoding& window, const TokenSpan& span) const {
    if (align_to_words_) {
      const auto first = word_of(window, span.start), last = word_of(window, span.end);
      if (first.size() > 0 && last.size() > 0)
        return {window.offsets[first.begin].start, window.offsets[last.end - 1].end};
    }
    return {in_context(window, span.start, window.offsets[span.start].start),
            in_context(window, span.end, window.offsets[span.end].end)};
  }

  /// The tokens of the word that `token` belongs to; the word's number is looked up in the context even when the token
  /// itself is in the question (where somebody wrote "[CLS]" into it).
  static TokenRange word_of(const Encoding& window, std::size_t token) {
    const std::uint32_t word = window.words[token];
    if (word == Encoding::kNone) return {};
    const auto is_context = [](std::uint32_t sequence) { return sequence == 1; };
    const auto& sequences = window.sequences;  // the context's tokens stand together, its words in their order
    const auto begin = std::find_if(sequences.begin(), sequences.end(), is_context) - sequences.begin();
    const auto end = std::find_if_not(sequences.begin() + begin, sequences.end(), is_context) - sequences.begin();
    const auto found = std::equal_range(window.words.begin() + begin, window.words.begin() + end, word);
    return {static_cast<std::size_t>(found.first - window.words.begin()),
            static_cast<std::size_t>(found.second - window.words.begin())};
  }

  /// An offset of a token in the question counts code points, as it does in Python, and is then taken for one of the
  /// context, which may be shorter.
  std::size_t in_context(const Encoding& window, std::size_t token, std::size_t byte) const {
    if (window.sequences[token] != 0 || window.special[token]) return byte;
    const std::size_t code_points = question_(byte);
    if (code_points >= context_(context_size_)) return context_size_;
    std::size_t low = 0, high = context_size_;  // the last byte that so many code points come before
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (context_(middle) <= code_points ? low : high) = middle;
    }
    return low;
  }

  bool align_to_words_;
  std::size_t context_size_;
  OffsetConverter question_, context_;
};

}  // namespace detail

BERTHA_NAMESPACE_END
