// Characters that the steps of a normaliser leave as they are.
//
// Nearly all of most texts are such characters, and between two of them a text can be divided: what stands on either
// side is normalised alone.

#pragma once

#include <array>
#include <bertha/config.hpp>
#include <bertha/tokenizer/charsmap.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <bertha/tokenizer/grapheme_clusters.hpp>
#endif

BERTHA_NAMESPACE_BEGIN

/// A set of code points. A character of it stays, whatever is before it or behind it, and nothing that a step does
/// reaches over two of them that follow each other. It is a set of most of them: no code point beyond the Basic
/// Multilingual Plane is in it, and none beyond ASCII where a step is a Unicode form.
class StillCharacters {
 public:
  StillCharacters(std::span<const NormalizerStep> steps, const std::optional<Charsmap>& charsmap);

  /// What others than still characters are in: bytes [begin, end) of a text, which end between two that are still, and
  /// begin so, but at the ends of the text.
  struct Part {
    std::size_t begin;
    std::size_t end;
  };

  /// The next part of valid UTF-8 from byte `at` on, where one ended or the text begins; empty at its end.
  Part next_part(std::string_view text, std::size_t at) const {
    std::size_t end = end_of_run(text, at), begin = end;
    if (at < end && end < text.size()) begin = at + unicode::last_code_point(text.substr(at, end - at));
    while (end < text.size()) {
      end += utf8::decode(text, end).size;
      if (end == text.size() || !holds(text, end)) continue;
      end += utf8::decode(text, end).size;  // this one goes with the part
      if (end == text.size() || holds(text, end)) break;
    }
    return {begin, end};
  }

  /// True if the character that begins at byte `at` of valid UTF-8 is one.
  bool holds(std::string_view text, std::size_t at) const {
    const std::uint32_t code_point = utf8::decode(text, at).value;
    return code_point < kSize && (bits_[code_point / 64] >> code_point % 64 & 1) != 0;
  }

  /// Where the first character that is none begins in `text`, from byte `at` on; else its size.
  std::size_t end_of_run(std::string_view text, std::size_t at) const {
    while (at < text.size()) {
      const utf8::CodePoint next = utf8::decode(text, at);
      if (next.value >= kSize || (bits_[next.value / 64] >> next.value % 64 & 1) == 0) break;
      at += next.size;
    }
    return at;
  }

 private:
  static constexpr std::uint32_t kSize = 0x10000;

  void remove(std::uint32_t first, std::uint32_t last) {
    for (; first <= last && first < kSize; ++first) bits_[first / 64] &= ~(std::uint64_t{1} << first % 64);
  }

  void remove_flags(std::uint16_t flags) {
    for (std::uint32_t i = 0; i < kSize; ++i) {
      if ((unicode::properties(i).flags & flags) != 0) remove(i, i);
    }
  }

  void remove_replaced(const Charsmap& charsmap);

  std::array<std::uint64_t, kSize / 64> bits_{};
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION StillCharacters::StillCharacters(std::span<const NormalizerStep> steps,
                                                 const std::optional<Charsmap>& charsmap) {
  using Kind = NormalizerStep::Kind;
  bits_.fill(~std::uint64_t{0});
  for (const NormalizerStep& step : steps) {
    switch (step.kind) {
      case Kind::clean_text: remove_flags(unicode::kRemoved | unicode::kCleanSpace); break;
      case Kind::handle_chinese_chars: remove_flags(unicode::kChinese); break;
      case Kind::nfd:
      case Kind::nfkd:
      case Kind::nfc:
      case Kind::nfkc: remove(0x80, kSize - 1); break;
      case Kind::strip_nonspacing_marks: remove_flags(unicode::kNonspacing); break;
      case Kind::strip_marks: remove_flags(unicode::kMark); break;
      case Kind::lowercase: remove_flags(unicode::kLowers); break;
      case Kind::strip_left:
      case Kind::strip_right:
      case Kind::replace_spaces:
      case Kind::collapse_white_space: remove_flags(unicode::kWhiteSpace); break;
      case Kind::replace:
        for (std::size_t at = 0; at < step.pattern.size();) {
          const auto [code_point, size] = utf8::decode(step.pattern, at);
          remove(code_point, code_point);
          at += size;
        }
        break;
      case Kind::replace_apart: remove(0, kSize - 1); break;  // what is beside a pattern goes with it
      case Kind::charsmap:
        if (charsmap) remove_replaced(*charsmap);
        break;
    }
  }
}

// What is replaced, and what may be in one grapheme cluster with what is beside it.
BERTHA_FUNCTION void StillCharacters::remove_replaced(const Charsmap& charsmap) {
  for (const unicode::GraphemeRun& run : unicode::kGraphemeRuns) remove(run.first, run.last);
  remove(0xAC00, 0xAC00 + 11171);
  for (std::uint32_t i = 0; i < kSize;) {
    char bytes[4];
    const std::size_t size = utf8::encode(i, bytes);
    const Charsmap::Start known = charsmap.start_of({bytes, size});
    // The same goes for all characters that begin with the bytes which told.
    const std::uint32_t alike = 1u << 6 * (size - known.size);
    const std::uint32_t next = i + alike - i % alike;
    if (known.replaced) remove(i, next - 1);
    i = next;
  }
}

#endif

BERTHA_NAMESPACE_END
