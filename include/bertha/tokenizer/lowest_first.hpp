// Numbers of which the lowest is taken again and again, while others change.

#pragma once

#include <algorithm>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A row of numbers, and the lowest of each sixteen of them, of each sixteen of those, and so on: neighbours stay
/// together, and a few sixteens are looked at for a change or for the lowest, however many numbers there are.
class LowestFirst {
 public:
  /// More than any number that counts.
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  /// Becomes `n` > 0 numbers, of which `of(i)` is number i. Its memory is used again.
  template <class Of>
  void assign(std::size_t n, Of&& of) {
    n_levels_ = 0;
    for (bool is_first = true; is_first || n > kBlock; is_first = false) {
      if (!is_first) n = (n + kBlock - 1) / kBlock;
      if (levels_.size() == n_levels_) levels_.emplace_back();
      auto& level = levels_[n_levels_++];
      level.resize((n + kBlock - 1) / kBlock * kBlock);
      for (std::size_t i = 0; i < n; ++i) level[i] = is_first ? ordered(of(i)) : lowest_in(n_levels_ - 2, i);
      std::fill(level.begin() + static_cast<std::ptrdiff_t>(n), level.end(), ordered(kNone));
    }
  }

  std::uint32_t operator[](std::size_t i) const { return unordered(levels_[0][i]); }

  void set(std::size_t i, std::uint32_t number) {
    std::int32_t its = ordered(number);
    for (std::size_t level = 0;; ++level) {
      const std::int32_t before = levels_[level][i];
      levels_[level][i] = its;
      if (level + 1 == n_levels_) return;
      i /= kBlock;
      const std::int32_t lowest = levels_[level + 1][i];
      if (its >= lowest) {
        if (before != lowest) return;
        its = lowest_in(level, i);
      }
      if (its == lowest) return;
    }
  }

  /// Where the first of the lowest is.
  std::size_t lowest() const {
    const std::int32_t lowest = lowest_in(n_levels_ - 1, 0);
    std::size_t at = 0;
    for (std::size_t level = n_levels_; level-- > 0;) {
      for (at *= kBlock; levels_[level][at] != lowest;) ++at;
    }
    return at;
  }

 private:
  static constexpr std::size_t kBlock = 16;

  // Signed numbers in the same order: of those the lowest of several is found at once on every CPU.
  static std::int32_t ordered(std::uint32_t number) { return static_cast<std::int32_t>(number ^ 0x80000000); }
  static std::uint32_t unordered(std::int32_t number) { return static_cast<std::uint32_t>(number) ^ 0x80000000; }

  std::int32_t lowest_in(std::size_t level, std::size_t block) const {
    const std::int32_t* const its = levels_[level].data() + block * kBlock;
    std::int32_t lowest = its[0];
    for (std::size_t i = 1; i < kBlock; ++i) lowest = std::min(lowest, its[i]);
    return lowest;
  }

  std::vector<std::vector<std::int32_t>> levels_;  // each filled up to whole blocks, the last of no more than one
  std::size_t n_levels_ = 0;
};

BERTHA_NAMESPACE_END
