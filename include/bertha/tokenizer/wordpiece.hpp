// WordPiece: splitting normalised text into words, words into pieces of the vocabulary, and joining tokens again.
//
// Equals `BertPreTokenizer`, `models.WordPiece` and `decoders.WordPiece` of tokenizers 0.23.3
// (tokenizers/src/pre_tokenizers/bert.rs, models/wordpiece/mod.rs, decoders/wordpiece.rs).

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/double_array.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bertha/tokenizer/trie.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Calls `word(begin, end)` for each word of a normalised text: white space separates words and is dropped, a
/// punctuation mark is a word of its own.
template <class Word>
void split_words(std::string_view text, Word&& word) {
  std::size_t begin = 0, at = 0;
  const auto end_word = [&] {
    if (begin < at) word(begin, at);
  };
  while (at < text.size()) {
    const auto [code_point, size] = utf8::decode(text, at);
    const std::uint16_t flags = unicode::properties(code_point).flags;
    if ((flags & (unicode::kWhiteSpace | unicode::kPunctuation)) != 0) {
      end_word();
      if ((flags & unicode::kPunctuation) != 0) word(at, at + size);
      begin = at + size;
    }
    at += size;
  }
  end_word();
}

/// Where ASCII letters and digits end that begin at byte `at` of a text, at < text.size(). Eight bytes at a time.
inline std::size_t end_of_ascii_word(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kEach = 0x0101010101010101u, kHigh = 0x80 * kEach;
  constexpr std::size_t kEight = sizeof kEach;
  const auto above = [](std::uint64_t bits, unsigned char byte) { return bits + (0x7Fu - byte) * kEach; };
  for (; text.size() >= kEight; at += kEight) {
    const std::size_t lacking = kEight - std::min(text.size() - at, kEight);  // behind the text, as if they were 0
    std::uint64_t eight;
    std::memcpy(&eight, text.data() + at - lacking, kEight);
    eight >>= 8 * lacking;
    const std::uint64_t bits = eight & ~kHigh, lower = bits | 0x20 * kEach;
    const std::uint64_t letters = above(lower, 'a' - 1) & ~above(lower, 'z');
    const std::uint64_t digits = above(bits, '0' - 1) & ~above(bits, '9');
    const std::uint64_t others = (eight | ~(letters | digits)) & kHigh;
    if (others != 0) return at + static_cast<std::size_t>(std::countr_zero(others)) / 8;
    if (text.size() - at == kEight) return text.size();
  }
  const auto is_letter = [](char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); };
  while (at < text.size() && is_letter(text[at])) ++at;
  return at;
}

/// Cuts words into the longest pieces that the vocabulary has, from left to right; pieces after the first carry a
/// prefix ("##"). A word that can't be cut so is one unknown token. Used by several threads at once, with `Scratch`
/// each.
class WordPiece {
 public:
  /// The pieces of a word; its memory is used again.
  struct Scratch {
    struct Piece {
      std::uint32_t id;
      std::size_t end;  // in the word
    };
    std::vector<Piece> pieces;
  };

  /// Throws what trie_of throws, and Error{vocabulary} if `unknown` is not the id of a token, or the time for a word
  /// would be without bounds: at each piece's start as many bytes as the longest token has may be looked at.
  WordPiece(StoredStrings strings, std::string prefix, std::uint32_t unknown, std::size_t max_input_chars_per_word)
      : strings_(strings),
        prefix_(std::move(prefix)),
        unknown_(unknown),
        max_chars_(max_input_chars_per_word),
        units_(trie_of(strings)),
        further_(trie()) {
    if (unknown_ >= strings_.size() || strings_[unknown_].empty()) {
      throw_error(ErrorCode::vocabulary, {"tokenizer: unk_token_id is ", unknown_,
                                          ", expected the id of one of the vocabulary's ", strings_.size(), " tokens"});
    }
    if (std::min(max_chars_, strings_.longest()) > kMaxPiece) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer: max_input_chars_per_word is ", max_chars_, " and the vocabulary has a token of ",
                   strings_.longest(), " bytes; one of the two must be at most ", kMaxPiece,
                   ", or long words would take too long"});
    }
    for (const char byte : prefix_) goes_on_ = goes_on_ && further_.step(byte);
  }
  WordPiece(WordPiece&&) = default;  // the units stay where they are, to which `further_` refers

  const StoredStrings& strings() const { return strings_; }
  const std::string& prefix() const { return prefix_; }

  /// The id of a token.
  std::optional<std::uint32_t> find(std::string_view token) const {
    const std::uint32_t value = trie().value_of(token);
    if (value == 0) return std::nullopt;
    return value - 1;
  }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it.
  void operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    if ((word.size() > max_chars_ && utf8::count(word) > max_chars_) || !cut(word, scratch.pieces)) {
      return token(unknown_, std::size_t{0}, word.size());
    }
    std::size_t begin = 0;
    for (const Scratch::Piece& piece : scratch.pieces) {
      token(piece.id, begin, piece.end);
      begin = piece.end;
    }
  }

 private:
  static constexpr std::size_t kMaxPiece = 1000;

  DoubleArray trie() const { return {units_, "tokenizer.vocab"}; }

  // Cuts a word into pieces; false: it can't be.
  bool cut(std::string_view word, std::vector<Scratch::Piece>& pieces) const {
    pieces.clear();
    for (std::size_t begin = 0; begin < word.size(); begin = pieces.back().end) {
      if (begin > 0 && !goes_on_) return false;
      DoubleArray::Walk walk = begin > 0 ? further_ : DoubleArray::Walk(trie());
      std::uint32_t longest = 0;
      std::size_t end = begin;
      for (std::size_t at = begin; at < word.size() && walk.step(word[at]);) {
        ++at;
        if (walk.value() != 0) longest = walk.value(), end = at;
      }
      if (longest == 0) return false;
      pieces.push_back({longest - 1, end});
    }
    return true;
  }

  StoredStrings strings_;
  std::string prefix_;
  std::uint32_t unknown_;
  std::size_t max_chars_;
  std::vector<std::uint32_t> units_;
  DoubleArray::Walk further_;  // behind the prefix
  bool goes_on_ = true;        // whether tokens begin with it
};

/// Takes the spaces before punctuation and English endings away, as the WordPiece decoder does, which also makes
/// "don't" of "do not", and, of a whole text, transformers' `clean_up_tokenization`, which doesn't.
inline void clean_up_spaces(std::string& text, bool do_not) {
  static constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kCleanups) {
    std::size_t at = text.find(from), done = 0;
    if (at == std::string::npos || (from == " do not" && !do_not)) continue;
    std::string replaced;
    for (; at != std::string::npos; at = text.find(from, done)) {
      replaced.append(text, done, at - done).append(to);
      done = at + from.size();
    }
    text = replaced.append(text, done);
  }
}

/// Joins tokens as the WordPiece decoder does (Hugging Face's `convert_tokens_to_string`): tokens after the first that
/// carry the prefix lose it, others get a space before them; with `cleanup`, spaces go token by token.
inline std::string decode_wordpiece(std::span<const std::string_view> tokens, std::string_view prefix, bool cleanup) {
  std::string result;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string token(tokens[i]);
    if (i > 0 && tokens[i].starts_with(prefix)) {
      token.erase(0, prefix.size());
    } else if (i > 0) {
      token.insert(0, 1, ' ');
    }
    if (cleanup) clean_up_spaces(token, true);
    result += token;
  }
  return result;
}

BERTHA_NAMESPACE_END
