// Sixteen lanes in one 512-bit register. The operations are those of lanes_generic.hpp, where each is explained.
//
// | operation            | instructions                                                                   |
// |----------------------|--------------------------------------------------------------------------------|
// | fma                  | vfmadd, with the broadcast of one number folded into its memory operand        |
// | min, max             | vminps, vmaxps: like C's a < b ? a : b, the second operand when one is NaN     |
// | to_s32               | vcvtps2dq, nearest even                                                        |
// | dot_quads            | twice vpmaddwd, vpaddd, on words, as lanes_avx2.hpp explains; of a WideRow     |
// |                      | twice vpaddw, vpmaddwd, vpaddd                                                 |

#pragma once

#include <immintrin.h>
#include <bertha/kernels/operations.hpp>
#include <bertha/kernels/region.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX512_BEGIN

namespace kernels::avx512 {

/// Rows of the products' tiles, for 32 registers: as many accumulators, and at most 9 others.
inline constexpr std::size_t kTileRowsF32 = 16, kTileRowsS8 = 16, kTileRowsU8 = 16, kTileRowsBf16 = 12;
inline constexpr std::size_t kPairRowsF32 = 14, kPairRowsS8 = 0, kPairRowsU8 = 0, kPairRowsBf16 = 0;
/// Vectors whose exp are computed beside each other: eight go to the stack.
inline constexpr std::size_t kExpVectors = 4;

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
struct Mask16 {
  __mmask16 v;
};
/// Widened to int16: bytes 0 and 2 of every four, and bytes 1 and 3.
struct Quad {
  __m512i even, odd;
};
struct QuadRow {
  __m512i even, odd;
};
/// Weights of a panel, widened: of every four k, those of even k come first, for all outputs.
struct WideNumber {
  std::int16_t value;
};
struct WideRow {
  __m512i even, odd;
};
using UnsignedQuad = Quad;
using UnsignedQuadRow = QuadRow;
/// In every four, those of even k come first.
struct QuadNumber {
  std::int16_t value;
};
using QuadSums = I32x16;
struct PairBf16 {
  F32x16 even, odd;
};
struct PairRowBf16 {
  F32x16 even, odd;
};

BERTHA_INLINE __m512i load_512(const void* p) { return _mm512_loadu_si512(p); }

BERTHA_INLINE F32x16 broadcast(float x) { return {_mm512_set1_ps(x)}; }
BERTHA_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
BERTHA_INLINE Mask16 lanes_below(std::size_t n) { return {static_cast<__mmask16>((1u << n) - 1)}; }
BERTHA_INLINE F32x16 load_first(const float* p, std::size_t n) { return {_mm512_maskz_loadu_ps(lanes_below(n).v, p)}; }
BERTHA_INLINE F32x16 load_steps(const float* p, const std::uint32_t* index) {
  const __m512i steps = _mm512_sub_epi32(load_512(index), _mm512_set1_epi32(static_cast<int>(*index)));
  return {_mm512_permutexvar_ps(steps, _mm512_loadu_ps(p + *index))};
}
BERTHA_INLINE F32x16 load_s8(const std::int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
BERTHA_INLINE void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
BERTHA_INLINE void store_first(float* p, F32x16 a, std::size_t n) { _mm512_mask_storeu_ps(p, lanes_below(n).v, a.v); }

BERTHA_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
BERTHA_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
BERTHA_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  F32x16 r = {_mm512_mul_ps(a.v, b.v)};
  BERTHA_ROUND(r.v);
  return r;
}
BERTHA_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
BERTHA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
BERTHA_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
BERTHA_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
BERTHA_INLINE F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }
BERTHA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) {
  return {_mm512_or_ps(a.v, _mm512_and_ps(sign.v, _mm512_set1_ps(-0.0f)))};
}
BERTHA_INLINE Mask16 less(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
BERTHA_INLINE F32x16 select(Mask16 mask, F32x16 a, F32x16 b) { return {_mm512_mask_blend_ps(mask.v, b.v, a.v)}; }
BERTHA_INLINE F32x16 power_of_two(F32x16 shifted) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(0x3f800000)))};
}
BERTHA_INLINE float fold_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
BERTHA_INLINE float fold_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

