// Making a trie of a vocabulary's tokens, where the model file has none.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bertha/version.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The units of a DoubleArray with the ids + 1 of strings; of two equal ones it has the later, and no empty ones. In
/// linear time, but for sorting. Throws Error{vocabulary} if there are too many for bases of 24 bits.
BERTHA_FUNCTION std::vector<std::uint32_t> trie_of(const StoredStrings& strings);

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

// Makes one trie.
class TrieMaker {
 public:
  explicit TrieMaker(const StoredStrings& strings) : strings_(strings) {
    for (std::uint32_t id = 0; id < strings_.size(); ++id) {
      if (!strings_.stored(id).empty()) entries_.push_back(id);
    }
  }

  std::vector<std::uint32_t> operator()() {
    before_ = entries_;
    push(0, 0, 0, entries_.size());
    while (!left_.empty()) {
      const std::size_t* const its = left_.data() + left_.size() - 4;
      left_.resize(left_.size() - 4);
      add(its[0], its[1], its[2], its[3]);
    }
    units_.resize(2 * n_units_);
    return std::move(units_);
  }

 private:
  static constexpr std::size_t kMaxBase = (std::size_t{1} << 24) - 256;
  // An entry is a string: four bytes of it, how many it has from them on (up to five), and its id in 24 bits.
  static constexpr std::size_t kBytes = 4;
  static constexpr std::uint32_t kIdMask = (1u << 24) - 1;

  std::uint32_t id(std::size_t i) const { return static_cast<std::uint32_t>(entries_[i]) & kIdMask; }
  unsigned char label(std::size_t i) const { return static_cast<unsigned char>(labels_[i]); }
  std::string_view text(std::size_t i) const { return strings_.stored(id(i)); }

  // A unit is left to do, whose string is the first `depth` bytes of entries [begin, end).
  void push(std::size_t unit, std::size_t depth, std::size_t begin, std::size_t end) {
    for (const std::size_t number : {unit, depth, begin, end}) left_.push_back(number);
  }

  void add(std::size_t unit, std::size_t depth, std::size_t begin, std::size_t end) {
    if (end - begin == 1) {  // most units are of a string alone
      for (const std::string_view its = text(begin); depth < its.size(); ++depth) {
        labels_.assign(1, its[depth]);
        unit = add_children(unit) + label(0);
      }
    } else if (depth % kBytes == 0) {
      sort(depth, begin, end);
    }
    for (; begin < end && text(begin).size() == depth; ++begin) units_[2 * unit + 1] = id(begin) + 1;
    if (begin == end) return;
    const auto byte_of = [&](std::size_t i) { return static_cast<char>(entries_[i] >> (56 - 8 * (depth % kBytes))); };
    labels_.clear();
    for (std::size_t i = begin; i < end; ++i) {
      if (labels_.empty() || labels_.back() != byte_of(i)) labels_ += byte_of(i);
    }
    const std::size_t base = add_children(unit);
    for (std::size_t i = 0, next; begin < end; ++i, begin = next) {
      for (next = begin + 1; next < end && byte_of(next) == labels_[i];) ++next;
      push(base + label(i), depth + 1, begin, next);
    }
  }

  // Puts entries whose first `depth` bytes are the same in the order of the next ones, and those that are alike in the
  // order of their ids.
  void sort(std::size_t depth, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::string_view its = text(i);
      std::uint64_t entry = 0;
      for (std::size_t at = depth; at < depth + kBytes; ++at)
        entry = entry << 8 | (at < its.size() ? static_cast<unsigned char>(its[at]) : 0);
      entries_[i] = (entry << 8 | std::min(its.size() - depth, kBytes + 1)) << 24 | id(i);
    }
    if (end - begin <= 64) {
      for (std::size_t i = begin + 1; i < end; ++i) {
        const std::uint64_t entry = entries_[i];
        std::size_t to = i;
        for (; to > begin && entry < entries_[to - 1]; --to) entries_[to] = entries_[to - 1];
        entries_[to] = entry;
      }
      return;
    }
    for (unsigned shift = 24; shift < 64; shift += 8) {  // ids are in order before

      std::size_t next[257] = {};  // where the next entry with a byte goes
      for (std::size_t i = begin; i < end; ++i) {
        before_[i] = entries_[i];
        ++next[(before_[i] >> shift & 0xFF) + 1];
      }
      for (std::size_t i = 1; i < 257; ++i) next[i] += next[i - 1];
      for (std::size_t i = begin; i < end; ++i) entries_[begin + next[before_[i] >> shift & 0xFF]++] = before_[i];
    }
  }

  // Gives a unit children by `labels_`, and returns their base.
  std::size_t add_children(std::size_t unit) {
    // What is before has hardly any room for nodes with several children, or with one.
    std::size_t& at = labels_.size() > 1 ? first_of_several_ : first_of_single_;
    std::uint64_t free;
    while ((free = room(at)) == 0) ++at;
    const std::size_t base = 64 * at + static_cast<std::size_t>(std::countr_zero(free));
    if (base >= kMaxBase) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer.vocab: its tokens have too many different starts for a trie of 2^24 units"});
    }
    taken_bases_[at] |= std::uint64_t{1} << base % 64;
    n_units_ = std::max(n_units_, base + label(labels_.size() - 1) + 1);
    for (std::size_t n = units_.size(); n < 2 * n_units_; n = units_.size()) {
      units_.resize(2 * n);
      for (; n < units_.size(); n += 2) units_[n] = 0xFF;
    }
    units_[2 * unit] |= static_cast<std::uint32_t>(base) << 8;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      const std::size_t child = base + label(i);
      units_[2 * child] = label(i);
      taken_units_[child / 64] |= std::uint64_t{1} << child % 64;
    }
    return base;
  }

  // The bases from 64 * at on, a bit each, that are free and whose children by `labels_` are.
  std::uint64_t room(std::size_t at) {
    if (at + 6 > taken_units_.size()) {
      taken_units_.resize(2 * (at + 6));
      taken_bases_.resize(taken_units_.size());
    }
    std::uint64_t taken = taken_bases_[at];
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      const std::size_t from = at + label(i) / 64;
      const unsigned shift = label(i) % 64;
      taken |= taken_units_[from] >> shift | (shift == 0 ? 0 : taken_units_[from + 1] << (64 - shift));
    }
    return ~taken;
  }

  const StoredStrings& strings_;
  std::vector<std::uint64_t> entries_, before_;  // and what they were
  std::vector<std::size_t> left_;                // four numbers for each unit
  std::string labels_;                           // of the children of a node
  std::vector<std::uint32_t> units_{0xFF, 0};
  std::size_t n_units_ = 1;
  std::vector<std::uint64_t> taken_units_{1};  // a bit each: the root is unit 0, and
  std::vector<std::uint64_t> taken_bases_{1};  // base 0 is that of nodes without children
  std::size_t first_of_several_ = 0, first_of_single_ = 0;
};

}  // namespace detail

BERTHA_FUNCTION std::vector<std::uint32_t> trie_of(const StoredStrings& strings) {
  return detail::TrieMaker(strings)();
}

#endif

BERTHA_NAMESPACE_END
