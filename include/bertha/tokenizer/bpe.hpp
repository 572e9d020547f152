// BPE over characters: the tokens of a word, made by merges.
//
// Equals `models.BPE` of tokenizers 0.23.3 (tokenizers/src/models/bpe/model.rs: merge_word) without prefix, suffix and
// dropout. A word begins as one token for each character. What tokens are of is found by their sizes, one after the
// other: where characters are left out, and where an unknown one waits for its neighbours while bytes go before it,
// that is another place than theirs.

#pragma once

#include <array>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/tokenizer/byte_names.hpp>
#include <bertha/tokenizer/merges.hpp>
#include <bertha/tokenizer/metaspace.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Makes tokens of words. Immutable: several threads may use one at once, with `Scratch` each.
class Bpe {
 public:
  using Scratch = Merges::Scratch;

  /// Throws Error{vocabulary} as Merges does, and if `unknown`, which stands for characters without a token, is no
  /// token.
  Bpe(const BpeOptions& options, Vocabulary vocabulary, std::span<const std::uint32_t> merges, std::uint32_t unknown)
      : options_(options), vocabulary_(std::move(vocabulary)), merges_(vocabulary_, merges), unknown_(unknown) {
    if (!options_.drop_unknown && (unknown >= vocabulary_.size() || vocabulary_.token(unknown).empty())) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer: unk_token_id is ", unknown, ", expected the id of a token of the ", vocabulary_.size(),
                   " that there are; convert the model again"});
    }
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const char character = static_cast<char>(byte);
      if (byte < 128) ascii_ids_[byte] = vocabulary_.find({&character, 1}).value_or(kNone);
      if (options_.byte_fallback) byte_ids_[byte] = vocabulary_.find(ByteName(byte)).value_or(kNone);
    }
    find_joins(merges);
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Where the part of a word that begins at byte `at` ends: before a mark (U+2581), if no merge reaches across there.
  /// The word's tokens are those of its parts, one after the other.
  std::size_t end_of_part(std::string_view word, std::size_t at) const {
    while ((at = word.find(kMetaspace, at + 1)) < word.size()) {
      if (!joins_mark_[static_cast<unsigned char>(word[at - 1])]) return at;
    }
    return word.size();
  }

  /// Calls `token(id, begin, end)` for each token of `word`, which is UTF-8 and of less than 2^32 bytes: bytes
  /// [begin, end) of it.
  void operator()(std::string_view word, Scratch& scratch, PutToken token) const {
    if (options_.ignore_merges) {
      if (const auto whole = find(word)) return token(*whole, 0, word.size());
    }
    start(word, scratch.symbols);
    merges_(scratch, token);
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // Which bytes merges join with a mark behind them. All, where words are looked up as a whole, a mark has no token to
  // end what is unknown before it, or it may be joined with another symbol than that of the character before it.
  void find_joins(std::span<const std::uint32_t> merges) {
    bool all = options_.ignore_merges || options_.drop_unknown || !vocabulary_.find(kMetaspace);
    for (std::size_t i = 0; i + 1 < merges.size() && !all; i += 2) {
      if (!vocabulary_.token(merges[i + 1]).starts_with(kMetaspace)) continue;
      const std::string_view left = vocabulary_.token(merges[i]);
      joins_mark_[static_cast<unsigned char>(left.back())] = true;
      all = left.back() == '>' || left.ends_with(vocabulary_.token(unknown_));  // names of bytes end so too
    }
    if (all) joins_mark_.fill(true);
  }

  std::optional<std::uint32_t> find(std::string_view word) const {
    if (word.size() > vocabulary_.longest()) return std::nullopt;
    return vocabulary_.find(word);
  }

  // A symbol for each character that has a token, for each byte of one whose bytes have, and for unknown ones.
  void start(std::string_view word, std::vector<Merges::Symbol>& symbols) const {
    symbols.clear();
    std::uint32_t unknown_size = 0;  // bytes of what is unknown and not yet a symbol
    const auto put_unknown = [&] {
      if (unknown_size > 0) symbols.push_back({unknown_, unknown_size, Merges::kNoRank});
      unknown_size = 0;
    };
    for (std::uint32_t at = 0, size; at < word.size(); at += size) {
      size = utf8::decode(word, at).size;
      const auto first = static_cast<unsigned char>(word[at]);
      const std::string_view character = word.substr(at, size);
      const std::uint32_t id = first < 128 ? ascii_ids_[first] : vocabulary_.find(character).value_or(kNone);
      if (id != kNone) {
        put_unknown();
        symbols.push_back({id, size, Merges::kNoRank});
      } else if (has_bytes(character)) {
        for (const char byte : character)
          symbols.push_back({byte_ids_[static_cast<unsigned char>(byte)], 1, Merges::kNoRank});
      } else if (!options_.drop_unknown) {
        if (!options_.fuse_unknown) put_unknown();
        unknown_size += size;
      }
    }
    put_unknown();
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
      symbols[i].rank = merges_.rank(symbols[i].id, symbols[i + 1].id);
  }

  bool has_bytes(std::string_view character) const {
    if (!options_.byte_fallback) return false;
    for (const char byte : character) {
      if (byte_ids_[static_cast<unsigned char>(byte)] == kNone) return false;
    }
    return true;
  }

  BpeOptions options_;
  Vocabulary vocabulary_;
  Merges merges_;
  std::uint32_t unknown_;
  std::array<bool, 256> joins_mark_{};  // by the byte before the mark
  std::array<std::uint32_t, 128> ascii_ids_{};
  std::array<std::uint32_t, 256> byte_ids_{};  // tokens of bytes, where it falls back to them
};

BERTHA_NAMESPACE_END