BERTHA_INLINE I32x16 zero_s32() { return {_mm512_setzero_si512()}; }
BERTHA_INLINE I32x16 broadcast_s32(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
BERTHA_INLINE I32x16 load(const std::int32_t* p) { return {load_512(p)}; }
BERTHA_INLINE void store(std::int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
BERTHA_INLINE void store_s8(std::int8_t* p, I32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
BERTHA_INLINE void store_u8(std::uint8_t* p, I32x16 a) { store_s8(reinterpret_cast<std::int8_t*>(p), a); }
BERTHA_INLINE __m512i interleave_pairs(I32x16 a, I32x16 b) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, a.v, _mm512_slli_epi32(b.v, 16));
}
BERTHA_INLINE void store_quads(std::int8_t* p, I32x16 a, I32x16 b, I32x16 c, I32x16 d) {
  const __m512i low = _mm512_mask_blend_epi8(0x2222222222222222, a.v, _mm512_slli_epi32(b.v, 8));
  const __m512i high = _mm512_mask_blend_epi8(0x2222222222222222, c.v, _mm512_slli_epi32(d.v, 8));
  _mm512_storeu_si512(p, interleave_pairs({low}, {high}));
}
BERTHA_INLINE I32x16 add(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
BERTHA_INLINE I32x16 sub(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
BERTHA_INLINE I32x16 subtract_product(I32x16 a, std::int32_t factor, I32x16 b) {
  return {_mm512_sub_epi32(a.v, _mm512_mullo_epi32(_mm512_set1_epi32(factor), b.v))};
}
BERTHA_INLINE I32x16 max(I32x16 a, I32x16 b) { return {_mm512_max_epi32(a.v, b.v)}; }
BERTHA_INLINE I32x16 magnitude_bits(F32x16 a) { return {_mm512_castps_si512(abs(a).v)}; }
BERTHA_INLINE I32x16 to_s32(F32x16 a) { return {_mm512_cvtps_epi32(a.v)}; }
BERTHA_INLINE F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
BERTHA_INLINE std::int32_t fold_add(I32x16 a) {
  const __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti64x4_epi64(a.v, 1));
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
BERTHA_INLINE std::int32_t fold_max(I32x16 a) {
  const __m256i eight = _mm256_max_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti64x4_epi64(a.v, 1));
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
BERTHA_INLINE __m512i broadcast_4_bytes(const void* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}
BERTHA_INLINE std::int32_t quads_start(const QuadNumber*, std::size_t) { return 0; }
BERTHA_INLINE QuadSums quad_sums(std::int32_t start) { return broadcast_s32(start); }
BERTHA_INLINE Quad quad(const QuadNumber* a) { return {broadcast_4_bytes(a), broadcast_4_bytes(a + 2)}; }
BERTHA_INLINE QuadRow quad_row(const std::int8_t* w) {
  const __m512i row = load_512(w);
  return {_mm512_srai_epi16(_mm512_slli_epi16(row, 8), 8), _mm512_srai_epi16(row, 8)};
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, QuadRow w) {
  return add(add(acc, {_mm512_madd_epi16(a.even, w.even)}), {_mm512_madd_epi16(a.odd, w.odd)});
}
BERTHA_INLINE WideRow wide_row(const WideNumber* w) { return {load_512(w), load_512(w + 32)}; }
BERTHA_INLINE void store(WideNumber* w, QuadRow row) {
  _mm512_storeu_si512(w, row.even);
  _mm512_storeu_si512(w + 32, row.odd);
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, WideRow w) {
  return add(acc, {_mm512_madd_epi16(_mm512_add_epi16(a.even, w.odd), _mm512_add_epi16(a.odd, w.even))});
}
BERTHA_INLINE I32x16 own_products(QuadRow w) { return {_mm512_madd_epi16(w.even, w.odd)}; }
BERTHA_INLINE I32x16 own_products(const QuadNumber* a) {
  const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
  return {_mm512_zextsi256_si512(_mm256_madd_epi16(quads, _mm256_srli_epi64(quads, 32)))};
}
BERTHA_INLINE void store_even_first(QuadNumber* to, __m256i words) {  // of four quads
  constexpr int kEvenFirst = 0xd8;                                    // of words 0 1 2 3: 0 2 1 3
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, kEvenFirst), kEvenFirst));
}
BERTHA_INLINE void widen_quads(const std::int8_t* from, QuadNumber* to) {
  store_even_first(to, _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
BERTHA_INLINE void widen_quads(const std::uint8_t* from, QuadNumber* to) {
  store_even_first(to, _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
BERTHA_INLINE UnsignedQuad unsigned_quad(const std::uint8_t* a) {
  const __m512i quad = broadcast_4_bytes(a);
  return {_mm512_and_si512(quad, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(quad, 8)};
}
BERTHA_INLINE UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) { return quad_row(w); }

/// Sixteen bfloat16 numbers of dwords as float32: those in the high halves, those in the low halves.
BERTHA_INLINE F32x16 high_bf16(__m512i pairs) {
  return {_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
}
BERTHA_INLINE F32x16 low_bf16(__m512i pairs) { return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))}; }
BERTHA_INLINE F32x16 from_bf16(I32x16 bits) { return low_bf16(bits.v); }
BERTHA_INLINE F32x16 load_bf16(const bf16* p) {
  return low_bf16(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
BERTHA_INLINE I32x16 to_bf16(F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i is_odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), is_odd);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return {_mm512_srai_epi32(_mm512_mask_blend_epi32(is_nan, rounded, quiet), 16)};
}
BERTHA_INLINE void store_bf16(bf16* p, I32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}
BERTHA_INLINE void store_bf16_pairs(bf16* p, I32x16 a, I32x16 b) { _mm512_storeu_si512(p, interleave_pairs(a, b)); }
BERTHA_INLINE PairBf16 pair_bf16(const bf16* a) {
  const __m512i pair = broadcast_4_bytes(a);
  return {low_bf16(pair), high_bf16(pair)};
}
BERTHA_INLINE PairRowBf16 pair_row_bf16(const bf16* w) {
  const __m512i row = load_512(w);
  return {low_bf16(row), high_bf16(row)};
}
BERTHA_INLINE F32x16 dot_pairs(F32x16 acc, PairBf16 a, PairRowBf16 w) {
  return fma(a.even, w.even, fma(a.odd, w.odd, acc));
}

}  // namespace kernels::avx512

BERTHA_AVX512_END
BERTHA_NAMESPACE_END
