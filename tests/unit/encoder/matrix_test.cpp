#include <gtest/gtest.h>

#include <bertha/encoder/matrix.hpp>
#include <limits>
#include <new>
#include <utility>

namespace {

using bertha::AlignedBuffer;

TEST(AlignedBuffer, IsEmptyAfterItsMemoryWasMovedAway) {
  AlignedBuffer<float> first(100);
  float* const memory = first.data();
  AlignedBuffer<float> second = std::move(first);
  EXPECT_EQ(second.data(), memory);
  EXPECT_EQ(second.size(), 100u);
  EXPECT_EQ(first.size(), 0u);
  EXPECT_NE(first.reserve(100), nullptr);  // and can be used again
  EXPECT_EQ(first.size(), 100u);
  first = std::move(second);
  EXPECT_EQ(first.data(), memory);
  EXPECT_EQ(second.size(), 0u);
  EXPECT_NE(second.matrix(2, 3).data, nullptr);
}

TEST(AlignedBuffer, KeepsItsMemoryUntilMoreIsAskedFor) {
  AlignedBuffer<float> buffer(100);
  float* const memory = buffer.data();
  EXPECT_EQ(buffer.reserve(50), memory);
  EXPECT_EQ(buffer.size(), 100u);
  buffer.reserve(101);
  EXPECT_EQ(buffer.size(), 101u);
}

TEST(AlignedBuffer, RefusesMoreThanThereCanBe) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  AlignedBuffer<float> buffer(100);
  EXPECT_THROW(buffer.reserve(kMost), std::bad_alloc);
  EXPECT_THROW(buffer.reserve(kMost / sizeof(float) + 2), std::bad_alloc);  // of which the product with 4 is small
  EXPECT_THROW(buffer.matrix(kMost / 16 + 2, 16), std::bad_alloc);          // so is that of these
  EXPECT_THROW(buffer.matrix(1, kMost), std::bad_alloc);
  EXPECT_NE(buffer.matrix(2, 3).data, nullptr);
}

}  // namespace
