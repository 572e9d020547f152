// The `avx512_bf16` level: `avx512_vnni`, and products of bfloat16 numbers by VDPBF16PS, which multiplies 32 pairs
// where an FMA multiplies 16. It flushes subnormal numbers to zero.

#pragma once

#include <bertha/kernels/avx512_vnni.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX512_BF16_BEGIN

namespace kernels::avx512_bf16 {

using namespace avx512;  // all but what is declared here

inline constexpr std::size_t kTileRowsBf16 = 16, kPairRowsBf16 = 14;

struct PairBf16 {
  __m512bh v;
};
struct PairRowBf16 {
  __m512bh v;
};

BERTHA_INLINE __m512bh as_bf16(__m512i bits) {
  __m512bh r;
  __builtin_memcpy(&r, &bits, sizeof r);
  return r;
}
BERTHA_INLINE PairBf16 pair_bf16(const bf16* a) { return {as_bf16(broadcast_4_bytes(a))}; }
BERTHA_INLINE PairRowBf16 pair_row_bf16(const bf16* w) { return {as_bf16(load_512(w))}; }
BERTHA_INLINE F32x16 dot_pairs(F32x16 acc, PairBf16 a, PairRowBf16 w) { return {_mm512_dpbf16_ps(acc.v, a.v, w.v)}; }

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm_bf16.inl>
#undef BERTHA_LANE_INLINE

inline void attention_bf16(const Attention& op) { attend_bf16(op, pack_rows, gemm_bf16); }

inline constexpr Table kTable = level_over(
    avx512_vnni::kTable, {.level = "avx512_bf16", .gemm_bf16 = {gemm_bf16}, .attention_bf16 = {attention_bf16}});

}  // namespace kernels::avx512_bf16

BERTHA_AVX512_BF16_END
BERTHA_NAMESPACE_END
