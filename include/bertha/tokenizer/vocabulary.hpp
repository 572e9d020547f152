// The strings of a vocabulary, and a hash table from string to id.

#pragma once

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
  /// A hash that is extended byte by byte, so that all prefixes of a word are hashed in one pass.
  using Hash = std::uint64_t;
  static constexpr Hash kEmpty = 0xCBF29CE484222325u;
  static constexpr Hash extend(Hash hash, char byte) {
    return (hash ^ static_cast<unsigned char>(byte)) * 0x9E3779B97F4A7C15u;
  }
  static constexpr Hash extend(Hash hash, std::string_view bytes) {
    for (const char byte : bytes) hash = extend(hash, byte);
    return hash;
  }

  /// Token i is text[offsets[i], offsets[i + 1]). An empty one matches nothing; of two equal ones the later is found.
  /// Throws what StoredStrings throws, and Error{vocabulary} if too many tokens have hashes alike.
  Vocabulary(std::string_view text, std::span<const std::uint32_t> offsets) : strings_(text, offsets) {
    const std::size_t room = std::bit_ceil(2 * size() + 2);
    slots_.resize(room);
    shift_ = static_cast<unsigned>(64 - std::countr_zero(room));
    for (std::uint32_t id = 0; id < size(); ++id) {
      const std::string_view its = strings_.stored(id);
      if (its.empty()) continue;
      const Hash hash = extend(kEmpty, its);
      slots_[slot_of(hash, {}, its)] = {tag(hash), id + 1};
    }
  }

  const StoredStrings& strings() const { return strings_; }

  std::size_t size() const { return strings_.size(); }

  /// Bytes of the longest token.
  std::size_t longest() const { return strings_.longest(); }

  /// The string of an id below size(). Throws as StoredStrings does.
  std::string_view token(std::uint32_t id) const { return strings_[id]; }

  /// The id of `prefix` + `rest`, whose hash the caller has.
  std::optional<std::uint32_t> find(Hash hash, std::string_view prefix, std::string_view rest) const {
    const std::uint32_t found = slots_[slot_of(hash, prefix, rest)].id_plus_one;
    if (found == 0) return std::nullopt;
    return found - 1;
  }

  /// The id of a token.
  std::optional<std::uint32_t> find(std::string_view token) const { return find(extend(kEmpty, token), {}, token); }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t id_plus_one = 0;  // 0: free
  };

  static std::uint32_t tag(Hash hash) { return static_cast<std::uint32_t>(hash >> 16); }

  // The slot that holds the token, or the free one where it would go: half of the slots are free, so there is one.
  std::size_t slot_of(Hash hash, std::string_view prefix, std::string_view rest) const {
    std::size_t at = static_cast<std::size_t>(hash >> shift_);
    for (ProbeLimit limit; slots_[at].id_plus_one != 0; limit.pass("tokenizer.vocab")) {
      if (slots_[at].tag == tag(hash)) {
        const std::string_view its = strings_.stored(slots_[at].id_plus_one - 1);
        if (its.size() == prefix.size() + rest.size() && its.starts_with(prefix) && its.ends_with(rest)) break;
      }
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  StoredStrings strings_;
  std::vector<Slot> slots_;
  unsigned shift_ = 0;
};

BERTHA_NAMESPACE_END
