// What a tokenizer makes of a text, or of a pair of texts: one entry per token in each of the parallel vectors.

#pragma once

#include <algorithm>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A half-open range of UTF-8 bytes of the original text.
struct Span {
  std::uint32_t start = 0;
  std::uint32_t end = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

/// The tokens of one text before templates and truncation; parallel vectors.
struct TokenSequence {
  std::vector<std::uint32_t> ids;
  std::vector<Span> offsets;
  std::vector<std::uint32_t> words;    ///< index of the token's pre-tokenizer word; added tokens are words too
  std::vector<Span> offsets_as_first;  ///< of each token if it is a window's first; empty: no different
  std::size_t limit = std::numeric_limits<std::size_t>::max();  ///< of tokens that matter: words behind may lack theirs

  std::size_t size() const { return ids.size(); }

  /// True once what is behind doesn't matter.
  bool is_full() const { return ids.size() >= limit; }

  /// Appends a token of word number `word`, which is the bytes `origin` of the text.
  void append(std::uint32_t id, Span origin, std::uint32_t word) {
    ids.push_back(id);
    offsets.push_back(origin);
    words.push_back(word);
  }

  /// Appends the tokens of a word that stands at byte `start` of the text and is number `word` of it.
  void append(const TokenSequence& tokens, std::uint32_t start, std::uint32_t word) {
    const auto moved = [&](Span span) { return Span{span.start + start, span.end + start}; };
    for (std::size_t i = 0; i < tokens.size(); ++i) append(tokens.ids[i], moved(tokens.offsets[i]), word);
    for (const Span span : tokens.offsets_as_first) offsets_as_first.push_back(moved(span));
  }

  void reserve(std::size_t n) {
    ids.reserve(n);
    offsets.reserve(n);
    words.reserve(n);
  }

  /// Drops all tokens, but keeps their memory.
  void clear() {
    ids.clear();
    offsets.clear();
    words.clear();
    offsets_as_first.clear();
  }

  /// Less than the three moves that std::swap makes, which short texts feel.
  friend void swap(TokenSequence& a, TokenSequence& b) noexcept {
    a.ids.swap(b.ids);
    a.offsets.swap(b.offsets);
    a.words.swap(b.words);
    a.offsets_as_first.swap(b.offsets_as_first);
    std::swap(a.limit, b.limit);
  }
};

/// The tokens of one sequence, special tokens included. Equals `tokenizers.Encoding` (0.23.3), but that offsets count
/// UTF-8 bytes in place of code points.
struct Encoding {
  /// `words` and `sequences` of a special token.
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> type_ids;
  std::vector<Span> offsets;             ///< into the text of the token's sequence; (0, 0) for special tokens
  std::vector<std::uint32_t> words;      ///< index of the token's pre-tokenizer word in its sequence
  std::vector<std::uint32_t> sequences;  ///< 0: text, 1: its pair
  std::vector<std::uint8_t> special;     ///< 1 for tokens that the template added

  std::size_t n_unknown = 0;  ///< tokens that are the unknown token
  std::uint32_t sample = 0;   ///< of windows of several texts: the number of its text (overflow_to_sample_mapping)
  bool truncated = false;  ///< tokens of the text are missing; never set for windows, which hold all of them together

  std::size_t size() const { return ids.size(); }

  /// Drops all tokens, but keeps their memory.
  void clear() {
    ids.clear();
    type_ids.clear();
    offsets.clear();
    words.clear();
    sequences.clear();
    special.clear();
    n_unknown = 0;
    sample = 0;
    truncated = false;
  }

  /// Becomes `n` tokens, of which new ones are all zero.
  void resize(std::size_t n) {
    ids.resize(n);
    type_ids.resize(n);
    offsets.resize(n);
    words.resize(n);
    sequences.resize(n);
    special.resize(n);
  }

  /// Makes a new token one of the template.
  void put_special(std::size_t at, std::uint32_t id, std::uint32_t type_id) {
    ids[at] = id;
    type_ids[at] = type_id;
    words[at] = kNone;
    sequences[at] = kNone;
    special[at] = 1;
  }

  /// Makes new tokens from `at` on tokens [begin, end) of a text, which is number `sequence`.
  void put(std::size_t at, const TokenSequence& tokens, std::size_t begin, std::size_t end, std::uint32_t type_id,
           std::uint32_t sequence) {
    const std::size_t n = end - begin;
    std::copy_n(tokens.ids.data() + begin, n, ids.data() + at);
    std::copy_n(tokens.offsets.data() + begin, n, offsets.data() + at);
    if (n > 0 && !tokens.offsets_as_first.empty()) offsets[at] = tokens.offsets_as_first[begin];
    std::copy_n(tokens.words.data() + begin, n, words.data() + at);
    if (type_id != 0) std::fill_n(type_ids.data() + at, n, type_id);
    if (sequence != 0) std::fill_n(sequences.data() + at, n, sequence);
  }
};

BERTHA_NAMESPACE_END
