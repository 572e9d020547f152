// Sixteen lanes in four 128-bit registers. The operations are those of lanes_generic.hpp, where each is explained.
//
// | operation            | instructions, each four times                                                  |
// |----------------------|--------------------------------------------------------------------------------|
// | fma                  | fmla                                                                           |
// | min, max             | fcmgt, bsl: fmin and fmax order -0 below 0, and make NaN of one in either      |
// | to_s32               | fcvtns, nearest even                                                           |
// | dot_quads            | smull, smull2, sadalp, sadalp                                                  |
// | dot_quads, unsigned  | smlal, four times, on weights that uzp1 and uzp2 part                          |
// | dot_pairs, bfloat16  | fmla, twice                                                                    |
//
// Two products of -128 and -128 are more than 16 bits hold. So dot_quads adds products to 32 bits, to two sums for each
// lane, which are added when they are stored. All this is in every ARMv8-A CPU: sdot and bfdot are not.

#pragma once

#include <arm_neon.h>
#include <bertha/kernels/operations.hpp>
#include <bertha/kernels/region.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_NEON_BEGIN

namespace kernels::neon {

/// Rows of the products' tiles, for 32 registers. float32: 24 accumulators, 4 of weights, one of a. int8: 24, weights
/// 4, one of a, the rest for products. Unsigned: 16, widened weights 8, one of a. bfloat16: 16, widened weights 8, one
/// of a.
inline constexpr std::size_t kTileRowsF32 = 6, kTileRowsS8 = 3, kTileRowsU8 = 4, kTileRowsBf16 = 4;
inline constexpr std::size_t kPairRowsF32 = 0, kPairRowsS8 = 0, kPairRowsU8 = 0, kPairRowsBf16 = 0;
inline constexpr std::size_t kExpVectors = 1;

struct F32x16 {
  float32x4_t v[4];
};
struct I32x16 {
  int32x4_t v[4];
};
struct Mask16 {
  uint32x4_t v[4];
};
struct Quad {
  int8x16_t v;
};
struct QuadRow {
  int8x16_t v[4];
};
struct UnsignedQuad {
  int16x4_t v;
};
struct UnsignedQuadRow {
  int16x8_t lo[4], hi[4];  // for lanes 0 to 7 and 8 to 15, by the place in the four
};
using QuadNumber = std::int8_t;
struct QuadSums {
  int32x4_t v[8];  // two for each lane, side by side
};
struct PairBf16 {
  float32x2_t v;
};
struct PairRowBf16 {
  F32x16 even, odd;
};

/// Lanes [0, n) of sixteen are ones from place 16 - n on: half of the numbers are zero.
alignas(64) inline constexpr std::uint32_t kMask[32] = {
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

#define BERTHA_EACH_QUARTER \
  BERTHA_UNROLL             \
  for (std::size_t i = 0; i < 4; ++i)

BERTHA_INLINE F32x16 broadcast(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {{v, v, v, v}};
}
BERTHA_INLINE F32x16 load(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
BERTHA_INLINE Mask16 lanes_below(std::size_t n) {
  const std::uint32_t* p = kMask + 16 - n;
  return {{vld1q_u32(p), vld1q_u32(p + 4), vld1q_u32(p + 8), vld1q_u32(p + 12)}};
}
BERTHA_INLINE F32x16 load_first(const float* p, std::size_t n) {
  alignas(64) float first[kLanes] = {};
  for (std::size_t j = 0; j < n; ++j) first[j] = p[j];
  return load(first);
}
BERTHA_INLINE F32x16 load_steps(const float* p, const std::uint32_t* index) {
  alignas(64) float steps[kLanes];
  for (std::size_t j = 0; j < kLanes; ++j) steps[j] = p[index[j]];
  return load(steps);
}
BERTHA_INLINE float32x4_t widen_s16(int16x4_t a) { return vcvtq_f32_s32(vmovl_s16(a)); }
BERTHA_INLINE F32x16 load_s8(const std::int8_t* p) {
  const int16x8_t lo = vmovl_s8(vld1_s8(p)), hi = vmovl_s8(vld1_s8(p + 8));
  return {{widen_s16(vget_low_s16(lo)), widen_s16(vget_high_s16(lo)), widen_s16(vget_low_s16(hi)),
           widen_s16(vget_high_s16(hi))}};
}
BERTHA_INLINE void store(float* p, F32x16 a) { BERTHA_EACH_QUARTER vst1q_f32(p + 4 * i, a.v[i]); }
BERTHA_INLINE void store_first(float* p, F32x16 a, std::size_t n) {
  alignas(64) float all[kLanes];
  store(all, a);
  for (std::size_t j = 0; j < n; ++j) p[j] = all[j];
}

BERTHA_INLINE F32x16 add(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vaddq_f32(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE F32x16 sub(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vsubq_f32(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER {
    a.v[i] = vmulq_f32(a.v[i], b.v[i]);
    BERTHA_ROUND(a.v[i]);
  }
  return a;
}
BERTHA_INLINE F32x16 div(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vdivq_f32(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  BERTHA_EACH_QUARTER c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
  return c;
}
BERTHA_INLINE F32x16 min(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE float32x4_t max(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
BERTHA_INLINE F32x16 max(F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = max(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE F32x16 abs(F32x16 a) {
  BERTHA_EACH_QUARTER a.v[i] = vabsq_f32(a.v[i]);
  return a;
}
BERTHA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) {
  BERTHA_EACH_QUARTER a.v[i] = vbslq_f32(vdupq_n_u32(0x80000000), sign.v[i], a.v[i]);
  return a;
}
BERTHA_INLINE Mask16 less(F32x16 a, F32x16 b) {
  Mask16 r;
  BERTHA_EACH_QUARTER r.v[i] = vcltq_f32(a.v[i], b.v[i]);
  return r;
}
BERTHA_INLINE F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vbslq_f32(mask.v[i], a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE F32x16 power_of_two(F32x16 shifted) {
  BERTHA_EACH_QUARTER {
    const int32x4_t n = vshlq_n_s32(vreinterpretq_s32_f32(shifted.v[i]), 23);
    shifted.v[i] = vreinterpretq_f32_s32(vaddq_s32(n, vdupq_n_s32(0x3f800000)));
  }
  return shifted;
}
BERTHA_INLINE float fold_add(F32x16 a) {
  const float32x4_t four = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
BERTHA_INLINE float fold_max(F32x16 a) {
  const float32x4_t four = max(max(a.v[0], a.v[2]), max(a.v[1], a.v[3]));
  const float32x4_t two = max(four, vextq_f32(four, four, 2));
  return vgetq_lane_f32(max(two, vextq_f32(two, two, 1)), 0);
}

BERTHA_INLINE I32x16 zero_s32() {
  const int32x4_t zero = vdupq_n_s32(0);
  return {{zero, zero, zero, zero}};
}
BERTHA_INLINE I32x16 broadcast_s32(std::int32_t x) {
  const int32x4_t v = vdupq_n_s32(x);
  return {{v, v, v, v}};
}
BERTHA_INLINE I32x16 load(const std::int32_t* p) {
  return {{vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)}};
}
BERTHA_INLINE void store(std::int32_t* p, I32x16 a) { BERTHA_EACH_QUARTER vst1q_s32(p + 4 * i, a.v[i]); }
/// Packs four and four int32 into eight int16, in order.
BERTHA_INLINE int16x8_t pack_s16(int32x4_t a, int32x4_t b) { return vcombine_s16(vmovn_s32(a), vmovn_s32(b)); }
BERTHA_INLINE void store_s8(std::int8_t* p, I32x16 a) {
  vst1_s8(p, vmovn_s16(pack_s16(a.v[0], a.v[1])));
  vst1_s8(p + 8, vmovn_s16(pack_s16(a.v[2], a.v[3])));
}
BERTHA_INLINE void store_u8(std::uint8_t* p, I32x16 a) { store_s8(reinterpret_cast<std::int8_t*>(p), a); }
BERTHA_INLINE int16x8_t interleave_pairs(int32x4_t a, int32x4_t b) {
  return vreinterpretq_s16_s32(vsliq_n_s32(a, b, 16));
}
BERTHA_INLINE void store_quads(std::int8_t* p, I32x16 a, I32x16 b, I32x16 c, I32x16 d) {
  BERTHA_EACH_QUARTER vst1q_s8(p + 16 * i, vreinterpretq_s8_s16(interleave_pairs(vsliq_n_s32(a.v[i], b.v[i], 8),
                                                                                 vsliq_n_s32(c.v[i], d.v[i], 8))));
}
BERTHA_INLINE I32x16 add(I32x16 a, I32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vaddq_s32(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE I32x16 subtract_product(I32x16 a, std::int32_t factor, I32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vmlsq_n_s32(a.v[i], b.v[i], factor);
  return a;
}
BERTHA_INLINE I32x16 max(I32x16 a, I32x16 b) {
  BERTHA_EACH_QUARTER a.v[i] = vmaxq_s32(a.v[i], b.v[i]);
  return a;
}
BERTHA_INLINE I32x16 magnitude_bits(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_QUARTER r.v[i] = vreinterpretq_s32_f32(vabsq_f32(a.v[i]));
  return r;
}
BERTHA_INLINE I32x16 to_s32(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_QUARTER r.v[i] = vcvtnq_s32_f32(a.v[i]);
  return r;
}
BERTHA_INLINE F32x16 to_f32(I32x16 a) {
  F32x16 r;
  BERTHA_EACH_QUARTER r.v[i] = vcvtq_f32_s32(a.v[i]);
  return r;
}
BERTHA_INLINE std::int32_t fold_add(I32x16 a) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[1]), vaddq_s32(a.v[2], a.v[3])));
}
BERTHA_INLINE std::int32_t fold_max(I32x16 a) {
  return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.v[0], a.v[1]), vmaxq_s32(a.v[2], a.v[3])));
}
BERTHA_INLINE int32x4_t broadcast_4_bytes(const void* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return vdupq_n_s32(four);
}
BERTHA_INLINE std::int32_t quads_start(const QuadNumber*, std::size_t) { return 0; }
BERTHA_INLINE QuadSums quad_sums(std::int32_t start) {
  const int32x4_t first = vcombine_s32(vset_lane_s32(start, vdup_n_s32(0), 0), vset_lane_s32(start, vdup_n_s32(0), 0));
  return {{first, first, first, first, first, first, first, first}};
}
BERTHA_INLINE Quad quad(const std::int8_t* a) { return {vreinterpretq_s8_s32(broadcast_4_bytes(a))}; }
BERTHA_INLINE QuadRow quad_row(const std::int8_t* w) {
  return {{vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)}};
}
BERTHA_INLINE QuadSums dot_quads(QuadSums acc, Quad a, QuadRow w) {
  BERTHA_EACH_QUARTER {
    acc.v[2 * i] = vpadalq_s16(acc.v[2 * i], vmull_s8(vget_low_s8(a.v), vget_low_s8(w.v[i])));
    acc.v[2 * i + 1] = vpadalq_s16(acc.v[2 * i + 1], vmull_high_s8(a.v, w.v[i]));
  }
  return acc;
}
BERTHA_INLINE void store(std::int32_t* p, QuadSums a) {
  BERTHA_EACH_QUARTER vst1q_s32(p + 4 * i, vpaddq_s32(a.v[2 * i], a.v[2 * i + 1]));
}
BERTHA_INLINE UnsignedQuad unsigned_quad(const std::uint8_t* a) {
  const uint8x16_t quad = vreinterpretq_u8_s32(broadcast_4_bytes(a));
  return {vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vget_low_u8(quad))))};
}
BERTHA_INLINE UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) {
  const int8x16_t first = vld1q_s8(w), second = vld1q_s8(w + 16), third = vld1q_s8(w + 32), fourth = vld1q_s8(w + 48);
  const int8x16_t even_lo = vuzp1q_s8(first, second), even_hi = vuzp1q_s8(third, fourth);
  const int8x16_t odd_lo = vuzp2q_s8(first, second), odd_hi = vuzp2q_s8(third, fourth);
  const int8x16_t by_place[] = {vuzp1q_s8(even_lo, even_hi), vuzp1q_s8(odd_lo, odd_hi), vuzp2q_s8(even_lo, even_hi),
                                vuzp2q_s8(odd_lo, odd_hi)};
  UnsignedQuadRow r;
  BERTHA_EACH_QUARTER {
    r.lo[i] = vmovl_s8(vget_low_s8(by_place[i]));
    r.hi[i] = vmovl_high_s8(by_place[i]);
  }
  return r;
}
template <int Place>
BERTHA_INLINE void add_products(I32x16& acc, int16x4_t a, int16x8_t lo, int16x8_t hi) {
  acc.v[0] = vmlal_lane_s16(acc.v[0], vget_low_s16(lo), a, Place);
  acc.v[1] = vmlal_high_lane_s16(acc.v[1], lo, a, Place);
  acc.v[2] = vmlal_lane_s16(acc.v[2], vget_low_s16(hi), a, Place);
  acc.v[3] = vmlal_high_lane_s16(acc.v[3], hi, a, Place);
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, UnsignedQuad a, UnsignedQuadRow w) {
  add_products<0>(acc, a.v, w.lo[0], w.hi[0]);
  add_products<1>(acc, a.v, w.lo[1], w.hi[1]);
  add_products<2>(acc, a.v, w.lo[2], w.hi[2]);
  add_products<3>(acc, a.v, w.lo[3], w.hi[3]);
  return acc;
}

BERTHA_INLINE float32x4_t widen_bf16(uint16x4_t a) { return vreinterpretq_f32_u32(vshll_n_u16(a, 16)); }
/// Sixteen bfloat16 numbers, eight and eight, as float32.
BERTHA_INLINE F32x16 widen_bf16(uint16x8_t lo, uint16x8_t hi) {
  return {{widen_bf16(vget_low_u16(lo)), widen_bf16(vget_high_u16(lo)), widen_bf16(vget_low_u16(hi)),
           widen_bf16(vget_high_u16(hi))}};
}
/// Eight bfloat16 numbers as their bits: intrinsics know no such type.
BERTHA_INLINE uint16x8_t load_bf16_bits(const bf16* p) {
  uint16x8_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return bits;
}
BERTHA_INLINE void store_bf16_bits(bf16* p, int16x8_t bits) { __builtin_memcpy(p, &bits, sizeof bits); }
BERTHA_INLINE F32x16 load_bf16(const bf16* p) { return widen_bf16(load_bf16_bits(p), load_bf16_bits(p + 8)); }
BERTHA_INLINE void store_bf16(bf16* p, I32x16 a) {
  store_bf16_bits(p, pack_s16(a.v[0], a.v[1]));
  store_bf16_bits(p + 8, pack_s16(a.v[2], a.v[3]));
}
BERTHA_INLINE void store_bf16_pairs(bf16* p, I32x16 a, I32x16 b) {
  BERTHA_EACH_QUARTER store_bf16_bits(p + 8 * i, interleave_pairs(a.v[i], b.v[i]));
}
BERTHA_INLINE I32x16 to_bf16(F32x16 a) {
  I32x16 r;
  BERTHA_EACH_QUARTER {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]);
    const uint32x4_t is_odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), is_odd);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    const uint32x4_t is_number = vceqq_f32(a.v[i], a.v[i]);
    r.v[i] = vshrq_n_s32(vreinterpretq_s32_u32(vbslq_u32(is_number, rounded, quiet)), 16);
  }
  return r;
}
BERTHA_INLINE PairBf16 pair_bf16(const bf16* a) {
  const uint16x4_t pair = vreinterpret_u16_s32(vget_low_s32(broadcast_4_bytes(a)));
  return {vget_low_f32(widen_bf16(pair))};
}
/// Four bfloat16 numbers of dwords as float32: those in the high halves, those in the low halves.
BERTHA_INLINE float32x4_t high_bf16(uint32x4_t pairs) {
  return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}
BERTHA_INLINE float32x4_t low_bf16(uint32x4_t pairs) { return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)); }
BERTHA_INLINE PairRowBf16 pair_row_bf16(const bf16* w) {
  PairRowBf16 r;
  BERTHA_EACH_QUARTER {
    const uint32x4_t pairs = vreinterpretq_u32_u16(load_bf16_bits(w + 8 * i));
    r.even.v[i] = low_bf16(pairs);
    r.odd.v[i] = high_bf16(pairs);
  }
  return r;
}
BERTHA_INLINE F32x16 dot_pairs(F32x16 acc, PairBf16 a, PairRowBf16 w) {
  BERTHA_EACH_QUARTER acc.v[i] = vfmaq_lane_f32(vfmaq_lane_f32(acc.v[i], w.odd.v[i], a.v, 1), w.even.v[i], a.v, 0);
  return acc;
}

#undef BERTHA_EACH_QUARTER

}  // namespace kernels::neon

BERTHA_NEON_END
BERTHA_NAMESPACE_END
