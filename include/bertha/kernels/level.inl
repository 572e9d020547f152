// A whole level: the operations on the lanes that the level has defined, and its table. Included in the level's region
// and namespace, with BERTHA_LANE_INLINE defined: what functions on lanes are to be.

#include <bertha/kernels/rows.inl>

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm.inl>

#include <bertha/kernels/gemm_s8.inl>

#include <bertha/kernels/attention.inl>

#include <bertha/kernels/attention_s8.inl>

#include <bertha/kernels/gemm_bf16.inl>

#include <bertha/kernels/bf16.inl>

#include <bertha/kernels/attention_bf16.inl>

inline void attention_s8(const Attention& op) { attend_s8(op, pack_quantised, gemm_s8, sizeof(std::int8_t)); }
inline void attention_bf16(const Attention& op) { attend_bf16(op, pack_rows, gemm_bf16); }

/// All operations but the splitting, as functions of `level`.
constexpr Table own_table(std::string_view level) {
  return level_over({}, {.level = level,
                         .gemm_f32 = {gemm_f32},
                         .gemm_s8 = {gemm_s8},
                         .gemm_bf16 = {gemm_bf16},
                         .attention_f32 = {attention_f32},
                         .attention_bf16 = {attention_bf16},
                         .attention_s8 = {attention_s8},
                         .embed_f32 = {embed_f32},
                         .embed_s8 = {embed_s8},
                         .embed_bf16 = {embed_bf16},
                         .layer_norm = {layer_norm},
                         .rotate_rows = {rotate_rows},
                         .quantise_rows = {quantise_rows},
                         .pack_quantised = {pack_quantised},
                         .round_rows = {round_rows},
                         .pack_rows = {pack_rows},
                         .round_panels = {round_panels},
                         .softmax = {softmax},
                         .sigmoid = {sigmoid}});
}
