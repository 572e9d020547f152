// What a level of instruction set costs to compile that stands on another: int8 products on avx2, and on avx512,
// bfloat16 products on those, AMX on these.

#if defined(ON_AVX2)
#include <bertha/kernels/avx2.hpp>
#define BASE avx2
#else
#include <bertha/kernels/avx512.hpp>
#define BASE avx512
#endif

namespace kernels = bertha::kernels;

const kernels::Table* base();
const kernels::Table* base() { return &kernels::BASE::kTable; }

#if defined(WITH_AVX2_VNNI)
#include <bertha/kernels/avx2_vnni.hpp>
const kernels::Table* avx2_vnni();
const kernels::Table* avx2_vnni() { return &kernels::avx2_vnni::kTable; }
#endif

#if defined(WITH_AVX512_VNNI)
#include <bertha/kernels/avx512_vnni.hpp>
const kernels::Table* avx512_vnni();
const kernels::Table* avx512_vnni() { return &kernels::avx512_vnni::kTable; }
#endif

#if defined(WITH_AVX512_BF16)
#include <bertha/kernels/avx512_bf16.hpp>
const kernels::Table* avx512_bf16();
const kernels::Table* avx512_bf16() { return &kernels::avx512_bf16::kTable; }
#endif

#if defined(WITH_AMX)
#include <bertha/kernels/amx.hpp>
const kernels::Table* amx();
const kernels::Table* amx() { return &kernels::amx::kTable; }
#endif
