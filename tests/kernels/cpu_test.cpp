// What levels a CPU has, read off registers that were recorded on real ones.

#include <gtest/gtest.h>

#include <bertha/kernels/cpu.hpp>
#include <string>

namespace bertha::testing {
namespace {

#if defined(__x86_64__)

using kernels::CpuRegisters;

constexpr CpuRegisters kHaswell = {
    .leaf_1_ecx = 0x7ffafbff, .leaf_7_0_ebx = 0x000027ab, .leaf_7_0_edx = 0x9c000600, .xcr0 = 0x7};
constexpr CpuRegisters kSkylakeServer = {
    .leaf_1_ecx = 0x7ffefbff, .leaf_7_0_ebx = 0xd39ffffb, .leaf_7_0_edx = 0xbc000600, .xcr0 = 0x2ff};
constexpr CpuRegisters kZen4 = {.leaf_1_ecx = 0x7efa320b,
                                .leaf_7_0_ebx = 0xf1bf97a9,
                                .leaf_7_0_ecx = 0x00405fce,
                                .leaf_7_0_edx = 0x10000010,
                                .leaf_7_1_eax = 0x20,
                                .xcr0 = 0x2e7};
constexpr CpuRegisters kSapphireRapids = {.leaf_1_ecx = 0x7ffefbff,
                                          .leaf_7_0_ebx = 0xf3bfbfff,
                                          .leaf_7_0_ecx = 0xfb417ffe,
                                          .leaf_7_0_edx = 0xffdd4432,
                                          .leaf_7_1_eax = 0x1c30,
                                          .xcr0 = 0x602e7};

/// The features, by name.
std::string features(const CpuRegisters& cpu) {
  const kernels::CpuFeatures found = kernels::features_of(cpu);
  return std::string(found.avx2 ? "avx2 " : "") + (found.avx2_vnni ? "avx2_vnni " : "") +
         (found.avx512 ? "avx512 " : "") + (found.avx512_vnni ? "avx512_vnni " : "") +
         (found.avx512_bf16 ? "avx512_bf16 " : "") + (found.amx ? "amx " : "") + (found.neon ? "neon " : "");
}

CpuRegisters saving(CpuRegisters cpu, std::uint32_t xcr0) {
  cpu.xcr0 = xcr0;
  return cpu;
}

TEST(Cpu, HasTheLevelsOfItsGeneration) {
  EXPECT_EQ(features({}), "");
  EXPECT_EQ(features(kHaswell), "avx2 ");
  EXPECT_EQ(features(kSkylakeServer), "avx2 avx512 ");
  EXPECT_EQ(features(kZen4), "avx2 avx512 avx512_vnni avx512_bf16 ");
  EXPECT_EQ(features(kSapphireRapids), "avx2 avx2_vnni avx512 avx512_vnni avx512_bf16 amx ");
}

TEST(Cpu, HasNoLevelWhoseRegistersTheSystemDoesNotSave) {
  const std::string without_tiles = "avx2 avx2_vnni avx512 avx512_vnni avx512_bf16 ";
  EXPECT_EQ(features(saving(kSapphireRapids, 0x2e7)), without_tiles);
  EXPECT_EQ(features(saving(kSapphireRapids, 0x202e7)), without_tiles);  // saves their shapes only
  EXPECT_EQ(features(saving(kSapphireRapids, 0x7)), "avx2 avx2_vnni ");
  for (const std::uint32_t some : {0x67u, 0xa7u, 0xc7u, 0x7u}) EXPECT_EQ(features(saving(kZen4, some)), "avx2 ");
  for (const std::uint32_t some : {0xe3u, 0xe5u, 0x3u, 0x0u}) EXPECT_EQ(features(saving(kZen4, some)), "");
}

TEST(Cpu, HasNoLevelOfWhichAnInstructionIsMissing) {
  for (const std::uint32_t bit : {std::uint32_t{bit_FMA}, std::uint32_t{bit_F16C}}) {
    CpuRegisters cpu = kZen4;
    cpu.leaf_1_ecx &= ~bit;
    EXPECT_EQ(features(cpu), "");
  }
  for (const std::uint32_t bit : {std::uint32_t{bit_AVX512F}, std::uint32_t{bit_AVX512BW}, std::uint32_t{bit_AVX512DQ},
                                  std::uint32_t{bit_AVX512VL}}) {
    CpuRegisters cpu = kSapphireRapids;
    cpu.leaf_7_0_ebx &= ~bit;
    EXPECT_EQ(features(cpu), "avx2 avx2_vnni ");
  }
  for (const unsigned bit : {1u << 24, 1u << 22}) {
    CpuRegisters cpu = kSapphireRapids;
    cpu.leaf_7_0_edx &= ~bit;
    EXPECT_EQ(features(cpu), "avx2 avx2_vnni avx512 avx512_vnni avx512_bf16 ");
  }
  CpuRegisters cpu = kSapphireRapids;
  cpu.leaf_7_1_eax = 0x10;  // no bfloat16, as Ice Lake has none
  EXPECT_EQ(features(cpu), "avx2 avx2_vnni avx512 avx512_vnni ");
  cpu.leaf_7_0_ecx &= ~(1u << 11);
  EXPECT_EQ(features(cpu), "avx2 avx2_vnni avx512 ");
  cpu.leaf_7_1_eax = 0x20;  // bfloat16 without integers: no CPU has it
  EXPECT_EQ(features(cpu), "avx2 avx512 ");
}

TEST(Cpu, IsReadAsTheCompilersRuntimeReadsIt) {
  const kernels::CpuFeatures found = kernels::cpu_features();
  EXPECT_EQ(found.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(found.avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(found.avx512_vnni, found.avx512 && __builtin_cpu_supports("avx512vnni"));
  EXPECT_EQ(found.avx512_bf16, found.avx512_vnni && __builtin_cpu_supports("avx512bf16"));
  EXPECT_EQ(kernels::read_cpu_registers().xcr0 != 0, (kernels::read_cpu_registers().leaf_1_ecx & bit_OSXSAVE) != 0);
}

#else

TEST(Cpu, HasNeon) { EXPECT_TRUE(kernels::cpu_features().neon); }

#endif

}  // namespace
}  // namespace bertha::testing
