// Raw text to tokens of BPE over characters: normalised, split by Metaspace, and its words into tokens. A
// TokenizerKind.

#pragma once

#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/bpe.hpp>
#include <bertha/tokenizer/metaspace.hpp>
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

/// SentencePiece's parts of a tokenizer with BPE, but for added tokens. Immutable: several threads may use one at once.
class BpeTokenizer {
  struct Memory {
    NormalizedText normalized;  // a raw part, while it is looked at
    NormalizedText marked;      // a word, likewise
    Bpe::Scratch word;
    WordCache cache;
  };

 public:
  /// Throws Error{vocabulary} if the vocabulary and the merges contradict each other.
  BpeTokenizer(const BpeOptions& options, Vocabulary vocabulary, std::span<const std::uint32_t> merges,
               std::uint32_t unknown, StepNormalizer steps)
      : options_(options), model_(options, std::move(vocabulary), merges, unknown), steps_(std::move(steps)) {}

  const StoredStrings& strings() const { return model_.vocabulary().strings(); }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const { return model_.vocabulary().find(token); }

  /// Normalises valid UTF-8, whose first byte is byte `base` of a text. Without steps it stays as it is.
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    if (steps_.empty()) return out.refer_to(text, base);
    steps_(text, base, out);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`. Bytes that are no UTF-8 become U+FFFD each.
  std::string decode(std::span<const std::string_view> tokens) const {
    if (!options_.byte_fallback) return decode_metaspace(tokens, options_.prepend_scheme);
    std::string result, bytes;
    const auto put_bytes = [&] {
      if (utf8::find_invalid(bytes) == std::string::npos) {
        result += bytes;
      } else {
        for (std::size_t i = 0; i < bytes.size(); ++i) result += "\xEF\xBF\xBD";
      }
      bytes.clear();
    };
    for (const std::string_view token : tokens) {
      if (const auto byte = ByteName::byte_of(token)) {
        bytes += *byte;
        continue;
      }
      put_bytes();
      result += decode_metaspace({&token, 1}, PrependScheme::never);
    }
    put_bytes();
    return result;
  }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    /// `text` is valid UTF-8 and, as `stop`, lives as long.
    Run(const BpeTokenizer& tokenizer, std::string_view text, const Stop& stop)
        : its_(tokenizer), text_(text), stop_(stop), memory_(tokenizer.memory_.take()) {}

    /// Appends an added token that was found at `origin`.
    void append_added_token(std::uint32_t id, Span origin) { tokens_.append(id, origin, n_words_++); }

    /// Appends the tokens of bytes [from, to) of the text.
    void append_raw(std::size_t from, std::size_t to) {
      its_.normalize(text_.substr(from, to - from), static_cast<std::uint32_t>(from), memory_->normalized);
      append_normalized(memory_->normalized, 0, memory_->normalized.text().size());
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      const std::string_view text = part.text().substr(from, to - from);
      const auto at_start = [&](std::size_t byte) { return part.origin(from + byte, from + byte + 1).start == 0; };
      split_metaspace(text, its_.options_, at_start, [&](MetaspaceWord::Range range, bool with_mark) {
        stop_.pass(range.end - range.begin + (its_.options_.whitespace_split ? 1 : 0));
        const std::string_view word = text.substr(range.begin, range.end - range.begin);
        if (!with_mark && word.find(' ') == word.npos) {
          append_word(word, part, from + range.begin);
        } else {
          mark(part, from + range.begin, from + range.end, with_mark);
          append_word(memory_->marked.text(), memory_->marked, 0);
        }
        ++n_words_;
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    // Appends the tokens of a word that stands at byte `start` of `part`. They are found by their sizes, one after the
    // other: where characters are dropped, that is another place than theirs.
    void append_word(std::string_view word, const NormalizedText& part, std::size_t start) {
      for (std::size_t begin = 0, end; begin < word.size() && !tokens_.is_full(); begin = end) {
        end = its_.model_.end_of_part(word, begin);
        const std::string_view its = word.substr(begin, end - begin);
        const auto make = [&](PutToken put) {
          its_.model_(its, memory_->word, put);
          return true;
        };
        std::size_t size = 0;
        memory_->cache(word, begin, end, 0, make, [&](std::uint32_t id, std::size_t first, std::size_t last) {
          tokens_.append(id, part.origin(start + first, start + last), n_words_);
          size = last;
        });
        start += size;
      }
    }

    // A word with its spaces as marks. A mark that is added has the range of what is behind it.
    void mark(const NormalizedText& part, std::size_t begin, std::size_t end, bool with_mark) {
      constexpr std::uint32_t kMark = 0x2581;
      NormalizedText& marked = memory_->marked;
      marked.clear();
      for (std::size_t at = begin, size; at < end; at += size) {
        const auto character = utf8::decode(part.text(), at);
        size = character.size;
        const Span origin = part.origin(at, at + size);
        if (with_mark) marked.append(kMark, origin);
        with_mark = false;
        marked.append(character.value == ' ' ? kMark : character.value, origin);
      }
    }

    const BpeTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t n_words_ = 0;
    StopMeter stop_;
    detail::Pool<Memory>::Lease memory_;
  };

 private:
  BpeOptions options_;
  Bpe model_;
  StepNormalizer steps_;
  mutable detail::Pool<Memory> memory_;
};

BERTHA_NAMESPACE_END
