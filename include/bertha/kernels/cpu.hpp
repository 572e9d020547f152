// What this CPU and its system can run: CPUID for the instructions, XGETBV for the registers that the system saves, and
// for the large ones of AMX the permission that Linux gives a process that asks: only before they are used.

#pragma once

#include <bertha/version.hpp>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// The sets of CPU features that levels need.
struct CpuFeatures {
  bool avx2 = false;       ///< AVX2, FMA and F16C, and the system saves the 256-bit registers
  bool avx2_vnni = false;  ///< avx2, and AVX-VNNI
  bool avx512 = false;     ///< avx2, and AVX-512 F, BW, DQ and VL, and the system saves the 512-bit and mask registers
  bool avx512_vnni = false;  ///< avx512, and AVX512_VNNI
  bool avx512_bf16 = false;  ///< avx512_vnni, and AVX512_BF16
  bool amx = false;   ///< avx512_bf16, AMX-TILE, -BF16 and -INT8, and the system saves the tiles of who may use them
  bool neon = false;  ///< aarch64, all of whose CPUs have it
  bool neon_dot = false;  ///< and SDOT, which most have

  static constexpr CpuFeatures all() { return {true, true, true, true, true, true, true, true}; }
};

#if defined(__x86_64__)

/// What the CPU says of itself and its system: registers of CPUID by leaf and subleaf, and XCR0.
struct CpuRegisters {
  std::uint32_t leaf_1_ecx = 0;
  std::uint32_t leaf_7_0_ebx = 0;
  std::uint32_t leaf_7_0_ecx = 0;
  std::uint32_t leaf_7_0_edx = 0;
  std::uint32_t leaf_7_1_eax = 0;
  std::uint32_t xcr0 = 0;  ///< the registers that the system saves; 0 where it says by OSXSAVE that there is no XCR0
};

/// Reads them. Thread-safe.
inline CpuRegisters read_cpu_registers() noexcept {
  CpuRegisters read;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return read;
  read.leaf_1_ecx = ecx;
  if (ecx & bit_OSXSAVE) {
    unsigned high = 0;
    __asm__("xgetbv" : "=a"(read.xcr0), "=d"(high) : "c"(0));
  }
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return read;
  read.leaf_7_0_ebx = ebx;
  read.leaf_7_0_ecx = ecx;
  read.leaf_7_0_edx = edx;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) read.leaf_7_1_eax = eax;
  return read;
}

/// The features of a CPU with these registers.
constexpr CpuFeatures features_of(const CpuRegisters& cpu) noexcept {
  const auto has = [](std::uint32_t bits, std::uint32_t wanted) { return (bits & wanted) == wanted; };
  constexpr std::uint32_t kXmmAndYmm = 0x6, kMasksAndZmm = 0xe0, kTiles = 0x60000;  // of XCR0
  constexpr std::uint32_t kFmaAndF16c = bit_FMA | bit_F16C, kAvxVnni = 1u << 4, kAvx512Vnni = 1u << 11;
  constexpr std::uint32_t kAvx512Bf16 = 1u << 5, kAmx = 1u << 25 | 1u << 24 | 1u << 22;
  constexpr std::uint32_t kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  CpuFeatures features;
  features.avx2 = has(cpu.leaf_7_0_ebx, bit_AVX2) && has(cpu.leaf_1_ecx, kFmaAndF16c) && has(cpu.xcr0, kXmmAndYmm);
  features.avx2_vnni = features.avx2 && has(cpu.leaf_7_1_eax, kAvxVnni);
  features.avx512 = features.avx2 && has(cpu.leaf_7_0_ebx, kAvx512) && has(cpu.xcr0, kMasksAndZmm);
  features.avx512_vnni = features.avx512 && has(cpu.leaf_7_0_ecx, kAvx512Vnni);
  features.avx512_bf16 = features.avx512_vnni && has(cpu.leaf_7_1_eax, kAvx512Bf16);
  features.amx = features.avx512_bf16 && has(cpu.leaf_7_0_edx, kAmx) && has(cpu.xcr0, kTiles);
  return features;
}

/// Asks Linux for the registers of AMX, for all threads of the process. From then on the kernel refuses signal stacks
/// that can't hold them (Documentation/arch/x86/xstate.rst).
inline bool may_use_tiles() noexcept {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#endif

/// The features of this CPU. Thread-safe.
inline CpuFeatures cpu_features() noexcept {
#if defined(__x86_64__)
  return features_of(read_cpu_registers());
#else
  CpuFeatures features;
  features.neon = true;
  constexpr unsigned long kDotProducts = 1ul << 20;  // HWCAP_ASIMDDP
  features.neon_dot = (::getauxval(AT_HWCAP) & kDotProducts) != 0;
  return features;
#endif
}

}  // namespace kernels

BERTHA_NAMESPACE_END
