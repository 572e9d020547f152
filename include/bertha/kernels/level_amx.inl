// What a level with tiles has beside the level that it is over, whose functions are visible in its namespace: included
// in its region, after its Tiles, with BERTHA_LANE_INLINE defined.

#include <bertha/kernels/gemm_amx.inl>

#include <bertha/kernels/operands_amx.inl>

inline void attention_bf16(const Attention& op) { attend_bf16(op, pack_rows, gemm_bf16); }

/// `base` with the products on tiles and what they need, as `level`.
constexpr Table table_over(const Table& base, std::string_view level) {
  return level_over(base, {.level = level,
                           .gemm_s8 = {gemm_s8},
                           .gemm_bf16 = {gemm_bf16},
                           .attention_bf16 = {attention_bf16},
                           .pack_quantised = {pack_quantised},
                           .pack_rows = {pack_rows},
                           .gemm_split = {gemm_split},
                           .split_rows = {split_rows},
                           .split_panels = {split_panels}});
}
