// What a normaliser makes of a text, with the way back to the original bytes.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/character.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A normalised text, and for each of its bytes the original bytes that the byte's code point came from. Where nothing
/// is normalised it only refers to the original.
class NormalizedText {
 public:
  /// Memory of who makes it step by step, to be used again.
  struct Scratch {
    Characters characters, after;
  };
  Scratch scratch;

  /// Becomes empty; its memory is used again.
  void clear() {
    raw_ = {};
    size_ = 0;
  }

  /// Makes room for `n` bytes more. Throws std::bad_alloc, and then there is as much room as before.
  void reserve(std::size_t n) {
    if (size_ + n <= bytes_.size()) return;
    const std::size_t room = std::max(size_ + n, 2 * size_);
    origins_.resize(room);
    bytes_.resize(room);  // last, as its size is what says that there is room
  }

  /// Becomes valid UTF-8 as it is, whose first byte is byte `base` of the original; `text` must live as long.
  void refer_to(std::string_view text, std::uint32_t base) {
    clear();
    raw_ = text;
    base_ = base;
  }

  /// Appends a code point that came from `origin`. Not after `refer_to`.
  void append(std::uint32_t code_point, Span origin) {
    constexpr std::size_t kMost = 4;  // bytes, each of which gets an origin; those behind the last one don't count
    reserve(kMost);
    Span* const origins = origins_.data() + size_;
    for (std::size_t i = 0; i < kMost; ++i) origins[i] = origin;
    size_ += utf8::encode(code_point, bytes_.data() + size_);
  }

  /// Appends valid UTF-8 as it is, whose first byte is byte `base` of the original. Not after `refer_to`.
  void append(std::string_view text, std::uint32_t base) {
    reserve(text.size());
    Span* const origins = origins_.data() + size_;
    for (std::uint32_t at = 0; at < text.size();) {
      const std::uint32_t begin = at;
      for (++at; at < text.size() && utf8::is_continuation(text[at]);) ++at;
      for (std::uint32_t i = begin; i < at; ++i) origins[i] = {base + begin, base + at};
    }
    std::copy(text.begin(), text.end(), bytes_.data() + size_);
    size_ += text.size();
  }

  /// Valid UTF-8.
  std::string_view text() const { return raw_.empty() ? std::string_view(bytes_.data(), size_) : raw_; }

  /// The original bytes of a part of the text that is not empty: those of all code points that it has a byte of.
  Span origin(std::size_t begin, std::size_t end) const {
    if (raw_.empty()) return {origins_[begin].start, origins_[end - 1].end};
    while (utf8::is_continuation(raw_[begin])) --begin;
    while (end < raw_.size() && utf8::is_continuation(raw_[end])) ++end;
    return {base_ + static_cast<std::uint32_t>(begin), base_ + static_cast<std::uint32_t>(end)};
  }

 private:
  std::string_view raw_;  // the text, if it is the original as it is; else empty: bytes_ has it
  std::uint32_t base_ = 0;
  std::size_t size_ = 0;  // of the text, behind which there may be room
  std::string bytes_;
  std::vector<Span> origins_;  // for each of `bytes_`
};

BERTHA_NAMESPACE_END
