// Raw text to tokens of BPE over characters: normalised, split by Metaspace, and its words into tokens. A
// TokenizerKind.

#pragma once

#include <bertha/config.hpp>
#include <bertha/tokenizer/bpe.hpp>
#include <bertha/tokenizer/metaspace.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
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
        : its_(tokenizer), text_(text), stop_(stop) {}

    /// Appends an added token that was found at `origin`.
    void append_added_token(std::uint32_t id, Span origin) { tokens_.append(id, origin, n_words_++); }

    /// Appends the tokens of bytes [from, to) of the text.
    void append_raw(std::size_t from, std::size_t to) {
      its_.normalize(text_.substr(from, to - from), static_cast<std::uint32_t>(from), normalized_);
      append_normalized(normalized_, 0, normalized_.text().size());
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      const std::string_view text = part.text().substr(from, to - from);
      const auto at_start = [&](std::size_t byte) { return part.origin(from + byte, from + byte + 1).start == 0; };
      split_metaspace(text, its_.options_, at_start, [&](MetaspaceWord::Range range, bool with_mark) {
        stop_.pass(range.end - range.begin + (its_.options_.whitespace_split ? 1 : 0));
        const std::size_t start = from + range.begin, end = from + range.end;
        std::string_view word = part.text().substr(start, end - start);
        const bool as_it_is = !with_mark && word.find(' ') == word.npos;
        if (!as_it_is) {
          mark(part, start, end, with_mark);
          word = word_.text();
        }
        its_.model_(word, scratch_, [&](std::uint32_t id, std::size_t first, std::size_t last) {
          tokens_.append(id, as_it_is ? part.origin(start + first, start + last) : word_.origin(first, last), n_words_);
        });
        ++n_words_;
      });
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    // A word with its spaces as marks. A mark that is added has the range of what is behind it.
    void mark(const NormalizedText& part, std::size_t begin, std::size_t end, bool with_mark) {
      constexpr std::uint32_t kMark = 0x2581;
      word_.clear();
      for (std::size_t at = begin, size; at < end; at += size) {
        const auto character = utf8::decode(part.text(), at);
        size = character.size;
        const Span origin = part.origin(at, at + size);
        if (with_mark) word_.append(kMark, origin);
        with_mark = false;
        word_.append(character.value == ' ' ? kMark : character.value, origin);
      }
    }

    const BpeTokenizer& its_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t n_words_ = 0;
    StopMeter stop_;
    NormalizedText normalized_;  // a raw part, while it is looked at
    NormalizedText word_;        // a word, likewise
    Bpe::Scratch scratch_;
  };

 private:
  BpeOptions options_;
  Bpe model_;
  StepNormalizer steps_;
};

BERTHA_NAMESPACE_END
