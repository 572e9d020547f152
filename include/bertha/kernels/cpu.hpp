// What this CPU and its system can run: CPUID for the instructions, XGETBV for the registers that the system saves, and
// for the large ones of AMX the permission that Linux gives a process that asks.

#pragma once

#include <bertha/version.hpp>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// The sets of CPU features that levels need.
struct CpuFeatures {
  bool avx2 = false;    ///< AVX2, FMA and F16C, and the system saves the 256-bit registers
  bool avx512 = false;  ///< avx2, and AVX-512 F, BW, DQ and VL, and the system saves the 512-bit and mask registers
  bool avx512_bf16 = false;  ///< avx512, and AVX512_BF16
  bool amx = false;          ///< avx512_bf16, AMX-TILE and AMX-BF16, and the system lets this process have the tiles
  bool neon = false;         ///< aarch64, all of whose CPUs have it

  static constexpr CpuFeatures all() { return {true, true, true, true, true}; }
};

#if defined(__x86_64__)
/// Asks Linux for the registers of AMX, for all threads of the process. From then on the kernel refuses signal stacks
/// that can't hold them (Documentation/arch/x86/xstate.rst).
inline bool may_use_tiles() noexcept {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

/// Asks the CPU and its system. Thread-safe.
inline CpuFeatures cpu_features() noexcept {
  CpuFeatures features;
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return features;
  const bool fma = ecx & bit_FMA, f16c = ecx & bit_F16C, osxsave = ecx & bit_OSXSAVE;
  if (!osxsave) return features;
  unsigned saved = 0, high = 0;
  __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  constexpr unsigned kXmmAndYmm = 0x6, kMasksAndZmm = 0xe0, kTiles = 0x60000;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return features;
  features.avx2 = (ebx & bit_AVX2) && fma && f16c && (saved & kXmmAndYmm) == kXmmAndYmm;
  constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  features.avx512 = features.avx2 && (ebx & kAvx512) == kAvx512 && (saved & kMasksAndZmm) == kMasksAndZmm;
  constexpr unsigned kAmx = 1u << 24 | 1u << 22;  // AMX-TILE, AMX-BF16
  const bool amx = (edx & kAmx) == kAmx && (saved & kTiles) == kTiles;
  constexpr unsigned kAvx512Bf16 = 1 << 5;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) features.avx512_bf16 = features.avx512 && (eax & kAvx512Bf16);
  features.amx = features.avx512_bf16 && amx && may_use_tiles();
#elif defined(__aarch64__)
  features.neon = true;
#endif
  return features;
}

}  // namespace kernels

BERTHA_NAMESPACE_END
