// The byte level: a character for each byte, splitting text into words by GPT-2's or Llama 3's pattern, and joining
// tokens again.
//
// Equals `pre_tokenizers.ByteLevel`, `pre_tokenizers.Split` with the pattern of Llama 3's tokenizer.json, and
// `decoders.ByteLevel` of tokenizers 0.23.3 (tokenizers/src/pre_tokenizers/byte_level.rs).

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

namespace detail {

/// Valid UTF-8, whose characters are of four classes.
class ClassedText {
 public:
  enum Class : std::uint8_t { kLetter, kNumber, kSpace, kOther, kNotAscii };

  explicit ClassedText(std::string_view text) : text_(text) {}

  /// The class of the character at byte `at`, whose size `size` is then.
  Class class_at(std::size_t at) {
    const Class ascii = kClasses[static_cast<unsigned char>(text_[at])];
    size = 1;
    if (ascii != kNotAscii) return ascii;
    const utf8::CodePoint next = utf8::decode(text_, at);
    const std::uint16_t flags = unicode::properties(next.value).flags;
    size = next.size;
    if ((flags & unicode::kLetter) != 0) return kLetter;
    if ((flags & unicode::kNumber) != 0) return kNumber;
    return (flags & unicode::kWhiteSpace) != 0 ? kSpace : kOther;
  }

  /// Whether a character of a class is at byte `at`, which may be the end of the text.
  bool is(std::size_t at, Class of) { return at < text_.size() && class_at(at) == of; }

  /// The end of the run of a class that goes on at byte `at`, or after `most` characters.
  std::size_t run_end(std::size_t at, Class of, std::size_t most = std::string_view::npos) {
    for (; most > 0 && is(at, of); --most) at += size;
    return at;
  }

  std::size_t size = 0;

 private:
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

  std::string_view text_;
};

/// The bytes of an English ending that `text` begins with: an apostrophe and s, t, m, d, re, ve or ll; 0 without one.
/// `lower` makes small letters of characters where large ones are meant too.
template <class Lower>
std::size_t english_ending(std::string_view text, const Lower& lower) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const char next = lower(text[1]), last = text.size() > 2 ? lower(text[2]) : '\0';
  if (next == 's' || next == 't' || next == 'm' || next == 'd') return 2;
  return ((next == 'r' || next == 'v') && last == 'e') || (next == 'l' && last == 'l') ? 3 : 0;
}

}  // namespace detail

/// Calls `word(begin, end, with_space)` for each word of valid UTF-8 by GPT-2's pattern: English endings after an
/// apostrophe ('s 't 're 've 'm 'll 'd), runs of letters, of numbers, and of other characters, each with the one space
/// before it, and white space that is left. With `space_before`, the first word begins with a space that is not in the
/// text, which must not be empty; `with_space` says so, and the word may have nothing else.
template <class Word>
void split_byte_level(std::string_view text, bool space_before, Word&& word) {
  using detail::ClassedText;
  ClassedText classed(text);
  for (std::size_t at = 0; at < text.size(); space_before = false) {
    const std::size_t begin = at;
    if (!space_before && text[at] == '\'') {
      at += detail::english_ending(text.substr(at, 3), [](char letter) { return letter; });
      if (at > begin) {
        word(begin, at, false);
        continue;
      }
    }
    if (!space_before && text[at] == ' ' && at + 1 < text.size() && classed.class_at(at + 1) != ClassedText::kSpace)
      ++at;
    const auto of = classed.class_at(at);
    at = classed.run_end(at + classed.size, of);
    // The last of several white spaces belongs to the word behind it, or is one itself.
    if (of == ClassedText::kSpace && at < text.size()) {
      const std::size_t last = unicode::last_code_point(text.substr(0, at));
      if (last > begin || space_before) at = last;
    }
    word(begin, at, space_before);
  }
}

/// Calls `word(begin, end)` for each word of valid UTF-8 by Llama 3's pattern: English endings, large letters too; runs
/// of letters with the one character before them that is none of a line's end, a letter or a number; up to three
/// numbers; runs of other characters with the space before and the line ends behind them; white space up to its last
/// line end; white space that is left, but for the last of it where a word follows.
template <class Word>
void split_llama_3(std::string_view text, Word&& word) {
  using detail::ClassedText;
  ClassedText classed(text);
  const auto is_line_end = [&](std::size_t at) { return at < text.size() && (text[at] == '\r' || text[at] == '\n'); };
  const auto lower = [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 32) : letter;
  };
  for (std::size_t at = 0, begin = 0; at < text.size(); begin = at) {
    const auto of = classed.class_at(at);
    const std::size_t next = at + classed.size;
    if (const std::size_t ending = detail::english_ending(text.substr(at, 3), lower); ending > 0) {
      at += ending;
    } else if (text.substr(at).starts_with("'\u017F")) {
      at = next + 2;  // the long s, which is a small letter of S too
    } else if (of == ClassedText::kLetter ||
               (of != ClassedText::kNumber && !is_line_end(at) && classed.is(next, ClassedText::kLetter))) {
      at = classed.run_end(next, ClassedText::kLetter);
    } else if (of == ClassedText::kNumber) {
      at = classed.run_end(next, of, 2);
    } else if (of == ClassedText::kOther || (text[at] == ' ' && classed.is(next, ClassedText::kOther))) {
      for (at = classed.run_end(next, ClassedText::kOther); is_line_end(at);) ++at;
    } else {
      at = classed.run_end(next, ClassedText::kSpace);
      const std::size_t line_end = text.substr(begin, at - begin).find_last_of("\r\n");
      const std::size_t last = unicode::last_code_point(text.substr(0, at));
      if (line_end != text.npos)
        at = begin + line_end + 1;
      else if (at < text.size() && last > begin)
        at = last;
    }
    word(begin, at);
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
