// Making a trie of a vocabulary's tokens, where the model file has none.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bertha/version.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The units of a DoubleArray with the ids + 1 of strings; of two equal ones it has the later, and no empty ones. In
/// linear time, but for sorting. Throws Error{vocabulary} if there are too many for bases of 24 bits.
BERTHA_FUNCTION std::vector<std::uint32_t> trie_of(const StoredStrings& strings);

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

// Which units of a trie, and which bases, are taken: a bit each, and 64 bases are looked at together.
class TriePlaces {
 public:
  // Takes a base, of which all children by these bytes are free, and them.
  std::uint32_t take(std::span<const unsigned char> labels) {
    // What is before has hardly any room for nodes with several children, or with one.
    std::size_t& at = labels.size() > 1 ? first_of_several_ : first_of_single_;
    std::uint64_t found;
    while ((found = room(at, labels)) == 0) ++at;
    const std::size_t base = 64 * at + static_cast<std::size_t>(std::countr_zero(found));
    if (base >= kMaxBase) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer.vocab: its tokens have too many different starts for a trie of 2^24 units"});
    }
    bases_[at] |= found & -found;
    for (const unsigned char label : labels) units_[(base + label) / 64] |= std::uint64_t{1} << (base + label) % 64;
    return static_cast<std::uint32_t>(base);
  }

 private:
  static constexpr std::size_t kMaxBase = (std::size_t{1} << 24) - 256;

  // The bases from 64 * at on that are free and whose children are.
  std::uint64_t room(std::size_t at, std::span<const unsigned char> labels) {
    if (at + 6 > units_.size()) {
      units_.resize(2 * (at + 6));
      bases_.resize(units_.size());
    }
    std::uint64_t taken = bases_[at];
    for (const unsigned char label : labels) {
      const std::size_t from = at + label / 64;
      const unsigned shift = label % 64;
      taken |= units_[from] >> shift | (shift == 0 ? 0 : units_[from + 1] << (64 - shift));
    }
    return ~taken;
  }

  std::vector<std::uint64_t> units_{1};  // the root is unit 0, and
  std::vector<std::uint64_t> bases_{1};  // base 0 is that of nodes without children
  std::size_t first_of_several_ = 0, first_of_single_ = 0;
};

}  // namespace detail

BERTHA_FUNCTION std::vector<std::uint32_t> trie_of(const StoredStrings& strings) {
  struct Entry {
    std::uint64_t start;  // the first eight bytes, which tell most strings apart
    std::uint32_t id, size;
  };
  const auto text_of = [&](const Entry& entry) { return strings.stored(entry.id); };
  std::vector<Entry> sorted;
  sorted.reserve(strings.size());
  for (std::uint32_t id = 0; id < strings.size(); ++id) {
    const std::string_view text = strings.stored(id);
    std::uint64_t start = 0;
    for (std::size_t i = 0; i < 8; ++i)
      start = start << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
    if (!text.empty()) sorted.push_back({start, id, static_cast<std::uint32_t>(text.size())});
  }
  std::vector<Entry> from;
  for (unsigned shift = 0; shift < 64; shift += 8) {  // by each byte of their starts, those that are alike as they were
    std::size_t next[257] = {};
    const auto byte_of = [&](const Entry& entry) { return static_cast<unsigned char>(entry.start >> shift); };
    for (const Entry& entry : sorted) ++next[byte_of(entry) + 1];
    for (std::size_t i = 1; i < 257; ++i) next[i] += next[i - 1];
    from = sorted;
    for (const Entry& entry : from) sorted[next[byte_of(entry)]++] = entry;
  }
  for (auto begin = sorted.begin(), end = begin; begin < sorted.end(); begin = end) {
    while (end < sorted.end() && end->start == begin->start) ++end;
    if (end - begin == 1) continue;
    std::stable_sort(begin, end, [&](const Entry& a, const Entry& b) { return text_of(a) < text_of(b); });
  }
  const auto label_of = [&](const Entry& entry, std::size_t depth) {
    if (depth < 8) return static_cast<unsigned char>(entry.start >> (56 - 8 * depth));
    return static_cast<unsigned char>(text_of(entry)[depth]);
  };

  std::vector<std::uint32_t> units;
  detail::TriePlaces places;
  std::vector<unsigned char> labels;
  std::size_t n_units = 1;
  // Gives a unit children by `labels`, and returns their base.
  const auto add_children = [&](std::size_t unit) {
    const std::size_t base = places.take(labels);
    n_units = std::max(n_units, base + labels.back() + 1);
    for (std::size_t n = units.size(); n < 2 * n_units; n = units.size()) {
      units.resize(2 * n + 512);
      for (; n < units.size(); n += 2) units[n] = 0xFF;
    }
    units[2 * unit] |= static_cast<std::uint32_t>(base) << 8;
    for (const unsigned char label : labels) units[2 * (base + label)] = label;
    return base;
  };
  struct Node {
    std::size_t unit, depth;  // its string is the first `depth` bytes
    std::size_t begin, end;   // of the strings that start so
  };
  std::vector<Node> left = {{0, 0, 0, sorted.size()}};
  std::vector<std::size_t> begins;
  units = {0xFF, 0};
  while (!left.empty()) {
    auto [unit, depth, begin, end] = left.back();
    left.pop_back();
    if (end - begin == 1) {  // most units are of a string alone
      for (const Entry& its = sorted[begin]; depth < its.size; ++depth) {
        labels.assign(1, label_of(its, depth));
        unit = add_children(unit) + labels[0];
      }
    }
    for (; begin < end && sorted[begin].size == depth; ++begin) units[2 * unit + 1] = sorted[begin].id + 1;
    if (begin == end) continue;
    labels.clear();
    begins.clear();
    for (std::size_t i = begin; i < end; ++i) {
      const unsigned char label = label_of(sorted[i], depth);
      if (!labels.empty() && labels.back() == label) continue;
      labels.push_back(label);
      begins.push_back(i);
    }
    begins.push_back(end);
    const std::size_t base = add_children(unit);
    for (std::size_t i = 0; i < labels.size(); ++i)
      left.push_back({base + labels[i], depth + 1, begins[i], begins[i + 1]});
  }
  units.resize(2 * n_units);
  return units;
}

#endif

BERTHA_NAMESPACE_END
