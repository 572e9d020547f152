// Version numbers, the ABI namespace, and the compilers, flags and systems that bertha accepts.

#pragma once

#define BERTHA_VERSION_MAJOR 0
#define BERTHA_VERSION_MINOR 1
#define BERTHA_VERSION_PATCH 0

/// The newest model file format that this release reads and its converter writes; older ones are read as well.
#define BERTHA_FORMAT_VERSION 2

// What bertha refuses, and why. One error and a stop: without it compilers go on to thousands that follow from it.
#if !defined(__GNUC__)
#error "bertha needs g++ 12 or clang 14, or newer: its kernels are compiled per function for several instruction sets."
#define BERTHA_STOP
#elif __SIZEOF_POINTER__ < 8
#error "bertha is for 64-bit systems, where whole models have addresses: compile without -m32 and -mx32."
#define BERTHA_STOP
#elif !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__))
#error \
    "bertha is tested on Linux, x86-64 and aarch64. Other systems stop here until somebody runs the test suite there."
#define BERTHA_STOP
#elif __cplusplus < 202002L
#error "bertha is C++20: compile with -std=c++20 or newer (the CMake targets bertha::bertha and bertha::compiled do)."
#define BERTHA_STOP
#elif !defined(__cpp_exceptions)
#error "bertha reports errors by exceptions (bertha::Error): compile without -fno-exceptions."
#define BERTHA_STOP
#elif defined(__FAST_MATH__) || __FINITE_MATH_ONLY__
#if defined(BERTHA_ALLOW_FAST_MATH)
#pragma message("bertha: -ffast-math voids the promise of equal results (BERTHA_ALLOW_FAST_MATH is set).")
#else
#error "bertha needs IEEE 754: compile without -ffast-math, -ffinite-math-only; or lose it by BERTHA_ALLOW_FAST_MATH."
#define BERTHA_STOP
#endif
#endif
#if defined(BERTHA_STOP)
#include <see the error above>
#endif

// Sources compiled with different vector flags must not share inline functions: the linker would keep one copy, perhaps
// one that the machine can't run. The tag makes them different names, and a mix across a boundary a link error whose
// symbols say which source was compiled how.
#if defined(__AVX512F__)
#define BERTHA_ABI_NAMESPACE v0_1_compiled_with_avx512
#elif defined(__AVX2__)
#define BERTHA_ABI_NAMESPACE v0_1_compiled_with_avx2
#elif defined(__AVX__)
#define BERTHA_ABI_NAMESPACE v0_1_compiled_with_avx
#elif defined(__x86_64__)
#define BERTHA_ABI_NAMESPACE v0_1_compiled_without_avx
#else
#define BERTHA_ABI_NAMESPACE v0_1
#endif

// The functions that cost most to compile are defined once for many sources in bertha::compiled: these sources see
// BERTHA_COMPILED and find declarations, its own source sees BERTHA_COMPILED_OBJECT as well. Everywhere else the same
// text is inline.
#if defined(BERTHA_COMPILED)
#define BERTHA_FUNCTION
#else
#define BERTHA_FUNCTION inline
#endif
#if !defined(BERTHA_COMPILED) || defined(BERTHA_COMPILED_OBJECT)
#define BERTHA_DEFINES_FUNCTIONS
#endif

#define BERTHA_NAMESPACE_BEGIN \
  namespace bertha {           \
  inline namespace BERTHA_ABI_NAMESPACE {
#define BERTHA_NAMESPACE_END \
  }                          \
  }
