// The strings of a vocabulary, used where they lie (in the mapped file), and a hash table from string to id.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/probe_limit.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
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
  /// Throws Error{vocabulary} if the offsets do not ascend from 0 within the text, a token is not UTF-8, or too many
  /// have hashes alike.
  Vocabulary(std::string_view text, std::span<const std::uint32_t> offsets) : text_(text), offsets_(offsets) {
    check_offsets();
    const std::size_t room = std::bit_ceil(2 * size() + 2);
    slots_.resize(room);
    shift_ = static_cast<unsigned>(64 - std::countr_zero(room));
    for (std::uint32_t id = 0; id < size(); ++id) {
      const std::string_view its = stored(id);
      if (utf8::find_invalid(its) != std::string_view::npos) fail("token " + std::to_string(id) + " is not UTF-8");
      if (its.empty()) continue;
      longest_ = std::max(longest_, its.size());
      const Hash hash = extend(kEmpty, its);
      slots_[slot_of(hash, {}, its)] = {tag(hash), id + 1};
    }
  }

  std::size_t size() const { return offsets_.size() - 1; }

  /// Bytes of the longest token.
  std::size_t longest() const { return longest_; }

  /// The string of an id below size(); it lives as long as the text that the vocabulary was made of. Throws
  /// Error{vocabulary} if that has been rewritten since, as a mapped file may be, and no longer holds one.
  std::string_view token(std::uint32_t id) const {
    const std::string_view its = stored(id);
    if (utf8::find_invalid(its) != std::string_view::npos) fail_changed(id);
    return its;
  }

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

  std::string_view stored(std::uint32_t id) const {
    const std::size_t begin = offsets_[id], end = offsets_[id + 1];
    if (begin > end || end > text_.size()) fail_changed(id);
    return text_.substr(begin, end - begin);
  }

  static std::uint32_t tag(Hash hash) { return static_cast<std::uint32_t>(hash >> 16); }

  // The slot that holds the token, or the free one where it would go: half of the slots are free, so there is one.
  std::size_t slot_of(Hash hash, std::string_view prefix, std::string_view rest) const {
    std::size_t at = static_cast<std::size_t>(hash >> shift_);
    for (ProbeLimit limit; slots_[at].id_plus_one != 0; limit.pass("tokenizer.vocab")) {
      if (slots_[at].tag == tag(hash)) {
        const std::string_view its = stored(slots_[at].id_plus_one - 1);
        if (its.size() == prefix.size() + rest.size() && its.starts_with(prefix) && its.ends_with(rest)) break;
      }
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  void check_offsets() const {
    if (offsets_.size() < 2) fail("there are no tokens");
    if (offsets_.size() - 1 > kMaxSize) fail("more than 2^24 tokens");
    if (offsets_.front() != 0) fail("the first offset is " + std::to_string(offsets_.front()) + ", expected 0");
    for (std::size_t i = 1; i < offsets_.size(); ++i) {
      if (offsets_[i] < offsets_[i - 1] || offsets_[i] > text_.size()) {
        fail("token " + std::to_string(i - 1) + " has bytes " + std::to_string(offsets_[i - 1]) + " to " +
             std::to_string(offsets_[i]) + " of a text of " + std::to_string(text_.size()));
      }
    }
  }

  [[noreturn]] static void fail(const std::string& what) {
    throw Error(ErrorCode::vocabulary, "tokenizer.vocab: " + what + "; the model file is damaged, convert it again");
  }

  [[noreturn]] static void fail_changed(std::uint32_t id) {
    throw_error(ErrorCode::vocabulary, {"tokenizer.vocab: token ", id,
                                        " has changed since the model was loaded: its file was rewritten in place. "
                                        "Load it again, and replace model files by renaming new ones to their names"});
  }

  static constexpr std::size_t kMaxSize = std::size_t{1} << 24;

  std::string_view text_;
  std::span<const std::uint32_t> offsets_;
  std::vector<Slot> slots_;
  unsigned shift_ = 0;
  std::size_t longest_ = 0;
};

BERTHA_NAMESPACE_END
