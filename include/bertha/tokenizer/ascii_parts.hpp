// Cutting a text at its ASCII white space and punctuation, 64 bytes at a time.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/version.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

BERTHA_NAMESPACE_BEGIN

/// Finds the parts of a text: blanks (space, tab, line feed, carriage return) are of none, an ASCII punctuation mark is
/// one of its own, and the rest between them is: ASCII letters and digits, control characters, and what isn't ASCII.
/// Hardly a branch depends on what there is, as the processor could not foresee it.
class AsciiParts {
 public:
  /// Bytes that may be read of each part, of which those behind its end have no meaning.
  static constexpr std::size_t kReadable = 24;

  /// Bytes [from, to) of the text.
  struct Part {
    std::size_t from, to;
    const char* bytes;  ///< valid until the next part is asked for
  };

  /// Of bytes [from, to) of `text`, which lives as long, as `stop` does.
  AsciiParts(std::string_view text, std::size_t from, std::size_t to, StopMeter& stop)
      : text_(text), to_(to), stop_(stop), block_(from) {
    read(from);
  }

  /// Finds the next part; false: there is none. Throws Error{stopped}.
  bool next(Part& part) {
    while (true) {
      while (starts_ == 0) {
        if (to_ - block_ <= kBlock) return false;
        read(block_ + kBlock);
      }
      const auto first = static_cast<std::size_t>(std::countr_zero(starts_));
      const std::uint64_t behind = ends() & ~std::uint64_t{1} << first;
      part = {block_ + first, block_ + static_cast<std::size_t>(std::countr_zero(behind)), bytes_ + first};
      if (behind != 0) [[likely]] {
        starts_ &= starts_ - 1;
        return true;
      }
      if (first > 0) {
        read(part.from);
      } else {
        part.bytes = text_.data() + part.from;  // followed by as many as may be read
        part.to = end_of_long_part();
        return true;
      }
    }
  }

 private:
  static constexpr std::size_t kBlock = 64, kBytes = 16;
  using Bytes = unsigned char __attribute__((vector_size(kBytes)));

  static Bytes all(unsigned char byte) { return Bytes{} + byte; }

  // A bit for each byte that is not zero, all of which are 0xFF, from the lowest.
  static std::uint64_t bits_of(const Bytes& bytes) {
#if defined(__SSE2__)
    return static_cast<std::uint64_t>(_mm_movemask_epi8(reinterpret_cast<const __m128i&>(bytes)));
#else
    std::uint64_t halves[2];
    std::memcpy(halves, &bytes, sizeof halves);
    const auto of = [](std::uint64_t half) { return (half & 0x8080808080808080u) * 0x0002040810204081u >> 56; };
    return of(halves[0]) | of(halves[1]) << 8;
#endif
  }

  // All bytes but those that go on with a part.
  std::uint64_t ends() const { return borders_ | ~(~borders_ << 1); }

  // Looks at the bytes from byte `at` on.
  void read(std::size_t at) {
    stop_.pass(at - block_);
    block_ = at;
    bytes_ = text_.data() + at;
    if (text_.size() - at < kBlock + kReadable) {
      std::memcpy(tail_, bytes_, text_.size() - at);
      bytes_ = tail_;
    }
    std::uint64_t blanks = 0;
    borders_ = 0;
    const std::size_t n = std::min(kBlock, to_ - at);
    for (std::size_t i = 0; i < n; i += kBytes) {
      Bytes its;
      std::memcpy(&its, bytes_ + i, sizeof its);
      const auto blank = (its == all(' ')) | (its == all('\t')) | (its == all('\n')) | (its == all('\r'));
      const auto letter = (its | all(0x20)) - all('a') <= all('z' - 'a');
      const auto digit = its - all('0') <= all('9' - '0');
      const auto visible = its - all('!') <= all('~' - '!');
      blanks |= bits_of(reinterpret_cast<const Bytes&>(blank)) << i;
      const auto border = blank | (visible & ~(letter | digit));
      borders_ |= bits_of(reinterpret_cast<const Bytes&>(border)) << i;
    }
    if (n < kBlock) {
      const std::uint64_t behind = ~std::uint64_t{0} << n;
      blanks |= behind;
      borders_ |= behind;
    }
    starts_ = ends() & ~blanks;
  }

  // Of one that fills the block.
  std::size_t end_of_long_part() {
    starts_ = 0;
    while (to_ - block_ > kBlock) {
      read(block_ + kBlock);
      if ((borders_ & 1) == 0) starts_ &= starts_ - 1;  // what goes on is no start
      if (borders_ != 0) return block_ + static_cast<std::size_t>(std::countr_zero(borders_));
    }
    return to_;
  }

  std::string_view text_;
  std::size_t to_;
  StopMeter& stop_;
  std::size_t block_;                   // the first of the bytes that are looked at
  const char* bytes_ = nullptr;         // them
  std::uint64_t starts_ = 0;            // a bit for each that a part begins with that is to come, and
  std::uint64_t borders_ = 0;           // for each blank and punctuation mark, and what is behind the last
  char tail_[kBlock + kReadable] = {};  // the text's last bytes, behind which others may be read
};

BERTHA_NAMESPACE_END
