// SentencePiece's precompiled rules of normalisation: what replaces characters.
//
// Equals `tokenizers.normalizers.Precompiled` (0.23.3; tokenizers/src/normalizers/precompiled.rs and the crate
// spm_precompiled) in text and alignment. A grapheme cluster of less than six bytes is replaced as a whole by what the
// shortest of its starts has; else each of its characters is.

#pragma once

#include <bertha/error.hpp>
#include <bertha/tokenizer/character.hpp>
#include <bertha/tokenizer/double_array.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <bertha/tokenizer/grapheme_clusters.hpp>
#endif

BERTHA_NAMESPACE_BEGIN

/// A trie of what is replaced, with values that are the number of a replacement + 1. Borrows both, and checks them in
/// use. Immutable, so shared by threads.
class Charsmap {
 public:
  /// Replacement i is text[offsets[i], offsets[i + 1]). Throws what StoredStrings and DoubleArray throw, and
  /// Error{vocabulary} for a replacement of more than 1,000 bytes, of which short texts would become long ones.
  Charsmap(std::string_view text, std::span<const std::uint32_t> offsets, std::span<const std::uint32_t> trie)
      : replacements_(text, offsets, "tokenizer.charsmap", "replacement"), trie_(trie, "tokenizer.charsmap.trie") {
    if (replacements_.longest() > kMaxReplacement) {
      throw_error(ErrorCode::vocabulary, {"tokenizer.charsmap: a replacement has ", replacements_.longest(),
                                          " bytes, expected at most ", kMaxReplacement, "; convert the model again"});
    }
  }

  /// What replaces `text`, if anything does. Throws Error{vocabulary} if the trie names a replacement that isn't there.
  std::optional<std::string_view> find(std::string_view text) const {
    DoubleArray::Walk walk(trie_);
    for (const char byte : text) {
      if (!walk.step(byte)) return std::nullopt;
      if (walk.value() != 0) return replacement(walk.value() - 1);
    }
    return std::nullopt;
  }

  /// What the first `size` bytes of a text tell about it.
  struct Start {
    std::size_t size;
    bool replaced;  ///< whether something replaces a text that begins with them
  };

  /// The shortest start of `text`, which is not empty, that tells.
  Start start_of(std::string_view text) const {
    DoubleArray::Walk walk(trie_);
    for (std::size_t size = 1; size <= text.size(); ++size) {
      const bool goes_on = walk.step(text[size - 1]);
      if (!goes_on || walk.value() != 0) return {size, goes_on};
    }
    return {text.size(), false};
  }

  /// Appends to `after` what it makes of `before`, a part of a text whose first byte is byte `base` of the original.
  void operator()(const Characters& before, std::uint32_t base, Characters& after) const;

 private:
  static constexpr std::size_t kMaxReplacement = 1000;
  static constexpr std::size_t kMaxCluster = 5;  // bytes of a cluster that is looked up as a whole

  std::string_view replacement(std::uint32_t i) const {
    if (i < replacements_.size()) return replacements_[i];
    throw_error(ErrorCode::vocabulary, {"tokenizer.charsmap.trie: there is no replacement ", i,
                                        "; the model file is damaged, convert it again"});
  }

  StoredStrings replacements_;
  DoubleArray trie_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void Charsmap::operator()(const Characters& before, std::uint32_t base, Characters& after) const {
  after.reserve(after.size() + before.size());
  const std::size_t n_others = after.size();
  GraphemeClusters clusters;
  std::size_t at = 0;       // of `before`, whose origin the next character of the result has
  bool is_further = false;  // the last one of the result has the origin of the one before it
  const auto put = [&](std::uint32_t code_point) {
    after.push_back({code_point, before[at++].origin});
    is_further = false;
  };
  // Puts what replaces a text of `n_characters`, if anything does. If it is longer, each further character has the
  // origin of the one before.
  const auto replace = [&](std::string_view text, std::size_t n_characters) {
    const auto its = find(text);
    if (!its) return false;
    std::size_t n = 0;
    for (std::size_t next = 0; next < its->size(); ++n) {
      const auto [code_point, size] = utf8::decode(*its, next);
      if (n < n_characters) {
        put(code_point);
      } else {
        after.push_back({code_point, at > 0 ? before[at - 1].origin : Span{base, base}});
        is_further = true;
      }
      next += size;
    }
    if (n < n_characters && after.size() > n_others) {  // at the very start the crate counts none that are gone
      if (is_further) after.back().origin = before[at].origin;
      is_further = false;
      at += n_characters - n;
    }
    return true;
  };
  const auto finish = [&](std::size_t begin, std::size_t end, std::string_view cluster) {
    if (!cluster.empty() && replace(cluster, end - begin)) return;
    for (; begin < end; ++begin) {
      char bytes[4];
      const std::size_t size = utf8::encode(before[begin].code_point, bytes);
      if (size == cluster.size() || !replace({bytes, size}, 1)) put(before[begin].code_point);
    }
  };
  char bytes[kMaxCluster + 4];
  std::size_t size = 0;  // bytes of the cluster, as far as they matter
  std::size_t begin = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (clusters.begins_at(before[i].code_point)) {
      finish(begin, i, {bytes, size <= kMaxCluster ? size : 0});
      begin = i;
      size = 0;
    }
    if (size <= kMaxCluster) size += utf8::encode(before[i].code_point, bytes + size);
  }
  finish(begin, before.size(), {bytes, size <= kMaxCluster ? size : 0});
}

#endif

BERTHA_NAMESPACE_END
