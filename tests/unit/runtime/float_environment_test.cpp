#include <gtest/gtest.h>

#include <bertha/runtime/float_environment.hpp>
#include <cfenv>
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace {

using bertha::FloatEnvironment;

#if defined(__x86_64__)
constexpr std::uint32_t kFlushToZero = 0x8000;
constexpr std::uint32_t kDenormalsAreZero = 0x0040;
constexpr std::uint32_t kFlags = 0x3F;
std::uint32_t get() { return _mm_getcsr(); }
void set(std::uint32_t value) { _mm_setcsr(value); }
const std::uint32_t kHostile[] = {0x1F80 | kFlushToZero, 0x1F80 | kDenormalsAreZero, 0x1F80 | 0x2000, 0x1F80 | 0x4000,
                                  0x1F80 | 0x6000};
#else
constexpr std::uint64_t kFlags = 0;
std::uint64_t get() {
  std::uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void set(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
const std::uint64_t kHostile[] = {1u << 24, 1u << 22, 2u << 22, 3u << 22};
#endif

// Operands and results pass through volatile objects: nothing is computed at compile time or moved past a change.
float divided(float a, float b) {
  volatile float x = a, y = b, result = x / y;
  return result;
}
float product(float a, float b) {
  volatile float x = a, y = b, result = x * y;
  return result;
}

/// A normal result, a subnormal one, one of a subnormal operand, and one that rounding decides.
struct Results {
  float third = divided(1.0f, 3.0f);
  float minus_third = divided(-1.0f, 3.0f);
  float small = product(0x1p-126f, 0.5f);
  float from_small = product(0x1p-140f, 0x1p100f);
  friend bool operator==(const Results&, const Results&) = default;
};

class FloatEnvironmentTest : public testing::Test {
 protected:
  FloatEnvironmentTest() : former_(get()) {}
  ~FloatEnvironmentTest() override { set(former_); }

 private:
  decltype(get()) former_;
};

TEST_F(FloatEnvironmentTest, GivesTheSameResultsWhateverTheCallerHasSet) {
  const Results expected;
  EXPECT_EQ(expected.small, 0x1p-127f);
  EXPECT_EQ(expected.from_small, 0x1p-40f);
  for (const auto hostile : kHostile) {
    set(hostile);
    const Results without;
    Results with;
    {
      const FloatEnvironment environment;
      with = Results{};
    }
    const bool differs = without != expected;
    const bool same = with == expected;
    FloatEnvironment restored;  // for the comparisons' own sake
    EXPECT_TRUE(differs) << std::hex << hostile;
    EXPECT_TRUE(same) << std::hex << hostile;
  }
}

TEST_F(FloatEnvironmentTest, RestoresTheCallersSettings) {
  for (const auto hostile : kHostile) {
    set(hostile);
    { const FloatEnvironment environment; }
    EXPECT_EQ(get() & ~kFlags, hostile) << std::hex << hostile;
  }
}

TEST_F(FloatEnvironmentTest, NestsAndChangesNothingWhenAllIsWell) {
  const auto before = get() & ~kFlags;
  {
    const FloatEnvironment outer;
    const FloatEnvironment inner;
    EXPECT_EQ(get() & ~kFlags, before);
  }
  EXPECT_EQ(get() & ~kFlags, before);
}

TEST_F(FloatEnvironmentTest, LeavesTheCallersFlagsAsTheyWere) {
  std::feclearexcept(FE_ALL_EXCEPT);
  for (const auto settings : {get(), kHostile[0]}) {
    for (const int raised : {0, FE_DIVBYZERO, FE_DIVBYZERO | FE_INEXACT}) {
      set(settings);
      std::feclearexcept(FE_ALL_EXCEPT);
      std::feraiseexcept(raised);
      {
        const FloatEnvironment environment;
        divided(1.0f, 3.0f);
        product(0x1p100f, 0x1p100f);
      }
      EXPECT_EQ(std::fetestexcept(FE_ALL_EXCEPT), raised) << std::hex << settings;
    }
  }
}

#if defined(__x86_64__)
TEST_F(FloatEnvironmentTest, MasksTheTrapsOfTheCaller) {
  set(0x1F80u & ~0x0200u);  // division by zero would raise SIGFPE
  float result = 0;
  {
    const FloatEnvironment environment;
    result = divided(1.0f, 0.0f);
  }
  EXPECT_EQ(get() & ~kFlags, 0x1F80u & ~0x0200u);
  EXPECT_EQ(get() & kFlags, 0u);  // and what happened inside raises nothing afterwards
  set(0x1F80u);
  EXPECT_GT(result, 1e38f);
}
#endif

}  // namespace
