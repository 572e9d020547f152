// WordPiece: splitting normalised text into words, words into pieces of the vocabulary, and joining tokens again.
//
// Equals `BertPreTokenizer`, `models.WordPiece` and `decoders.WordPiece` of tokenizers 0.23.3
// (tokenizers/src/pre_tokenizers/bert.rs, models/wordpiece/mod.rs, decoders/wordpiece.rs).

#pragma once

#include <algorithm>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
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

/// Cuts words into the longest pieces that the vocabulary has, from left to right; pieces after the first carry a
/// prefix ("##"). A word that can't be cut so is one unknown token. Used by several threads at once, with `Scratch`
/// each.
class WordPiece {
 public:
  /// A word and its pieces; its memory is used again.
  struct Scratch {
    struct Piece {
      std::uint32_t id;
      std::size_t end;  // in the word
    };
    std::string word;  // with room for the prefix before it
    std::vector<Piece> pieces;
  };

  /// Throws Error{vocabulary} if `unknown` is not the id of a token, or the time for a word would be without bounds: at
  /// each piece's start all sizes up to the longest token's, and the word's end, may be tried.
  WordPiece(Vocabulary vocabulary, std::string prefix, std::uint32_t unknown, std::size_t max_input_chars_per_word)
      : vocabulary_(std::move(vocabulary)),
        prefix_(std::move(prefix)),
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
    index_sizes();
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const std::string& prefix() const { return prefix_; }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it.
  void operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    if ((word.size() > max_chars_ && utf8::count(word) > max_chars_) || !cut(word, scratch)) {
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
  static constexpr std::size_t kStart = 4;     // bytes of a piece by which the sizes of such pieces are known
  static constexpr std::size_t kLastBit = 63;  // for all sizes from kStart + 63 on

  // Cuts a word into pieces; false: it can't be.
  bool cut(std::string_view word, Scratch& scratch) const {
    scratch.pieces.clear();
    scratch.word.assign(prefix_).append(word);
    char* const text = scratch.word.data() + prefix_.size();
    for (std::size_t begin = 0; begin < word.size();) {
      // What is before a piece has been cut: the prefix goes there, so that the whole token can be looked up.
      const std::size_t before = begin == 0 ? 0 : prefix_.size();
      std::memcpy(text + begin - before, prefix_.data(), before);
      const auto [id, size] = longest({text + begin, word.size() - begin}, before);
      if (size == 0) return false;
      begin += size;
      scratch.pieces.push_back({id, begin});
    }
    return true;
  }

  struct Piece {
    std::uint32_t id;
    std::size_t size;  // 0: there is none
  };

  // The longest piece at the start of `text`, with the `before` bytes that stand before it.
  Piece longest(std::string_view text, std::size_t before) const {
    if (vocabulary_.longest() < before) return {0, 0};
    std::size_t size = std::min(text.size(), vocabulary_.longest() - before);
    const auto found = [&]() -> std::optional<std::uint32_t> {
      // Tokens are UTF-8, so no cut inside a code point is worth a look.
      if (size < text.size() && utf8::is_continuation(text[size])) return std::nullopt;
      return vocabulary_.find({text.data() - before, before + size});
    };
    if (size >= kStart) {
      std::uint64_t sizes = sizes_[start_of(text, before != 0)];
      for (; size >= kStart + kLastBit && sizes >> kLastBit != 0; --size) {
        if (const auto id = found()) return {*id, size};
      }
      size = std::min(size, kStart + kLastBit - 1);
      for (sizes &= (std::uint64_t{2} << (size - kStart)) - 1; sizes != 0; sizes ^= std::bit_floor(sizes)) {
        size = kStart + static_cast<std::size_t>(std::bit_width(sizes)) - 1;
        if (const auto id = found()) return {*id, size};
      }
      size = kStart - 1;
    }
    for (; size > 0; --size) {
      if (const auto id = found()) return {*id, size};
    }
    return {0, 0};
  }

  // The entry of `sizes_` for pieces with the first bytes of `text`, which has kStart or more.
  std::size_t start_of(std::string_view text, bool has_prefix) const {
    std::uint32_t start;
    std::memcpy(&start, text.data(), sizeof start);
    return (std::uint64_t{start} << 1 | std::uint64_t{has_prefix}) * 0x9E3779B97F4A7C15u >> sizes_shift_;
  }

  void index_sizes() {
    sizes_.resize(std::bit_ceil(vocabulary_.size() / 2 + 2));
    sizes_shift_ = static_cast<unsigned>(64 - std::countr_zero(sizes_.size()));
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      const std::string_view token = vocabulary_.strings().stored(id);
      const auto enter = [&](std::string_view piece, bool has_prefix) {
        if (piece.size() < kStart) return;
        sizes_[start_of(piece, has_prefix)] |= std::uint64_t{1} << std::min(piece.size() - kStart, kLastBit);
      };
      enter(token, false);
      if (!prefix_.empty() && token.starts_with(prefix_)) enter(token.substr(prefix_.size()), true);
    }
  }

  Vocabulary vocabulary_;
  std::string prefix_;
  std::uint32_t unknown_;
  std::size_t max_chars_;
  std::vector<std::uint64_t> sizes_;  // by hashes of first bytes: bit i for pieces of kStart + i bytes
  unsigned sizes_shift_ = 0;
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
