// The merges of BPE: which neighbours become one token, and in which order.
//
// Equals `Word::merge_all` of tokenizers 0.23.3 (tokenizers/src/models/bpe/word.rs): of the neighbours that a merge
// joins, those of the lowest rank are joined first, the leftmost before others.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/probe_limit.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A table from pairs of tokens to ranks, and the merging of a word. Immutable, so shared by threads.
class Merges {
 public:
  static constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

  /// A part of a word.
  struct Symbol {
    std::uint32_t id;
    std::uint32_t size;  ///< bytes of the word; 0: joined to the one before
    std::uint32_t rank;  ///< of the merge with the next symbol, or kNoRank
  };

  /// The symbols of one word and what their merging needs; its memory is used again.
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> queue;           // a heap of rank << 32 | index
    std::vector<std::uint32_t> previous, next;  // symbols that are left
  };

  /// `merges` are pairs of ids in the order of their ranks. Throws Error{vocabulary} if a merge is not of two tokens
  /// whose strings, joined, are a third one, or if a pair is given twice.
  Merges(const Vocabulary& vocabulary, std::span<const std::uint32_t> merges) {
    merges_.resize(std::bit_ceil(merges.size() + 2));  // twice as many as there are merges
    shift_ = static_cast<unsigned>(64 - std::countr_zero(merges_.size()));
    std::string both;
    for (std::size_t i = 0; i + 1 < merges.size(); i += 2) {
      const std::uint32_t left = merges[i], right = merges[i + 1];
      const auto fail = [&](std::initializer_list<ErrorPiece> what) {
        throw_error(ErrorCode::vocabulary,
                    {"tokenizer.merges: merge ", i / 2, concat(what), "; the model file is damaged, convert it again"});
      };
      const auto string_of = [&](std::uint32_t id) { return id < vocabulary.size() ? vocabulary.token(id) : ""; };
      const std::string_view first = string_of(left), second = string_of(right);
      if (first.empty() || second.empty()) {
        fail({" is of ids ", left, " and ", right, ", expected tokens of the vocabulary"});
      }
      const auto joined = vocabulary.find(both.assign(first).append(second));
      if (!joined)
        fail({" joins ", detail::shown(first), " and ", detail::shown(second), " to a string that is no token"});
      Merge& slot = merges_[slot_of(left, right)];
      if (slot.rank != kNoRank) fail({" has the pair of merge ", slot.rank});
      slot = {left, right, static_cast<std::uint32_t>(i / 2)};
      joined_.push_back(*joined);
    }
  }

  /// The rank of the merge of two tokens, or kNoRank.
  std::uint32_t rank(std::uint32_t left, std::uint32_t right) const { return merges_[slot_of(left, right)].rank; }

  /// Merges the symbols of a word, whose ranks are set, and puts what is left, one after the other.
  void operator()(Scratch& scratch, PutToken token) const {
    scratch.symbols.size() <= kShort ? merge_short(scratch.symbols) : merge_long(scratch);
    std::size_t begin = 0;
    for (const Symbol& symbol : scratch.symbols) {
      token(symbol.id, begin, begin + symbol.size);
      begin += symbol.size;
    }
  }

 private:
  static constexpr std::size_t kShort = 24;  // up to here looking at every symbol is faster than a heap

  struct Merge {
    std::uint32_t left, right;
    std::uint32_t rank = kNoRank;  // kNoRank: a free slot
  };

  std::size_t slot_of(std::uint32_t left, std::uint32_t right) const {
    std::size_t at = (std::uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u >> shift_;
    const auto is_other = [&] { return merges_[at].left != left || merges_[at].right != right; };
    for (ProbeLimit limit; merges_[at].rank != kNoRank && is_other(); limit.pass("tokenizer.merges")) {
      at = (at + 1) & (merges_.size() - 1);
    }
    return at;
  }

  std::uint32_t rank(const Symbol& left, const Symbol& right) const { return rank(left.id, right.id); }

  void merge_short(std::vector<Symbol>& symbols) const {
    while (true) {
      const auto best = std::min_element(symbols.begin(), symbols.end(),
                                         [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; });
      if (best == symbols.end() || best->rank == kNoRank) return;
      best->id = joined_[best->rank];
      best->size += best[1].size;
      symbols.erase(best + 1);
      best->rank = best + 1 != symbols.end() ? rank(*best, best[1]) : kNoRank;
      if (best != symbols.begin()) best[-1].rank = rank(best[-1], *best);
    }
  }

  // The same in n log n steps: symbols stay where they are and know their neighbours.
  void merge_long(Scratch& scratch) const {
    auto& symbols = scratch.symbols;
    auto& queue = scratch.queue;
    auto& previous = scratch.previous;
    auto& next = scratch.next;
    const auto n = static_cast<std::uint32_t>(symbols.size());
    queue.clear();
    previous.resize(n);
    next.resize(n);
    const auto enter = [&](std::uint32_t i) {
      if (symbols[i].rank == kNoRank) return;
      queue.push_back(std::uint64_t{symbols[i].rank} << 32 | i);
      std::push_heap(queue.begin(), queue.end(), std::greater<>());
    };
    const auto rank_again = [&](std::uint32_t i) {
      symbols[i].rank = next[i] < n ? rank(symbols[i], symbols[next[i]]) : kNoRank;
      enter(i);
    };
    for (std::uint32_t i = 0; i < n; ++i) {
      previous[i] = i - 1;
      next[i] = i + 1;
      enter(i);
    }
    while (!queue.empty()) {
      std::pop_heap(queue.begin(), queue.end(), std::greater<>());
      const std::uint64_t top = queue.back();
      queue.pop_back();
      const auto at = static_cast<std::uint32_t>(top);
      Symbol& left = symbols[at];
      if (left.size == 0 || left.rank != top >> 32) continue;  // one of the two has been joined to another since
      Symbol& right = symbols[next[at]];
      left.id = joined_[left.rank];
      left.size += right.size;
      right.size = 0;
      next[at] = next[next[at]];
      if (next[at] < n) previous[next[at]] = at;
      rank_again(at);
      if (at != 0) rank_again(previous[at]);
    }
    std::erase_if(symbols, [](const Symbol& symbol) { return symbol.size == 0; });
  }

  std::vector<Merge> merges_;          // by pair
  std::vector<std::uint32_t> joined_;  // by rank: what the merge makes
  unsigned shift_ = 0;
};

BERTHA_NAMESPACE_END
