// Look-ups in the generated Unicode tables.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/unicode_tables.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace unicode {

inline constexpr std::uint32_t kCapitalSigma = 0x3A3;
inline constexpr std::uint32_t kFinalSigma = 0x3C2;
inline constexpr std::uint32_t kCapitalIWithDot = 0x130;  // the one code point whose lower case is two
inline constexpr std::uint32_t kDotAbove = 0x307;

/// The properties of a code point below 0x110000.
inline Properties properties(std::uint32_t code_point) {
  return kRecords[kRecordOf[kBlocks[code_point / kBlock] * kBlock + code_point % kBlock]];
}

/// The lower case of a code point that lower-cases; U+0130 gives `i`, which U+0307 must follow.
inline std::uint32_t lower(std::uint32_t code_point) {
  if (code_point <= 'Z') return code_point + ('a' - 'A');
  if (code_point == kCapitalIWithDot) return 'i';
  const auto* run = std::upper_bound(std::begin(kLower), std::end(kLower), code_point,
                                     [](std::uint32_t value, const CaseRun& r) { return value < r.first; });
  --run;  // the code point lower-cases, so a run holds it
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(code_point) + run->delta);
}

/// The full canonical decomposition of a code point that decomposes. Hangul syllables are computed, into `hangul`.
inline std::span<const std::uint32_t> decompose(std::uint32_t code_point, std::uint32_t (&hangul)[3]) {
  constexpr std::uint32_t kFirst = 0xAC00, kSyllables = 11172, kVowels = 21, kTrails = 28;
  if (code_point >= kFirst && code_point < kFirst + kSyllables) {
    const std::uint32_t syllable = code_point - kFirst;
    hangul[0] = 0x1100 + syllable / (kVowels * kTrails);
    hangul[1] = 0x1161 + syllable % (kVowels * kTrails) / kTrails;
    hangul[2] = 0x11A7 + syllable % kTrails;
    return {hangul, syllable % kTrails == 0 ? 2u : 3u};
  }
  const auto* found = std::lower_bound(std::begin(kDecomposed), std::end(kDecomposed), code_point);
  const auto i = static_cast<std::size_t>(found - std::begin(kDecomposed));
  return {kDecompositions + kDecompositionStart[i], kDecompositions + kDecompositionStart[i + 1]};
}

/// True if the first code point of `text` is one of `flag`; false for an empty text.
inline bool starts_with(std::string_view text, std::uint16_t flag) {
  return !text.empty() && (properties(utf8::decode(text, 0).value).flags & flag) != 0;
}

/// The first byte of the last code point of a text that is not empty.
inline std::size_t last_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (utf8::is_continuation(text[at])) --at;
  return at;
}

/// True if the last code point of `text` is one of `flag`; false for an empty text.
inline bool ends_with(std::string_view text, std::uint16_t flag) {
  return !text.empty() && starts_with(text.substr(last_code_point(text)), flag);
}

}  // namespace unicode

/// Python's `str.lower()` (CPython, the version named in unicode_tables.hpp) of valid UTF-8. A capital sigma becomes
/// the final one where a cased letter is before it and none behind it, ignorable code points skipped.
inline std::string python_lower(std::string_view text) {
  using namespace unicode;
  const auto is_final_sigma = [&](std::size_t begin, std::size_t end) {
    std::string_view before = text.substr(0, begin), after = text.substr(end);
    while (ends_with(before, kPythonIgnorable)) before = before.substr(0, last_code_point(before));
    while (starts_with(after, kPythonIgnorable)) after.remove_prefix(utf8::decode(after, 0).size);
    return ends_with(before, kPythonCased) && !starts_with(after, kPythonCased);
  };
  std::string result;
  result.reserve(text.size());
  const auto append = [&](std::uint32_t code_point) {
    char bytes[4];
    result.append(bytes, utf8::encode(code_point, bytes));
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto [code_point, size] = utf8::decode(text, at);
    if ((properties(code_point).flags & kPythonLowers) == 0) {
      result += text.substr(at, size);
    } else if (code_point == kCapitalSigma && is_final_sigma(at, at + size)) {
      append(kFinalSigma);
    } else {
      append(lower(code_point));
      if (code_point == kCapitalIWithDot) append(kDotAbove);
    }
    at += size;
  }
  return result;
}

BERTHA_NAMESPACE_END
