// UTF-8 by hand: decoding, validation and replacement as Python does them, whatever the C library's locale says.

#pragma once

#include <algorithm>
#include <array>
#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace utf8 {

/// A code point and the number of bytes that it takes.
struct CodePoint {
  std::uint32_t value;
  std::uint32_t size;
};

/// The code point at `text[at]`, which must be the first byte of one in valid UTF-8. Most callers are loops over texts.
[[gnu::always_inline]] inline CodePoint decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(text[at + i])}; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// Writes `code_point` to `to`, which has room for 4 bytes, and returns the number of bytes written.
inline std::size_t encode(std::uint32_t code_point, char* to) {
  const auto put = [&](std::size_t i, std::uint32_t bits) { to[i] = static_cast<char>(bits); };
  if (code_point < 0x80) {
    put(0, code_point);
    return 1;
  }
  if (code_point < 0x800) {
    put(0, 0xC0 | code_point >> 6);
    put(1, 0x80 | (code_point & 0x3F));
    return 2;
  }
  if (code_point < 0x10000) {
    put(0, 0xE0 | code_point >> 12);
    put(1, 0x80 | (code_point >> 6 & 0x3F));
    put(2, 0x80 | (code_point & 0x3F));
    return 3;
  }
  put(0, 0xF0 | code_point >> 18);
  put(1, 0x80 | (code_point >> 12 & 0x3F));
  put(2, 0x80 | (code_point >> 6 & 0x3F));
  put(3, 0x80 | (code_point & 0x3F));
  return 4;
}

/// True for a byte that goes on with a code point rather than starting one.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The number of code points of valid UTF-8.
inline std::size_t count(std::string_view text) {
  std::size_t n = 0;
  for (const char byte : text) n += static_cast<std::size_t>(!is_continuation(byte));
  return n;
}

/// What stands at one place of a byte string: a well-formed code point, or the longest start of one (at least a byte).
struct Unit {
  std::size_t size;
  bool valid;
};

/// Looks at `text[at]`, at < text.size(). Ill-formed bytes are cut as the Unicode standard recommends (table 3-7,
/// "maximal subparts") and CPython's decoder does.
inline Unit unit_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  // The second byte alone tells overlong forms, surrogates and numbers above U+10FFFF.
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (text.size() - at < 2 || byte(1) < low || byte(1) > high) return {1, false};
  for (std::size_t i = 2; i < size; ++i) {
    if (at + i == text.size() || !is_continuation(text[at + i])) return {i, false};
  }
  return {size, true};
}

/// What bytes make of UTF-8: an automaton of nine states. A step is a load that waits for nothing and a shift, whatever
/// comes: there is no branch to foresee.
namespace automaton {

/// How many bytes are lacking, and which the next may be.
enum State : std::uint8_t { kWhole, kOneMore, kTwoMore, kThreeMore, kAfterE0, kAfterED, kAfterF0, kAfterF4, kWrong };
constexpr unsigned kStateBits = 6;

/// The state behind one more byte.
constexpr State next(State state, unsigned byte) {
  const bool goes_on = (byte & 0xC0) == 0x80;
  switch (state) {
    case kWhole:
      if (byte < 0x80) return kWhole;
      if (byte < 0xC2 || byte > 0xF4) return kWrong;
      if (byte < 0xE0) return kOneMore;
      if (byte < 0xF0) return byte == 0xE0 ? kAfterE0 : byte == 0xED ? kAfterED : kTwoMore;
      return byte == 0xF0 ? kAfterF0 : byte == 0xF4 ? kAfterF4 : kThreeMore;
    case kOneMore: return goes_on ? kWhole : kWrong;
    case kTwoMore: return goes_on ? kOneMore : kWrong;
    case kThreeMore: return goes_on ? kTwoMore : kWrong;
    case kAfterE0: return goes_on && byte >= 0xA0 ? kOneMore : kWrong;
    case kAfterED: return goes_on && byte < 0xA0 ? kOneMore : kWrong;
    case kAfterF0: return goes_on && byte >= 0x90 ? kTwoMore : kWrong;
    case kAfterF4: return goes_on && byte < 0x90 ? kTwoMore : kWrong;
    case kWrong: break;
  }
  return kWrong;
}

/// Of each byte: kStateBits times the next state, at bit kStateBits times the state.
inline constexpr std::array<std::uint64_t, 256> kRows = [] {
  std::array<std::uint64_t, 256> rows{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (unsigned state = kWhole; state <= kWrong; ++state) {
      const std::uint64_t place = kStateBits * next(static_cast<State>(state), byte);
      rows[byte] |= place << kStateBits * state;
    }
  }
  return rows;
}();

}  // namespace automaton

/// True for valid UTF-8.
inline bool is_valid(std::string_view text) {
  // Two halves at once, as a step waits for the one before it.
  std::size_t half = text.size() / 2;
  while (half < text.size() && is_continuation(text[half])) ++half;
  std::uint64_t states[2] = {automaton::kWhole, automaton::kWhole};
  const char* const halves[2] = {text.data(), text.data() + half};
  const auto step = [&](int which, std::size_t at) {
    states[which] = automaton::kRows[static_cast<unsigned char>(halves[which][at])] >> (states[which] & 63);
  };
  constexpr std::size_t kBlock = 16;
  std::size_t at = 0;
  for (const std::size_t both = std::min(half, text.size() - half); both - at >= kBlock; at += kBlock) {
    std::uint64_t bits[4];
    std::memcpy(bits, halves[0] + at, kBlock);
    std::memcpy(bits + 2, halves[1] + at, kBlock);
    const std::uint64_t is_whole = static_cast<std::uint64_t>(((states[0] | states[1]) & 63) == automaton::kWhole);
    if (is_whole != 0 && ((bits[0] | bits[1] | bits[2] | bits[3]) & 0x8080808080808080u) == 0) continue;
    for (std::size_t i = at; i < at + kBlock; ++i) {
      step(0, i);
      step(1, i);
    }
  }
  for (std::size_t i = at; i < half; ++i) step(0, i);
  for (std::size_t i = at; i < text.size() - half; ++i) step(1, i);
  return ((states[0] | states[1]) & 63) == automaton::kWhole;
}

/// The position of the first byte that is not UTF-8, or npos.
inline std::size_t find_invalid(std::string_view text) {
  if (is_valid(text)) return std::string_view::npos;
  std::size_t at = 0;
  for (Unit unit{0, true}; (unit = unit_at(text, at)).valid;) at += unit.size;
  return at;
}

}  // namespace utf8

/// A copy of `text` with every ill-formed part replaced by U+FFFD: Python's `bytes.decode(errors="replace")`.
/// Offsets of an encoding made from it refer to the copy.
inline std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Unit unit = utf8::unit_at(text, at);
    result += unit.valid ? text.substr(at, unit.size) : std::string_view("\xEF\xBF\xBD");
    at += unit.size;
  }
  return result;
}

/// Throws Error{input} with the position of the first byte that is not UTF-8. `name` is what the message calls the
/// text, if anything.
inline void require_utf8(std::string_view text, std::string_view name = "text") {
  const std::size_t at = utf8::find_invalid(text);
  if (at == std::string_view::npos) return;
  constexpr char kDigits[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(text[at]);
  const char digits[] = {kDigits[byte >> 4], kDigits[byte & 15]};
  throw_error(ErrorCode::input, {name, name.empty() ? "" : ": ", "byte ", at, " (0x", std::string_view(digits, 2),
                                 ") is not UTF-8; convert the text, or replace such bytes by replace_invalid_utf8"});
}

BERTHA_NAMESPACE_END
