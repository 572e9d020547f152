// Raw text to WordPiece tokens: normalised, split into words, and those into pieces. A TokenizerKind.
//
// Words of printable ASCII, nearly all of most texts, are taken straight from the text: normalisation can at most
// lower-case them. So are ideographs and punctuation, each a word of its own.

#pragma once

#include <array>
#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/word_cache.hpp>
#include <bertha/tokenizer/wordpiece.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// BERT's parts of a tokenizer, but for added tokens. Immutable: several threads may use one at once.
class WordPieceTokenizer {
  struct Memory {
    NormalizedText normalized;  // a word's or part's, while it is looked at
    std::string lowered;        // likewise
    BertNormalizer::Scratch marks;
    WordPiece::Scratch word;
    WordCache cache;
    std::vector<std::uint32_t> borders;  // by code point: Border of what has been seen
  };

  // What a character is to words, or, from kWord on, the token that it is as a word of its own.
  enum Border : std::uint32_t { kUnseen, kPart, kSpace, kWord };

 public:
  /// `steps`, if any, are done in place of BERT's normaliser.
  /// Throws Error{vocabulary} if the options and the vocabulary contradict each other.
  WordPieceTokenizer(const WordPieceOptions& options, StoredStrings strings, std::uint32_t unknown,
                     StepNormalizer steps)
      : normalizer_({options.clean_text, options.handle_chinese_chars, options.strip_accents, options.lowercase}),
        word_piece_(strings, options.continuing_subword_prefix, unknown, options.max_input_chars_per_word),
        decoder_cleanup_(options.decoder_cleanup),
        trim_offsets_(options.trim_offsets),
        steps_(std::move(steps)) {}

  const StoredStrings& strings() const { return word_piece_.strings(); }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const { return word_piece_.find(token); }

  /// What pieces begin with that go on with a word.
  std::string_view continuing_subword_prefix() const { return word_piece_.prefix(); }

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
        : its_(tokenizer), text_(text), stop_(stop), memory_(tokenizer.memory_.take()) {}

    /// Appends an added token that was found at `origin`, white space that it took included.
    void append_added_token(std::uint32_t id, Span origin) {
      tokens_.append(id, its_.trim_offsets_ ? without_spaces(origin) : origin, word_++);
    }

