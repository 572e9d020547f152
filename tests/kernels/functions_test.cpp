// exp, the activations and sigmoid: their errors against double precision, over every exponent, and the same bits on
// every level. The sweeps take every 4099th float32 (a prime, so that all exponents and low bits come by).

#include <bertha/kernels/scalar.hpp>
#include <cmath>
#if defined(__x86_64__)
#include <bertha/kernels/avx2.hpp>
#include <bertha/kernels/avx512.hpp>
#elif defined(__aarch64__)
#include <bertha/kernels/neon.hpp>
#endif

#include "support.hpp"

/// What tests look into of a level: exp of n numbers, min and max of sixteen.
struct LaneFunctions {
  void (*exp_all)(const float* x, float* y, std::size_t n);
  void (*extremes)(const float* a, const float* b, float* least, float* most);
};
#define BERTHA_LANE_FUNCTIONS                                                       \
  inline void exp_all(const float* x, float* y, std::size_t n) {                    \
    for (std::size_t i = 0; i < n; i += kLanes) store(y + i, exp(load(x + i)));     \
  }                                                                                 \
  inline void extremes(const float* a, const float* b, float* least, float* most) { \
    store(least, min(load(a), load(b)));                                            \
    store(most, max(load(a), load(b)));                                             \
  }                                                                                 \
  inline constexpr LaneFunctions kLaneFunctions = {exp_all, extremes};

BERTHA_NAMESPACE_BEGIN
BERTHA_STRICT_BEGIN
namespace kernels::scalar {
BERTHA_LANE_FUNCTIONS
}
BERTHA_STRICT_END
#if defined(__x86_64__)
BERTHA_AVX2_BEGIN
namespace kernels::avx2 {
BERTHA_LANE_FUNCTIONS
}
BERTHA_AVX2_END
BERTHA_AVX512_BEGIN
namespace kernels::avx512 {
BERTHA_LANE_FUNCTIONS
}
BERTHA_AVX512_END
#elif defined(__aarch64__)
BERTHA_NEON_BEGIN
namespace kernels::neon {
BERTHA_LANE_FUNCTIONS
}
BERTHA_NEON_END
#endif
BERTHA_NAMESPACE_END

namespace bertha::testing {
namespace {

float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// Every 4099th float32, NaNs and infinities left out; a multiple of 16 numbers.
const std::vector<float>& sweep() {
  static const std::vector<float> numbers = [] {
    std::vector<float> list;
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
      const float x = float_of(static_cast<std::uint32_t>(bits));
      if (std::isfinite(x)) list.push_back(x);
    }
    while (list.size() % 16 != 0) list.push_back(0.0f);
    return list;
  }();
  return numbers;
}

class Functions : public EveryLevel {
 protected:
  /// An activation alone: a product with no depth, whose bias is x.
  std::vector<float> activated(const std::vector<float>& x, Activation activation) const {
    std::vector<float> y(x.size());
    kernels::GemmF32 op;
    op.a = op.panels = op.bias = x.data();
    op.out = y.data();
    op.out_stride = y.size();
    op.rows = 1;
    op.n_panels = x.size() / 16;
    op.activation = activation;
    ProductScratch scratch(op.rows);
    op.scratch = scratch.data();
    level().gemm_f32(op);
    return y;
  }
  std::vector<float> exponential(const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    lanes().exp_all(x.data(), y.data(), x.size());
    return y;
  }
  /// Every level above avx512 has its lanes.
  const LaneFunctions& lanes() const {
    if (level().level == "scalar") return kernels::scalar::kLaneFunctions;
#if defined(__x86_64__)
    return level().level == "avx2" ? kernels::avx2::kLaneFunctions : kernels::avx512::kLaneFunctions;
#else
    return kernels::neon::kLaneFunctions;
#endif
  }
};

TEST_P(Functions, ExpStaysWithin2ToMinus22OfTheTruth) {
  const auto& x = sweep();
  const auto y = exponential(x);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] >= -87.0f && x[i] <= 88.0f) {
      const double truth = std::exp(double{x[i]});
      ASSERT_NEAR(double{y[i]}, truth, 0x1p-22 * truth) << x[i];
    }
}

TEST_P(Functions, ExpIsOneAtZeroConstantPastItsEndsAndKeepsNan) {
  const auto y = exponential({0.0f, -0.0f, -87.0f, -88.0f, -1e30f, -kInfinity, 88.0f, 89.0f, 1e30f, kInfinity, kNan,
                              -kNan, float_of(0x7f800001u), float_of(0x7fc000ffu), float_of(0xffffffffu), 1.0f});
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[1], 1.0f);
  for (std::size_t i : Sizes{3, 4, 5}) EXPECT_EQ(y[i], y[2]);
  for (std::size_t i : Sizes{7, 8, 9}) EXPECT_EQ(y[i], y[6]);
  for (std::size_t i : Sizes{10, 11, 12, 13, 14}) EXPECT_TRUE(std::isnan(y[i])) << i;
}

