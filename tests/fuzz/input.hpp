// What a fuzzer's bytes say: numbers and texts, taken one after the other; and what must hold whatever they say.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

namespace bertha_fuzz {

/// Numbers and texts, one after the other; zeros and empty texts behind the end of the bytes.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  bool at_end() const { return bytes_.empty(); }

  std::uint32_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  std::uint32_t number() { return byte() | byte() << 8; }

  bool flag() { return byte() & 1; }

  /// A number less than n, which is 65,536 at most.
  std::size_t below(std::size_t n) { return (n <= 256 ? byte() : number()) % n; }

  template <class Value, std::size_t n>
  const Value& one_of(const Value (&values)[n]) {
    return values[below(n)];
  }

  /// At most `size` bytes.
  std::string text(std::size_t size) {
    const auto taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

  std::string rest() { return text(bytes_.size()); }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// Ends the fuzzer, which keeps its input, where something that is promised doesn't hold.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  __builtin_trap();
}

}  // namespace bertha_fuzz
