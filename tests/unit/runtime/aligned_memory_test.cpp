#include <gtest/gtest.h>

#include <bertha/runtime/aligned_memory.hpp>
#include <cstdint>
#include <cstring>

namespace {

TEST(AlignedMemory, BeginsOnALineAndLargeBlocksOnALargePage) {
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, kLargePage - 1, kLargePage, 2 * kLargePage + 5}) {
    void* memory = bertha::AlignedMemory::allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % (bytes < kLargePage ? 64 : kLargePage), 0u) << bytes;
    std::memset(memory, 1, bytes);
    bertha::AlignedMemory::release(memory, bytes);
  }
}

}  // namespace
