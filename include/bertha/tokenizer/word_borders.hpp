// Characters that end a word of WordPiece and are not ASCII.

#pragma once

#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/wordpiece.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Finds them in what AsciiParts gives, and remembers what it has learnt of each character. Belongs to one tokenizer
/// and one thread.
class WordBorders {
 public:
  /// Bytes [from, to) of a text without a border, if there are any, and the border behind them, which ends at `end`.
  struct Piece {
    std::uint32_t from, to, end;
    bool has_other;                      ///< characters than ASCII letters and digits
    std::optional<std::uint32_t> token;  ///< of the border, if it is a word of its own: an ideograph, punctuation
  };

  /// The piece that begins at byte `at` of a text. `token_of(word)` gives the token of a word that is one character.
  template <class TokenOf>
  Piece find(std::string_view text, std::uint32_t at, const BertNormalizer::Options& options, TokenOf&& token_of) {
    const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto skip_letters = [&] {
      if (at < text.size() && byte_at(at) < 0x80) at = static_cast<std::uint32_t>(end_of_ascii_word(text, at));
    };
    const auto size = static_cast<std::uint32_t>(text.size());
    Piece piece{at, size, size, false, {}};
    for (skip_letters(); at < size; skip_letters()) {
      const utf8::CodePoint next = utf8::decode(text, at);
      const std::uint32_t border = border_at(next.value, options, token_of);
      if (border != kPart) {
        piece.to = at;
        piece.end = at + next.size;
        if (border >= kWord) piece.token = border - kWord;
        break;
      }
      piece.has_other = true;
      at += next.size;
      while (at < size && byte_at(at) >= 0xC2 && byte_at(at) < 0xE0 &&  // letters of two bytes come together
             borders_[(byte_at(at) & 0x1Fu) << 6 | (byte_at(at + 1) & 0x3Fu)] == kPart) {
        at += 2;
      }
    }
    return piece;
  }

 private:
  // What a character is to words, or, from kWord on, the token that it is as a word of its own.
  enum Border : std::uint32_t { kUnseen, kPart, kSpace, kWord };

  static constexpr std::uint32_t kKept = 0x10000;  // code points whose border is kept

  // kPart of what the normaliser changes or moves, but for spaces.
  template <class TokenOf>
  std::uint32_t border_at(std::uint32_t code_point, const BertNormalizer::Options& options, TokenOf& token_of) {
    if (code_point >= kKept) return kPart;
    std::uint32_t& border = borders_[code_point];
    if (border == kUnseen) border = find_border(code_point, options, token_of);
    return border;
  }

  template <class TokenOf>
  static std::uint32_t find_border(std::uint32_t code_point, const BertNormalizer::Options& options,
                                   TokenOf& token_of) {
    using namespace unicode;
    if (code_point > ' ' && code_point < 0x7F) return kPart;  // AsciiParts has cut there
    const Properties its = properties(code_point);
    if (its.combining != 0 || (its.flags & (kDecomposes | kNonspacing | kLowers)) != 0) return kPart;
    if (options.clean_text && (its.flags & kRemoved) != 0) return kPart;
    if ((its.flags & kWhiteSpace) != 0 || (options.clean_text && (its.flags & kCleanSpace) != 0)) return kSpace;
    const bool is_chinese = options.handle_chinese_chars && (its.flags & kChinese) != 0;
    if (!is_chinese && (its.flags & kPunctuation) == 0) return kPart;
    char bytes[4];
    return kWord + token_of(std::string_view(bytes, utf8::encode(code_point, bytes)));
  }

  std::vector<std::uint32_t> borders_ = std::vector<std::uint32_t>(kKept);  // by code point
};

BERTHA_NAMESPACE_END
