// The merges of BPE: which neighbours become one token, and in which order.
//
// Equals `Word::merge_all` of tokenizers 0.23.3 (tokenizers/src/models/bpe/word.rs): of the neighbours that a merge
// joins, those of the lowest rank are joined first, the leftmost before others.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/lowest_first.hpp>
#include <bertha/tokenizer/probe_limit.hpp>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/tokenizer/vocabulary.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
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

  /// Symbols of a long word while they are merged.
  struct Window {
    LowestFirst ranks;                          // of merges with the next symbol
    std::vector<std::uint32_t> ids, sizes;      // of the symbols that are left
    std::vector<std::uint32_t> previous, next;  // likewise
  };

  /// The symbols of one word and what their merging needs; its memory is used again.
  struct Scratch {
    std::vector<Symbol> symbols;
    Window window;
    std::vector<Symbol> kept;           // of a long word: its tokens, as far as they are known
    std::vector<std::uint32_t> firsts;  // of each of them: its first symbol
  };

  /// `merges` are pairs of ids in the order of their ranks. Throws Error{vocabulary} if a merge is not of two tokens
  /// whose strings, joined, are a third one, or if a pair is given twice.
  Merges(const Vocabulary& vocabulary, std::span<const std::uint32_t> merges) {
    slots_.resize(std::bit_ceil(merges.size() + 2));  // twice as many as there are merges
    shift_ = static_cast<unsigned>(64 - std::countr_zero(slots_.size()));
    number_ = static_cast<std::uint32_t>(std::bit_ceil(merges.size() / 2 + 2) - 1);
    merges_.reserve(merges.size() / 2);
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
      const std::uint64_t hash = hash_of(left, right);
      std::uint32_t& slot = slots_[slot_of(left, right, hash)];
      if (slot != 0) fail({" has the pair of merge ", (slot & number_) - 1});
      merges_.push_back({left, right, *joined});
      slot = tag_of(hash) | static_cast<std::uint32_t>(merges_.size());
    }
  }

  /// The rank of the merge of two tokens, or kNoRank.
  std::uint32_t rank(std::uint32_t left, std::uint32_t right) const {
    return (slots_[slot_of(left, right, hash_of(left, right))] & number_) - 1;  // kNoRank of a free slot
  }

  /// Merges the symbols of a word, whose ranks are set, and puts what is left, one after the other. Returns how many
  /// symbols went into windows: of a long word a few for each of its own, whatever the merges are.
  std::size_t operator()(Scratch& scratch, PutToken token) const {
    std::size_t n_windowed = 0, begin = 0;
    if (scratch.symbols.size() <= kShort) {
      merge_short(scratch.symbols);
    } else {
      n_windowed = merge_long(scratch);
      scratch.symbols.swap(scratch.kept);
    }
    for (const Symbol& symbol : scratch.symbols) {
      token(symbol.id, begin, begin + symbol.size);
      begin += symbol.size;
    }
    return n_windowed;
  }

 private:
  static constexpr std::size_t kShort = 24;    // up to here looking at every symbol is faster than windows
  static constexpr std::size_t kWindow = 224;  // symbols by which a window goes on, and
  static constexpr std::size_t kOverlap = 32;  // those that it shares with the one before, as long as they are enough

  struct Merge {
    std::uint32_t left, right, joined;
  };

  static std::uint64_t hash_of(std::uint32_t left, std::uint32_t right) {
    return (std::uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u;
  }

  // What a slot has of the hash: those bits of it that tell the slot's place no more, where numbers have none.
  std::uint32_t tag_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash << (64 - shift_) >> 32) & ~number_;
  }

  // The slot of a merge, or the free one where it would be: half of them are free.
  std::size_t slot_of(std::uint32_t left, std::uint32_t right, std::uint64_t hash) const {
    std::size_t at = hash >> shift_;
    const std::uint32_t tag = tag_of(hash);
    for (ProbeLimit limit; slots_[at] != 0; limit.pass("tokenizer.merges")) {
      if ((slots_[at] & ~number_) == tag) {
        const Merge& its = merges_[(slots_[at] & number_) - 1];
        if (its.left == left && its.right == right) break;
      }
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  std::uint32_t rank(const Symbol& left, const Symbol& right) const { return rank(left.id, right.id); }

  void merge_short(std::vector<Symbol>& symbols) const {
    while (true) {
      const auto best = std::min_element(symbols.begin(), symbols.end(),
                                         [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; });
      if (best == symbols.end() || best->rank == kNoRank) return;
      best->id = merges_[best->rank].joined;
      best->size += best[1].size;
      symbols.erase(best + 1);
      best->rank = best + 1 != symbols.end() ? rank(*best, best[1]) : kNoRank;
      if (best != symbols.begin()) best[-1].rank = rank(best[-1], *best);
    }
  }

  // The same for a long word, in windows. Tokens are what merges make of it if those of each two neighbours are, as the
  // first merge across a border between them would come first in those two alone as well. So a window begins with the
  // last token that is kept, and if it makes that token again, what it makes behind it is kept too; if not, it begins
  // further back. Windows grow as they reach further back, so that this doesn't show. One like the one before, as in a
  // run of one letter, is merged already.
  std::size_t merge_long(Scratch& scratch) const {
    const std::span<const Symbol> symbols = scratch.symbols;
    auto& [all, window, kept, firsts] = scratch;
    kept.clear();
    firsts.clear();
    std::size_t n_windowed = 0, overlap = kOverlap;
    std::span<const Symbol> merged;  // those of the window
    const auto is_alike = [](const Symbol& a, const Symbol& b) { return a.id == b.id && a.size == b.size; };
    for (std::size_t begin = 0, end = 0; end < symbols.size();) {
      const std::size_t next_end = std::min(symbols.size(), end + std::max(kWindow, overlap));
      const auto its = symbols.subspan(begin, next_end - begin);
      if (!std::equal(its.begin(), its.end(), merged.begin(), merged.end(), is_alike)) merge(its, window);
      merged = its;
      n_windowed += next_end - begin;
      const bool goes_on = !kept.empty();
      if (goes_on && (window.ids[0] != kept.back().id || window.sizes[0] != kept.back().size)) {
        overlap *= 2;
      } else {
        for (std::size_t i = goes_on ? window.next[0] : 0; i < next_end - begin; i = window.next[i]) {
          kept.push_back({window.ids[i], window.sizes[i], kNoRank});
          firsts.push_back(static_cast<std::uint32_t>(begin + i));
        }
        end = next_end;
      }
      if (end == symbols.size()) break;
      while (!kept.empty() && (firsts.back() == 0 || firsts.back() + overlap > end)) {
        kept.pop_back();
        firsts.pop_back();
      }
      begin = kept.empty() ? 0 : firsts.back();
    }
    return n_windowed;
  }

  // Merges `symbols` as a word of their own.
  void merge(std::span<const Symbol> symbols, Window& window) const {
    auto& [ranks, ids, sizes, previous, next] = window;
    const std::size_t n = symbols.size();
    ranks.assign(n, [&](std::size_t i) { return i + 1 < n ? symbols[i].rank : kNoRank; });
    for (auto* its : {&ids, &sizes, &previous, &next}) its->resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      ids[i] = symbols[i].id;
      sizes[i] = symbols[i].size;
      previous[i] = static_cast<std::uint32_t>(i - 1);
      next[i] = static_cast<std::uint32_t>(i + 1);
    }
    for (std::size_t at = ranks.lowest(); ranks[at] != kNoRank;) {
      const std::uint32_t merged = ranks[at];
      const std::size_t right = next[at], behind = next[right];
      ids[at] = merges_[merged].joined;
      sizes[at] += sizes[right];
      next[at] = static_cast<std::uint32_t>(behind);
      if (behind < n) previous[behind] = static_cast<std::uint32_t>(at);
      const std::uint32_t after = behind < n ? rank(ids[at], ids[behind]) : kNoRank;
      const std::uint32_t before = at > 0 ? rank(ids[previous[at]], ids[at]) : kNoRank;
      ranks.set(right, kNoRank);
      ranks.set(at, after);
      if (at > 0) ranks.set(previous[at], before);
      // Of one rank, as in a run of one letter, the next is at once the lowest if none is lower now.
      const bool goes_on = behind < n && ranks[behind] == merged && std::min(before, after) > merged;
      at = goes_on ? behind : ranks.lowest();
    }
  }

  std::vector<Merge> merges_;         // by rank
  std::vector<std::uint32_t> slots_;  // by hashes of pairs: a merge's rank + 1 in the bits of `number_`, and a tag
  std::uint32_t number_ = 0;
  unsigned shift_ = 0;
};

BERTHA_NAMESPACE_END
