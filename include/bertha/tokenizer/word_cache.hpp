// The words that were tokenised last, and their tokens.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/version.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A table of words that came more than once, each in one of the four lines of 64 bytes that its hash tells, in place
/// of one of them. It has words of up to 23 bytes that are cut into up to ten tokens. Belongs to one tokenizer and one
/// thread.
class WordCache {
  static constexpr std::size_t kLongest = 23, kTokens = 10, kWays = 4;
  static constexpr unsigned kSetBits = 13, kTagBits = 16, kSeenBits = 19, kIdBits = 24, kGapBits = 3;
  static constexpr std::uint32_t kMaxId = (1u << kIdBits) - 1, kMaxGap = (1u << kGapBits) - 1;

  // The bytes of a word, zeros behind them, and how many they are.
  struct Key {
    std::uint64_t parts[3] = {};

    // Of bytes that are followed by others, as many as there may be. No branch depends on the word's size, which the
    // processor could not foresee.
    void assign(const char* data, std::size_t n) {
      static constexpr struct {
        std::uint64_t ones[3] = {~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}};
        std::uint64_t zeros[3] = {};
      } kKeep;
      std::uint64_t keep[3];
      std::memcpy(parts, data, sizeof parts);
      std::memcpy(keep, reinterpret_cast<const char*>(&kKeep) + sizeof keep - n, sizeof keep);
      for (int i = 0; i < 3; ++i) parts[i] &= keep[i];
    }

    // The same, of bytes behind which nothing may be read.
    void assign_last(const char* data, std::size_t n) {
      const auto load = [&](std::size_t at, auto value) {
        std::memcpy(&value, data + at, sizeof value);
        return std::uint64_t{value};
      };
      const auto load8 = [&](std::size_t at) { return load(at, std::uint64_t{}); };
      *this = {};
      if (n >= 8) {
        for (std::size_t i = 0; i < n / 8; ++i) parts[i] = load8(8 * i);
        if (n % 8 > 0) parts[n / 8] = load8(n - 8) >> 8 * (8 - n % 8);
      } else if (n >= 4) {
        parts[0] = load(0, std::uint32_t{}) | load(n - 4, std::uint32_t{}) << 8 * (n - 4);
      } else if (n > 0) {
        parts[0] = load(0, std::uint8_t{}) | load(n / 2, std::uint8_t{}) << 8 * (n / 2) |
                   load(n - 1, std::uint8_t{}) << 8 * (n - 1);
      }
    }

    // The same word in another way.
    void mark(std::size_t n, unsigned way) { parts[2] |= (std::uint64_t{2 * n} + way + 1) << 56; }

    std::uint64_t hash() const {
      const std::uint64_t sum =
          parts[0] * 0x9E3779B97F4A7C15u + parts[1] * 0xC2B2AE3D27D4EB4Fu + parts[2] * 0x165667B19E3779F9u;
      return (sum ^ sum >> 32) * 0x9E3779B97F4A7C15u;
    }

