// Regions of code whose results don't depend on the user's flags, and that may use an instruction set which the rest of
// the program may not.
//
//     BERTHA_AVX2_BEGIN
//     namespace avx2 { ... functions ... }
//     BERTHA_AVX2_END
//
// Why: a compiler that may fuse a product and a sum (-ffp-contract=fast, the default of g++ with -march=native) changes
// bits, and users' flags must not. g++ regions also carry -O3 (-O2 in the scalar level: compile time), so that a Debug
// build runs at full speed; clang has no such pragma. clang's -ffp-contract=fast overrides its pragma, so a product
// that a sum may follow goes through BERTHA_ROUND there, which hides where it comes from. BERTHA_STRICT is the region
// without an instruction set: for the scalar level, and for arithmetic elsewhere whose bits are promised.
//
// Rules inside a region: everything is included before it; raw pointers, intrinsics and the region's own functions
// only; no out-of-line std:: call, no lambda and no vector type crosses its edge; templates are BERTHA_INLINE, because
// g++ does not apply a region to what is instantiated later.

#pragma once

#include <bertha/version.hpp>

#define BERTHA_INLINE inline __attribute__((always_inline))

#define BERTHA_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)

/// A function that is compiled once, however many call it.
#define BERTHA_NOINLINE inline __attribute__((noinline))
/// Before a loop of a constant number of steps: it is written out, so that arrays indexed by it live in registers.
#define BERTHA_UNROLL BERTHA_PRAGMA(clang loop unroll(full))
#if defined(__x86_64__)
// float_control saves and restores the contraction mode, which has no stack of its own.
#define BERTHA_STRICT_BEGIN                 \
  BERTHA_PRAGMA(float_control(push))        \
  BERTHA_PRAGMA(float_control(precise, on)) \
  BERTHA_PRAGMA(clang fp contract(off))
#define BERTHA_STRICT_END BERTHA_PRAGMA(float_control(pop))
#else
// clang 14 has float_control for x86 only. Elsewhere the rest of the source stays without contraction.
#define BERTHA_STRICT_BEGIN BERTHA_PRAGMA(clang fp contract(off))
#define BERTHA_STRICT_END
#endif
#define BERTHA_TARGET_BEGIN(features) \
  BERTHA_STRICT_BEGIN                 \
  BERTHA_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define BERTHA_TARGET_END            \
  BERTHA_PRAGMA(clang attribute pop) \
  BERTHA_STRICT_END
#if defined(__x86_64__)
#define BERTHA_ROUND(value) __asm__("" : "+x"(value))
#else
#define BERTHA_ROUND(value) __asm__("" : "+w"(value))
#endif
#define BERTHA_NEON_BEGIN BERTHA_STRICT_BEGIN
#define BERTHA_NEON_DOT_BEGIN BERTHA_TARGET_BEGIN("dotprod")
#define BERTHA_NEON_DOT_END BERTHA_TARGET_END

#else

#define BERTHA_NOINLINE inline __attribute__((noinline, noclone))
#define BERTHA_UNROLL BERTHA_PRAGMA(GCC unroll 16)
// Lanes are loaded from arrays of any alignment, by intrinsics that want a pointer to a whole register.
#define BERTHA_STRICT_BEGIN                            \
  BERTHA_PRAGMA(GCC diagnostic push)                   \
  BERTHA_PRAGMA(GCC diagnostic ignored "-Wcast-align") \
  BERTHA_PRAGMA(GCC push_options)                      \
  BERTHA_PRAGMA(GCC optimize("O2", "fp-contract=off", "no-unsafe-math-optimizations", "no-finite-math-only"))
#define BERTHA_STRICT_END        \
  BERTHA_PRAGMA(GCC pop_options) \
  BERTHA_PRAGMA(GCC diagnostic pop)
// g++ 12 warns of the deliberately undefined values in its own intrinsics.
#define BERTHA_TARGET_BEGIN(features)                     \
  BERTHA_STRICT_BEGIN                                     \
  BERTHA_PRAGMA(GCC optimize("O3"))                       \
  BERTHA_PRAGMA(GCC target(features))                     \
  BERTHA_PRAGMA(GCC diagnostic push)                      \
  BERTHA_PRAGMA(GCC diagnostic ignored "-Wuninitialized") \
  BERTHA_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized")
#define BERTHA_TARGET_END           \
  BERTHA_PRAGMA(GCC diagnostic pop) \
  BERTHA_STRICT_END
#define BERTHA_ROUND(value) static_cast<void>(value)
// Before registers are chosen, g++ for aarch64 would move the loads of a loop together, and accumulators of tiles then
// go to the stack. It orders instructions once more afterwards.
#define BERTHA_NEON_BEGIN \
  BERTHA_STRICT_BEGIN     \
  BERTHA_PRAGMA(GCC optimize("O3", "no-schedule-insns"))
#define BERTHA_NEON_DOT_BEGIN \
  BERTHA_NEON_BEGIN           \
  BERTHA_PRAGMA(GCC target("arch=armv8.2-a+dotprod"))
#define BERTHA_NEON_DOT_END BERTHA_NEON_END

#endif

// Every aarch64 CPU has NEON: no target, and no diagnostic.
#define BERTHA_NEON_END BERTHA_STRICT_END

#define BERTHA_AVX2_BEGIN BERTHA_TARGET_BEGIN("avx2,fma,f16c")
#define BERTHA_AVX2_END BERTHA_TARGET_END
#define BERTHA_AVX2_VNNI_BEGIN BERTHA_TARGET_BEGIN("avx2,fma,f16c,avxvnni")
#define BERTHA_AVX2_VNNI_END BERTHA_TARGET_END
#define BERTHA_AVX512_BEGIN BERTHA_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#define BERTHA_AVX512_END BERTHA_TARGET_END
#define BERTHA_AVX512_VNNI_BEGIN BERTHA_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define BERTHA_AVX512_VNNI_END BERTHA_TARGET_END
#define BERTHA_AVX512_BF16_BEGIN BERTHA_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#define BERTHA_AVX512_BF16_END BERTHA_TARGET_END
#define BERTHA_AMX_BEGIN \
  BERTHA_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,amx-int8")
#define BERTHA_AMX_END BERTHA_TARGET_END