    /// Appends the tokens of bytes [from, to) of the text. White space and punctuation end a word whatever the options,
    /// and nothing moves across them in BERT's normaliser: so each part between them is looked at alone.
    void append_raw(std::size_t from, std::size_t to) {
      if (!its_.steps_.empty()) {
        its_.steps_(text_.substr(from, to - from), static_cast<std::uint32_t>(from), memory_->normalized);
        return append_normalized(memory_->normalized, 0, memory_->normalized.text().size());
      }
      for (std::size_t at = from; at < to && !tokens_.is_full();) {
        const std::size_t begin = at;
        bool has_upper = false, has_other = false;
        std::uint32_t border = kPart;
        std::size_t size = 0;
        while (at < to) {
          const Kind kind = kKinds[static_cast<unsigned char>(text_[at])];
          size = 1;
          if (kind <= kUpper) {
            has_upper |= kind == kUpper;
          } else if (kind == kBlank) {
            border = kSpace;
            break;
          } else {
            const utf8::CodePoint next = utf8::decode(text_, at);
            size = next.size;
            border = border_at(next.value);
            if (border != kPart) break;
            has_other = true;
          }
          at += size;
        }
        if (begin < at) append_part(begin, at, has_upper, has_other);
        stop_.pass(at - begin + 1);
        if (at == to) return;
        if (border >= kWord) {
          tokens_.append(border - kWord, {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + size)},
                         word_++);
        }
        at += size;
      }
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      split_words(part.text().substr(from, to - from), [&](std::size_t begin, std::size_t end) {
        if (tokens_.is_full()) return;
        stop_.pass(end - begin + 1);
        const std::string_view word = part.text().substr(from + begin, end - begin);
        const auto make = [&](PutToken put) {
          its_.word_piece_(word, memory_->word, put);
          return true;
        };
        memory_->cache(word, kNormalized, make, [&](std::uint32_t id, std::size_t first, std::size_t last) {
          tokens_.append(id, part.origin(from + begin + first, from + begin + last), word_);
        });
        ++word_;
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    enum Way : unsigned { kRaw, kNormalized };  // which a word of the cache is

    // The Border of a code point: kPart of what the normaliser changes or moves, but for spaces.
    std::uint32_t border_at(std::uint32_t code_point) {
      constexpr std::uint32_t kEnd = 0x10000;
      if (code_point >= kEnd) return kPart;
      auto& borders = memory_->borders;
      if (borders.empty()) borders.resize(kEnd);
      if (borders[code_point] == kUnseen) borders[code_point] = find_border(code_point);
      return borders[code_point];
    }

    std::uint32_t find_border(std::uint32_t code_point) {
      using namespace unicode;
      const BertNormalizer::Options& options = its_.normalizer_.options();
      const Properties its = properties(code_point);
      if (its.combining != 0 || (its.flags & (kDecomposes | kNonspacing | kLowers)) != 0) return kPart;
      if (options.clean_text && (its.flags & kRemoved) != 0) return kPart;
      if ((its.flags & kWhiteSpace) != 0 || (options.clean_text && (its.flags & kCleanSpace) != 0)) return kSpace;
      const bool is_chinese = options.handle_chinese_chars && (its.flags & kChinese) != 0;
      if (!is_chinese && (its.flags & kPunctuation) == 0) return kPart;
      char bytes[4];
      std::uint32_t token = 0;
      its_.word_piece_({bytes, utf8::encode(code_point, bytes)}, memory_->word,
                       [&](std::uint32_t id, std::size_t, std::size_t) { token = id; });
      return kWord + token;
    }

    // Bytes [from, to) of the text, which are a word of ASCII characters, or words that have others.
    void append_part(std::size_t from, std::size_t to, bool has_upper, bool has_other) {
      const std::string_view part = text_.substr(from, to - from);
      const std::uint32_t first_word = word_;
      std::uint32_t n_words = 1;
      const auto make = [&](PutToken put) {
        if (has_other) {
          n_words = make_words(part, put);
        } else {
          its_.word_piece_(has_upper && its_.normalizer_.options().lowercase ? lower(part) : part, memory_->word, put);
        }
        return n_words == 1;
      };
      memory_->cache(part, kRaw, make, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        tokens_.append(id, {static_cast<std::uint32_t>(from + begin), static_cast<std::uint32_t>(from + end)}, word_);
      });
      word_ = first_word + n_words;
    }

    // Calls `put(id, begin, end)` for the tokens of a part, with `word_` that of each. Returns how many words it has.
    std::uint32_t make_words(std::string_view part, PutToken put) {
      std::uint32_t n_words = 0;
      NormalizedText& normalized = memory_->normalized;
      its_.normalizer_(part, 0, normalized, memory_->marks);
      const std::uint32_t first_word = word_;
      split_words(normalized.text(), [&](std::size_t begin, std::size_t end) {
        stop_.pass(end - begin + 1);
        word_ = first_word + n_words++;
        const std::string_view word = normalized.text().substr(begin, end - begin);
        its_.word_piece_(word, memory_->word, [&](std::uint32_t id, std::size_t first, std::size_t last) {
          const Span origin = normalized.origin(begin + first, begin + last);
          put(id, std::size_t{origin.start}, std::size_t{origin.end});
        });
      });
      return n_words;
    }

    Span without_spaces(Span range) const {
      const auto is_space = [](std::uint32_t c) { return (unicode::properties(c).flags & unicode::kWhiteSpace) != 0; };
      while (range.start < range.end) {
        const utf8::CodePoint first = utf8::decode(text_, range.start);
        if (!is_space(first.value)) break;
        range.start += static_cast<std::uint32_t>(first.size);
      }
      while (range.start < range.end) {
        const std::size_t last = unicode::last_code_point(text_.substr(0, range.end));
        if (!is_space(utf8::decode(text_, last).value)) break;
        range.end = static_cast<std::uint32_t>(last);
      }
      return range;
    }

    std::string_view lower(std::string_view text) {
      std::string& lowered = memory_->lowered;
      lowered.assign(text);
      for (char& byte : lowered) byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
      return lowered;
    }

    const WordPieceTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t word_ = 0;
    StopMeter stop_;
    detail::Pool<Memory>::Lease memory_;
  };

 private:
  // What a byte of raw text is to the fast path.
  enum Kind : std::uint8_t { kLetter, kUpper, kBlank, kOther };
  static constexpr std::array<Kind, 256> kKinds = [] {
    std::array<Kind, 256> kind{};
    for (std::size_t i = 0; i < 256; ++i) {
      const bool is_letter_or_digit = (i >= 'a' && i <= 'z') || (i >= '0' && i <= '9');
      if (i == ' ' || i == '\t' || i == '\n' || i == '\r') {
        kind[i] = kBlank;
      } else {
        kind[i] = i >= 'A' && i <= 'Z' ? kUpper : is_letter_or_digit ? kLetter : kOther;
      }
    }
    return kind;
  }();

  BertNormalizer normalizer_;
  WordPiece word_piece_;
  bool decoder_cleanup_, trim_offsets_;
  StepNormalizer steps_;
  mutable detail::Pool<Memory> memory_;
};

BERTHA_NAMESPACE_END
