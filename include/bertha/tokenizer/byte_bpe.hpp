// Byte-level BPE: the tokens of a word, made by merges.
//
// A token is a string over the byte alphabet (byte_level.hpp). A word begins as one token for each byte.
//
// Equals `models.BPE` of tokenizers 0.23.3 (tokenizers/src/models/bpe/model.rs, word.rs) as GPT-2 and RoBERTa use it.

#pragma once

#include <array>
#include <bertha/error.hpp>
#include <bertha/tokenizer/byte_level.hpp>
#include <bertha/tokenizer/merges.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
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
  ByteBpe(Vocabulary vocabulary, std::span<const std::uint32_t> merges, std::uint32_t unknown)
      : vocabulary_(std::move(vocabulary)), merges_(vocabulary_, merges) {
    find_bytes(unknown);
    rank_bytes();
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it.
  void operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    start(word, scratch.symbols);
    merges_(scratch, token);
  }

 private:
  void find_bytes(std::uint32_t unknown) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      char character[4];
      const std::size_t size = utf8::encode(byte_alphabet::kCharacters[byte], character);
      const auto id = vocabulary_.find(std::string_view(character, size));
      if (!id && (unknown >= vocabulary_.size() || vocabulary_.token(unknown).empty())) {
        fail(
            {"tokenizer.vocab: there is no token for byte ", byte, ", and unk_token_id is no token of the vocabulary"});
      }
      byte_ids_[byte] = id.value_or(unknown);
    }
  }

  void rank_bytes() {
    byte_ranks_.resize(std::size_t{256} * 256);
    for (std::size_t i = 0; i < byte_ranks_.size(); ++i) {
      byte_ranks_[i] = merges_.rank(byte_ids_[i / 256], byte_ids_[i % 256]);
    }
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
  std::vector<std::uint32_t> byte_ranks_;  // of the merge of each two bytes, or kNoRank
};

BERTHA_NAMESPACE_END
