// A text that somebody has cut into words already, as corpora for entities are.

#pragma once

#include <bertha/error.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Words, and the text that they make with a delimiter between them. Offsets of entities are places in that text.
struct SplitText {
  /// Throws Error{input} when the text is longer than offsets count.
  template <std::ranges::input_range R>
  requires std::convertible_to<std::ranges::range_reference_t<R>, std::string_view>
  explicit SplitText(R&& range, std::string_view delimiter = " ") {
    for (auto&& word : range) add(word, delimiter);
  }

  std::string text;
  std::vector<Span> words;  ///< bytes of `text`

 private:
  void add(std::string_view word, std::string_view delimiter) {
    constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
    const std::size_t bytes = text.size() + (words.empty() ? 0 : delimiter.size()) + word.size();
    if (bytes > kMost)
      throw_error(ErrorCode::input, {"the words have ", bytes, " bytes and more, and offsets count to ", kMost});
    if (!words.empty()) text += delimiter;
    const std::size_t start = text.size();
    text += word;
    words.push_back({static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(text.size())});
  }
};

BERTHA_NAMESPACE_END
