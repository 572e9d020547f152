// The hash of a short string, for tables of tokens and words.

#pragma once

#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// Whose upper bits are the best. Eight bytes at a time; the last eight may overlap with those before them.
inline std::uint64_t hash_of_bytes(std::string_view bytes) {
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
  const auto mix = [](std::uint64_t hash, std::uint64_t value) {  // both halves of the product: every bit moves many
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{hash ^ value} * kMultiplier;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const auto load = [&](std::size_t at, auto value) {
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return std::uint64_t{value};
  };
  const std::size_t n = bytes.size();
  std::uint64_t hash = n * kMultiplier;
  if (n >= 8) {
    for (std::size_t at = 0; at + 8 < n; at += 8) hash = mix(hash, load(at, std::uint64_t{}));
    hash = mix(hash, load(n - 8, std::uint64_t{}));
  } else if (n >= 4) {
    hash = mix(hash, load(0, std::uint32_t{}) | load(n - 4, std::uint32_t{}) << 32);
  } else if (n > 0) {
    hash = mix(hash, load(0, std::uint8_t{}) | load(n / 2, std::uint8_t{}) << 8 | load(n - 1, std::uint8_t{}) << 16);
  }
  return hash * kMultiplier;
}

BERTHA_NAMESPACE_END
