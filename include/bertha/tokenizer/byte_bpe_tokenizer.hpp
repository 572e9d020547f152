// Raw text to byte-level BPE tokens: split into words by GPT-2's pattern, and those into tokens, with offsets.
//
// Equals `pre_tokenizers.ByteLevel` with `models.BPE`, and the offsets of `processors.RobertaProcessing` (tokenizers
// 0.23.3, tokenizers/src/pre_tokenizers/byte_level.rs: process_offsets). A token that holds a part of a character has
// that character's whole range. Trimming counts the token's spaces, and takes as many characters off its range.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/tokenizer/byte_bpe.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// GPT-2's parts of a tokenizer, but for added tokens. Immutable but for marks: several threads may use one at once.
class ByteBpeTokenizer {
 public:
  /// Throws Error{vocabulary} if the vocabulary and the merges contradict each other.
  ByteBpeTokenizer(const ByteBpeOptions& options, Vocabulary vocabulary, std::span<const std::uint32_t> merges,
                   std::uint32_t unknown)
      : options_(options), bpe_(std::move(vocabulary), merges, unknown) {}

  const Vocabulary& vocabulary() const { return bpe_.vocabulary(); }

  /// Valid UTF-8 as added tokens that are looked for in normalised text see it: there is no normaliser.
  std::string normalize(std::string_view text) const { return std::string(text); }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const { return decode_byte_level(tokens); }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    Run(const ByteBpeTokenizer& tokenizer, std::string_view text) : its_(tokenizer), text_(text) {}

    /// Appends an added token that was found at `origin`, white space that it took included.
    void added_token(std::uint32_t id, Span origin) {
      std::string_view rest = text_.substr(origin.start, origin.end - origin.start);
      std::size_t leading = 0, trailing = 0;
      for (std::string_view left = rest; is_space_at(left, 0); ++leading)
        left.remove_prefix(utf8::decode(left, 0).size);
      for (; !rest.empty() && is_space_at(rest, unicode::last_code_point(rest)); ++trailing) {
        rest = rest.substr(0, unicode::last_code_point(rest));
      }
      push(id, origin, leading, trailing);
      ++word_;
    }

    /// Appends the tokens of bytes [from, to) of the text, which are not none.
    void plain(std::size_t from, std::size_t to) {
      const std::string_view part = text_.substr(from, to - from);
      const bool space_before = its_.options_.add_prefix_space && part[0] != ' ';
      split_byte_level(part, space_before, [&](std::size_t begin, std::size_t end, bool with_space) {
        if (with_space) {
          word_with_space(from, part.substr(begin, end - begin));
        } else {
          const std::string_view word = part.substr(begin, end - begin);
          its_.bpe_(word, scratch_, [&](std::uint32_t id, std::size_t first, std::size_t last) {
            const auto [leading, trailing] = spaces(word, first, last);
            push(id, characters(from + begin + first, from + begin + last), leading, trailing);
          });
        }
        ++word_;
      });
    }

    /// Bytes [begin, end) of the text, until the next call.
    std::string_view normalize(std::size_t begin, std::size_t end) {
      base_ = begin;
      return text_.substr(begin, end - begin);
    }

    /// The original bytes of a part of what `normalize` gave.
    Span origin(std::size_t begin, std::size_t end) const {
      return {static_cast<std::uint32_t>(base_ + begin), static_cast<std::uint32_t>(base_ + end)};
    }

    /// Appends the tokens of a part of what `normalize` gave.
    void normalized(std::size_t from, std::size_t to) { plain(base_ + from, base_ + to); }

    TokenSequence& tokens() { return tokens_; }

   private:
    static bool is_space_at(std::string_view text, std::size_t at) {
      if (at >= text.size()) return false;
      const std::uint32_t character = utf8::decode(text, at).value;
      return character == byte_alphabet::kSpace || (unicode::properties(character).flags & unicode::kWhiteSpace) != 0;
    }

    // The spaces at the start and at the end of bytes [begin, end) of a word.
    static std::pair<std::size_t, std::size_t> spaces(std::string_view word, std::size_t begin, std::size_t end) {
      std::size_t first = begin, last = end;
      while (first < end && word[first] == ' ') ++first;
      while (last > begin && word[last - 1] == ' ') --last;
      return {first - begin, end - last};
    }

    // Bytes [begin, end) of the text, widened to whole characters.
    Span characters(std::size_t begin, std::size_t end) const {
      while (utf8::is_continuation(text_[begin])) --begin;
      while (end < text_.size() && utf8::is_continuation(text_[end])) ++end;
      return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    }

    // A word that begins with a space which the text lacks: the space has the range of the character behind it.
    void word_with_space(std::size_t start, std::string_view word) {
      with_space_.assign(1, ' ');
      with_space_ += word;
      its_.bpe_(with_space_, scratch_, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        const auto [leading, trailing] = spaces(with_space_, begin, end);
        const std::size_t first = begin == 0 ? 0 : begin - 1, last = end == 1 ? 1 : end - 1;
        push(id, characters(start + first, start + last), leading, trailing);
      });
    }

    void push(std::uint32_t id, Span range, std::size_t leading, std::size_t trailing) {
      if (its_.options_.trim_offsets) {
        Span as_first = range;
        if (leading > 0) range.start = std::min(forward(range.start, leading), range.end);
        if (trailing > 0) range.end = std::max(back(range.end, trailing), range.start);
        if (its_.options_.add_prefix_space) {
          // One space at the start of a text may be ours, and stays; a window's first token counts as such a start.
          if (leading != 1) {
            as_first = range;
          } else if (trailing > 0) {
            as_first.end = std::max(back(as_first.end, trailing), as_first.start);
          }
          if (as_first.start == 0) range = as_first;
          tokens_.offsets_as_first.push_back(as_first);
        }
      }
      tokens_.push(id, range, word_);
    }

    std::uint32_t forward(std::uint32_t at, std::size_t characters) const {
      for (; characters > 0 && at < text_.size(); --characters) at += utf8::decode(text_, at).size;
      return at;
    }

    std::uint32_t back(std::uint32_t at, std::size_t characters) const {
      for (; characters > 0 && at > 0; --characters) {
        at = static_cast<std::uint32_t>(unicode::last_code_point(text_.substr(0, at)));
      }
      return at;
    }

    const ByteBpeTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t word_ = 0;
    std::size_t base_ = 0;  // where the part that was normalised last begins
    std::string with_space_;
    ByteBpe::Scratch scratch_;
  };

 private:
  ByteBpeOptions options_;
  ByteBpe bpe_;
};

BERTHA_NAMESPACE_END
