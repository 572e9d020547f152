// LayerNorm, softmax, sigmoid, embeddings and quantising, row by row.

#include <cmath>

#include "support.hpp"

namespace bertha::testing {
namespace {

class Rows : public EveryLevel {};

TEST_P(Rows, LayerNormGivesTheSameBitsAsScalarAndZerosPastTheRow) {
  Random random(1);
  for (std::size_t size = 1; size < 70; ++size) {
    const std::size_t rows = size % 4, stride = kernels::padded(size) + 1;
    Guarded<float> x(rows * stride, 1), expected(rows * stride), gamma(kernels::padded(size)),
        beta(kernels::padded(size), 3);
    for (std::size_t i = 0; i < size; ++i) {
      gamma[i] = random.number();
      beta[i] = random.number();
      for (std::size_t r = 0; r < rows; ++r) expected[r * stride + i] = x[r * stride + i] = random.number(8.0f) + 3.0f;
    }
    kernels::LayerNormRows op{x.data(), stride, rows, size, gamma.data(), beta.data(), 1e-12f, expected.data(), stride};
    scalar().layer_norm(op);
    op.y = x.data();  // in place
    level().layer_norm(op);
    EXPECT_TRUE(same_rows(x.data(), stride, expected.data(), stride, rows, size)) << size;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = size; i < kernels::padded(size); ++i) EXPECT_EQ(x[r * stride + i], 0.0f);
      EXPECT_TRUE(untouched(x[r * stride + stride - 1]));
    }
    EXPECT_TRUE(x.guards_intact());
  }
}

TEST_P(Rows, LayerNormStaysNearDoublePrecision) {
  const std::size_t size = 771, stride = 784;
  Random random(2);
  std::vector<float> x(stride), y, gamma(stride, 1.5f), beta(stride, -0.25f);
  for (float& v : x) v = random.number(4.0f) + 2.0f;
  y = x;
  level().layer_norm({x.data(), stride, 1, size, gamma.data(), beta.data(), 1e-5f, y.data(), stride});
  double mean = 0, variance = 0;
  for (std::size_t i = 0; i < size; ++i) mean += double{x[i]} / size;
  for (std::size_t i = 0; i < size; ++i) variance += (double{x[i]} - mean) * (double{x[i]} - mean) / size;
  for (std::size_t i = 0; i < size; ++i)
    EXPECT_NEAR(double{y[i]}, (double{x[i]} - mean) / std::sqrt(variance + double{1e-5f}) * 1.5 - 0.25, 0x1p-20);
}

// RMSNorm, added to what a block reads.
TEST_P(Rows, LayerNormThatIsNotCentredIsTheContractAndAddsToItsRows) {
  Random random(4);
  for (std::size_t size : {1u, 15u, 16u, 77u, 300u}) {
    const std::size_t rows = 3, stride = kernels::padded(size) + 16;
    Guarded<float> x(rows * stride), y(rows * stride, 2), gamma(kernels::padded(size));
    for (std::size_t i = 0; i < size; ++i) gamma[i] = random.number();
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < size; ++i) {
        x[r * stride + i] = random.number(8.0f) + 3.0f;
        y[r * stride + i] = random.number(2.0f);
      }
    std::vector<float> before(y.data(), y.data() + rows * stride);
    kernels::LayerNormRows op{x.data(), stride, rows, size, gamma.data(), y.data(), 1e-6f, y.data(), stride};
    op.centred = false;
    op.beta_stride = stride;
    level().layer_norm(op);
    for (std::size_t r = 0; r < rows; ++r) {
      float lanes[16] = {};
      for (std::size_t i = 0; i < size; ++i)
        lanes[i % 16] = std::fma(x[r * stride + i], x[r * stride + i], lanes[i % 16]);
      for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
      const float factor = 1.0f / std::sqrt(lanes[0] / static_cast<float>(size) + 1e-6f);
      for (std::size_t i = 0; i < size; ++i) {
        volatile float scaled = x[r * stride + i] * factor;  // rounded before it is multiplied
        EXPECT_TRUE(same(y[r * stride + i], std::fma(scaled, gamma[i], before[r * stride + i]))) << size << ' ' << i;
      }
      for (std::size_t i = size; i < kernels::padded(size); ++i) EXPECT_EQ(y[r * stride + i], 0.0f);
      EXPECT_TRUE(untouched(y[r * stride + stride - 1]));
    }
    EXPECT_TRUE(y.guards_intact());
  }
}

