// Sixteen lanes in two 256-bit registers. The operations are those of lanes_generic.hpp, where each is explained.
//
// | operation            | instructions, each twice                                                       |
// |----------------------|--------------------------------------------------------------------------------|
// | fma                  | vfmadd                                                                         |
// | min, max             | vminps, vmaxps: like C's a < b ? a : b, the second operand when one is NaN     |
// | to_s32               | vcvtps2dq, nearest even                                                        |
// | dot_quads            | twice vpmaddwd, vpaddd; of a WideRow twice vpaddw, vpmaddwd, vpaddd             |
//
// dot_quads takes bytes as words, so it is exact: quad_row parts those of even and of odd k by shifts, once for all
// rows of a tile, and the operand is packed as words in that order. vpmaddubsw on |w| and a with w's sign takes as many
// instructions, of which vpsignb is no faster than a product (a fifth slower on AMD's family 25), and loses -128.

#pragma once

#include <immintrin.h>
#include <bertha/kernels/operations.hpp>
#include <bertha/kernels/region.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX2_BEGIN

namespace kernels::avx2 {

/// Rows of the products' tiles, for 16 registers. float32: 12 accumulators, 2 of weights, one of a. int8: 8, weights 4,
/// 2 of a, one for a product. Unsigned: 6, and a mask too. bfloat16: 8, widened weights 4, 2 of a.
inline constexpr std::size_t kTileRowsF32 = 6, kTileRowsS8 = 4, kTileRowsU8 = 3, kTileRowsBf16 = 4;
inline constexpr std::size_t kPairRowsF32 = 0, kPairRowsS8 = 0, kPairRowsU8 = 0, kPairRowsBf16 = 0;
inline constexpr std::size_t kExpVectors = 2;

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct Mask16 {
  __m256i lo, hi;
};
/// Widened to int16: bytes 0 and 2 of every four, and bytes 1 and 3.
struct Quad {
  __m256i even, odd;
};
struct QuadRow {
  I32x16 even, odd;
};
/// Weights of a panel, widened: of every four k, those of even k come first, for all outputs.
struct WideNumber {
  std::int16_t value;
};
struct WideRow {
  I32x16 even, odd;
};
using UnsignedQuad = Quad;
using UnsignedQuadRow = QuadRow;
/// In every four, those of even k come first.
struct QuadNumber {
  std::int16_t value;
};
using QuadSums = I32x16;
struct PairBf16 {
  __m256 even, odd;
};
struct PairRowBf16 {
  F32x16 even, odd;
};

/// Lanes [0, n) of sixteen are ones from place 16 - n on.
alignas(64) inline constexpr std::int32_t kMask[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                       0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};

BERTHA_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

BERTHA_INLINE void store_256(void* p, __m256i a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a); }

BERTHA_INLINE F32x16 broadcast(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
BERTHA_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
BERTHA_INLINE Mask16 lanes_below(std::size_t n) { return {load_256(kMask + 16 - n), load_256(kMask + 24 - n)}; }
BERTHA_INLINE F32x16 load_first(const float* p, std::size_t n) {
  const Mask16 mask = lanes_below(n);
  return {_mm256_maskload_ps(p, mask.lo), _mm256_maskload_ps(p + 8, mask.hi)};
}
BERTHA_INLINE __m256 load_8_steps(const float* p, const std::uint32_t* index) {
  const __m256i steps = _mm256_sub_epi32(load_256(index), _mm256_set1_epi32(static_cast<int>(*index)));
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + *index), steps);
}
BERTHA_INLINE F32x16 load_steps(const float* p, const std::uint32_t* index) {
  return {load_8_steps(p, index), load_8_steps(p, index + 8)};
}
BERTHA_INLINE F32x16 load_s8(const std::int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}
BERTHA_INLINE void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
BERTHA_INLINE void store_first(float* p, F32x16 a, std::size_t n) {
  const Mask16 mask = lanes_below(n);
  _mm256_maskstore_ps(p, mask.lo, a.lo);
  _mm256_maskstore_ps(p + 8, mask.hi, a.hi);
}

