// The `amx` level: `avx512_bf16`, and products of bfloat16 numbers, and of float32 numbers as three of those, on AMX:
// one instruction multiplies 16 rows of 32 numbers by 32 k of a panel. A program asks the system for it (cpu.hpp).

#pragma once

#include <bertha/kernels/avx512_bf16.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AMX_BEGIN

namespace kernels::amx {

using namespace avx512;

/// The operations of gemm_amx.inl. In assembly, because g++ 12's intrinsics say nothing of the memory that they
/// read; compilers don't know of the registers, and need not.
struct Tiles {
  BERTHA_INLINE void configure(const TileConfig& config) const { __asm__ volatile("ldtilecfg %0" : : "m"(config)); }
  /// Leaves the registers as a thread finds them that never had any: then the system needn't save them.
  BERTHA_INLINE void release() const { __asm__ volatile("tilerelease"); }
  template <int Tile>
  BERTHA_INLINE void zero() const {
    __asm__ volatile("{tilezero %%tmm%c0|tilezero tmm%c0}" : : "i"(Tile));
  }
  template <int Tile>
  BERTHA_INLINE void load(const void* p, std::size_t stride_bytes) const {
    __asm__ volatile("{tileloadd (%0,%1,1), %%tmm%c2|tileloadd tmm%c2, [%0+%1*1]}"
                     :
                     : "r"(p), "r"(stride_bytes), "i"(Tile)
                     : "memory");
  }
  /// The same, of what is not to push other lines out of the first cache.
  template <int Tile>
  BERTHA_INLINE void load_once(const void* p, std::size_t stride_bytes) const {
    __asm__ volatile("{tileloaddt1 (%0,%1,1), %%tmm%c2|tileloaddt1 tmm%c2, [%0+%1*1]}"
                     :
                     : "r"(p), "r"(stride_bytes), "i"(Tile)
                     : "memory");
  }
  template <int Tile>
  BERTHA_INLINE void store(void* p, std::size_t stride_bytes) const {
    __asm__ volatile("{tilestored %%tmm%c2, (%0,%1,1)|tilestored [%0+%1*1], tmm%c2}"
                     :
                     : "r"(p), "r"(stride_bytes), "i"(Tile)
                     : "memory");
  }
  /// sums += a w.
  template <int Sums, int A, int W>
  BERTHA_INLINE void dot_bf16() const {
    __asm__ volatile("{tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbf16ps tmm%c0, tmm%c1, tmm%c2}"
                     :
                     : "i"(Sums), "i"(A), "i"(W));
  }
  template <int Sums, int A, int W>
  BERTHA_INLINE void dot_s8() const {
    __asm__ volatile("{tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbssd tmm%c0, tmm%c1, tmm%c2}"
                     :
                     : "i"(Sums), "i"(A), "i"(W));
  }
};

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level_amx.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_over(avx512_bf16::kTable, "amx");

}  // namespace kernels::amx

BERTHA_AMX_END
BERTHA_NAMESPACE_END
