// What a normaliser makes of a text, with the way back to the original bytes.

#pragma once

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
  /// Becomes empty; its memory is used again.
  void clear() {
    raw_ = {};
    bytes_.clear();
    origins_.clear();
  }

  /// Makes room for `n` bytes.
  void reserve(std::size_t n) {
    bytes_.reserve(n);
    origins_.reserve(n);
  }

  /// Becomes valid UTF-8 as it is, whose first byte is byte `base` of the original; `text` must live as long.
  void refer_to(std::string_view text, std::uint32_t base) {
    clear();
    raw_ = text;
    base_ = base;
  }

  /// Appends a code point that came from `origin`. Not after `refer_to`.
  void append(std::uint32_t code_point, Span origin) {
    char bytes[4];
    const std::size_t size = utf8::encode(code_point, bytes);
    bytes_.append(bytes, size);
    for (std::size_t i = 0; i < size; ++i) origins_.push_back(origin);
  }

  /// Appends valid UTF-8 as it is, whose first byte is byte `base` of the original. Not after `refer_to`.
  void append(std::string_view text, std::uint32_t base) {
    bytes_ += text;
    const std::size_t before = origins_.size();
    origins_.resize(before + text.size());
    Span* const origins = origins_.data() + before;
    for (std::uint32_t at = 0; at < text.size();) {
      const std::uint32_t begin = at;
      for (++at; at < text.size() && utf8::is_continuation(text[at]);) ++at;
      for (std::uint32_t i = begin; i < at; ++i) origins[i] = {base + begin, base + at};
    }
  }

  /// Valid UTF-8.
  std::string_view text() const { return raw_.empty() ? std::string_view(bytes_) : raw_; }

  /// The original bytes of a part of the text that is not empty: those of all code points that it has a byte of.
  Span origin(std::size_t begin, std::size_t end) const {
    if (raw_.empty()) return {origins_[begin].start, origins_[end - 1].end};
    while (utf8::is_continuation(raw_[begin])) --begin;
    while (end < raw_.size() && utf8::is_continuation(raw_[end])) ++end;
    return {base_ + static_cast<std::uint32_t>(begin), base_ + static_cast<std::uint32_t>(end)};
  }

 private:
  std::string_view raw_;  // the text, if it is the original as it is; else empty: bytes_ is it
  std::uint32_t base_ = 0;
  std::string bytes_;
  std::vector<Span> origins_;  // for each of `bytes_`
};

BERTHA_NAMESPACE_END
