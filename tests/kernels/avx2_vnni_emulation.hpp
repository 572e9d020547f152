// The `avx2_vnni` level for CPUs that lack it: the same texts, on a function that does what Intel's manual says of
// VPDPBUSD (Software Developer's Manual, volume 2).

#pragma once

#include <bertha/kernels/table.hpp>
#if defined(__x86_64__)
#include <bertha/kernels/avx2.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX2_BEGIN

namespace kernels::emulated_avx2_vnni {

using namespace avx2;

inline __m256i dot_unsigned(__m256i acc, __m256i bytes, __m256i signed_bytes) {
  std::uint32_t sums[8];  // they wrap
  std::uint8_t a[32];
  std::int8_t b[32];
  __builtin_memcpy(sums, &acc, sizeof sums);
  __builtin_memcpy(a, &bytes, sizeof a);
  __builtin_memcpy(b, &signed_bytes, sizeof b);
  for (std::size_t i = 0; i < 32; ++i) sums[i / 4] += static_cast<std::uint32_t>(a[i] * b[i]);
  __builtin_memcpy(&acc, sums, sizeof sums);
  return acc;
}

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level_avx2_vnni.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_over(avx2::kTable, "emulated_avx2_vnni");

}  // namespace kernels::emulated_avx2_vnni

BERTHA_AVX2_END
BERTHA_NAMESPACE_END

#endif
