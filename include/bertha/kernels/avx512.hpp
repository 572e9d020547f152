// The `avx512` level: AVX-512 F, BW, DQ and VL. The micro-kernels are those of tiles.inl, on one register of sixteen
// lanes; per number of k (float32) a tile of 16 rows takes one load of weights and 16 vfmadd with a broadcast from
// memory, and nothing touches the stack.

#pragma once

#include <bertha/kernels/lanes_avx512.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX512_BEGIN

namespace kernels::avx512 {

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/rows.inl>

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm.inl>

#include <bertha/kernels/attention.inl>

#include <bertha/kernels/gemm_bf16.inl>

#include <bertha/kernels/bf16.inl>

#include <bertha/kernels/attention_bf16.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = {"avx512",     gemm_f32,  gemm_s8,      gemm_bf16,  attention_f32, attention_bf16,
                                 attention_s8, embed_f32, embed_s8,     embed_bf16, layer_norm,    quantise_rows,
                                 round_rows,   pack_rows, round_panels, softmax,    sigmoid,       slots_of("avx512")};

}  // namespace kernels::avx512

BERTHA_AVX512_END
BERTHA_NAMESPACE_END
