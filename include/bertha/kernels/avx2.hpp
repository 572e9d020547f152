// The `avx2` level: AVX2, FMA and F16C. The micro-kernels are those of tiles.inl, on two registers of eight lanes; per
// number of k (float32) a tile of 6 x 16 takes 2 loads of weights, 6 broadcasts and 12 vfmadd, and nothing touches the
// stack.

#pragma once

#include <bertha/kernels/lanes_avx2.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX2_BEGIN

namespace kernels::avx2 {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/rows.inl>

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm.inl>

#include <bertha/kernels/attention.inl>

#include <bertha/kernels/gemm_bf16.inl>

#include <bertha/kernels/bf16.inl>

#include <bertha/kernels/attention_bf16.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = {"avx2",       gemm_f32,  gemm_s8,      gemm_bf16,  attention_f32, attention_bf16,
                                 attention_s8, embed_f32, embed_s8,     embed_bf16, layer_norm,    quantise_rows,
                                 round_rows,   pack_rows, round_panels, softmax,    sigmoid,       slots_of("avx2")};

}  // namespace kernels::avx2

BERTHA_AVX2_END
BERTHA_NAMESPACE_END
