// Raw text to Unigram tokens: normalised, split by Metaspace, and its words into tokens. A TokenizerKind.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/metaspace.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/unigram.hpp>
#include <bertha/tokenizer/word_cache.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// SentencePiece's parts of a tokenizer, but for added tokens. Immutable: several threads may use one at once.
class UnigramTokenizer {
  struct Memory {
    NormalizedText normalized;  // a raw part, while it is looked at
    MetaspaceWord marked;       // a word, likewise
    Unigram::Scratch word;
    WordCache cache;
  };

 public:
  UnigramTokenizer(const UnigramOptions& options, Unigram model, StepNormalizer steps)
      : options_(options), model_(std::move(model)), steps_(std::move(steps)) {}

  const StoredStrings& strings() const { return model_.strings(); }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const { return model_.find(token); }

  /// Normalises valid UTF-8, whose first byte is byte `base` of a text. Without steps it stays as it is.
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    if (steps_.empty()) return out.refer_to(text, base);
    steps_(text, base, out);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const {
    return decode_metaspace(tokens, options_.prepend_scheme);
  }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    /// `text` is valid UTF-8 and, as `stop`, lives as long.
    Run(const UnigramTokenizer& tokenizer, std::string_view text, const Stop& stop)
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
        if (tokens_.is_full()) return;
        stop_.pass(range.end - range.begin + 1);
        const auto make = [&](PutToken put) {
          MetaspaceWord& word = memory_->marked;
          word.assign(text, range, with_mark);
          its_.model_(word.text(), memory_->word, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
            const MetaspaceWord::Range source = word.source({begin, end});
            const bool is_mark = with_mark && end == kMetaspace.size();  // which the text lacks
            put(id, source.begin - range.begin, (is_mark ? source.begin : source.end) - range.begin);
          });
          return true;
        };
        const std::size_t start = from + range.begin;
        memory_->cache(text, range.begin, range.end, with_mark ? 1 : 0, make,
                       [&](std::uint32_t id, std::size_t begin, std::size_t end) {
                         // A mark alone has the range of the character behind it.
                         tokens_.append(id, part.origin(start + begin, start + std::max(end, begin + 1)), n_words_);
                       });
        ++n_words_;
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    const UnigramTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t n_words_ = 0;
    StopMeter stop_;
    detail::Pool<Memory>::Lease memory_;
  };

 private:
  UnigramOptions options_;
  Unigram model_;
  StepNormalizer steps_;
  mutable detail::Pool<Memory> memory_;
};

BERTHA_NAMESPACE_END
