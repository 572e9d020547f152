// What entities are looked for in.

#pragma once

#include <bertha/pipelines/split_text.hpp>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// A text, which may be cut into words already: each word is tokenised alone then (Hugging Face's is_split_into_words).
/// A view: what it is made of must outlive the call.
struct EntityInput {
  template <std::convertible_to<std::string_view> T>
  EntityInput(const T& t) : text(t) {}  // implicit: a plain string is a text
  EntityInput(const SplitText& split) : text(split.text), words(split.words) {}
  EntityInput(std::string_view t, std::span<const Span> w) : text(t), words(w) {}

  std::size_t size() const { return text.size(); }

  std::string_view text;
  std::optional<std::span<const Span>> words;  ///< bytes of the text, in order
};

BERTHA_NAMESPACE_END
