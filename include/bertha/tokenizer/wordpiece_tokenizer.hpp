// Raw text to WordPiece tokens: normalised, split into words, and those into pieces. A TokenizerKind.
//
// Words of printable ASCII, nearly all of most texts, are taken straight from the text: normalisation can at most
// lower-case them. So are ideographs and punctuation, each a word of its own.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/token_batch.hpp>
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
  static constexpr std::size_t kAtOnce = 32;          // parts that are looked up together
  static constexpr std::uint32_t kBorders = 0x10000;  // code points whose Border is kept

  // Bytes [from, to) of a text without a border, if there are any, and the border behind them, which ends at `end`.
  struct Part {
    std::uint32_t from, to, end;
    std::uint32_t border;
    bool has_other;  // characters than ASCII letters and digits
    WordCache::Lookup lookup;
  };

  struct Memory {
    NormalizedText normalized;  // a word's or part's, while it is looked at
    std::string lowered;        // likewise
    BertNormalizer::Scratch marks;
    WordPiece::Scratch word;
    WordCache cache;
    // By code point: Border of what has been seen.
    std::vector<std::uint32_t> borders = std::vector<std::uint32_t>(kBorders);
    Part parts[kAtOnce];
    TokenBatch<kAtOnce> tokens;  // what goes to the end of a run's next
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
        : its_(tokenizer), text_(text), stop_(stop), memory_(tokenizer.memory_.take()) {
      memory_->tokens.clear();  // a call before may have ended in mid-run
    }

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
      for (std::size_t at = from; at < to && !is_full();) {
        const std::size_t first = at;
        Part* const parts = memory_->parts;
        std::size_t n = 0;
        for (; n < kAtOnce && at < to; at = parts[n++].end) find_part(at, to, parts[n]);
        for (std::size_t i = 0; i < n; ++i) memory_->cache.find(parts[i].lookup);
        for (std::size_t i = 0; i < n && !is_full(); ++i) append_part(parts[i]);
        memory_->tokens.move_to(tokens_);
        stop_.pass(at - first);
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
        memory_->cache(part.text(), from + begin, from + end, kNormalized, make,
                       [&](std::uint32_t id, std::size_t first, std::size_t last) {
                         tokens_.append(id, part.origin(from + begin + first, from + begin + last), word_);
                       });
        ++word_;
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    enum Way : unsigned { kRaw, kNormalized };  // which a word of the cache is

    bool is_full() const { return tokens_.size() + memory_->tokens.size() >= tokens_.limit; }

    // Finds the part that begins at byte `at` of the text, and no further than `to`.
    void find_part(std::size_t at, std::size_t to, Part& part) {
      const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text_[i]); };
      const auto skip_letters = [&] {
        if (at < to && byte_at(at) < 0x80) at = std::min(end_of_ascii_word(text_, at), to);
      };
      const std::uint32_t* const borders = memory_->borders.data();
      const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
      while (at < to && is_blank(text_[at])) ++at;
      part.from = static_cast<std::uint32_t>(at);
      part.has_other = false;
      part.border = kPart;
      std::size_t size = 0;
      for (skip_letters(); at < to; skip_letters()) {
        if (text_[at] == ' ') {  // nearly always
          part.border = kSpace;
          size = 1;
          break;
        }
        const utf8::CodePoint next = utf8::decode(text_, at);
        size = next.size;
        part.border = border_at(next.value);
        if (part.border != kPart) break;
        part.has_other = true;
        at += size;
        size = 0;
        while (at < to && byte_at(at) >= 0xC2 && byte_at(at) < 0xE0 &&  // letters of two bytes come together
               borders[(byte_at(at) & 0x1Fu) << 6 | (byte_at(at + 1) & 0x3Fu)] == kPart) {
          at += 2;
        }
      }
      part.to = static_cast<std::uint32_t>(at);
      part.end = static_cast<std::uint32_t>(at + size);
      part.lookup.start(text_, part.from, part.to, kRaw);
    }

    // The Border of a code point: kPart of what the normaliser changes or moves, but for spaces.
    std::uint32_t border_at(std::uint32_t code_point) {
      if (code_point >= kBorders) return kPart;
      std::uint32_t& border = memory_->borders[code_point];
      if (border == kUnseen) border = find_border(code_point);
      return border;
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

    void append_part(const Part& part) {
      const std::uint32_t size = part.to - part.from;
      if (const WordCache::Line* line = memory_->cache.line_of(part.lookup)) {
        memory_->tokens.append(*line, size, part.from, word_++);
      } else if (size > 0) {
        make_part(part);
      }
      if (part.border >= kWord) memory_->tokens.append(part.border - kWord, {part.to, part.end}, word_++);
    }

    // Appends the tokens of a part that the cache lacks: a word of ASCII characters, or words that have others.
    void make_part(const Part& its) {
      memory_->tokens.move_to(tokens_);
      const std::string_view part = text_.substr(its.from, its.to - its.from);
      const std::uint32_t first_word = word_;
      std::uint32_t n_words = 1;
      const auto make = [&](PutToken put) {
        if (its.has_other) {
          n_words = make_words(part, put);
        } else {
          its_.word_piece_(its_.normalizer_.options().lowercase ? lower(part) : part, memory_->word, put);
        }
        return n_words == 1;
      };
      memory_->cache.make(its.lookup, make, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        const auto byte = [&](std::size_t i) { return its.from + static_cast<std::uint32_t>(i); };
        tokens_.append(id, {byte(begin), byte(end)}, word_);
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
  BertNormalizer normalizer_;
  WordPiece word_piece_;
  bool decoder_cleanup_, trim_offsets_;
  StepNormalizer steps_;
  mutable detail::Pool<Memory> memory_;
};

BERTHA_NAMESPACE_END