TEST_P(Rows, LayerNormOfEqualNumbersIsBetaAndOfNanIsNan) {
  std::vector<float> x(32, 3.0f), gamma(16, 2.0f), beta(16, 0.5f);
  x[16 + 5] = kNan;
  level().layer_norm({x.data(), 16, 2, 16, gamma.data(), beta.data(), 1e-12f, x.data(), 16});
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(x[i], 0.5f);
    EXPECT_TRUE(std::isnan(x[16 + i]));
  }
}

TEST_P(Rows, RotateTurnsPairsByTheirAnglesAndTouchesNothingElse) {
  Random random(8);
  for (std::size_t size = 2; size < 100; size += 2) {
    const std::size_t rows = 3, half = size / 2, stride = size + 5;
    Guarded<float> x(rows * stride, 1), cos(rows * half), sin(rows * half);
    std::vector<float> before(rows * size);
    cos.fill(random);
    sin.fill(random);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < size; ++d) before[r * size + d] = x[r * stride + d] = random.number(4.0f);
    level().rotate_rows({.x = x.data(),
                         .stride = stride,
                         .rows = rows,
                         .size = size,
                         .cos = cos.data(),
                         .sin = sin.data(),
                         .angle_stride = half});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t d = 0; d < half; ++d) {
        const float a = before[r * size + d], b = before[r * size + d + half], c = cos[r * half + d];
        const volatile float to_b = a * sin[r * half + d], to_a = b * sin[r * half + d];  // never fused
        ASSERT_TRUE(same(x[r * stride + d], std::fma(a, c, -to_a))) << size;
        ASSERT_TRUE(same(x[r * stride + d + half], std::fma(b, c, to_b))) << size;
      }
      for (std::size_t d = size; d < stride; ++d) ASSERT_TRUE(untouched(x[r * stride + d]));
    }
    ASSERT_TRUE(x.guards_intact() && cos.guards_intact() && sin.guards_intact());
  }
}

TEST_P(Rows, SoftmaxAndSigmoidGiveTheSameBitsAsScalarAndTouchNothingElse) {
  Random random(3);
  for (std::size_t n = 0; n < 70; ++n)
    for (const bool is_softmax : {true, false}) {
      Guarded<float> x(n, 1), expected(n);
      for (std::size_t i = 0; i < n; ++i) expected[i] = x[i] = random.number(16.0f);
      (is_softmax ? scalar().softmax : scalar().sigmoid)(expected.data(), n);
      (is_softmax ? level().softmax : level().sigmoid)(x.data(), n);
      EXPECT_TRUE(same_rows(x.data(), n, expected.data(), n, 1, n)) << n;
      EXPECT_TRUE(x.guards_intact() && expected.guards_intact());
    }
}