    friend bool operator==(const Key&, const Key&) = default;
  };

 public:
  static constexpr std::size_t kReadable = sizeof(Key);  ///< bytes of a word that are read in one go

  /// A word and its tokens.
  class alignas(64) Line {
   public:
    static constexpr std::size_t kMost = kTokens;

    std::uint32_t id(std::size_t token) const { return tokens_[token] & kMaxId; }

    /// Where a token ends in the word, if it is one of them.
    std::uint32_t end(std::size_t token) const { return tokens_[token] >> (kIdBits + kGapBits); }

    /// Where it begins, if `last` is where the one before ends.
    std::uint32_t begin(std::size_t token, std::uint32_t last) const {
      return last + (tokens_[token] >> kIdBits & kMaxGap);
    }

    /// How many tokens the word has.
    std::size_t count() const {
      if (tokens_[1] == kNone) return 1;  // most words
      std::size_t n = 1;
      for (std::size_t i = 1; i < kTokens; ++i) n += static_cast<std::size_t>(tokens_[i] != kNone);
      return n;
    }

   private:
    friend WordCache;
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};
    Key key_;                             // all zero: of no word
    std::uint32_t tokens_[kTokens] = {};  // ids, above them the bytes before that are of none, and where they end
  };

  /// A word that is looked up. Who has several takes each step with all of them, so that the processor waits for the
  /// memory of all at once.
  class Lookup {
   public:
    /// The first step, for the word of the first `size` bytes of `data`, behind which kReadable may be read at least,
    /// or else for bytes [begin, end) of a text. The same bytes that are tokenised in another way have another `way`,
    /// 0 or 1.
    void start(const char* data, std::size_t size, unsigned way) {
      size_ = size;
      if (size <= kLongest) {
        key_.assign(data, size);
        key_.mark(size, way);
      } else {
        key_ = {{0, 0, ~std::uint64_t{0}}};  // of no line
      }
      hash_ = key_.hash();
    }
    void start(std::string_view text, std::size_t begin, std::size_t end, unsigned way) {
      if (text.size() - begin >= kReadable || end - begin > kLongest)
        return start(text.data() + begin, end - begin, way);
      size_ = end - begin;
      key_.assign_last(text.data() + begin, size_);
      key_.mark(size_, way);
      hash_ = key_.hash();
    }

   private:
    friend WordCache;
    Key key_;
    std::uint64_t hash_;
    std::size_t size_;
    const Line* line_;  // which has the word if any does
  };

  /// Whether the table may have a word of so many bytes.
  static bool may_have(std::size_t size) { return size - 1 < kLongest; }

  /// The second step.
  void find(Lookup& its) const {
    static constexpr Line kNone;
    if (lines_.empty()) {
      its.line_ = &kNone;
      return;
    }
    const std::size_t set = its.hash_ >> (64 - kSetBits);
    its.line_ = &lines_[kWays * set + find_tag(tags_[set], tag_of(its.hash_)) % kWays];
    __builtin_prefetch(its.line_);
  }

  /// The last step: the word's line, valid until another word is kept, or null.
  const Line* line_of(const Lookup& its) const { return its.line_->key_ == its.key_ ? its.line_ : nullptr; }

  /// The last step for a word that has no line: calls `token(id, begin, end)` for each token, which is bytes [begin,
  /// end) of the word, as `make(put)` calls a PutToken, and returns whether the table may have them.
  template <class Make, class Token>
  void make(const Lookup& its, Make&& make, Token&& token) {
    if (!may_have(its.size_) || first_sight(its.hash_)) {
      make(PutToken(token));
      return;
    }
    Line made;
    made.key_ = its.key_;
    std::fill_n(made.tokens_, kTokens, Line::kNone);
    std::size_t n = 0, done = 0;
    const auto put = [&](std::uint32_t id, std::size_t begin, std::size_t end) {
      token(id, begin, end);
      // Only the first may have no bytes, and few may be of none: accents that are dropped.
      if (n < kTokens && begin >= done && begin - done <= kMaxGap && (end > begin || n == 0) && id <= kMaxId) {
        const auto edges = static_cast<std::uint32_t>(end << kGapBits | (begin - done));
        made.tokens_[n++] = edges << kIdBits | id;
        done = end;
      } else {
        n = kTokens + 1;
      }
    };
    const bool may_keep = make(PutToken(put));
    if (may_keep && n - 1 < kTokens) keep(made, its.hash_);
  }

  /// All steps for one word.
  template <class Make, class Token>
  void operator()(std::string_view text, std::size_t begin, std::size_t end, unsigned way, Make&& make, Token&& token) {
    Lookup its;
    its.start(text, begin, end, way);
    find(its);
    const Line* line = line_of(its);
    if (line == nullptr) return this->make(its, make, token);
    std::uint32_t last = 0;
    for (std::size_t i = 0, n = line->count(); i < n; ++i) {
      const std::uint32_t first = line->begin(i, last);
      last = line->end(i);
      token(line->id(i), std::size_t{first}, std::size_t{last});
    }
  }

 private:
  // What is remembered of a word beside its line: lines without one have the tag 0.
  static std::uint64_t tag_of(std::uint64_t hash) {
    return (hash >> (64 - kSetBits - kTagBits) & ((1u << kTagBits) - 1)) | 1;
  }

  // Which of four tags is equal, the first if several are; none: 4. A branch for each could not be foreseen.
  static std::size_t find_tag(std::uint64_t tags, std::uint64_t tag) {
    constexpr std::uint64_t kEach = 0x0001000100010001u;
    const std::uint64_t differ = tags ^ (tag * kEach);
    return static_cast<std::size_t>(std::countr_zero((differ - kEach) & ~differ & (kEach << 15))) / kTagBits;
  }

  // In place of a word with the same tag, where there is none, or of one after the other.
  void keep(const Line& made, std::uint64_t hash) {
    if (lines_.empty()) {
      tags_.resize(std::size_t{1} << kSetBits);
      lines_.resize(kWays << kSetBits);
    }
    const std::size_t set = hash >> (64 - kSetBits);
    std::size_t at = find_tag(tags_[set], tag_of(hash));
    if (at == kWays) at = find_tag(tags_[set], 0);
    if (at == kWays) at = ++n_replaced_ % kWays;
    const std::size_t shift = kTagBits * at;
    tags_[set] = (tags_[set] & ~(std::uint64_t{0xFFFF} << shift)) | tag_of(hash) << shift;
    lines_[kWays * set + at] = made;
  }

  // True for a word that has not come before; of others, a few. All are forgotten when they have become many.
  bool first_sight(std::uint64_t hash) {
    const std::uint64_t bit = std::uint64_t{1} << (hash & 63);
    std::uint64_t& bits = seen_[hash >> (64 - kSeenBits + 6)];
    if ((bits & bit) != 0) return false;
    if (++n_seen_ > (std::size_t{1} << kSeenBits) / 4) {
      std::fill(seen_.begin(), seen_.end(), 0);
      n_seen_ = 0;
    }
    bits |= bit;
    return true;
  }

  std::vector<std::uint64_t> tags_;  // of four lines each
  std::vector<Line> lines_;
  std::vector<std::uint64_t> seen_ = std::vector<std::uint64_t>(std::size_t{1} << (kSeenBits - 6));  // bits, by hash
  std::size_t n_seen_ = 0;
  std::size_t n_replaced_ = 0;
};

BERTHA_NAMESPACE_END
