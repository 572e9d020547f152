// WordPiece: splitting normalised text into words, words into pieces of the vocabulary, and joining tokens again.
//
// Equals `BertPreTokenizer`, `models.WordPiece` and `decoders.WordPiece` of tokenizers 0.23.3
// (tokenizers/src/pre_tokenizers/bert.rs, models/wordpiece/mod.rs, decoders/wordpiece.rs).

#pragma once

#include <algorithm>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <cstddef>
#include <cstdint>
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

/// Cuts words into the longest pieces that the vocabulary has, from left to right; pieces after the first carry a
/// prefix ("##"). A word that can't be cut so is one unknown token. Used by several threads at once, with `Scratch`
/// each.
class WordPiece {
 public:
  /// The hashes of a word's prefixes; its memory is used again.
  using Scratch = std::vector<Vocabulary::Hash>;

  /// Throws Error{vocabulary} if `unknown` is not the id of a token, or the time for a word would be without bounds: at
  /// each piece's start all lengths up to the longest token's, and the word's end, may be tried.
  WordPiece(Vocabulary vocabulary, std::string prefix, std::uint32_t unknown, std::size_t max_input_chars_per_word)
      : vocabulary_(std::move(vocabulary)),
        prefix_(std::move(prefix)),
        prefix_hash_(Vocabulary::extend(Vocabulary::kEmpty, prefix_)),
        unknown_(unknown),
        max_chars_(max_input_chars_per_word) {
    if (unknown_ >= vocabulary_.size() || vocabulary_.token(unknown_).empty()) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer: unk_token_id is ", unknown_, ", expected the id of one of the vocabulary's ",
                   vocabulary_.size(), " tokens"});
    }
    if (std::min(max_chars_, vocabulary_.longest()) > kMaxPiece) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer: max_input_chars_per_word is ", max_chars_, " and the vocabulary has a token of ",
                   vocabulary_.longest(), " bytes; one of the two must be at most ", kMaxPiece,
                   ", or long words would take too long"});
    }
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const std::string& prefix() const { return prefix_; }

  /// Appends the tokens of `text`, word number `word`. `origin(begin, end)` gives the original bytes of a part of it.
  template <class Origin>
  void operator()(std::string_view text, std::uint32_t word, const Origin& origin, Scratch& scratch,
                  TokenSequence& tokens) const {
    const std::size_t n_before = tokens.size();
    if (text.size() > max_chars_ && utf8::count(text) > max_chars_) {
      tokens.append(unknown_, origin(0, text.size()), word);
      return;
    }
    for (std::size_t begin = 0; begin < text.size();) {
      const auto [id, size] = longest(text.substr(begin), begin == 0, scratch);
      if (size == 0) {
        tokens.keep_first(n_before);
        tokens.append(unknown_, origin(0, text.size()), word);
        return;
      }
      tokens.append(id, origin(begin, begin + size), word);
      begin += size;
    }
  }

 private:
  static constexpr std::size_t kMaxPiece = 1000;

  struct Piece {
    std::uint32_t id;
    std::size_t size;  // 0: there is none
  };

  // The longest piece at the start of `text`. Tokens are UTF-8, so no cut inside a code point is worth a look.
  Piece longest(std::string_view text, bool first, Scratch& scratch) const {
    const std::string_view prefix = first ? std::string_view() : std::string_view(prefix_);
    if (vocabulary_.longest() < prefix.size()) return {0, 0};
    const std::size_t limit = std::min(text.size(), vocabulary_.longest() - prefix.size());
    if (scratch.size() < limit) scratch.resize(limit);
    Vocabulary::Hash hash = first ? Vocabulary::kEmpty : prefix_hash_;
    for (std::size_t i = 0; i < limit; ++i) scratch[i] = hash = Vocabulary::extend(hash, text[i]);
    for (std::size_t size = limit; size > 0; --size) {
      if (size < text.size() && utf8::is_continuation(text[size])) continue;
      if (const auto id = vocabulary_.find(scratch[size - 1], prefix, text.substr(0, size))) return {*id, size};
    }
    return {0, 0};
  }

  Vocabulary vocabulary_;
  std::string prefix_;
  Vocabulary::Hash prefix_hash_;
  std::uint32_t unknown_;
  std::size_t max_chars_;
};

/// Joins tokens as the WordPiece decoder does (Hugging Face's `convert_tokens_to_string`): tokens after the first that
/// carry the prefix lose it, others get a space before them; with `cleanup`, spaces before punctuation and English
/// endings go, token by token.
inline std::string decode_wordpiece(std::span<const std::string_view> tokens, std::string_view prefix, bool cleanup) {
  static constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  const auto replace_all = [](std::string& text, std::string_view from, std::string_view to) {
    std::size_t at = text.find(from), done = 0;
    if (at == std::string::npos) return;
    std::string replaced;
    for (; at != std::string::npos; at = text.find(from, done)) {
      replaced.append(text, done, at - done).append(to);
      done = at + from.size();
    }
    text = replaced.append(text, done);
  };
  std::string result;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string token(tokens[i]);
    if (i > 0 && tokens[i].starts_with(prefix)) {
      token.erase(0, prefix.size());
    } else if (i > 0) {
      token.insert(0, 1, ' ');
    }
    if (cleanup) {
      for (const auto& [from, to] : kCleanups) replace_all(token, from, to);
    }
    result += token;
  }
  return result;
}

BERTHA_NAMESPACE_END