TEST_P(Functions, GeluStaysWithin2ToMinus22OfTheTruth) {
  const auto& x = sweep();
  const auto y = activated(x, Activation::gelu);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = double{x[i]};
    ASSERT_NEAR(double{y[i]}, 0.5 * v * std::erfc(-v * 0.70710678118654752440),
                0x1p-22 * std::fmax(std::fabs(v), 0x1p-20))
        << x[i];
  }
}

TEST_P(Functions, GeluIsZeroFarBelowAndTheIdentityFarAbove) {
  const auto y = activated({-5.5f, -100.0f, -3e38f, 5.5f, 100.0f, 3e38f, 0.0f, kNan, kInfinity, 0, 0, 0, 0, 0, 0, 0},
                           Activation::gelu);
  for (std::size_t i : Sizes{0, 1, 2, 6}) EXPECT_EQ(y[i], 0.0f);
  EXPECT_EQ(y[3], 5.5f);
  EXPECT_EQ(y[4], 100.0f);
  EXPECT_EQ(y[5], 3e38f);
  EXPECT_TRUE(std::isnan(y[7]));
  EXPECT_EQ(y[8], kInfinity);
}

TEST_P(Functions, GeluTanhStaysWithin2ToMinus22OfTheTruth) {
  const auto& x = sweep();
  const auto y = activated(x, Activation::gelu_tanh);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = double{x[i]};
    const double u = 0.79788456080286535588 * (v + 0.044715 * v * v * v);
    ASSERT_NEAR(double{y[i]}, v / (1.0 + std::exp(-2.0 * u)), 0x1p-22 * std::fmax(std::fabs(v), 0x1p-20)) << x[i];
  }
}

TEST_P(Functions, TanhStaysWithin2ToMinus22OfTheTruth) {
  const auto& x = sweep();
  const auto y = activated(x, Activation::tanh);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double truth = std::tanh(double{x[i]});
    ASSERT_NEAR(double{y[i]}, truth, 0x1p-22 * std::fmax(std::fabs(truth), 0x1p-126)) << x[i];
  }
}

TEST_P(Functions, SigmoidAndSiluStayWithin2ToMinus22OfTheTruth) {
  const auto& x = sweep();
  const auto silu = activated(x, Activation::silu);
  auto sigmoid = x;
  level().sigmoid(sigmoid.data(), sigmoid.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = double{x[i]};
    const double truth = 1.0 / (1.0 + std::exp(-v));
    const double allowed = v >= -87.0 ? 0x1p-22 * truth : 0x1p-125;  // below, the value at -88 stands
    ASSERT_NEAR(double{sigmoid[i]}, truth, allowed) << x[i];
    ASSERT_NEAR(double{silu[i]}, v * truth, std::fmax(allowed * std::fabs(v), 0x1p-126)) << x[i];
  }
}

TEST_P(Functions, ReluKeepsNanAndPositiveNumbers) {
  const auto y =
      activated({-1.0f, 0.0f, 2.0f, kNan, kInfinity, -kInfinity, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Activation::relu);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[2], 2.0f);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_EQ(y[4], kInfinity);
  EXPECT_EQ(y[5], 0.0f);
}

TEST_P(Functions, MinAndMaxAreTheSecondNumberUnlessTheFirstIsSmallerOrLarger) {
  const float a[16] = {0.0f, -0.0f, kNan, 1.0f, kNan, 2.0f, 1.0f, 0x1p-149f, 0.0f, -kInfinity, kInfinity, kNan};
  const float b[16] = {-0.0f, 0.0f, 1.0f, kNan, -0.0f, 1.0f, 2.0f, 0.0f, -0x1p-149f, kNan, kInfinity, kNan};
  float least[16], most[16];
  lanes().extremes(a, b, least, most);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_TRUE(same(least[i], a[i] < b[i] ? a[i] : b[i])) << a[i] << " " << b[i];
    EXPECT_TRUE(same(most[i], a[i] > b[i] ? a[i] : b[i])) << a[i] << " " << b[i];
  }
}

TEST_P(Functions, GiveTheSameBitsAsScalar) {
  std::vector<float> x;
  for (std::size_t i = 0; i < sweep().size(); i += 7) x.push_back(sweep()[i]);
  for (float special : {kNan, -kNan, kInfinity, -kInfinity, 0.0f, -0.0f, 0x1p-149f, -0x1p-149f}) x.push_back(special);
  while (x.size() % 16 != 0) x.push_back(1.0f);
  auto expected = std::vector<float>(x.size());
  kernels::scalar::exp_all(x.data(), expected.data(), x.size());
  EXPECT_TRUE(same_rows(exponential(x).data(), 1, expected.data(), 1, x.size(), 1));
  for (Activation activation :
       {Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::silu, Activation::tanh}) {
    kernels::GemmF32 op;
    op.a = op.panels = op.bias = x.data();
    op.out = expected.data();
    op.out_stride = x.size();
    op.rows = 1;
    op.n_panels = x.size() / 16;
    op.activation = activation;
    ProductScratch scratch(op.rows);
    op.scratch = scratch.data();
    scalar().gemm_f32(op);
    EXPECT_TRUE(same_rows(activated(x, activation).data(), 1, expected.data(), 1, x.size(), 1));
  }
}

BERTHA_EVERY_LEVEL(Functions);

}  // namespace
}  // namespace bertha::testing
