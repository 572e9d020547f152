// The `avx2` level: AVX2, FMA and F16C. The micro-kernels are those of tiles.inl, on two registers of eight lanes; per
// number of k (float32) a tile of 6 x 16 takes 2 loads of weights, 6 broadcasts and 12 vfmadd, and nothing touches the
// stack.

#pragma once

#include <bertha/kernels/lanes_avx2.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX2_BEGIN

namespace kernels::avx2 {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level.inl>

#include <bertha/kernels/wide_quads.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_with_wide_quads("avx2");

}  // namespace kernels::avx2

BERTHA_AVX2_END
BERTHA_NAMESPACE_END
