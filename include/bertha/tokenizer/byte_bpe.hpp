// Byte-level BPE: the tokens of a word, made by merges.
//
// A token is a string over the byte alphabet (byte_level.hpp). A word begins as one token for each byte.
//
// Equals `models.BPE` of tokenizers 0.23.3 (tokenizers/src/models/bpe/model.rs, word.rs) as GPT-2 and RoBERTa use it. A
// mark at each token stands for its cache of words: most words are tokens of their own.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bertha/error.hpp>
#include <bertha/tokenizer/byte_level.hpp>
#include <bertha/tokenizer/merges.hpp>
#include <bertha/tokenizer/probe_limit.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
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
  ByteBpe(Vocabulary vocabulary, std::span<const std::uint32_t> merges, std::uint32_t unknown)
      : vocabulary_(std::move(vocabulary)), merges_(vocabulary_, merges) {
    find_bytes(unknown);
    rank_bytes();
    index_words();
  }

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it.
  template <class Token>
  void operator()(std::string_view word, Scratch& scratch, Token&& token) const {
    const std::uint32_t whole = find_word(word);
    if (whole != kNone && marks_[whole].load(std::memory_order_relaxed) == kIsOne) return token(whole, 0, word.size());
    const auto& symbols = scratch.symbols;
    start(word, scratch.symbols);
    merges_(scratch);
    if (whole != kNone) {
      const bool is_one = symbols.size() == 1 && symbols[0].id == whole;
      marks_[whole].store(is_one ? kIsOne : kIsNotOne, std::memory_order_relaxed);
    }
    std::size_t begin = 0;
    for (const Merges::Symbol& symbol : symbols) {
      token(symbol.id, begin, begin + symbol.size);
      begin += symbol.size;
    }
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
  enum Mark : std::uint8_t { kUntried, kIsOne, kIsNotOne };  // is a token's own string made of this token alone?

  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t id_plus_one = 0;  // 0: free
  };

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

  // Words that are tokens, by their bytes.
  void index_words() {
    offsets_.reserve(vocabulary_.size() + 1);
    offsets_.push_back(0);
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      byte_alphabet::append_bytes(vocabulary_.token(id), bytes_);
      offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    }
    slots_.resize(std::bit_ceil(2 * vocabulary_.size() + 2));
    slot_shift_ = static_cast<unsigned>(64 - std::countr_zero(slots_.size()));
    marks_ = std::make_unique<std::atomic<std::uint8_t>[]>(vocabulary_.size());
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      const std::string_view word = bytes_of(id);
      if (word.empty()) continue;
      longest_ = std::max(longest_, word.size());
      const std::uint64_t hash = hash_of(word);
      slots_[slot_of(word, hash)] = {static_cast<std::uint32_t>(hash), id + 1};
    }
  }

  std::string_view bytes_of(std::uint32_t id) const {
    return std::string_view(bytes_).substr(offsets_[id], offsets_[id + 1] - offsets_[id]);
  }

  std::size_t slot_of(std::string_view word, std::uint64_t hash) const {
    std::size_t at = static_cast<std::size_t>(hash >> slot_shift_);
    for (ProbeLimit limit; slots_[at].id_plus_one != 0; limit.pass("tokenizer.vocab")) {
      if (slots_[at].tag == static_cast<std::uint32_t>(hash) && bytes_of(slots_[at].id_plus_one - 1) == word) break;
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  std::uint32_t find_word(std::string_view word) const {
    if (word.size() > longest_) return kNone;
    return slots_[slot_of(word, hash_of(word))].id_plus_one - 1;  // a free slot gives kNone
  }

  // Eight bytes at a time; the last eight may overlap with those before them.
  static std::uint64_t hash_of(std::string_view word) {
    const auto mix = [](std::uint64_t hash, std::uint64_t value) {
      return std::rotl((hash ^ value) * kMultiplier, 29);
    };
    const auto load = [&](std::size_t at, auto value) {
      std::memcpy(&value, word.data() + at, sizeof value);
      return std::uint64_t{value};
    };
    const std::size_t n = word.size();
    std::uint64_t hash = n;
    if (n >= 8) {
      for (std::size_t at = 0; at + 8 < n; at += 8) hash = mix(hash, load(at, std::uint64_t{}));
      hash = mix(hash, load(n - 8, std::uint64_t{}));
    } else if (n >= 4) {
      hash = mix(hash, load(0, std::uint32_t{}) | load(n - 4, std::uint32_t{}) << 32);
    } else if (n > 0) {
      hash = mix(hash, load(0, std::uint8_t{}) | load(n / 2, std::uint8_t{}) << 8 | load(n - 1, std::uint8_t{}) << 16);
    }
    return hash * kMultiplier;
  }

  [[noreturn]] static void fail(std::initializer_list<ErrorPiece> what) {
    throw_error(ErrorCode::vocabulary, {concat(what), "; the model file is damaged, convert it again"});
  }

  Vocabulary vocabulary_;
  std::array<std::uint32_t, 256> byte_ids_{};
  Merges merges_;
  std::vector<std::uint32_t> byte_ranks_;  // of the merge of each two bytes, or kNoRank
  std::string bytes_;                      // what the tokens stand for; nothing for tokens with characters of no byte
  std::vector<std::uint32_t> offsets_;
  std::vector<Slot> slots_;  // ids by bytes
  unsigned slot_shift_ = 0;
  std::size_t longest_ = 0;
  std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;  // written in const calls: any thread writes the same
};

BERTHA_NAMESPACE_END
