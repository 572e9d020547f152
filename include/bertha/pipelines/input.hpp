// What the pipelines take: texts and pairs of texts, one or many.

#pragma once

#include <bertha/model.hpp>
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

  std::string_view text;
  std::optional<std::string_view> text_pair;
};

/// A range of things that are each a text or a pair: std::vector<std::string>, a view of string literals, ...
template <class R, class Input = TextInput>
concept InputRange = std::ranges::input_range<R> && !std::convertible_to<R, Input> &&
                     std::convertible_to<std::ranges::range_reference_t<R>, Input>;

namespace detail {

/// The elements of a range as views. A range that makes its elements as it goes must give views, not strings.
template <class Input, class R>
std::vector<Input> gather(R&& range) {
  using Reference = std::ranges::range_reference_t<R>;
  static_assert(std::is_lvalue_reference_v<Reference> || std::same_as<std::remove_cvref_t<Reference>, Input> ||
                    std::is_trivially_copyable_v<std::remove_cvref_t<Reference>>,
                "the range makes temporary strings, which would be gone before they are read: store them first");
  std::vector<Input> inputs;
  for (auto&& element : range) inputs.push_back(Input(element));
  return inputs;
}

/// The order of results: higher scores first. NaN, which only a damaged model can give, comes last.
inline bool ranks_before(float a, float b) { return a > b || (std::isnan(b) && !std::isnan(a)); }

/// Counts and the covered range of one encoding of a text (of its sequence `sequence`).
inline InputInfo describe(const Encoding& encoding, std::uint32_t sequence = 0) {
  InputInfo info{encoding.size(), encoding.n_unknown, encoding.truncated, {}};
  bool first = true;
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special[i] || encoding.sequences[i] != sequence) continue;
    if (first) info.covered = encoding.offsets[i];
    info.covered.start = std::min(info.covered.start, encoding.offsets[i].start);
    info.covered.end = std::max(info.covered.end, encoding.offsets[i].end);
    first = false;
  }
  return info;
}

}  // namespace detail

BERTHA_NAMESPACE_END
