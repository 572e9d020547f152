// The `neon` level: the Advanced SIMD of every ARMv8-A CPU. The micro-kernels are those of tiles.inl, on four registers
// of four lanes; per number of k (float32) a tile of 6 x 16 takes 4 loads of weights, 6 loads of one number and 24
// fmla.

#pragma once

#include <bertha/kernels/lanes_neon.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_NEON_BEGIN

namespace kernels::neon {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = own_table("neon");

}  // namespace kernels::neon

BERTHA_NEON_END
BERTHA_NAMESPACE_END
