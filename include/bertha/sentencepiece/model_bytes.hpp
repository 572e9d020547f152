// What a SentencePiece model must be before the library reads it: whole, and with rules of normalisation that stay
// within themselves. The library takes a file that is cut between two fields for a whole one, and follows the rules
// wherever they lead.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The fields of a message of Protocol Buffers, one after the other.
class ProtoFields {
 public:
  explicit ProtoFields(std::string_view message) : rest_(message) {}

  /// Goes on to the next field; false at the end, and where there is none.
  bool next() {
    std::uint64_t key = 0, size = 0;
    bytes_ = {};
    if (rest_.empty() || !(good_ = take(key))) return false;
    number_ = key >> 3;
    switch (key & 7) {
      case 0: return good_ = take(size);
      case 1: size = 8; break;
      case 2: good_ = take(size); break;
      case 5: size = 4; break;
      default: good_ = false;
    }
    if (!good_ || size > rest_.size()) return good_ = false;
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  bool good() const { return good_; }
  std::uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }

 private:
  bool take(std::uint64_t& value) {
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view rest_, bytes_;
  std::uint64_t number_ = 0;
  bool good_ = true;
};

/// Whether every way through a charsmap stays within it: a double array of Darts, and strings that end with NUL.
inline bool is_sound_charsmap(std::string_view charsmap) {
  const auto unit_at = [&](std::size_t i) {
    std::uint32_t unit = 0;
    for (std::size_t byte = 4; byte-- > 0;) unit = unit << 8 | static_cast<unsigned char>(charsmap[4 * i + byte]);
    return unit;
  };
  constexpr std::uint32_t kIsValue = 1u << 31, kHasValue = 1u << 8;
  if (charsmap.size() < 4) return false;
  const std::size_t n_bytes = unit_at(0);
  charsmap.remove_prefix(4);
  if (n_bytes % 4 != 0 || n_bytes == 0 || n_bytes >= charsmap.size() || charsmap.back() != '\0') return false;
  const std::size_t n = n_bytes / 4, n_text = charsmap.size() - n_bytes;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t unit = unit_at(i);
    if ((unit & kIsValue) != 0) continue;
    const std::size_t children = i ^ std::size_t{unit >> 10} << (unit >> 9 & 1) * 8;
    if ((children | 0xFF) >= n) return false;
    if ((unit & kHasValue) == 0) continue;
    const std::uint32_t value = unit_at(children);
    if ((value & kIsValue) == 0 || (value & ~kIsValue) >= n_text) return false;
  }
  return true;
}

/// Throws Error{format}, naming the file, unless `bytes` are a SentencePiece model with all of its parts.
inline void require_sentencepiece_model(std::string_view bytes, std::string_view name) {
  constexpr std::uint64_t kPieces = 1, kTraining = 2, kNormalizer = 3, kCharsmap = 2;
  bool has[4] = {};
  ProtoFields fields(bytes);
  const auto refuse = [&](std::string_view what) {
    throw_error(ErrorCode::format, {name, ": ", what, "; expected a SentencePiece model, whole: get the file again"});
  };
  while (fields.next()) {
    if (fields.number() < 4) has[fields.number()] = true;
    if (fields.number() != kNormalizer) continue;
    ProtoFields of_normalizer(fields.bytes());
    while (of_normalizer.next()) {
      if (of_normalizer.number() != kCharsmap || of_normalizer.bytes().empty()) continue;
      if (!is_sound_charsmap(of_normalizer.bytes())) refuse("its rules of normalisation (charsmap) are damaged");
    }
    if (!of_normalizer.good()) refuse("its normaliser is damaged");
  }
  if (!fields.good()) refuse("it is damaged or cut");
  if (!has[kPieces]) refuse("it has no pieces");
  if (!has[kTraining] || !has[kNormalizer]) refuse("it ends too early");
}

}  // namespace detail

BERTHA_NAMESPACE_END
