// Byte-level BPE: the tokens of a word, made by merges.
//
// A token is a string over the byte alphabet (byte_level.hpp). A word begins as one token for each byte. Most pairs of
// bytes stand side by side in no token, which no merge reaches across: between them a word falls into parts.
//
// Equals `models.BPE` of tokenizers 0.23.3 (tokenizers/src/models/bpe/model.rs, word.rs) as GPT-2, RoBERTa and Llama 3
// use it.

#pragma once

#include <array>
#include <bertha/error.hpp>
#include <bertha/tokenizer/byte_level.hpp>
#include <bertha/tokenizer/merges.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Makes tokens of words. Used by several threads at once, with `Scratch` each.
class ByteBpe {
 public:
  /// The tokens of one word and what their making needs; its memory is used again.
  using Scratch = Merges::Scratch;

  /// `merges` are pairs of ids in the order of their ranks; `unknown` stands for bytes that the vocabulary lacks.
  /// Throws Error{vocabulary} if a merge is not of two tokens whose strings, joined, are a third one, if a pair is
  /// given twice, or if bytes are lacking and `unknown` is no token.
  ByteBpe(Vocabulary vocabulary, std::span<const std::uint32_t> merges, std::uint32_t unknown,
          bool ignore_merges = false)
      : vocabulary_(std::move(vocabulary)), merges_(vocabulary_, merges), ignore_merges_(ignore_merges) {
    const bool has_all = find_bytes(unknown);
    rank_bytes();
    find_joins(merges, has_all);
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Where the part of a word that begins at byte `at` ends: its tokens are the same whatever is beside it.
  std::size_t end_of_part(std::string_view word, std::size_t at) const {
    for (++at; at < word.size() && joins(word[at - 1], word[at]);) ++at;
    return at;
  }

  /// The token of a part that is one byte.
  std::uint32_t token_of(char byte) const { return byte_ids_[static_cast<unsigned char>(byte)]; }

  /// The token that a whole word is, whatever its merges make of it, where such tokens come first.
  std::optional<std::uint32_t> whole(std::string_view word) const {
    if (!ignore_merges_ || word.size() > vocabulary_.longest()) return std::nullopt;
    std::string token;
    for (const char byte : word) {
      char character[4];
      token.append(character, utf8::encode(byte_alphabet::kCharacters[static_cast<unsigned char>(byte)], character));
    }
    return vocabulary_.find(token);
  }

  /// Calls `token(id, begin, end)` for each token of a word that `whole` is none of, or of a part of one; the token is
  /// bytes [begin, end) of it. Returns what Merges does.
  std::size_t operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    std::size_t n_windowed = 0;
    for (std::size_t begin = 0, end; begin < word.size(); begin = end) {
      end = end_of_part(word, begin);
      if (end - begin == 1) {
        token(token_of(word[begin]), begin, end);
        continue;
      }
      start(word.substr(begin, end - begin), scratch.symbols);
      n_windowed += merges_(scratch, [&](std::uint32_t id, std::size_t first, std::size_t last) {
        token(id, begin + first, begin + last);
      });
    }
    return n_windowed;
  }

 private:
  // True if there is a token for each byte.
  bool find_bytes(std::uint32_t unknown) {
    bool has_all = true;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      char character[4];
      const std::size_t size = utf8::encode(byte_alphabet::kCharacters[byte], character);
      const auto id = vocabulary_.find(std::string_view(character, size));
      if (!id && (unknown >= vocabulary_.size() || vocabulary_.token(unknown).empty())) {
        fail(
            {"tokenizer.vocab: there is no token for byte ", byte, ", and unk_token_id is no token of the vocabulary"});
      }
      byte_ids_[byte] = id.value_or(unknown);
      has_all = has_all && id.has_value();
    }
    return has_all;
  }

  void rank_bytes() {
    byte_ranks_.resize(std::size_t{256} * 256);
    for (std::size_t i = 0; i < byte_ranks_.size(); ++i) {
      byte_ranks_[i] = merges_.rank(byte_ids_[i / 256], byte_ids_[i % 256]);
    }
  }

  // Which bytes merges join. All, where some have no token and the unknown one stands for them.
  void find_joins(std::span<const std::uint32_t> merges, bool has_all) {
    joins_.assign(std::size_t{256} * 256 / 64, has_all ? 0 : ~std::uint64_t{0});
    if (!has_all) return;
    for (std::size_t i = 0; i + 1 < merges.size(); i += 2) {
      const std::string_view left = vocabulary_.token(merges[i]), right = vocabulary_.token(merges[i + 1]);
      const int last = byte_alphabet::byte_of(utf8::decode(left, unicode::last_code_point(left)).value);
      const int first = byte_alphabet::byte_of(utf8::decode(right, 0).value);
      if (last < 0 || first < 0) continue;  // nothing makes such a token
      const auto pair = static_cast<std::size_t>(last * 256 + first);
      joins_[pair / 64] |= std::uint64_t{1} << pair % 64;
    }
  }

  bool joins(char left, char right) const {
    const std::size_t pair = std::size_t{static_cast<unsigned char>(left)} << 8 | static_cast<unsigned char>(right);
    return (joins_[pair / 64] >> pair % 64 & 1) != 0;
  }

  // A symbol for each byte.
  void start(std::string_view word, std::vector<Merges::Symbol>& symbols) const {
    symbols.resize(word.size());
    const auto at = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(word[i])}; };
    for (std::size_t i = 0; i < word.size(); ++i) {
      const std::uint32_t rank = i + 1 < word.size() ? byte_ranks_[at(i) * 256 + at(i + 1)] : Merges::kNoRank;
      symbols[i] = {byte_ids_[at(i)], 1, rank};
    }
  }

  [[noreturn]] static void fail(std::initializer_list<ErrorPiece> what) {
    throw_error(ErrorCode::vocabulary, {concat(what), "; the model file is damaged, convert it again"});
  }

  Vocabulary vocabulary_;
  std::array<std::uint32_t, 256> byte_ids_{};
  Merges merges_;
  bool ignore_merges_;
  std::vector<std::uint32_t> byte_ranks_;  // of the merge of each two bytes, or kNoRank
  std::vector<std::uint64_t> joins_;       // for each two bytes a bit: whether some token has them side by side
};

BERTHA_NAMESPACE_END
