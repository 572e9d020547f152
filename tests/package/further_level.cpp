// What a level of instruction set costs to compile that stands on another: int8 products on avx512, bfloat16 products
// on those, AMX on these.

#include <bertha/kernels/avx512.hpp>

namespace kernels = bertha::kernels;

const kernels::Table* avx512();
const kernels::Table* avx512() { return &kernels::avx512::kTable; }

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