TEST_P(Rows, SoftmaxStaysNearDoublePrecisionAndSumsToOne) {
  Random random(4);
  std::vector<float> x(333), y;
  for (float& v : x) v = random.number(32.0f);
  y = x;
  level().softmax(y.data(), y.size());
  double total = 0, sum = 0;
  for (float v : x) total += std::exp(double{v} - 32.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double truth = std::exp(double{x[i]} - 32.0) / total;
    EXPECT_NEAR(double{y[i]}, truth, 0x1p-18 * truth);  // x - max is rounded: up to 64 * 2^-25 in the exponent
    sum += double{y[i]};
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST_P(Rows, SoftmaxKeepsNanAndTreatsInfinityAsUndefined) {
  for (std::size_t n : Sizes{1, 5, 16, 19, 40})
    for (std::size_t place = 0; place < n; ++place) {
      for (float odd : {kNan, -kNan, kInfinity}) {
        std::vector<float> x(n, 1.0f);
        x[place] = odd;
        level().softmax(x.data(), n);
        for (float v : x) EXPECT_TRUE(std::isnan(v));
      }
      if (n == 1) continue;
      std::vector<float> x(n, 1.0f);
      x[place] = -kInfinity;
      level().softmax(x.data(), n);
      for (std::size_t i = 0; i < n; ++i)
        EXPECT_NEAR(x[i], i == place ? 0.0f : 1.0f / static_cast<float>(n - 1), 1e-7f);
    }
}

TEST_P(Rows, EmbeddingsAreTheSumOfTheirRowsInOrder) {
  Random random(5);
  for (std::size_t size : Sizes{1, 15, 16, 17, 36, 70})
    for (const std::size_t tables_read : Sizes{0, 1, 2, 3}) {
      const bool with_types = tables_read % 2 != 0, with_positions = tables_read >= 2;
      const std::size_t stride = kernels::padded(size), wide = kernels::round_up(size, 64), rows = 5;
      Guarded<float> tables(3 * 7 * stride), scales(3 * 7), out(rows * (stride + 1), 1);
      Guarded<std::int8_t> quantised(3 * 7 * wide);  // what is padding stays garbage
      for (std::size_t r = 0; r < 3 * 7; ++r) {
        scales[r] = random.number();
        for (std::size_t i = 0; i < size; ++i) {
          tables[r * stride + i] = random.number();
          quantised[r * wide + i] = static_cast<std::int8_t>(random.number(127.0f));
        }
      }
      const std::uint32_t ids[] = {6, 0, 3, 3, 1}, types[] = {1, 0, 6, 2, 3}, positions[] = {0, 1, 2, 3, 6};
      level().embed_f32({tables.data(), tables.data() + 7 * stride, tables.data() + 14 * stride, stride, ids,
                         with_types ? types : nullptr, with_positions ? positions : nullptr, out.data(), stride + 1,
                         rows, size});
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = 0; i < stride; ++i) {
          float sum = tables[ids[r] * stride + i];
          if (with_types) sum += tables[(7 + types[r]) * stride + i];
          if (with_positions) sum += tables[(14 + positions[r]) * stride + i];
          EXPECT_TRUE(same(out[r * (stride + 1) + i], i < size ? sum : 0.0f));
        }
        EXPECT_TRUE(untouched(out[r * (stride + 1) + stride]));
      }
      level().embed_s8({quantised.data(), quantised.data() + 7 * wide, quantised.data() + 14 * wide, scales.data(),
                        scales.data() + 7, scales.data() + 14, wide, ids, with_types ? types : nullptr,
                        with_positions ? positions : nullptr, out.data(), stride + 1, rows, size});
      const auto value = [&](std::size_t row, std::size_t i) {
        volatile float product = static_cast<float>(quantised[row * wide + i]) * scales[row];  // never fused
        return product;
      };
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < stride; ++i) {
          if (i >= size) {
            EXPECT_EQ(out[r * (stride + 1) + i], 0.0f);
            continue;
          }
          float sum = value(ids[r], i);
          if (with_types) sum += value(7 + types[r], i);
          if (with_positions) sum += value(14 + positions[r], i);
          EXPECT_TRUE(same(out[r * (stride + 1) + i], sum));
        }
      EXPECT_TRUE(out.guards_intact());
    }
}

