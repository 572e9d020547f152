// Unigram: the tokens of a word whose scores have the largest sum.
//
// Equals `models.Unigram` of tokenizers 0.23.3 (tokenizers/src/models/unigram/model.rs: encode_optimized, tokenize). Of
// equal sums the one that is found first stays: places are gone through from left to right, at each the shorter token
// first. A character that is no token costs ten more than the lowest score; neighbours of that kind are one token.

#pragma once

#include <algorithm>
#include <array>
#include <bertha/error.hpp>
#include <bertha/tokenizer/byte_names.hpp>
#include <bertha/tokenizer/double_array.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Makes tokens of words. Borrows its strings, trie and scores, and checks what it reads of them. Used by several
/// threads at once, with `Scratch` each.
class Unigram {
 public:
  /// The best ways to the places of a word; its memory is used again.
  struct Scratch {
    struct Place {
      double score = 0;             // of the tokens up to here
      std::uint32_t begin = kNone;  // of the last of them; kNone: no token ends here
      std::uint32_t id = 0;         // of the last of them
    };
    std::vector<Place> places;        // by byte
    std::vector<std::uint32_t> ends;  // of the word's tokens, the last first
  };

  /// The trie has the tokens' ids + 1. Throws Error{vocabulary} if there is not a finite score for each token,
  /// `unknown` is not the id of one, or one is so long that words of many bytes would take too long.
  Unigram(StoredStrings strings, DoubleArray trie, std::span<const double> scores, std::uint32_t unknown,
          bool byte_fallback)
      : strings_(strings), trie_(trie), scores_(scores), unknown_(unknown) {
    if (scores_.size() != strings_.size()) {
      fail({"tokenizer.scores: there are ", scores_.size(), " for ", strings_.size(), " tokens"});
    }
    if (unknown_ >= strings_.size()) {
      fail({"unk_token_id is ", unknown_, ", expected the id of one of the vocabulary's ", strings_.size(), " tokens"});
    }
    if (strings_.longest() > kMaxPiece) {
      fail({"tokenizer.vocab: a token has ", strings_.longest(), " bytes, expected at most ", kMaxPiece,
            ", or long words would take too long"});
    }
    double lowest = std::numeric_limits<double>::infinity();
    for (const double score : scores_) {
      if (!std::isfinite(score)) fail({"tokenizer.scores: a score is NaN or infinity"});
      lowest = std::min(lowest, score);
    }
    unknown_score_ = lowest - 10;
    if (byte_fallback) find_bytes();
  }

  const StoredStrings& strings() const { return strings_; }

  /// The id of a token.
  std::optional<std::uint32_t> find(std::string_view token) const {
    if (token.size() > strings_.longest()) return std::nullopt;
    const std::uint32_t value = trie_.value_of(token);
    if (value == 0) return std::nullopt;
    return id_of(value);
  }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it: of its bytes, which are
  /// not told apart, where it falls back to them. `word` is UTF-8. Returns how many steps it took.
  /// Throws Error{input} for a word of 2^32 bytes and more.
  std::size_t operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    if (word.size() >= kNone) {
      throw_error(ErrorCode::input, {"a word has ", word.size(), " bytes once it is normalised; divide the text"});
    }
    const std::size_t steps = find_best(word, scratch);
    auto& ends = scratch.ends;
    ends.clear();
    bool was_unknown = false;
    for (std::size_t end = word.size(); end > 0; end = scratch.places[end].begin) {
      const bool is_unknown = scratch.places[end].id == unknown_;
      if (!is_unknown || !was_unknown) ends.push_back(static_cast<std::uint32_t>(end));
      was_unknown = is_unknown;
    }
    for (std::size_t begin = 0; !ends.empty(); ends.pop_back()) {
      const std::size_t end = ends.back();
      const std::uint32_t id = scratch.places[end].id;
      if (id != unknown_) {
        token(id, begin, end);
      } else {
        put_unknown(word, begin, end, token);
      }
      begin = end;
    }
    return steps;
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t kMaxPiece = 1000;

  std::size_t find_best(std::string_view word, Scratch& scratch) const {
    auto& places = scratch.places;
    places.assign(word.size() + 1, {});
    std::size_t steps = 0;
    const auto reach = [&](std::size_t begin, std::size_t end, double score, std::uint32_t id) {
      score += places[begin].score;
      auto& place = places[end];
      if (place.begin == kNone || score > place.score) place = {score, static_cast<std::uint32_t>(begin), id};
    };
    for (std::size_t begin = 0, next; begin < word.size(); begin = next) {
      next = begin + utf8::decode(word, begin).size;
      const std::size_t limit = std::min(word.size(), begin + strings_.longest());
      DoubleArray::Walk walk(trie_);
      bool has_character = false;
      for (std::size_t at = begin; at < limit && walk.step(word[at]);) {
        ++steps;
        ++at;
        if (walk.value() == 0) continue;
        const std::uint32_t id = id_of(walk.value());
        reach(begin, at, scores_[id], id);
        has_character |= at == next;
      }
      if (!has_character) reach(begin, next, unknown_score_, unknown_);
    }
    return steps;
  }

  // What is unknown may be a token all the same: joined, or where the unknown token itself is in the text.
  void put_unknown(std::string_view word, std::size_t begin, std::size_t end, PutToken token) const {
    if (const auto id = find(word.substr(begin, end - begin))) return token(*id, begin, end);
    if (!has_bytes_) return token(unknown_, begin, end);
    for (std::size_t at = begin; at < end; ++at) {
      if (byte_ids_[static_cast<unsigned char>(word[at])] == kNone) return token(unknown_, begin, end);
    }
    for (std::size_t at = begin; at < end; ++at) token(byte_ids_[static_cast<unsigned char>(word[at])], begin, end);
  }

  void find_bytes() {
    has_bytes_ = true;
    for (std::size_t byte = 0; byte < 256; ++byte) byte_ids_[byte] = find(ByteName(byte)).value_or(kNone);
  }

  std::uint32_t id_of(std::uint32_t value) const {
    if (value <= strings_.size()) return value - 1;
    fail({"tokenizer.vocab.trie: there is no token ", value - 1});
  }

  [[noreturn]] static void fail(std::initializer_list<ErrorPiece> what) {
    throw_error(ErrorCode::vocabulary, {concat(what), "; the model file is damaged, convert it again"});
  }

  StoredStrings strings_;
  DoubleArray trie_;
  std::span<const double> scores_;
  std::uint32_t unknown_;
  double unknown_score_ = 0;
  bool has_bytes_ = false;
  std::array<std::uint32_t, 256> byte_ids_{};  // tokens of bytes, where it falls back to them
};

BERTHA_NAMESPACE_END
