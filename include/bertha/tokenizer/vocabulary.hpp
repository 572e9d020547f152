// The strings of a vocabulary, and a hash table from string to id.

#pragma once

#include <bertha/tokenizer/hash_of_bytes.hpp>
#include <bertha/tokenizer/probe_limit.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The tokens of a model's vocabulary by id, and ids by token. Borrows its strings. Immutable, so shared by threads.
class Vocabulary {
 public:
  /// Token i is text[offsets[i], offsets[i + 1]). An empty one matches nothing; of two equal ones the later is found.
  /// Throws what StoredStrings throws, and Error{vocabulary} if too many tokens have hashes alike.
  Vocabulary(std::string_view text, std::span<const std::uint32_t> offsets) : strings_(text, offsets) {
    const std::size_t room = std::bit_ceil(2 * size() + 2);
    slots_.resize(room);
    shift_ = static_cast<unsigned>(64 - std::countr_zero(room));
    for (std::uint32_t id = 0; id < size(); ++id) {
      const std::string_view its = strings_.stored(id);
      if (its.empty()) continue;
      const std::uint64_t hash = hash_of_bytes(its);
      slots_[slot_of(its, hash)] = {static_cast<std::uint32_t>(hash), id + 1};
    }
  }

  const StoredStrings& strings() const { return strings_; }

  std::size_t size() const { return strings_.size(); }

  /// Bytes of the longest token.
  std::size_t longest() const { return strings_.longest(); }

  /// The string of an id below size(). Throws as StoredStrings does.
  std::string_view token(std::uint32_t id) const { return strings_[id]; }

  /// The id of a token.
  std::optional<std::uint32_t> find(std::string_view token) const {
    const std::uint32_t found = slots_[slot_of(token, hash_of_bytes(token))].id_plus_one;
    if (found == 0) return std::nullopt;
    return found - 1;
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;          // of the hash
    std::uint32_t id_plus_one = 0;  // 0: free
  };

  // The slot that holds the token, or the free one where it would go: half of the slots are free, so there is one.
  std::size_t slot_of(std::string_view token, std::uint64_t hash) const {
    std::size_t at = static_cast<std::size_t>(hash >> shift_);
    for (ProbeLimit limit; slots_[at].id_plus_one != 0; limit.pass("tokenizer.vocab")) {
      if (slots_[at].tag == static_cast<std::uint32_t>(hash) && strings_.stored(slots_[at].id_plus_one - 1) == token)
        break;
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  StoredStrings strings_;
  std::vector<Slot> slots_;
  unsigned shift_ = 0;
};

BERTHA_NAMESPACE_END
