// Offsets in other units than UTF-8 bytes.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What offsets count: UTF-8 bytes (C++), code points (Python, Hugging Face), UTF-16 units (JavaScript, Java, Qt).
enum class OffsetUnit : std::uint8_t { byte, code_point, utf16 };

/// Converts byte offsets into one text, which must be valid UTF-8 and outlive the converter. Made in one pass over the
/// text; a conversion then looks at no more than 64 bytes. May be used by several threads at once.
class OffsetConverter {
 public:
  /// Throws Error{input} if `unit` is none of its values.
  OffsetConverter(std::string_view text, OffsetUnit unit) : text_(text), utf16_(unit == OffsetUnit::utf16) {
    if (unit > OffsetUnit::utf16) {
      throw_error(ErrorCode::input, {"the offset unit is ", static_cast<int>(unit), ", which is none of its values"});
    }
    const auto is_ascii = [](char byte) { return static_cast<signed char>(byte) >= 0; };
    if (unit == OffsetUnit::byte || std::all_of(text.begin(), text.end(), is_ascii)) return;
    before_block_.reserve(text.size() / kBlock + 1);
    std::size_t units = 0;
    for (std::size_t block = 0; block <= text.size(); block += kBlock) {
      before_block_.push_back(units);
      units += count(block, std::min(block + kBlock, text.size()));
    }
  }

  /// The offset of the code point that starts at `byte`, or the length of the text for byte == text.size().
  std::size_t operator()(std::size_t byte) const {
    if (before_block_.empty()) return byte;
    const std::size_t block = byte / kBlock;
    return before_block_[block] + count(block * kBlock, byte);
  }

 private:
  static constexpr std::size_t kBlock = 64;

  // Every code point counts at its first byte; beyond the Basic Multilingual Plane (first byte F0 to F4) UTF-16 needs
  // two.
  std::size_t count(std::size_t begin, std::size_t end) const {
    std::size_t units = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const auto byte = static_cast<unsigned char>(text_[i]);
      units += static_cast<std::size_t>((byte & 0xC0) != 0x80) + static_cast<std::size_t>(utf16_ && byte >= 0xF0);
    }
    return units;
  }

  std::string_view text_;
  bool utf16_;
  std::vector<std::size_t> before_block_;  // units before each block of kBlock bytes; empty: offsets stay as they are
};

BERTHA_NAMESPACE_END
