// The words that were tokenised last, and their tokens.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/put_token.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A table of words that came more than once, each in one of the two lines of 64 bytes that its hash tells, in place of
/// one of them. It has words of up to 23 bytes that are cut into up to ten tokens. Belongs to one tokenizer and one
/// thread.
class WordCache {
 public:
  /// Whether the table may have a word of so many bytes.
  static bool may_have(std::size_t size) { return size - 1 < kLongest; }

  /// Calls `token(id, begin, end)` for each token of `word`, which is bytes [begin, end) of it: from the table, or as
  /// `make(put)` calls a PutToken, and returns whether the table may have them. The same bytes that are
  /// tokenised in another way have another `way`, 0 or 1.
  template <class Make, class Token>
  void operator()(std::string_view word, unsigned way, Make&& make, Token&& token) {
    if (!may_have(word.size())) {
      make(PutToken(token));
      return;
    }
    const Key key(word, way);
    const std::uint64_t hash = key.hash();
    if (first_sight(hash)) {
      make(PutToken(token));
      return;
    }
    if (lines_.empty()) lines_.resize(std::size_t{1} << kLineBits);
    const std::size_t at = hash >> (64 - kLineBits);
    const Line& line = lines_[at].key == key ? lines_[at] : lines_[at ^ 1];
    if (line.key == key) {
      std::size_t begin = 0;
      for (const std::uint32_t* next = line.tokens; begin < word.size(); ++next) {
        const std::size_t end = *next >> kIdBits;
        token(*next & kMaxId, begin, end);
        begin = end;
      }
      return;
    }
    Line made;
    made.key = key;
    std::size_t n = 0, done = 0;
    const auto put = [&](std::uint32_t id, std::size_t begin, std::size_t end) {
      token(id, begin, end);
      // Only the first may have no bytes, and each begins where the one before ends.
      if (n < kTokens && begin == done && (end > begin || n == 0) && id <= kMaxId) {
        made.tokens[n++] = static_cast<std::uint32_t>(end) << kIdBits | id;
        done = end;
      } else {
        n = kTokens + 1;
      }
    };
    const bool may_keep = make(PutToken(put));
    if (may_keep && n <= kTokens && done == word.size()) lines_[at ^ (++n_made_ & 1)] = made;
  }

 private:
  static constexpr std::size_t kLongest = 23, kTokens = 10;
  static constexpr unsigned kLineBits = 14, kSeenBits = 19, kIdBits = 24;
  static constexpr std::uint32_t kMaxId = (1u << kIdBits) - 1;

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

  struct Key {
    Key() = default;

    // The bytes, zeros behind them, and how many they are.
    Key(std::string_view word, unsigned way) {
      const std::size_t n = word.size();
      const auto load = [&](std::size_t at, auto value) {
        std::memcpy(&value, word.data() + at, sizeof value);
        return std::uint64_t{value};
      };
      const auto load8 = [&](std::size_t at) { return load(at, std::uint64_t{}); };
      if (n > 16) {
        parts[0] = load8(0);
        parts[1] = load8(8);
        parts[2] = load8(n - 8) >> 8 * (24 - n);
      } else if (n >= 8) {
        parts[0] = load8(0);
        if (n > 8) parts[1] = load8(n - 8) >> 8 * (16 - n);
      } else if (n >= 4) {
        parts[0] = load(0, std::uint32_t{}) | load(n - 4, std::uint32_t{}) << 8 * (n - 4);
      } else {
        parts[0] = load(0, std::uint8_t{}) | load(n / 2, std::uint8_t{}) << 8 * (n / 2) |
                   load(n - 1, std::uint8_t{}) << 8 * (n - 1);
      }
      parts[2] |= (std::uint64_t{2 * n} + way) << 56;
    }

    std::uint64_t hash() const {
      const std::uint64_t sum =
          parts[0] * 0x9E3779B97F4A7C15u + parts[1] * 0xC2B2AE3D27D4EB4Fu + parts[2] * 0x165667B19E3779F9u;
      return (sum ^ sum >> 32) * 0x9E3779B97F4A7C15u;
    }

    friend bool operator==(const Key&, const Key&) = default;

    std::uint64_t parts[3] = {};  // all zero: of no word
  };

  struct alignas(64) Line {
    Key key;
    std::uint32_t tokens[kTokens];  // ids, and above them where the tokens end
  };

  std::vector<Line> lines_;
  std::vector<std::uint64_t> seen_ = std::vector<std::uint64_t>(std::size_t{1} << (kSeenBits - 6));  // bits, by hash
  std::size_t n_seen_ = 0;
  std::size_t n_made_ = 0;
};

BERTHA_NAMESPACE_END
