// The `scalar` level: the specification of every operation, in plain C++. std::fma is a call of the C library where the
// program isn't compiled for a CPU that has it: right, and slow.

#pragma once

#include <bertha/kernels/lanes_generic.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_STRICT_BEGIN

namespace kernels::scalar {

#define BERTHA_LANE_INLINE inline
#include <bertha/kernels/rows.inl>

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm.inl>

#include <bertha/kernels/attention.inl>

#include <bertha/kernels/gemm_bf16.inl>

#include <bertha/kernels/bf16.inl>

#include <bertha/kernels/attention_bf16.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = {"scalar",     gemm_f32,  gemm_s8,      gemm_bf16,  attention_f32, attention_bf16,
                                 attention_s8, embed_f32, embed_s8,     embed_bf16, layer_norm,    quantise_rows,
                                 round_rows,   pack_rows, round_panels, softmax,    sigmoid,       slots_of("scalar")};

}  // namespace kernels::scalar

BERTHA_STRICT_END
BERTHA_NAMESPACE_END
