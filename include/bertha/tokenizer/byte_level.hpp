// The byte level: a character for each byte, splitting text into words by GPT-2's pattern, and joining tokens again.
//
// Equals `pre_tokenizers.ByteLevel` and `decoders.ByteLevel` of tokenizers 0.23.3
// (tokenizers/src/pre_tokenizers/byte_level.rs).

#pragma once

#include <array>
#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// The byte alphabet: printable Latin-1 characters stand for themselves, those from U+0100 on for the other bytes.
namespace byte_alphabet {

inline constexpr std::array<std::uint16_t, 256> kCharacters = [] {
  std::array<std::uint16_t, 256> characters{};
  std::uint16_t next = 0x100;
  for (std::uint16_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}();

inline constexpr std::uint32_t kSpace = kCharacters[' '];

/// The byte that a character stands for, or -1.
inline int byte_of(std::uint32_t character) {
  static constexpr auto kBytes = [] {
    std::array<std::int16_t, 0x144> of{};
    of.fill(-1);
    for (std::int16_t byte = 0; byte < 256; ++byte) of[kCharacters[static_cast<std::size_t>(byte)]] = byte;
    return of;
  }();
  return character < kBytes.size() ? kBytes[character] : -1;
}

/// Appends the bytes that `token` stands for and returns true, or returns false where it has another character.
inline bool append_bytes(std::string_view token, std::string& bytes) {
  const std::size_t size = bytes.size();
  for (std::size_t at = 0; at < token.size();) {
    const utf8::CodePoint next = utf8::decode(token, at);
    const int byte = byte_of(next.value);
    if (byte < 0) {
      bytes.resize(size);
      return false;
    }
    bytes += static_cast<char>(byte);
    at += next.size;
  }
  return true;
}

}  // namespace byte_alphabet

/// Calls `word(begin, end, with_space)` for each word of valid UTF-8 by GPT-2's pattern: English endings after an
/// apostrophe ('s 't 're 've 'm 'll 'd), runs of letters, of numbers, and of other characters, each with the one space
/// before it, and white space that is left. With `space_before`, the first word begins with a space that is not in the
/// text, which must not be empty; `with_space` says so, and the word may have nothing else.
template <class Word>
void split_byte_level(std::string_view text, bool space_before, Word&& word) {
  enum Class : std::uint8_t { kLetter, kNumber, kSpace, kOther, kNotAscii };
  static constexpr std::array<Class, 256> kClasses = [] {
    std::array<Class, 256> classes{};
    for (std::size_t i = 0; i < 256; ++i) {
      const bool letter = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
      const bool space = i == ' ' || (i >= '\t' && i <= '\r');
      const bool number = i >= '0' && i <= '9';
      classes[i] = i >= 0x80 ? kNotAscii : letter ? kLetter : number ? kNumber : space ? kSpace : kOther;
    }
    return classes;
  }();
  std::size_t size = 0;  // of the code point that class_at looked at
  const auto class_at = [&](std::size_t at) {
    const Class ascii = kClasses[static_cast<unsigned char>(text[at])];
    size = 1;
    if (ascii != kNotAscii) return ascii;
    const utf8::CodePoint next = utf8::decode(text, at);
    const std::uint16_t flags = unicode::properties(next.value).flags;
    size = next.size;
    if ((flags & unicode::kLetter) != 0) return kLetter;
    if ((flags & unicode::kNumber) != 0) return kNumber;
    return (flags & unicode::kWhiteSpace) != 0 ? kSpace : kOther;
  };
  // The end of the run that goes on at `at`.
  const auto run_end = [&](std::size_t at, Class of) {
    while (at < text.size() && class_at(at) == of) at += size;
    return at;
  };
  for (std::size_t at = 0; at < text.size(); space_before = false) {
    const std::size_t begin = at;
    if (!space_before && text[at] == '\'') {
      const char next = at + 1 < text.size() ? text[at + 1] : '\0';
      const std::string_view three = text.substr(at, 3);
      if (next == 's' || next == 't' || next == 'm' || next == 'd') {
        at += 2;
      } else if (three == "'re" || three == "'ve" || three == "'ll") {
        at += 3;
      }
      if (at > begin) {
        word(begin, at, false);
        continue;
      }
    }
    if (!space_before && text[at] == ' ' && at + 1 < text.size() && class_at(at + 1) != kSpace) ++at;
    const Class of = class_at(at);
    at = run_end(at + size, of);
    // The last of several white spaces belongs to the word behind it, or is one itself.
    if (of == kSpace && at < text.size()) {
      const std::size_t last = unicode::last_code_point(text.substr(0, at));
      if (last > begin || space_before) at = last;
    }
    word(begin, at, space_before);
  }
}

/// Joins tokens as the byte-level decoder does (Hugging Face's `convert_tokens_to_string`): the bytes that they stand
/// for, ill-formed parts replaced by U+FFFD. A token with a character of no byte stands for its own UTF-8.
inline std::string decode_byte_level(std::span<const std::string_view> tokens) {
  std::string bytes;
  for (const std::string_view token : tokens) {
    if (!byte_alphabet::append_bytes(token, bytes)) bytes += token;
  }
  return replace_invalid_utf8(bytes);
}

BERTHA_NAMESPACE_END
