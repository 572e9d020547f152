// Raw text to WordPiece tokens: normalised, split into words, and those into pieces. A TokenizerKind.
//
// Words of printable ASCII, nearly all of most texts, are taken straight from the text: normalisation can at most
// lower-case them.

#pragma once

#include <array>
#include <bertha/config.hpp>
#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/wordpiece.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// BERT's parts of a tokenizer, but for added tokens. Immutable: several threads may use one at once.
class WordPieceTokenizer {
 public:
  /// `steps`, if any, are done in place of BERT's normaliser.
  /// Throws Error{vocabulary} if the options and the vocabulary contradict each other.
  WordPieceTokenizer(const WordPieceOptions& options, Vocabulary vocabulary, std::uint32_t unknown,
                     StepNormalizer steps)
      : normalizer_({options.clean_text, options.handle_chinese_chars, options.strip_accents, options.lowercase}),
        word_piece_(std::move(vocabulary), options.continuing_subword_prefix, unknown,
                    options.max_input_chars_per_word),
        decoder_cleanup_(options.decoder_cleanup),
        steps_(std::move(steps)) {}

  const StoredStrings& strings() const { return word_piece_.vocabulary().strings(); }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const { return word_piece_.vocabulary().find(token); }

  /// Normalises valid UTF-8, whose first byte is byte `base` of a text.
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    if (steps_.empty()) return normalizer_(text, base, out);
    steps_(text, base, out);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const {
    return decode_wordpiece(tokens, word_piece_.prefix(), decoder_cleanup_);
  }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    /// `text` is valid UTF-8 and, as `stop`, lives as long.
    Run(const WordPieceTokenizer& tokenizer, std::string_view text, const Stop& stop)
        : its_(tokenizer), text_(text), stop_(stop) {}

    /// Appends an added token that was found at `origin`.
    void append_added_token(std::uint32_t id, Span origin) { tokens_.append(id, origin, word_++); }

    /// Appends the tokens of bytes [from, to) of the text. White space and ASCII punctuation end a word whatever the
    /// options, and nothing moves across them in BERT's normaliser: so each word between them is looked at alone.
    void append_raw(std::size_t from, std::size_t to) {
      if (!its_.steps_.empty()) {
        its_.steps_(text_.substr(from, to - from), static_cast<std::uint32_t>(from), normalized_);
        return append_normalized(normalized_, 0, normalized_.text().size());
      }
      for (std::size_t at = from; at < to;) {
        const std::size_t begin = at;
        bool has_upper = false, has_other = false;
        Kind kind = kLetter;
        for (; at < to; ++at) {
          kind = kKinds[static_cast<unsigned char>(text_[at])];
          if (kind == kSpace || kind == kMark) break;
          has_upper |= kind == kUpper;
          has_other |= kind == kOther;
        }
        if (begin < at) {
          const std::string_view part = text_.substr(begin, at - begin);
          if (has_other) {
            its_.normalizer_(part, static_cast<std::uint32_t>(begin), normalized_);
            append_normalized(normalized_, 0, normalized_.text().size());
          } else {
            ascii_word(has_upper && its_.normalizer_.options().lowercase ? lower(part) : part, begin);
          }
        }
        stop_.pass(at - begin + 1);
        if (at < to) {
          if (kind == kMark) ascii_word(text_.substr(at, 1), at);
          ++at;
        }
      }
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      split_words(part.text().substr(from, to - from), [&](std::size_t begin, std::size_t end) {
        stop_.pass(end - begin + 1);
        const auto origin = [&](std::size_t b, std::size_t e) {
          return part.origin(from + begin + b, from + begin + e);
        };
        its_.word_piece_(part.text().substr(from + begin, end - begin), word_++, origin, hashes_, tokens_);
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    void ascii_word(std::string_view text, std::size_t start) {
      const auto origin = [&](std::size_t begin, std::size_t end) {
        return Span{static_cast<std::uint32_t>(start + begin), static_cast<std::uint32_t>(start + end)};
      };
      its_.word_piece_(text, word_++, origin, hashes_, tokens_);
    }

    std::string_view lower(std::string_view text) {
      lowered_.assign(text);
      for (char& byte : lowered_) byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
      return lowered_;
    }

    const WordPieceTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t word_ = 0;
    StopMeter stop_;
    NormalizedText normalized_;  // a word's or part's, while it is looked at
    std::string lowered_;        // likewise
    WordPiece::Scratch hashes_;
  };

 private:
  // What a byte of raw text is to the fast path.
  enum Kind : std::uint8_t { kLetter, kUpper, kSpace, kMark, kOther };
  static constexpr std::array<Kind, 256> kKinds = [] {
    std::array<Kind, 256> kind{};
    for (std::size_t i = 0; i < 256; ++i) {
      const bool is_letter_or_digit = (i >= 'a' && i <= 'z') || (i >= '0' && i <= '9');
      if (i == ' ' || i == '\t' || i == '\n' || i == '\r') {
        kind[i] = kSpace;
      } else if (i < ' ' || i >= 0x7F) {
        kind[i] = kOther;
      } else {
        kind[i] = i >= 'A' && i <= 'Z' ? kUpper : is_letter_or_digit ? kLetter : kMark;
      }
    }
    return kind;
  }();

  BertNormalizer normalizer_;
  WordPiece word_piece_;
  bool decoder_cleanup_;
  StepNormalizer steps_;
};

BERTHA_NAMESPACE_END
