// One text to its tokens, before templates and truncation: added tokens are cut out, the rest is normalised, split into
// words, and those into pieces.
//
// Equals `tokenizers.Tokenizer.encode(text, add_special_tokens=False)` (0.23.3) with BERT's parts. Words of printable
// ASCII, nearly all of most texts, are taken straight from the text: normalisation can at most lower-case them.

#pragma once

#include <array>
#include <bertha/config.hpp>
#include <bertha/tokenizer/added_tokens.hpp>
#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/wordpiece.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Tokenises single texts. Immutable: several threads may use one at once.
class TextTokenizer {
 public:
  /// Throws Error{vocabulary} if the configuration and the vocabulary contradict each other.
  TextTokenizer(const TokenizerConfig& config, Vocabulary vocabulary)
      : normalizer_({config.clean_text, config.handle_chinese_chars, config.strip_accents, config.lowercase}),
        word_piece_(std::move(vocabulary), config.continuing_subword_prefix, config.unk_token_id,
                    config.max_input_chars_per_word),
        raw_tokens_(finder(config.added_tokens, false)),
        normalized_tokens_(finder(config.added_tokens, true)) {}

  const Vocabulary& vocabulary() const { return word_piece_.vocabulary(); }

  /// The tokens of `text`. With `split_special_tokens`, special tokens in it are text like any other.
  /// Throws Error{input} for texts that are not UTF-8 or have 2^31 bytes and more.
  TokenSequence operator()(std::string_view text, bool split_special_tokens) const {
    if (text.size() >= kMaxBytes) {
      throw Error(ErrorCode::input,
                  "text: it has " + std::to_string(text.size()) + " bytes, and offsets count to 2^31 - 1; divide it");
    }
    require_utf8(text);
    Run run(*this, split_special_tokens);
    run.tokens.ids.reserve(text.size() / 4);
    run.tokens.offsets.reserve(text.size() / 4);
    run.tokens.words.reserve(text.size() / 4);
    raw_tokens_.split(
        text, split_special_tokens,
        [&](std::size_t begin, std::size_t end) {
          const std::string_view part = text.substr(begin, end - begin);
          if (normalized_tokens_.empty()) {
            run.raw_text(part, static_cast<std::uint32_t>(begin));
          } else {
            run.text_with_normalized_tokens(part, static_cast<std::uint32_t>(begin));
          }
        },
        [&](std::uint32_t id, std::size_t begin, std::size_t end) { run.added_token(id, span(begin, end)); });
    return std::move(run.tokens);
  }

  /// What an added token looks like where it is found: normalised, if it says so.
  std::string shown(const AddedToken& token) const {
    if (!token.normalized) return token.content;
    require_utf8(token.content);
    NormalizedText normalized;
    normalizer_(token.content, 0, normalized);
    return normalized.text;
  }

 private:
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 31;

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

  static Span span(std::size_t begin, std::size_t end) {
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
  }

  // One call: its result and its working memory.
  struct Run {
    Run(const TextTokenizer& tokenizer, bool split_special) : its(tokenizer), split_special_tokens(split_special) {}

    void added_token(std::uint32_t id, Span origin) { tokens.push(id, origin, word++); }

    // White space and ASCII punctuation end a word whatever the options, and nothing moves across them in
    // normalisation: so each word between them can be looked at alone.
    void raw_text(std::string_view text, std::uint32_t base) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        bool has_upper = false, has_other = false;
        Kind kind = kLetter;
        for (; at < text.size(); ++at) {
          kind = kKinds[static_cast<unsigned char>(text[at])];
          if (kind == kSpace || kind == kMark) break;
          has_upper |= kind == kUpper;
          has_other |= kind == kOther;
        }
        if (begin < at) {
          const std::string_view part = text.substr(begin, at - begin);
          const auto start = static_cast<std::uint32_t>(base + begin);
          if (has_other) {
            its.normalizer_(part, start, normalized);
            normalized_text(0, normalized.text.size());
          } else {
            ascii_word(has_upper && its.normalizer_.options().lowercase ? lower(part) : part, start);
          }
        }
        if (at < text.size()) {
          if (kind == kMark) ascii_word(text.substr(at, 1), static_cast<std::uint32_t>(base + at));
          ++at;
        }
      }
    }

    void text_with_normalized_tokens(std::string_view text, std::uint32_t base) {
      its.normalizer_(text, base, normalized);
      its.normalized_tokens_.split(
          normalized.text, split_special_tokens,
          [&](std::size_t begin, std::size_t end) { normalized_text(begin, end); },
          [&](std::uint32_t id, std::size_t begin, std::size_t end) {
            added_token(id, normalized.origin(begin, end));
          });
    }

    void normalized_text(std::size_t from, std::size_t to) {
      split_words(std::string_view(normalized.text).substr(from, to - from), [&](std::size_t begin, std::size_t end) {
        const auto origin = [&](std::size_t b, std::size_t e) {
          return normalized.origin(from + begin + b, from + begin + e);
        };
        const std::string_view text = std::string_view(normalized.text).substr(from + begin, end - begin);
        its.word_piece_(text, word++, origin, hashes, tokens);
      });
    }

    void ascii_word(std::string_view text, std::uint32_t start) {
      const auto origin = [&](std::size_t begin, std::size_t end) { return span(start + begin, start + end); };
      its.word_piece_(text, word++, origin, hashes, tokens);
    }

    std::string_view lower(std::string_view text) {
      lowered.assign(text);
      for (char& byte : lowered) byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
      return lowered;
    }

    const TextTokenizer& its;
    const bool split_special_tokens;
    TokenSequence tokens;
    std::uint32_t word = 0;
    NormalizedText normalized;
    std::string lowered;
    WordPiece::Scratch hashes;
  };

  AddedTokenFinder finder(const std::vector<AddedToken>& tokens, bool normalized) const {
    std::vector<AddedToken> chosen;
    std::vector<std::string> contents;
    for (const AddedToken& token : tokens) {
      if (token.normalized != normalized) continue;
      chosen.push_back(token);
      contents.push_back(shown(token));
    }
    return AddedTokenFinder(chosen, contents);
  }

  BertNormalizer normalizer_;
  WordPiece word_piece_;
  AddedTokenFinder raw_tokens_;         // of tokens that are looked for in the raw text
  AddedTokenFinder normalized_tokens_;  // and in the normalised text of what is left
};

BERTHA_NAMESPACE_END
