// Raw text to WordPiece tokens: normalised, split into words, and those into pieces. A TokenizerKind.
//
// Words of printable ASCII, nearly all of most texts, are taken straight from the text: normalisation can at most
// lower-case them. So are ideographs and punctuation, each a word of its own.

#pragma once

#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/ascii_parts.hpp>
#include <bertha/tokenizer/normalizer.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/token_batch.hpp>
#include <bertha/tokenizer/word_borders.hpp>
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
  static_assert(WordCache::kReadable <= AsciiParts::kReadable);
  static constexpr std::size_t kAtOnce = 32;  // parts that are looked up together

  // Bytes [from, to) of a text, which AsciiParts has found.
  struct Part {
    std::uint32_t from, to;
    WordCache::Lookup lookup;
  };

  struct Memory {
    NormalizedText normalized;  // a word's or part's, while it is looked at
    std::string lowered;        // likewise
    BertNormalizer::Scratch marks;
    WordPiece::Scratch word;
    WordCache cache;
    WordBorders borders;
    Part parts[kAtOnce];
    TokenBatch<kAtOnce> tokens;  // what goes to the end of a run's next
  };

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
    /// and nothing moves across them in BERT's normaliser: so each part between them is looked at alone. What the cache
    /// has is a word, so borders that aren't ASCII are looked for only where it lacks something.
    void append_raw(std::size_t from, std::size_t to) {
      if (!its_.steps_.empty()) {
        its_.steps_(text_.substr(from, to - from), static_cast<std::uint32_t>(from), memory_->normalized);
        return append_normalized(memory_->normalized, 0, memory_->normalized.text().size());
      }
      Part* const parts = memory_->parts;
      AsciiParts::Part found;
      AsciiParts all(text_, from, to, stop_);
      for (std::size_t n = kAtOnce; n == kAtOnce && !is_full();) {
        for (n = 0; n < kAtOnce && all.next(found); ++n) {
          parts[n].from = static_cast<std::uint32_t>(found.from);
          parts[n].to = static_cast<std::uint32_t>(found.to);
          parts[n].lookup.start(found.bytes, found.to - found.from, kRaw);
        }
        for (std::size_t i = 0; i < n; ++i) memory_->cache.find(parts[i].lookup);
        for (std::size_t i = 0; i < n && !is_full(); ++i) {
          if (!append_known(parts[i])) append_unknown(parts[i]);
        }
        memory_->tokens.move_to(tokens_);
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

    // Appends the tokens of a part that the cache has; false: it doesn't.
    bool append_known(const Part& part) {
      const WordCache::Line* line = memory_->cache.line_of(part.lookup);
      if (line != nullptr) memory_->tokens.append(*line, part.from, word_++);
      return line != nullptr;
    }

    // Appends the tokens of a part that the cache lacks. There may be borders in it, which there are not in what the
    // cache has.
    void append_unknown(const Part& part) {
      memory_->tokens.move_to(tokens_);
      std::uint32_t passed = part.from;
      for (std::uint32_t at = part.from; at < part.to;) {
        const WordBorders::Piece piece = memory_->borders.find(text_.substr(0, part.to), at, its_.normalizer_.options(),
                                                               [&](std::string_view word) { return token_of(word); });
        at = piece.end;
        if (piece.to - piece.from == part.to - part.from) {
          make_piece(piece, part.lookup);
        } else if (piece.from < piece.to) {
          Part its{piece.from, piece.to, {}};
          its.lookup.start(text_, its.from, its.to, kRaw);
          memory_->cache.find(its.lookup);
          if (!append_known(its)) make_piece(piece, its.lookup);
        }
        if (piece.token) memory_->tokens.append(*piece.token, {piece.to, piece.end}, word_++);
        if (memory_->tokens.has_room() && at < part.to) continue;
        memory_->tokens.move_to(tokens_);
        if (at == part.to || is_full()) return;
        stop_.pass(at - std::exchange(passed, at));
      }
    }

    std::uint32_t token_of(std::string_view word) {
      std::uint32_t token = 0;
      its_.word_piece_(word, memory_->word, [&](std::uint32_t id, std::size_t, std::size_t) { token = id; });
      return token;
    }

    // Appends the tokens of a piece that the cache lacks: a word of ASCII characters, or words that have others.
    void make_piece(const WordBorders::Piece& its, const WordCache::Lookup& lookup) {
      memory_->tokens.move_to(tokens_);
      const std::string_view piece = text_.substr(its.from, its.to - its.from);
      const std::uint32_t first_word = word_;
      std::uint32_t n_words = 1;
      const auto make = [&](PutToken put) {
        if (its.has_other) {
          n_words = make_words(piece, put);
        } else {
          its_.word_piece_(its_.normalizer_.options().lowercase ? lower(piece) : piece, memory_->word, put);
        }
        return n_words == 1;
      };
      memory_->cache.make(lookup, make, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
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
