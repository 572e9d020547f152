// bfloat16 numbers: the upper half of a float32 number, one sign, eight exponent and seven mantissa bits.

#pragma once

#include <bertha/version.hpp>
#include <bit>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

/// A bfloat16 number, as its bits. It has no arithmetic: kernels round to it and widen it.
enum class bf16 : std::uint16_t {};

/// The same number in float32, exactly.
constexpr float widened(bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<std::uint16_t>(x)) << 16);
}

BERTHA_NAMESPACE_END
