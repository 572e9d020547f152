// The `avx512` level: AVX-512 F, BW, DQ and VL. The micro-kernels are those of tiles.inl, on one register of sixteen
// lanes; per number of k (float32) a tile of 16 rows takes one load of weights and 16 vfmadd with a broadcast from
// memory, and nothing touches the stack.

#pragma once

#include <bertha/kernels/lanes_avx512.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX512_BEGIN

namespace kernels::avx512 {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level.inl>

#include <bertha/kernels/wide_quads.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_with_wide_quads("avx512");

}  // namespace kernels::avx512

BERTHA_AVX512_END
BERTHA_NAMESPACE_END
