// The `avx2_vnni` level: `avx2`, and products of int8 numbers by AVX-VNNI's VPDPBUSD, which multiplies four unsigned by
// four signed bytes and adds all to an int32. (VPDPBUSDS, which saturates, would lose sums that pass the ends of int32
// on their way.)

#pragma once

#include <bertha/kernels/avx2.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_AVX2_VNNI_BEGIN

namespace kernels::avx2_vnni {

using namespace avx2;  // all but what is declared here

BERTHA_INLINE __m256i dot_unsigned(__m256i acc, __m256i bytes, __m256i signed_bytes) {
  return _mm256_dpbusd_avx_epi32(acc, bytes, signed_bytes);
}

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level_avx2_vnni.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_over(avx2::kTable, "avx2_vnni");

}  // namespace kernels::avx2_vnni

BERTHA_AVX2_VNNI_END
BERTHA_NAMESPACE_END
