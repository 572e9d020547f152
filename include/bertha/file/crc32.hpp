// CRC-32 as zlib, gzip and PNG have it: polynomial 0x04C11DB7, bits reflected, start and end value inverted.
// Eight bytes a step: table k holds the CRC of a byte followed by k zero bytes, and CRCs of what is XORed together XOR.

#pragma once

#include <array>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

BERTHA_NAMESPACE_BEGIN

namespace detail {

using Crc32Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Crc32Tables make_crc32_tables() {
  Crc32Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t shorter = tables[k - 1][byte];
      tables[k][byte] = (shorter >> 8) ^ tables[0][shorter & 255];
    }
  }
  return tables;
}

inline constexpr Crc32Tables kCrc32Tables = make_crc32_tables();

}  // namespace detail

/// The CRC-32 of `bytes`.
inline std::uint32_t crc32(std::span<const std::byte> bytes) noexcept {
  const auto& t = detail::kCrc32Tables;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (; left >= 8; left -= 8, at += 8) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + 4, 4);
    low ^= crc;
    crc = t[7][low & 255] ^ t[6][(low >> 8) & 255] ^ t[5][(low >> 16) & 255] ^ t[4][low >> 24] ^ t[3][high & 255] ^
          t[2][(high >> 8) & 255] ^ t[1][(high >> 16) & 255] ^ t[0][high >> 24];
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ t[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 255];
  return ~crc;
}

BERTHA_NAMESPACE_END
