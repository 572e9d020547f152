// The `neon_dot` level: `neon`, and products of int8 numbers by SDOT, which multiplies four by four signed bytes and
// adds all to an int32: ARMv8.2-A's FEAT_DotProd.

#pragma once

#include <bertha/kernels/neon.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_NEON_DOT_BEGIN

namespace kernels::neon_dot {

using namespace neon;  // all but what is declared here

/// For 32 registers: 24 accumulators, 4 of weights, one of a.
inline constexpr std::size_t kTileRowsS8 = 6, kPairRowsS8 = 0;

using QuadSums = I32x16;
struct Quad {
  float bits;  // of four bytes: that is what a load of four bytes into a vector register is called
};

BERTHA_INLINE QuadSums quad_sums(std::int32_t start) { return broadcast_s32(start); }
BERTHA_INLINE Quad quad(const QuadNumber* a) {
  Quad four;
  __builtin_memcpy(&four, a, sizeof four);
  return four;
}
BERTHA_INLINE QuadSums dot_quads(QuadSums acc, Quad a, QuadRow w) {
  BERTHA_UNROLL
  for (std::size_t i = 0; i < 4; ++i)  // clang 14 has the intrinsic only for whole programs
    __asm__("sdot %0.4s, %1.16b, %2.4b[0]" : "+w"(acc.v[i]) : "w"(w.v[i]), "w"(a.bits));
  return acc;
}

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm_s8.inl>
#undef BERTHA_LANE_INLINE

inline void attention_s8(const Attention& op) { attend_s8(op, pack_quantised, gemm_s8, sizeof(QuadNumber)); }

inline constexpr Table kTable =
    level_over(neon::kTable, {.level = "neon_dot", .gemm_s8 = {gemm_s8}, .attention_s8 = {attention_s8}});

}  // namespace kernels::neon_dot

BERTHA_NEON_DOT_END
BERTHA_NAMESPACE_END