TEST_P(Rows, QuantiseRoundsToNearestEvenOfTheRowsOwnScale) {
  Random random(6);
  for (std::size_t size : Sizes{1, 2, 15, 16, 17, 63, 64, 65, 130}) {
    const std::size_t rows = 3, stride = size + 1, wide = kernels::round_up(size, 64);
    Guarded<float> x(rows * stride, 1), scale(rows);
    Guarded<std::int8_t> q(rows * (wide + 1), 1);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < size; ++i) x[r * stride + i] = random.number(0x1p10f);
    level().quantise_rows({x.data(), stride, rows, size, q.data(), wide + 1, scale.data()});
    for (std::size_t r = 0; r < rows; ++r) {
      float most = 0;
      for (std::size_t i = 0; i < size; ++i) most = std::fmax(most, std::fabs(x[r * stride + i]));
      EXPECT_EQ(scale[r], most / 127.0f);
      const float inverse = 127.0f / most;
      for (std::size_t i = 0; i < wide; ++i) {
        const float expected = i < size ? std::nearbyint(x[r * stride + i] * inverse) : 0.0f;
        EXPECT_EQ(static_cast<float>(q[r * (wide + 1) + i]), expected);
      }
      EXPECT_EQ(q[r * (wide + 1) + wide], -1);
    }
    EXPECT_TRUE(q.guards_intact() && scale.guards_intact());
  }
}

TEST_P(Rows, QuantiseKnowsTheOddRows) {
  const float largest = std::numeric_limits<float>::max();
  struct {
    float x[3];
    float scale;  // NaN: expected
    int q[3];
  } cases[] = {
      {{0.0f, -0.0f, 0.0f}, 0.0f, {0, 0, 0}},
      {{0x1p-101f, -0x1p-102f, 0.0f}, 0.0f, {0, 0, 0}},
      {{0x1.fffffep-101f, 0.0f, 0.0f}, 0.0f, {0, 0, 0}},
      {{0x1p-100f, -0x1p-100f, 0x1p-149f}, 0x1p-100f / 127.0f, {127, -127, 0}},
      {{0x1p-149f, -0x1p-149f, 0x1p-127f}, 0.0f, {0, 0, 0}},
      {{largest, -largest, largest / 2}, largest / 127.0f, {127, -127, 64}},
      {{127.0f, 0.5f, 1.5f}, 1.0f, {127, 0, 2}},
      {{-127.0f, -0.5f, -2.5f}, 1.0f, {-127, 0, -2}},
      {{1.0f, kNan, 2.0f}, kNan, {0, 0, 0}},
      {{1.0f, -kNan, 2.0f}, kNan, {0, 0, 0}},
      {{kInfinity, 1.0f, 2.0f}, kNan, {0, 0, 0}},
      {{-kInfinity, 1.0f, 2.0f}, kNan, {0, 0, 0}},
  };
  for (const auto& test : cases) {
    std::int8_t q[64];
    float scale = 7.0f;
    level().quantise_rows({test.x, 3, 1, 3, q, 64, &scale});
    EXPECT_TRUE(same(scale, test.scale)) << scale << ' ' << test.scale;
    for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(q[i], i < 3 ? test.q[i] : 0) << test.x[0] << ' ' << i;
  }
}

