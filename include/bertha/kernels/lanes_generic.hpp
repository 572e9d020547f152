// Sixteen lanes as an array, for the scalar level: what each operation means, in plain C++. The other lanes_*.hpp
// define the same names for their registers, and the *.inl files are written on them once.
//
// Every operation is that of IEEE 754 in each lane, round to nearest even. min and max return the second operand when
// the first isn't smaller (larger), so a NaN in the second operand stays, and one in the first is dropped.

#pragma once

#include <bertha/kernels/operations.hpp>
#include <bertha/kernels/region.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_STRICT_BEGIN

namespace kernels::scalar {

/// Rows of the products' tiles: loops over more would only cost compile time here.
inline constexpr std::size_t kTileRowsF32 = 1, kTileRowsS8 = 1, kTileRowsU8 = 1, kTileRowsBf16 = 1;
inline constexpr std::size_t kPairRowsF32 = 0, kPairRowsS8 = 0, kPairRowsU8 = 0, kPairRowsBf16 = 0;
inline constexpr std::size_t kExpVectors = 1;

struct F32x16 {
  float lane[kLanes];
};
struct I32x16 {
  std::int32_t lane[kLanes];
};
/// Four int8, four uint8 or two bfloat16 of an operand, for all lanes; and as many weights for each lane.
struct Quad {
  const std::int8_t* values;
};
struct QuadRow {
  const std::int8_t* values;
};
struct UnsignedQuad {
  const std::uint8_t* values;
};
struct UnsignedQuadRow {
  const std::int8_t* values;
};
/// What a level's pack_quantised writes for each number of an operand, and what quads are added up in.
using QuadNumber = std::int8_t;
using QuadSums = I32x16;
struct PairBf16 {
  const bf16* values;
};
struct PairRowBf16 {
  const bf16* values;
};
/// All bits set or none, in each lane.
struct Mask16 {
  std::uint32_t lane[kLanes];
};

#define BERTHA_EACH_LANE for (std::size_t j = 0; j < kLanes; ++j)

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float rounded_product(float a, float b) {
  float product = a * b;
  BERTHA_ROUND(product);
  return product;
}
inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
inline float widened_bf16(bf16 x) { return float_of(static_cast<std::uint32_t>(static_cast<std::uint16_t>(x)) << 16); }

inline F32x16 broadcast(float x) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = x;
  return r;
}
inline F32x16 load(const float* p) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = p[j];
  return r;
}
/// The first n numbers, n < 16, and zeros; nothing past them is read.
inline F32x16 load_first(const float* p, std::size_t n) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = j < n ? p[j] : 0.0f;
  return r;
}
/// p[index[j]] of indices of which each is the one before or one more. Up to p[index[0] + 15] may be read.
inline F32x16 load_steps(const float* p, const std::uint32_t* index) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = p[index[j]];
  return r;
}
/// Sixteen int8, widened.
inline F32x16 load_s8(const std::int8_t* p) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = static_cast<float>(p[j]);
  return r;
}
inline void store(float* p, F32x16 a) { BERTHA_EACH_LANE p[j] = a.lane[j]; }
/// The first n numbers, n < 16; nothing past them is written.
inline void store_first(float* p, F32x16 a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) p[j] = a.lane[j];
}

