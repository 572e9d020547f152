// The `avx512_vnni` level: `avx512`, and products of int8 numbers by VPDPBUSD, which multiplies four unsigned by four
// signed bytes and adds all to an int32, where `avx512` takes four instructions.
//
//     sum a w = sum a (w + 128) - 128 sum a
//
// The weights become unsigned, in a register, by one exclusive or for all rows of a tile; then the signed operand is
// a's, which the instruction broadcasts from memory itself. Sums begin at -128 sum a, so they are exact for every int8
// number, -128 too. (VPDPBUSDS, which saturates, would not be: sums on the way may pass the ends of int32 and come
// back.)

#pragma once

#include <bertha/kernels/avx512.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX512_VNNI_BEGIN

namespace kernels::avx512_vnni {

using namespace avx512;  // all but what is declared here

/// Two panels at a time gain nothing here. Attention's blocks of 48 rows are four tiles of 12.
inline constexpr std::size_t kTileRowsS8 = 16, kPairRowsS8 = 0, kTileRowsU8 = 12, kPairRowsU8 = 0;

using QuadNumber = std::int8_t;
struct Quad {
  __m512i v;
};
struct QuadRow {
  __m512i v;  // unsigned: w + 128
};
struct UnsignedQuad {
  __m512i v;
};
struct UnsignedQuadRow {
  __m512i v;
};

BERTHA_INLINE std::int32_t quads_start(const QuadNumber* a, std::size_t k) {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < k; i += 64) {
    const __mmask64 bytes = k - i < 64 ? (std::uint64_t{1} << (k - i)) - 1 : ~std::uint64_t{0};
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(bytes, a + i));
  }
  return fold_add(I32x16{_mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7))});
}
BERTHA_INLINE Quad quad(const QuadNumber* a) { return {broadcast_4_bytes(a)}; }
BERTHA_INLINE QuadRow quad_row(const std::int8_t* w) { return {_mm512_xor_si512(load_512(w), _mm512_set1_epi8(-128))}; }
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, QuadRow w) { return {_mm512_dpbusd_epi32(acc.v, w.v, a.v)}; }
BERTHA_INLINE UnsignedQuad unsigned_quad(const std::uint8_t* a) { return {broadcast_4_bytes(a)}; }
BERTHA_INLINE UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) { return {load_512(w)}; }
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, UnsignedQuad a, UnsignedQuadRow w) {
  return {_mm512_dpbusd_epi32(acc.v, a.v, w.v)};
}

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm_s8.inl>
#undef BERTHA_LANE_INLINE

inline void attention_s8(const Attention& op) { attend_s8(op, quantise_rows, gemm_s8, sizeof(QuadNumber)); }

inline constexpr Table kTable = level_over(
    avx512::kTable,
    {.level = "avx512_vnni", .gemm_s8 = {gemm_s8}, .attention_s8 = {attention_s8}, .pack_quantised = {quantise_rows}});

}  // namespace kernels::avx512_vnni

BERTHA_AVX512_VNNI_END
BERTHA_NAMESPACE_END