TEST_P(Rows, QuantiseSmoothsRowsAndUsesAllIntegersOfThoseWithAZeroPoint) {
  Random random(8);
  for (std::size_t size : Sizes{1, 2, 15, 16, 17, 63, 64, 65, 130})
    for (bool smooth : {false, true})
      for (bool shifted : {false, true}) {
        const std::size_t rows = 5, stride = size + 1, wide = kernels::round_up(size, 64);
        Guarded<float> x(rows * stride, 1), smoothing(size), scale(rows);
        Guarded<std::int8_t> q(rows * wide, 1);
        Guarded<std::int32_t> zero(rows);
        for (std::size_t i = 0; i < size; ++i) smoothing[i] = smooth ? 0.25f + std::fabs(random.number()) : 1.0f;
        for (std::size_t r = 0; r < rows; ++r)  // around 0, and on either side of it
          for (std::size_t i = 0; i < size; ++i)
            x[r * stride + i] = random.number() + 0.75f * (static_cast<float>(r) - 2.0f);
        level().quantise_rows({.x = x.data(),
                               .stride = stride,
                               .rows = rows,
                               .size = size,
                               .q = q.data(),
                               .q_stride = wide,
                               .scale = scale.data(),
                               .smoothing = smooth ? smoothing.data() : nullptr,
                               .zero = shifted ? zero.data() : nullptr});
        for (std::size_t r = 0; r < rows; ++r) {
          float low = 0, high = 0;
          std::vector<float> expected(wide);
          for (std::size_t i = 0; i < size; ++i) {
            expected[i] = x[r * stride + i] * smoothing[i];
            low = std::fmin(low, expected[i]);
            high = std::fmax(high, expected[i]);
          }
          const float most = std::fmax(high, -low);
          const float range = shifted ? high - low : most, steps = shifted ? 254.0f : 127.0f, inverse = steps / range;
          ASSERT_EQ(scale[r], range / steps);
          const float z = shifted ? std::nearbyint(std::fma(-low, inverse, -127.0f)) : 0.0f;
          if (shifted) {
            ASSERT_EQ(static_cast<float>(zero[r]), z);
          }
          for (std::size_t i = 0; i < wide; ++i) {
            const float all = i < size ? std::nearbyint(std::fma(expected[i], inverse, z)) : 0.0f;
            ASSERT_EQ(static_cast<float>(q[r * wide + i]), std::fmin(127.0f, std::fmax(-127.0f, all))) << r << ' ' << i;
            if (i >= size) continue;
            // What the product sees of a number is within half a step of it, and a little for the zero point's
            // rounding.
            const float seen = scale[r] * (static_cast<float>(q[r * wide + i]) - z);
            ASSERT_LE(std::fabs(seen - expected[i]), 1.001f * scale[r]);
          }
        }
        EXPECT_TRUE(q.guards_intact() && scale.guards_intact() && zero.guards_intact());
      }
}

TEST_P(Rows, QuantiseWithAZeroPointKnowsTheOddRows) {
  const float largest = std::numeric_limits<float>::max();
  struct {
    float x[3], smoothing[3];
    float scale;  // NaN: expected
    int zero, q[3];
  } cases[] = {
      {{0.0f, -0.0f, 0.0f}, {1, 1, 1}, 0.0f, 0, {0, 0, 0}},
      {{0x1p-101f, 0.0f, 0.0f}, {1, 1, 1}, 0.0f, 0, {0, 0, 0}},
      {{0x1p-100f, 0.0f, 0.0f}, {1, 1, 1}, 0x1p-100f / 254.0f, -127, {127, -127, -127}},
      {{254.0f, 1.0f, 2.0f}, {1, 1, 1}, 1.0f, -127, {127, -126, -125}},  // 0 is always among the numbers
      {{-254.0f, -1.0f, -2.0f}, {1, 1, 1}, 1.0f, 127, {-127, 126, 125}},
      {{200.0f, -54.0f, 0.0f}, {1, 1, 1}, 1.0f, -73, {127, -127, -73}},
      {{100.0f, -27.0f, 0.0f}, {2, 2, 1}, 1.0f, -73, {127, -127, -73}},
      {{largest, 0.0f, 0.0f}, {1, 1, 1}, largest / 254.0f, -127, {127, -127, -127}},
      {{largest, -largest, 0.0f}, {1, 1, 1}, kNan, 0, {0, 0, 0}},  // what lies between them overflows
      {{largest, 1.0f, 0.0f}, {2, 1, 1}, kNan, 0, {0, 0, 0}},
      {{1.0f, kNan, 2.0f}, {1, 1, 1}, kNan, 0, {0, 0, 0}},
      {{-kInfinity, 1.0f, 2.0f}, {1, 1, 1}, kNan, 0, {0, 0, 0}},
  };
  for (const auto& test : cases) {
    std::int8_t q[64];
    float scale = 7.0f;
    std::int32_t zero = 7;
    level().quantise_rows({test.x, 3, 1, 3, q, 64, &scale, test.smoothing, &zero});
    EXPECT_TRUE(same(scale, test.scale)) << scale << ' ' << test.scale;
    EXPECT_EQ(zero, test.zero) << test.x[0];
    for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(q[i], i < 3 ? test.q[i] : 0) << test.x[0] << ' ' << i;
  }
}

BERTHA_EVERY_LEVEL(Rows);

}  // namespace
}  // namespace bertha::testing