inline F32x16 add(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] += b.lane[j];
  return a;
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] -= b.lane[j];
  return a;
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] = rounded_product(a.lane[j], b.lane[j]);
  return a;
}
inline F32x16 div(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] /= b.lane[j];
  return a;
}
/// a b + c, rounded once.
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  BERTHA_EACH_LANE a.lane[j] = fused(a.lane[j], b.lane[j], c.lane[j]);
  return a;
}
inline F32x16 min(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] = a.lane[j] < b.lane[j] ? a.lane[j] : b.lane[j];
  return a;
}
inline F32x16 max(F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] = a.lane[j] > b.lane[j] ? a.lane[j] : b.lane[j];
  return a;
}
inline F32x16 abs(F32x16 a) {
  BERTHA_EACH_LANE a.lane[j] = float_of(bits_of(a.lane[j]) & 0x7fffffffu);
  return a;
}
/// The magnitude of `a`, which is not negative, with the sign of `sign`.
inline F32x16 with_sign(F32x16 a, F32x16 sign) {
  BERTHA_EACH_LANE a.lane[j] = float_of(bits_of(a.lane[j]) | (bits_of(sign.lane[j]) & 0x80000000u));
  return a;
}
/// a < b; false where either is NaN.
inline Mask16 less(F32x16 a, F32x16 b) {
  Mask16 r;
  BERTHA_EACH_LANE r.lane[j] = a.lane[j] < b.lane[j] ? 0xffffffffu : 0u;
  return r;
}
/// The lanes below n.
inline Mask16 lanes_below(std::size_t n) {
  Mask16 r;
  BERTHA_EACH_LANE r.lane[j] = j < n ? 0xffffffffu : 0u;
  return r;
}
inline F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  BERTHA_EACH_LANE a.lane[j] = mask.lane[j] ? a.lane[j] : b.lane[j];
  return a;
}
/// 2^n, from the number 2^23 1.5 + n with -126 <= n <= 127: its lowest bits are n, and move into the exponent.
inline F32x16 power_of_two(F32x16 shifted) {
  BERTHA_EACH_LANE shifted.lane[j] = float_of((bits_of(shifted.lane[j]) << 23) + 0x3f800000u);
  return shifted;
}
/// Lane j takes lane j + 8, then j + 4, j + 2, j + 1: what is left in lane 0.
inline float fold_add(F32x16 a) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t j = 0; j < half; ++j) a.lane[j] += a.lane[j + half];
  return a.lane[0];
}
inline float fold_max(F32x16 a) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t j = 0; j < half; ++j) a.lane[j] = a.lane[j] > a.lane[j + half] ? a.lane[j] : a.lane[j + half];
  return a.lane[0];
}

