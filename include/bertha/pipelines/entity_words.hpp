// The tokens of a window with the probabilities of their labels, and words of them that have one label each.
//
// Equals `gather_pre_entities` and `aggregate_words` in transformers/pipelines/token_classification.py (5.23.0).

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/pipelines/entity_input.hpp>
#include <bertha/pipelines/entity_options.hpp>
#include <bertha/pipelines/mean.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A token that is part of the text.
struct EntityToken {
  std::size_t index = 0;  // in its window
  std::string_view word;  // as the vocabulary has it
  Span span;
  bool begins_word = true;
};

/// Tokens of a window, template's left out; probabilities [tokens, L].
struct EntityTokens {
  std::vector<EntityToken> tokens;
  std::vector<float> probabilities;
};

/// Whether tokens begin words, of one text.
class WordStarts {
 public:
  /// All must outlive it.
  WordStarts(const Tokenizer& tokenizer, const EntityInput& input, WordGrouping grouping)
      : tokenizer_(tokenizer), input_(input), grouping_(grouping) {}

  /// True for token `i` of a window that begins a word; its string is `token`.
  bool operator()(const Encoding& window, std::size_t i, std::string_view token) const {
    const Span span = window.offsets[i];
    if (grouping_ == WordGrouping::true_words) {
      const bool is_new = i == 0 || window.words[i] != window.words[i - 1];  // a word's tokens stand together
      return is_new || (!input_.words && follows_space(span.start));
    }
    if (window.ids[i] == tokenizer_.special_tokens().unk_token_id) return true;
    if (!tokenizer_.continuing_subword_prefix().empty())
      return code_points(token) == code_points(input_.text.substr(span.start, span.end - span.start));
    return span.start == 0 || follows_space(span.start);
  }

 private:
  /// A space before a byte, or at it.
  bool follows_space(std::size_t start) const {
    return input_.text.substr(start, 1) == " " || (start > 0 && input_.text[start - 1] == ' ');
  }
  static std::size_t code_points(std::string_view text) {
    const auto begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; };
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
  }

  const Tokenizer& tokenizer_;
  const EntityInput& input_;
  WordGrouping grouping_;
};

/// The text's tokens of a window whose logits are [tokens, L].
BERTHA_FUNCTION EntityTokens entity_tokens(const Tokenizer& tokenizer, const EntityInput& input, WordGrouping grouping,
                                           const Encoding& window, MatrixView<const float> logits);

/// The tokens of each word; its probabilities take the place of its tokens': [words, L]. `none` and `simple` take every
/// token for a word.
BERTHA_FUNCTION std::vector<TokenRange> merge_words(EntityTokens& of_window, AggregationStrategy strategy);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION EntityTokens entity_tokens(const Tokenizer& tokenizer, const EntityInput& input, WordGrouping grouping,
                                           const Encoding& window, MatrixView<const float> logits) {
  const WordStarts begins_word(tokenizer, input, grouping);
  EntityTokens found;
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (window.special[i]) continue;
    found.probabilities.insert(found.probabilities.end(), logits.row(i), logits.row(i) + logits.cols);
    kernels::table().softmax(&found.probabilities[found.tokens.size() * logits.cols], logits.cols);
    const Span span = window.offsets[i];
    const std::string_view token = tokenizer.token(window.ids[i]);
    // "[UNK]" says nothing: the word of an unknown token is the part of the text that it stands for.
    const bool unknown = window.ids[i] == tokenizer.special_tokens().unk_token_id;
    found.tokens.push_back({i, unknown ? input.text.substr(span.start, span.end - span.start) : token, span,
                            begins_word(window, i, token)});
  }
  return found;
}

BERTHA_FUNCTION std::vector<TokenRange> merge_words(EntityTokens& of_window, AggregationStrategy strategy) {
  const std::vector<EntityToken>& tokens = of_window.tokens;
  std::vector<TokenRange> words;
  const std::size_t n_labels = tokens.empty() ? 0 : of_window.probabilities.size() / tokens.size();
  const auto row = [&](std::size_t i) { return of_window.probabilities.data() + i * n_labels; };
  const auto surest = [&](std::size_t i) { return *std::max_element(row(i), row(i) + n_labels); };
  const bool apart = strategy == AggregationStrategy::none || strategy == AggregationStrategy::simple;
  for (std::size_t begin = 0, end; begin < tokens.size(); begin = end) {
    for (end = begin + 1; !apart && end < tokens.size() && !tokens[end].begins_word;) ++end;
    float* const merged = row(words.size());  // at or before the word's first row
    words.push_back({begin, end});
    if (strategy == AggregationStrategy::average) {
      for (std::size_t label = 0; label < n_labels; ++label)
        merged[label] = mean(row(begin) + label, end - begin, n_labels);
      continue;
    }
    std::size_t chosen = begin;
    for (std::size_t i = begin + 1; strategy == AggregationStrategy::max && i < end; ++i)
      if (surest(i) > surest(chosen)) chosen = i;
    std::copy(row(chosen), row(chosen) + n_labels, merged);
  }
  of_window.probabilities.resize(words.size() * n_labels);
  return words;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
