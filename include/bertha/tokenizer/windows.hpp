// Fitting tokens into a length: how much of a text or a pair is kept, and how a long text is cut into windows.
//
// Equals tokenizers 0.23.3 (tokenizers/src/utils/truncation.rs and Encoding::truncate), direction right, where that
// works; where it panics, or gives a window that is longer than the limit, this throws.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What is shortened when a text or a pair is too long. `longest_first` is Hugging Face's name and rule: the longer of
/// two gives way, and when that is not enough both get half, whatever they had.
enum class Truncation : std::uint8_t { none, longest_first, only_first, only_second };

/// A half-open range of tokens of a text.
struct TokenRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t size() const { return end - begin; }
  friend bool operator==(const TokenRange&, const TokenRange&) = default;
};

/// The numbers of tokens that are kept of a text and of its pair.
struct KeptLengths {
  std::size_t first = 0;
  std::size_t second = 0;
  friend bool operator==(const KeptLengths&, const KeptLengths&) = default;
};

/// How many tokens of a text of `first` tokens, and of its pair if there is one, are kept in `room` tokens.
/// Throws Error{input} if the sequence to be shortened is missing, or would be left with nothing.
inline KeptLengths kept_lengths(std::size_t first, std::optional<std::size_t> second, std::size_t room,
                                Truncation truncation) {
  if (truncation > Truncation::only_second) {
    throw_error(ErrorCode::input, {"truncation is ", static_cast<int>(truncation), ", which is none of its values"});
  }
  const std::size_t n2 = second.value_or(0);
  if (truncation == Truncation::none || first + n2 <= room) return {first, n2};
  if (room == 0) return {0, 0};
  if (truncation == Truncation::longest_first) {
    if (!second) return {room, 0};
    const bool first_is_shorter = first <= n2;
    std::size_t shorter = std::min(first, n2);
    std::size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
    if (shorter + longer > room) {
      shorter = room / 2;
      longer = shorter + room % 2;
    }
    return first_is_shorter ? KeptLengths{shorter, longer} : KeptLengths{longer, shorter};
  }
  const bool cut_first = truncation == Truncation::only_first;
  if (!cut_first && !second) {
    throw_error(ErrorCode::input, {"truncation only_second: there is no second text; give one, or use only_first"});
  }
  const std::size_t n = cut_first ? first : n2;
  const std::size_t excess = first + n2 - room;
  if (n <= excess) {
    throw_error(ErrorCode::input,
                {"truncation ", cut_first ? "only_first" : "only_second", ": sequence to truncate too short: it has ",
                 n, " tokens, and ", excess, " would have to go; raise max_length or shorten the ",
                 cut_first ? "second" : "first", " text"});
  }
  return cut_first ? KeptLengths{first - excess, n2} : KeptLengths{first, n2 - excess};
}

/// Whether kept_lengths, or what it throws, depends on how many tokens there are beyond `room` of each text, and not
/// only on which has more than that.
inline bool depends_on_all(std::size_t first, std::size_t second, std::size_t room, Truncation truncation) {
  switch (truncation) {
    case Truncation::none: return true;
    case Truncation::longest_first: return room % 2 != 0 && first > room && second > room;
    case Truncation::only_first: return second >= room;
    case Truncation::only_second: return first >= room;
  }
  return true;
}

/// Throws Error{input} if windows with room for so many tokens of a text that is cut would not move on.
inline void require_stride(std::size_t stride, std::size_t room) {
  if (stride < room) return;
  throw_error(ErrorCode::input, {"stride is ", stride, ", but a window has room for ", room,
                                 " tokens of the text that is cut; the stride must be less: lower it or raise "
                                 "max_length"});
}

/// The same for windows of `kept` of `length` tokens, where some are cut.
inline void check_stride(std::size_t length, std::size_t kept, std::size_t stride) {
  if (kept < length) require_stride(stride, kept);
}

/// Windows of `kept` tokens that cover `length` tokens, each beginning `kept - stride` after the one before; the last
/// may be shorter. One window if all tokens are kept. Throws as `check_stride`.
inline std::vector<TokenRange> window_ranges(std::size_t length, std::size_t kept, std::size_t stride) {
  if (kept >= length) return {{0, length}};
  check_stride(length, kept, stride);
  std::vector<TokenRange> windows;
  for (std::size_t begin = 0;; begin += kept - stride) {
    windows.push_back({begin, std::min(begin + kept, length)});
    if (windows.back().end == length) return windows;
  }
}

BERTHA_NAMESPACE_END