inline I32x16 zero_s32() { return I32x16{}; }
inline I32x16 broadcast_s32(std::int32_t x) {
  I32x16 r;
  BERTHA_EACH_LANE r.lane[j] = x;
  return r;
}
inline I32x16 load(const std::int32_t* p) {
  I32x16 r;
  BERTHA_EACH_LANE r.lane[j] = p[j];
  return r;
}
inline void store(std::int32_t* p, I32x16 a) { BERTHA_EACH_LANE p[j] = a.lane[j]; }
/// Values that fit, as int8 and uint8.
inline void store_s8(std::int8_t* p, I32x16 a) { BERTHA_EACH_LANE p[j] = static_cast<std::int8_t>(a.lane[j]); }
inline void store_u8(std::uint8_t* p, I32x16 a) { BERTHA_EACH_LANE p[j] = static_cast<std::uint8_t>(a.lane[j]); }
/// Values that fit int8, of a, b, c and d in turn.
inline void store_quads(std::int8_t* p, I32x16 a, I32x16 b, I32x16 c, I32x16 d) {
  BERTHA_EACH_LANE {
    p[4 * j] = static_cast<std::int8_t>(a.lane[j]);
    p[4 * j + 1] = static_cast<std::int8_t>(b.lane[j]);
    p[4 * j + 2] = static_cast<std::int8_t>(c.lane[j]);
    p[4 * j + 3] = static_cast<std::int8_t>(d.lane[j]);
  }
}
inline I32x16 add(I32x16 a, I32x16 b) {
  BERTHA_EACH_LANE a.lane[j] += b.lane[j];
  return a;
}
/// a - factor b.
inline I32x16 subtract_product(I32x16 a, std::int32_t factor, I32x16 b) {
  BERTHA_EACH_LANE a.lane[j] -= factor * b.lane[j];
  return a;
}
inline I32x16 max(I32x16 a, I32x16 b) {
  BERTHA_EACH_LANE a.lane[j] = a.lane[j] > b.lane[j] ? a.lane[j] : b.lane[j];
  return a;
}
/// The bits of |a|: they are in the order of the magnitudes, with infinity and NaN on top.
inline I32x16 magnitude_bits(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_LANE r.lane[j] = static_cast<std::int32_t>(bits_of(a.lane[j]) & 0x7fffffffu);
  return r;
}
/// The nearest integer, ties to even, for |a| <= 2^22: adding 2^23 1.5 rounds there, and the low bits are the integer.
inline I32x16 to_s32(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_LANE r.lane[j] = static_cast<std::int32_t>(bits_of(a.lane[j] + 12582912.0f) - 0x4b400000u);
  return r;
}
inline F32x16 to_f32(I32x16 a) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = static_cast<float>(a.lane[j]);
  return r;
}
inline std::int32_t fold_add(I32x16 a) {
  std::int32_t sum = 0;
  BERTHA_EACH_LANE sum += a.lane[j];
  return sum;
}
inline std::int32_t fold_max(I32x16 a) {
  std::int32_t most = a.lane[0];
  BERTHA_EACH_LANE most = a.lane[j] > most ? a.lane[j] : most;
  return most;
}
/// Where dot_quads over a row of k begins to add: not at 0 where the instruction wants unsigned weights.
inline std::int32_t quads_start(const QuadNumber*, std::size_t) { return 0; }
inline QuadSums quad_sums(std::int32_t start) { return broadcast_s32(start); }
inline Quad quad(const std::int8_t* a) { return {a}; }
inline QuadRow quad_row(const std::int8_t* w) { return {w}; }
inline UnsignedQuad unsigned_quad(const std::uint8_t* a) { return {a}; }
inline UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) { return {w}; }
/// acc[j] + sum over e < 4 of a[e] w[4 j + e], exact.
inline I32x16 dot_quads(I32x16 acc, Quad a, QuadRow w) {
  BERTHA_EACH_LANE for (std::size_t e = 0; e < 4; ++e) acc.lane[j] += a.values[e] * w.values[4 * j + e];
  return acc;
}
inline I32x16 dot_quads(I32x16 acc, UnsignedQuad a, UnsignedQuadRow w) {
  BERTHA_EACH_LANE for (std::size_t e = 0; e < 4; ++e) acc.lane[j] += a.values[e] * w.values[4 * j + e];
  return acc;
}
/// Sixteen bfloat16 numbers, widened.
inline F32x16 load_bf16(const bf16* p) {
  F32x16 r;
  BERTHA_EACH_LANE r.lane[j] = widened_bf16(p[j]);
  return r;
}
/// The bits of the nearest bfloat16 number, ties to even, as values of int16; NaN stays NaN.
inline I32x16 to_bf16(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_LANE {
    const std::uint32_t bits = bits_of(a.lane[j]);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    r.lane[j] = static_cast<std::int32_t>(is_nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  }
  return r;
}
/// What to_bf16 gave: the numbers of a, and those of a and b in turn.
inline void store_bf16(bf16* p, I32x16 a) {
  BERTHA_EACH_LANE p[j] = static_cast<bf16>(static_cast<std::uint16_t>(a.lane[j]));
}
inline void store_bf16_pairs(bf16* p, I32x16 a, I32x16 b) {
  BERTHA_EACH_LANE {
    p[2 * j] = static_cast<bf16>(static_cast<std::uint16_t>(a.lane[j]));
    p[2 * j + 1] = static_cast<bf16>(static_cast<std::uint16_t>(b.lane[j]));
  }
}
inline PairBf16 pair_bf16(const bf16* a) { return {a}; }
inline PairRowBf16 pair_row_bf16(const bf16* w) { return {w}; }
/// acc[j] + a[1] w[2 j + 1], rounded, and then + a[0] w[2 j], rounded: bfloat16 numbers.
inline F32x16 dot_pairs(F32x16 acc, PairBf16 a, PairRowBf16 w) {
  BERTHA_EACH_LANE {
    acc.lane[j] = fused(widened_bf16(a.values[1]), widened_bf16(w.values[2 * j + 1]), acc.lane[j]);
    acc.lane[j] = fused(widened_bf16(a.values[0]), widened_bf16(w.values[2 * j]), acc.lane[j]);
  }
  return acc;
}

#undef BERTHA_EACH_LANE

}  // namespace kernels::scalar

BERTHA_STRICT_END
BERTHA_NAMESPACE_END
