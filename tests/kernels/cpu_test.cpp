// What levels a CPU has, read off registers that were recorded on real ones, and off these with single bits missing.

#include <gtest/gtest.h>

#include <bertha/kernels/cpu.hpp>
#include <string>

namespace bertha::testing {
namespace {

#if defined(__x86_64__)

using kernels::CpuRegisters;

// The bits of XCR0 (Intel's Software Developer's Manual, volume 1, section 13.1): what the system saves of a thread.
constexpr std::uint32_t kX87 = 1u << 0, kXmm = 1u << 1, kYmm = 1u << 2, kBounds = 1u << 3 | 1u << 4;
constexpr std::uint32_t kMasks = 1u << 5, kZmmHighHalves = 1u << 6, kZmm16To31 = 1u << 7;
constexpr std::uint32_t kProtectionKeys = 1u << 9, kTileShapes = 1u << 17, kTileData = 1u << 18;
constexpr std::uint32_t kSavesYmm = kX87 | kXmm | kYmm;
constexpr std::uint32_t kSavesZmm = kSavesYmm | kMasks | kZmmHighHalves | kZmm16To31 | kProtectionKeys;
constexpr std::uint32_t kSavesTiles = kSavesZmm | kTileShapes | kTileData;
// And those of CPUID that <cpuid.h> of g++ 12 has no name for, by leaf, subleaf and register.
constexpr std::uint32_t kLeaf7EcxAvx512Vnni = 1u << 11;
constexpr std::uint32_t kLeaf7EdxAmxBf16 = 1u << 22, kLeaf7EdxAmxTile = 1u << 24, kLeaf7EdxAmxInt8 = 1u << 25;
constexpr std::uint32_t kLeaf71EaxAvxVnni = 1u << 4, kLeaf71EaxAvx512Bf16 = 1u << 5;

constexpr CpuRegisters kHaswell = {
    .leaf_1_ecx = 0x7ffafbff, .leaf_7_0_ebx = 0x000027ab, .leaf_7_0_edx = 0x9c000600, .xcr0 = kSavesYmm};
constexpr CpuRegisters kSkylakeServer = {
    .leaf_1_ecx = 0x7ffefbff, .leaf_7_0_ebx = 0xd39ffffb, .leaf_7_0_edx = 0xbc000600, .xcr0 = kSavesZmm | kBounds};
constexpr CpuRegisters kZen4 = {.leaf_1_ecx = 0x7efa320b,
                                .leaf_7_0_ebx = 0xf1bf97a9,
                                .leaf_7_0_ecx = 0x00405fce,
                                .leaf_7_0_edx = 0x10000010,
                                .leaf_7_1_eax = 0x20,
                                .xcr0 = kSavesZmm};
constexpr CpuRegisters kSapphireRapids = {.leaf_1_ecx = 0x7ffefbff,
                                          .leaf_7_0_ebx = 0xf3bfbfff,
                                          .leaf_7_0_ecx = 0xfb417ffe,
                                          .leaf_7_0_edx = 0xffdd4432,
                                          .leaf_7_1_eax = 0x1c30,
                                          .xcr0 = kSavesTiles};

/// The features, by name.
std::string features(const CpuRegisters& cpu) {
  const kernels::CpuFeatures found = kernels::features_of(cpu);
  return std::string(found.avx2 ? "avx2 " : "") + (found.avx2_vnni ? "avx2_vnni " : "") +
         (found.avx512 ? "avx512 " : "") + (found.avx512_vnni ? "avx512_vnni " : "") +
         (found.avx512_bf16 ? "avx512_bf16 " : "") + (found.amx ? "amx " : "") + (found.neon ? "neon " : "");
}

CpuRegisters without(CpuRegisters cpu, std::uint32_t CpuRegisters::*where, std::uint32_t bits) {
  EXPECT_EQ(cpu.*where & bits, bits) << "it has them";
  cpu.*where &= ~bits;
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
  const auto saving_no = [](std::uint32_t bits) {
    return features(without(kSapphireRapids, &CpuRegisters::xcr0, bits));
  };
  for (const std::uint32_t bit : {kX87, kProtectionKeys})
    EXPECT_EQ(saving_no(bit), features(kSapphireRapids)) << "of no concern";
  for (const std::uint32_t bit : {kTileShapes, kTileData})
    EXPECT_EQ(saving_no(bit), "avx2 avx2_vnni avx512 avx512_vnni avx512_bf16 ");
  for (const std::uint32_t bit : {kMasks, kZmmHighHalves, kZmm16To31}) EXPECT_EQ(saving_no(bit), "avx2 avx2_vnni ");
  for (const std::uint32_t bit : {kXmm, kYmm}) EXPECT_EQ(saving_no(bit), "");
  EXPECT_EQ(saving_no(kSavesTiles), "") << "as where the system has no XCR0";
}

TEST(Cpu, HasNoLevelOfWhichAnInstructionIsMissing) {
  const auto having_no = [](std::uint32_t CpuRegisters::*where, std::uint32_t bits) {
    return features(without(kSapphireRapids, where, bits));
  };
  for (const std::uint32_t bit : {std::uint32_t{bit_FMA}, std::uint32_t{bit_F16C}})
    EXPECT_EQ(having_no(&CpuRegisters::leaf_1_ecx, bit), "");
  EXPECT_EQ(having_no(&CpuRegisters::leaf_7_0_ebx, std::uint32_t{bit_AVX2}), "");
  for (const std::uint32_t bit : {std::uint32_t{bit_AVX512F}, std::uint32_t{bit_AVX512BW}, std::uint32_t{bit_AVX512DQ},
                                  std::uint32_t{bit_AVX512VL}})
    EXPECT_EQ(having_no(&CpuRegisters::leaf_7_0_ebx, bit), "avx2 avx2_vnni ");
  EXPECT_EQ(having_no(&CpuRegisters::leaf_7_1_eax, kLeaf71EaxAvxVnni), "avx2 avx512 avx512_vnni avx512_bf16 amx ");
  EXPECT_EQ(having_no(&CpuRegisters::leaf_7_1_eax, kLeaf71EaxAvx512Bf16), "avx2 avx2_vnni avx512 avx512_vnni ");
  EXPECT_EQ(having_no(&CpuRegisters::leaf_7_0_ecx, kLeaf7EcxAvx512Vnni), "avx2 avx2_vnni avx512 ");
  for (const std::uint32_t bit : {kLeaf7EdxAmxBf16, kLeaf7EdxAmxTile, kLeaf7EdxAmxInt8})
    EXPECT_EQ(having_no(&CpuRegisters::leaf_7_0_edx, bit), "avx2 avx2_vnni avx512 avx512_vnni avx512_bf16 ");
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
