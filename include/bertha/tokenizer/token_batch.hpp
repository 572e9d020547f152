// Tokens on their way into a TokenSequence.

#pragma once

#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/word_cache.hpp>
#include <cstddef>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

/// Room for the tokens of `kWords` words that come from a WordCache, and as many of others: they are written down
/// without a look at memory for each, and go on together.
template <std::size_t kWords>
class TokenBatch {
 public:
  /// Appends a token of word number `word`, which is the bytes `origin` of the text.
  void append(std::uint32_t id, Span origin, std::uint32_t word) {
    ids_[n_] = id;
    offsets_[n_] = origin;
    words_[n_++] = word;
  }

  /// Appends the tokens of a word that stands at byte `start` of the text and is number `word` of it.
  /// A second token is foreseen badly, so behind the first all are written that there might be.
  void append(const WordCache::Line& line, std::uint32_t start, std::uint32_t word) {
    const std::size_t n = line.count();
    ids_[n_] = line.id(0);
    offsets_[n_] = {start + line.begin(0, 0), start + line.end(0)};
    words_[n_] = word;
    if (n > 1) {
      for (std::size_t i = 1; i < kMost; ++i) {
        ids_[n_ + i] = line.id(i);
        offsets_[n_ + i] = {start + line.begin(i, line.end(i - 1)), start + line.end(i)};
        words_[n_ + i] = word;
      }
    }
    n_ += n;
  }

  std::size_t size() const { return n_; }

  /// Whether there is room for one more word and one token.
  bool has_room() const { return n_ + kMost < kRoom; }

  /// Drops all.
  void clear() { n_ = 0; }

  /// Moves all to the end of a sequence.
  void move_to(TokenSequence& tokens) {
    if (n_ == 0) return;
    tokens.ids.insert(tokens.ids.end(), ids_, ids_ + n_);
    tokens.offsets.insert(tokens.offsets.end(), offsets_, offsets_ + n_);
    tokens.words.insert(tokens.words.end(), words_, words_ + n_);
    n_ = 0;
  }

 private:
  static constexpr std::size_t kMost = WordCache::Line::kMost, kRoom = kWords * (kMost + 1);

  std::size_t n_ = 0;
  std::uint32_t ids_[kRoom];
  Span offsets_[kRoom];
  std::uint32_t words_[kRoom];
};

BERTHA_NAMESPACE_END
