// The `neon` level: the Advanced SIMD of every ARMv8-A CPU. The micro-kernels are those of tiles.inl, on four registers
// of four lanes; per number of k (float32) a tile of 6 x 16 takes 4 loads of weights, 6 loads of one number and 24
// fmla.

#pragma once

#include <bertha/kernels/lanes_neon.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_NEON_BEGIN

namespace kernels::neon {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/rows.inl>

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm.inl>

#include <bertha/kernels/attention.inl>

#include <bertha/kernels/gemm_bf16.inl>

#include <bertha/kernels/bf16.inl>

#include <bertha/kernels/attention_bf16.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = {"neon",       gemm_f32,  gemm_s8,      gemm_bf16,  attention_f32, attention_bf16,
                                 attention_s8, embed_f32, embed_s8,     embed_bf16, layer_norm,    quantise_rows,
                                 round_rows,   pack_rows, round_panels, softmax,    sigmoid,       slots_of("neon")};

}  // namespace kernels::neon

BERTHA_NEON_END
BERTHA_NAMESPACE_END
