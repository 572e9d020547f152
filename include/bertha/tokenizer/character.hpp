// A code point of a text that is being normalised.

#pragma once

#include <bertha/tokenizer/encoding.hpp>
#include <cstdint>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A code point, and the original bytes that it came from.
struct Character {
  std::uint32_t code_point;
  Span origin;
};

/// A text in the making.
using Characters = std::vector<Character>;

BERTHA_NAMESPACE_END
