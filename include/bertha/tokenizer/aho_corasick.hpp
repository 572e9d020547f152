// Where the strings of a set stand in a text, in time that grows with the text alone, whatever the strings are.
//
// This is Aho and Corasick's automaton, turned round: it is made of the strings' last bytes first and reads the text
// from its end. So the state at a place is the longest start of what follows that is the end of a string, and the
// strings that begin there are known without looking ahead, where the usual direction would look as far as the longest
// string goes, again and again.

#pragma once

#include <algorithm>
#include <array>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// An automaton that finds a set of strings. Takes 16 bytes of memory for each of their bytes at most. Immutable, so
/// shared by threads.
class AhoCorasick {
 public:
  /// The longest of the strings that begin at one place.
  struct Match {
    std::uint32_t begin;
    std::uint32_t string;  ///< its number
  };

  /// `strings` are not empty and have less than 2^32 bytes together; of equal ones the first is found.
  explicit AhoCorasick(std::span<const std::string_view> strings);

  /// Appends a match for each place of `text` where a string begins, from the last to the first. Returns the number of
  /// states that were looked at: no more than two for each byte of the text.
  std::size_t find(std::string_view text, std::vector<Match>& matches) const;

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // States are numbered by depth, and in the order of their bytes: the children of one follow each other, and end where
  // those of the next state begin. State 0 is the root: nothing has been read.
  struct State {
    std::uint32_t first_child = 0;
    std::uint32_t shorter = 0;     // the longest proper start of its text that has a state: that state
    std::uint32_t string = kNone;  // the longest string that its text begins with
    unsigned char byte = 0;        // the first one of its text
  };

  // The state behind `state` for one more byte, or 0.
  std::uint32_t child(std::uint32_t state, unsigned char byte) const {
    std::uint32_t first = states_[state].first_child, last = states_[state + 1].first_child;
    while (first < last) {
      const std::uint32_t middle = first + (last - first) / 2;
      if (states_[middle].byte == byte) return middle;
      (states_[middle].byte < byte ? first : last) = states_[middle].byte < byte ? middle + 1 : middle;
    }
    return 0;
  }

  // The state for one more byte, and how many were looked at for it.
  std::uint32_t next(std::uint32_t state, unsigned char byte, std::size_t& looked_at) const {
    for (;; state = states_[state].shorter) {
      ++looked_at;
      if (state == 0) return of_first_byte_[byte];
      if (const std::uint32_t found = child(state, byte)) return found;
    }
  }

  std::vector<State> states_;                          // and one behind the last, for its first_child
  std::array<std::uint32_t, 256> of_first_byte_ = {};  // the children of the root
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION AhoCorasick::AhoCorasick(std::span<const std::string_view> strings) {
  const auto byte_of = [&](std::uint32_t string, std::size_t depth) {
    return static_cast<unsigned char>(strings[string][strings[string].size() - 1 - depth]);
  };
  std::vector<std::uint32_t> order(strings.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::size_t n = std::min(strings[a].size(), strings[b].size());
    for (std::size_t depth = 0; depth < n; ++depth) {
      if (byte_of(a, depth) != byte_of(b, depth)) return byte_of(a, depth) < byte_of(b, depth);
    }
    return strings[a].size() != strings[b].size() ? strings[a].size() < strings[b].size() : a > b;
  });
  // States are entered into the queue, which they stay in, by their parents: strings [begin, end) of the order go
  // through them.
  struct Entry {
    std::size_t begin, end, depth;
  };
  std::vector<Entry> queue = {{0, order.size(), 0}};
  states_.emplace_back();
  for (std::uint32_t at = 0; at < queue.size(); ++at) {
    auto [begin, end, depth] = queue[at];
    states_[at].first_child = static_cast<std::uint32_t>(states_.size());
    states_[at].string = states_[states_[at].shorter].string;
    for (; begin < end && strings[order[begin]].size() == depth; ++begin) states_[at].string = order[begin];
    while (begin < end) {
      const unsigned char byte = byte_of(order[begin], depth);
      const std::size_t first = begin;
      while (begin < end && byte_of(order[begin], depth) == byte) ++begin;
      State state;
      state.byte = byte;
      const auto number = static_cast<std::uint32_t>(states_.size());
      std::size_t looked_at = 0;
      if (at == 0) {
        of_first_byte_[byte] = number;
      } else {
        state.shorter = next(states_[at].shorter, byte, looked_at);
      }
      states_.push_back(state);
      queue.push_back({first, begin, depth + 1});
    }
  }
  states_.emplace_back();
  states_.back().first_child = static_cast<std::uint32_t>(states_.size() - 1);
}

BERTHA_FUNCTION std::size_t AhoCorasick::find(std::string_view text, std::vector<Match>& matches) const {
  std::size_t looked_at = 0;
  std::uint32_t state = 0;
  const auto byte_at = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto starts = [&](std::size_t at) { return of_first_byte_[byte_at(at)]; };
  for (std::size_t at = text.size(); at > 0; --at) {
    if (state == 0) {  // nearly all bytes of most texts
      while (at >= 4 && (starts(at - 1) | starts(at - 2) | starts(at - 3) | starts(at - 4)) == 0) at -= 4;
      if (at == 0) break;
    }
    const unsigned char byte = byte_at(at - 1);
    state = next(state, byte, looked_at);
    if (states_[state].string != kNone) {
      matches.push_back({static_cast<std::uint32_t>(at - 1), states_[state].string});
    }
  }
  return looked_at;
}

#endif

BERTHA_NAMESPACE_END
