// Raw text to byte-level BPE tokens: split into words by GPT-2's or Llama 3's pattern, and those into tokens, with
// offsets. A TokenizerKind.
//
// Equals `pre_tokenizers.ByteLevel` with `models.BPE`, and the offsets of `processors.RobertaProcessing` (tokenizers
// 0.23.3, tokenizers/src/pre_tokenizers/byte_level.rs: process_offsets). A token that holds a part of a character has
// that character's whole range. Trimming counts the token's spaces, and takes as many characters off its range.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/byte_bpe.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/word_cache.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// A byte-level tokenizer's parts, but for added tokens. Immutable: several threads may use one at once.
class ByteBpeTokenizer {
  struct Memory {
    NormalizedText normalized;  // a raw part, while it is looked at
    std::string with_space;     // a word, likewise
    ByteBpe::Scratch word;
    WordCache cache;
  };

 public:
  /// Throws Error{vocabulary} if the vocabulary and the merges contradict each other.
  ByteBpeTokenizer(const ByteBpeOptions& options, Vocabulary vocabulary, std::span<const std::uint32_t> merges,
                   std::uint32_t unknown, StepNormalizer steps)
      : options_(options),
        bpe_(std::move(vocabulary), merges, unknown, options.ignore_merges),
        steps_(std::move(steps)) {}

  const StoredStrings& strings() const { return bpe_.vocabulary().strings(); }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const { return bpe_.vocabulary().find(token); }

  /// Normalises valid UTF-8, whose first byte is byte `base` of a text. Without steps it stays as it is.
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    if (steps_.empty()) return out.refer_to(text, base);
    steps_(text, base, out);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const { return decode_byte_level(tokens); }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    /// `text` is valid UTF-8 and, as `stop`, lives as long.
    Run(const ByteBpeTokenizer& tokenizer, std::string_view text, const Stop& stop)
        : its_(tokenizer), text_(text), stop_(stop), memory_(tokenizer.memory_.take()) {}

    /// Appends an added token that was found at `origin`, white space that it took included.
    void append_added_token(std::uint32_t id, Span origin) {
      std::size_t leading = 0, trailing = 0;
      if (its_.options_.trim_offsets) {
        // Tokens that are white space themselves may each have taken all that follows. Of nothing but white space the
        // last two characters say all: trimmed, it is its end, unless it is a single one.
        if (spaces_.start <= origin.start && origin.end <= spaces_.end)
          origin.start = std::max(origin.start, back(origin.end, 2));
        std::string_view rest = text_.substr(0, origin.end);
        std::uint32_t first = origin.start;
        for (; is_space_at(rest, first); ++leading) first += utf8::decode(rest, first).size;
        if (leading > 0 && first > spaces_.end) spaces_ = {origin.start, first};
        for (; rest.size() > origin.start && is_space_at(rest, unicode::last_code_point(rest)); ++trailing)
          rest = rest.substr(0, unicode::last_code_point(rest));
      }
      append(id, origin, leading, trailing);
      ++word_;
    }

    /// Appends the tokens of bytes [from, to) of the text.
    void append_raw(std::size_t from, std::size_t to) {
      its_.normalize(text_.substr(from, to - from), static_cast<std::uint32_t>(from), memory_->normalized);
      append_normalized(memory_->normalized, 0, memory_->normalized.text().size());
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      const std::string_view text = part.text().substr(from, to - from);
      const auto append_word = [&](std::size_t begin, std::size_t end, bool with_space) {
        if (tokens_.is_full()) return;
        const std::string_view word = text.substr(begin, end - begin);
        stop_.pass(word.size());
        if (with_space) {
          append_word_with_space(part, from + begin, word);
        } else {
          cut(word, [&](std::uint32_t id, std::size_t first, std::size_t last) {
            const auto [leading, trailing] = spaces(word, first, last);
            append(id, part.origin(from + begin + first, from + begin + last), leading, trailing);
          });
        }
        ++word_;
      };
      if (its_.options_.words == WordPattern::llama3)
        return split_llama_3(text, [&](std::size_t begin, std::size_t end) { append_word(begin, end, false); });
      split_byte_level(text, its_.options_.add_prefix_space && !text.starts_with(' '), append_word);
    }

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

    // Calls `token(id, begin, end)` for each token of a word. The parts of one that the cache can't have may be there,
    // but where a part and a word that is the same may differ.
    template <class Token>
    void cut(std::string_view word, Token&& token) {
      if (WordCache::may_have(word.size())) return cut_part(word, token);
      if (its_.options_.ignore_merges) return make(word, token);
      for (std::size_t begin = 0, end; begin < word.size(); begin = end) {
        end = its_.bpe_.end_of_part(word, begin);
        if (end - begin == 1) {
          token(its_.bpe_.token_of(word[begin]), begin, end);
          continue;
        }
        cut_part(word.substr(begin, end - begin), [&](std::uint32_t id, std::size_t first, std::size_t last) {
          token(id, begin + first, begin + last);
        });
      }
    }

    template <class Token>
    void cut_part(std::string_view part, Token&& token) {
      const auto make_it = [&](PutToken put) {
        make(part, put);
        return true;
      };
      memory_->cache(part, 0, part.size(), 0, make_it, token);
    }

    void make(std::string_view word, PutToken token) {
      if (const auto whole = its_.bpe_.whole(word)) return token(*whole, 0, word.size());
      its_.bpe_(word, memory_->word, token);
    }

    // A word that begins with a space which the text lacks: the space has the range of the character behind it.
    void append_word_with_space(const NormalizedText& part, std::size_t start, std::string_view word) {
      std::string& with_space = memory_->with_space;
      with_space.assign(1, ' ');
      with_space += word;
      cut(with_space, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        const auto [leading, trailing] = spaces(with_space, begin, end);
        const std::size_t first = begin == 0 ? 0 : begin - 1, last = end == 1 ? 1 : end - 1;
        append(id, part.origin(start + first, start + last), leading, trailing);
      });
    }

    // Appends a token whose string begins and ends with as many spaces.
    void append(std::uint32_t id, Span range, std::size_t leading, std::size_t trailing) {
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
      tokens_.append(id, range, word_);
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
    StopMeter stop_;
    Span spaces_{0, 0};  // white space that an added token began with, and that others may have taken too
    detail::Pool<Memory>::Lease memory_;
  };

 private:
  ByteBpeOptions options_;
  ByteBpe bpe_;
  StepNormalizer steps_;
  mutable detail::Pool<Memory> memory_;
};

BERTHA_NAMESPACE_END