BERTHA_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
BERTHA_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
BERTHA_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  F32x16 r = {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
  BERTHA_ROUND(r.lo);
  BERTHA_ROUND(r.hi);
  return r;
}
BERTHA_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
BERTHA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
BERTHA_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
BERTHA_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
BERTHA_INLINE F32x16 abs(F32x16 a) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(a.lo, magnitude), _mm256_and_ps(a.hi, magnitude)};
}
BERTHA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) {
  const __m256 top = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(a.lo, _mm256_and_ps(sign.lo, top)), _mm256_or_ps(a.hi, _mm256_and_ps(sign.hi, top))};
}
BERTHA_INLINE Mask16 less(F32x16 a, F32x16 b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
BERTHA_INLINE F32x16 select(Mask16 mask, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(mask.lo)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(mask.hi))};
}
BERTHA_INLINE __m256 power_of_two(__m256 shifted) {
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(0x3f800000)));
}
BERTHA_INLINE F32x16 power_of_two(F32x16 shifted) { return {power_of_two(shifted.lo), power_of_two(shifted.hi)}; }
BERTHA_INLINE float fold_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
BERTHA_INLINE float fold_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

BERTHA_INLINE I32x16 zero_s32() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
BERTHA_INLINE I32x16 broadcast_s32(std::int32_t x) {
  const __m256i v = _mm256_set1_epi32(x);
  return {v, v};
}
BERTHA_INLINE I32x16 load(const std::int32_t* p) { return {load_256(p), load_256(p + 8)}; }
BERTHA_INLINE void store(std::int32_t* p, I32x16 a) {
  store_256(p, a.lo);
  store_256(p + 8, a.hi);
}
/// Packs eight and eight int32 into sixteen int16, in order.
BERTHA_INLINE __m256i pack_s16(I32x16 a) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8); }
BERTHA_INLINE void store_s8(std::int8_t* p, I32x16 a) {
  const __m256i words = pack_s16(a);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
BERTHA_INLINE void store_u8(std::uint8_t* p, I32x16 a) {
  const __m256i words = pack_s16(a);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
BERTHA_INLINE __m256i interleave_pairs(__m256i a, __m256i b) {
  return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
}
BERTHA_INLINE __m256i interleave_quads(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i byte = _mm256_set1_epi32(0xff);
  return interleave_pairs(_mm256_or_si256(_mm256_and_si256(a, byte), _mm256_slli_epi32(b, 8)),
                          _mm256_or_si256(_mm256_and_si256(c, byte), _mm256_slli_epi32(d, 8)));
}
BERTHA_INLINE void store_quads(std::int8_t* p, I32x16 a, I32x16 b, I32x16 c, I32x16 d) {
  store_256(p, interleave_quads(a.lo, b.lo, c.lo, d.lo));
  store_256(p + 32, interleave_quads(a.hi, b.hi, c.hi, d.hi));
}
BERTHA_INLINE I32x16 add(I32x16 a, I32x16 b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
BERTHA_INLINE I32x16 sub(I32x16 a, I32x16 b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
BERTHA_INLINE I32x16 subtract_product(I32x16 a, std::int32_t factor, I32x16 b) {
  const __m256i f = _mm256_set1_epi32(factor);
  return {_mm256_sub_epi32(a.lo, _mm256_mullo_epi32(f, b.lo)), _mm256_sub_epi32(a.hi, _mm256_mullo_epi32(f, b.hi))};
}
BERTHA_INLINE I32x16 max(I32x16 a, I32x16 b) { return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)}; }
BERTHA_INLINE I32x16 magnitude_bits(F32x16 a) {
  const F32x16 magnitude = abs(a);
  return {_mm256_castps_si256(magnitude.lo), _mm256_castps_si256(magnitude.hi)};
}
BERTHA_INLINE I32x16 to_s32(F32x16 a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
BERTHA_INLINE F32x16 to_f32(I32x16 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
BERTHA_INLINE std::int32_t fold_add(I32x16 a) {
  const __m256i eight = _mm256_add_epi32(a.lo, a.hi);
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
BERTHA_INLINE std::int32_t fold_max(I32x16 a) {
  const __m256i eight = _mm256_max_epi32(a.lo, a.hi);
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
BERTHA_INLINE __m256i broadcast_4_bytes(const void* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}
BERTHA_INLINE std::int32_t quads_start(const QuadNumber*, std::size_t) { return 0; }
BERTHA_INLINE QuadSums quad_sums(std::int32_t start) { return broadcast_s32(start); }
BERTHA_INLINE Quad quad(const QuadNumber* a) { return {broadcast_4_bytes(a), broadcast_4_bytes(a + 2)}; }
BERTHA_INLINE __m256i even_bytes(__m256i bytes) { return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8); }
BERTHA_INLINE __m256i odd_bytes(__m256i bytes) { return _mm256_srai_epi16(bytes, 8); }
BERTHA_INLINE QuadRow quad_row(const std::int8_t* w) {
  const __m256i lo = load_256(w), hi = load_256(w + 32);
  return {{even_bytes(lo), even_bytes(hi)}, {odd_bytes(lo), odd_bytes(hi)}};
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, QuadRow w) {
  acc = add(acc, {_mm256_madd_epi16(a.even, w.even.lo), _mm256_madd_epi16(a.even, w.even.hi)});
  return add(acc, {_mm256_madd_epi16(a.odd, w.odd.lo), _mm256_madd_epi16(a.odd, w.odd.hi)});
}
BERTHA_INLINE WideRow wide_row(const WideNumber* w) {
  return {{load_256(w), load_256(w + 16)}, {load_256(w + 32), load_256(w + 48)}};
}
BERTHA_INLINE void store(WideNumber* w, QuadRow row) {
  store_256(w, row.even.lo);
  store_256(w + 16, row.even.hi);
  store_256(w + 32, row.odd.lo);
  store_256(w + 48, row.odd.hi);
}
BERTHA_INLINE __m256i dot_swapped(Quad a, __m256i even, __m256i odd) {
  return _mm256_madd_epi16(_mm256_add_epi16(a.even, odd), _mm256_add_epi16(a.odd, even));
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, WideRow w) {
  return add(acc, {dot_swapped(a, w.even.lo, w.odd.lo), dot_swapped(a, w.even.hi, w.odd.hi)});
}
BERTHA_INLINE I32x16 own_products(QuadRow w) {
  return {_mm256_madd_epi16(w.even.lo, w.odd.lo), _mm256_madd_epi16(w.even.hi, w.odd.hi)};
}
BERTHA_INLINE I32x16 own_products(const QuadNumber* a) {
  const __m256i quads = load_256(a);
  return {_mm256_madd_epi16(quads, _mm256_srli_epi64(quads, 32)), _mm256_setzero_si256()};
}
BERTHA_INLINE void store_even_first(QuadNumber* to, __m256i words) {  // of four quads
  constexpr int kEvenFirst = 0xd8;                                    // of words 0 1 2 3: 0 2 1 3
  store_256(to, _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, kEvenFirst), kEvenFirst));
}
BERTHA_INLINE void widen_quads(const std::int8_t* from, QuadNumber* to) {
  store_even_first(to, _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
BERTHA_INLINE void widen_quads(const std::uint8_t* from, QuadNumber* to) {
  store_even_first(to, _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
BERTHA_INLINE UnsignedQuad unsigned_quad(const std::uint8_t* a) {
  const __m256i quad = broadcast_4_bytes(a);
  return {_mm256_and_si256(quad, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(quad, 8)};
}
BERTHA_INLINE UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) { return quad_row(w); }

/// Eight bfloat16 numbers of dwords as float32: those in the high halves, those in the low halves.
BERTHA_INLINE __m256 high_bf16(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}
BERTHA_INLINE __m256 low_bf16(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
BERTHA_INLINE __m256 widen_bf16(const bf16* p) {
  return low_bf16(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
BERTHA_INLINE F32x16 from_bf16(I32x16 bits) { return {low_bf16(bits.lo), low_bf16(bits.hi)}; }
BERTHA_INLINE F32x16 load_bf16(const bf16* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }
BERTHA_INLINE __m256i to_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i is_odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), is_odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  return _mm256_srai_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
}
BERTHA_INLINE I32x16 to_bf16(F32x16 a) { return {to_bf16(a.lo), to_bf16(a.hi)}; }
BERTHA_INLINE void store_bf16(bf16* p, I32x16 a) { store_256(p, pack_s16(a)); }
BERTHA_INLINE void store_bf16_pairs(bf16* p, I32x16 a, I32x16 b) {
  store_256(p, interleave_pairs(a.lo, b.lo));
  store_256(p + 16, interleave_pairs(a.hi, b.hi));
}
BERTHA_INLINE PairBf16 pair_bf16(const bf16* a) {
  const __m256i pair = broadcast_4_bytes(a);
  return {low_bf16(pair), high_bf16(pair)};
}
BERTHA_INLINE PairRowBf16 pair_row_bf16(const bf16* w) {
  const __m256i lo = load_256(w), hi = load_256(w + 16);
  return {{low_bf16(lo), low_bf16(hi)}, {high_bf16(lo), high_bf16(hi)}};
}
BERTHA_INLINE F32x16 dot_pairs(F32x16 acc, PairBf16 a, PairRowBf16 w) {
  return fma({a.even, a.even}, w.even, fma({a.odd, a.odd}, w.odd, acc));
}

}  // namespace kernels::avx2

BERTHA_AVX2_END
BERTHA_NAMESPACE_END
