// What the pipelines take: texts and pairs of texts, one or many.

#pragma once

#include <bertha/tokenizer/tokenizer.hpp>
#include <concepts>
#include <optional>
#include <ranges>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A text, or a pair of texts (premise and hypothesis, say). A view: the text must outlive the call.
struct TextInput {
  template <std::convertible_to<std::string_view> T>
  TextInput(const T& t) : text(t) {}  // implicit: a plain string is a text
  TextInput(std::string_view t, std::string_view pair) : text(t), text_pair(pair) {}

  std::size_t size() const { return text.size() + text_pair.value_or("").size(); }

  std::string_view text;
  std::optional<std::string_view> text_pair;
};

/// A range of things that are each a text or a pair: std::vector<std::string>, a view of string literals, ...
template <class R, class Input = TextInput>
concept InputRange = std::ranges::input_range<R> && !std::convertible_to<R, Input> &&
                     std::convertible_to<std::ranges::range_reference_t<R>, Input>;

/// What became of the text that went in: nothing is silent.
struct InputInfo {
  std::size_t n_tokens = 0;   ///< tokens that went through the encoder, special tokens included, over all windows
  std::size_t n_unknown = 0;  ///< of these, unknown tokens
  bool truncated = false;     ///< tokens of the text were left out
  Span covered = {};          ///< bytes of the text from the first token to the last that went in
};

namespace detail {

/// The elements of a range as views. A range that makes its elements as it goes must give views, not strings.
template <class Input, class R>
std::vector<Input> views_of(R&& range) {
  using Reference = std::ranges::range_reference_t<R>;
  static_assert(std::is_lvalue_reference_v<Reference> || std::same_as<std::remove_cvref_t<Reference>, Input> ||
                    std::is_trivially_copyable_v<std::remove_cvref_t<Reference>>,
                "the range makes temporary strings, which would be gone before they are read: store them first");
  std::vector<Input> inputs;
  for (auto&& element : range) inputs.push_back(Input(element));
  return inputs;
}

/// What the windows of a text have of it; `sequence` says which of a pair it is.
BERTHA_FUNCTION InputInfo input_info(std::span<const Encoding> windows, std::uint32_t sequence = 0);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION InputInfo input_info(std::span<const Encoding> windows, std::uint32_t sequence) {
  InputInfo info;
  bool first = true;
  for (const Encoding& window : windows) {
    info.n_tokens += window.size();
    info.n_unknown += window.n_unknown;
    info.truncated = info.truncated || window.truncated;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (window.special[i] || window.sequences[i] != sequence) continue;
      if (first) info.covered = window.offsets[i];
      info.covered.start = std::min(info.covered.start, window.offsets[i].start);
      info.covered.end = std::max(info.covered.end, window.offsets[i].end);
      first = false;
    }
  }
  return info;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
