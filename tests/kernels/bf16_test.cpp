// bfloat16: rounding held against its definition on every upper half, products against the specified chain, bit by bit.

#include <bit>
#include <cmath>

#include "support.hpp"

namespace bertha::testing {
namespace {

/// The nearest of the two bfloat16 numbers around x, of which one is x cut off; the even one when both are as near.
/// Past the largest number the upper one is infinity, which counts as 2^128.
bf16 nearest(float x) {
  const std::uint32_t upper = std::bit_cast<std::uint32_t>(x) >> 16;
  const auto below = static_cast<bf16>(upper), above = static_cast<bf16>(upper + 1);
  const auto magnitude = [](bf16 number) { return std::min(std::fabs(double{widened(number)}), 0x1p128); };
  const double size = std::fabs(double{x}), down = size - magnitude(below), up = magnitude(above) - size;
  return down < up || (down == up && upper % 2 == 0) ? below : above;
}

class RoundRows : public EveryLevel {};

TEST_P(RoundRows, GivesTheNearestNumberTiesToEvenAndKeepsInfinityAndNan) {
  std::vector<float> x;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper)
    for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      x.push_back(std::bit_cast<float>(upper << 16 | lower));
  Guarded<bf16> y(x.size());
  level().round_rows({x.data(), x.size(), 1, x.size(), y.data(), x.size()});
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(widened(y[i]))) << i;
    } else if (std::isinf(x[i])) {
      ASSERT_EQ(widened(y[i]), x[i]) << i;
    } else if (std::fabs(x[i]) < 0x1p-126f && widened(y[i]) == 0.0f) {
      ASSERT_EQ(std::signbit(widened(y[i])), std::signbit(x[i])) << x[i];  // subnormal numbers may be flushed
    } else {
      ASSERT_EQ(y[i], nearest(x[i])) << x[i];
    }
  }
  EXPECT_TRUE(y.guards_intact());
}

TEST_P(RoundRows, FillsUpWithZerosAndReadsAndWritesNothingElse) {
  Random random(1);
  for (std::size_t rows : Sizes{0, 1, 3})
    for (std::size_t size : Sizes{1, 15, 16, 17, 27, 31, 32, 33, 47, 48, 49, 64, 100}) {
      const std::size_t depth = kernels::round_up(size, 32), stride = depth + 3;
      Guarded<float> x(rows * size, 1);
      Guarded<bf16> y(rows * stride, 1);
      x.fill(random, 4.0f);
      level().round_rows({x.data(), size, rows, size, y.data(), stride});
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < stride; ++i)
          ASSERT_EQ(y[r * stride + i], i >= depth  ? bf16{0xffff}
                                       : i >= size ? bf16{}
                                                   : nearest(x[r * size + i]))
              << size << ' ' << i;
      ASSERT_TRUE(y.guards_intact());
    }
}

class RoundPanels : public EveryLevel {};

TEST_P(RoundPanels, PutsPairsOfKSideBySideAndFillsUpWithZeros) {
  Random random(2);
  for (std::size_t panels : Sizes{0, 1, 3})
    for (std::size_t k : Sizes{1, 2, 27, 31, 32, 33, 64, 90}) {
      const kernels::PanelLayout<float> stored(panels * 16, k);
      const kernels::PanelLayout<bf16> layout(panels * 16, k);
      Guarded<float> from(stored.size());
      Guarded<bf16> to(layout.size());
      from.fill(random);
      level().round_panels({.panels = from.data(), .n_panels = panels, .k = k, .out = to.data()});
      for (std::size_t n = 0; n < panels * 16; ++n)
        for (std::size_t i = 0; i < layout.depth(); ++i)
          ASSERT_EQ(to[layout.at(n, i)], i < k ? nearest(from[stored.at(n, i)]) : bf16{}) << k << ' ' << n << ' ' << i;
      ASSERT_TRUE(to.guards_intact());
    }
}

/// Operands of one product. Numbers are multiples of 2^-23, so that no product or sum is subnormal.
struct Bf16Case {
  Bf16Case(std::size_t rows, std::size_t k, std::size_t n, std::uint32_t seed)
      : layout(n, k),
        depth(layout.depth()),
        a(rows * (depth + 2), 1),
        panels(layout.size()),
        bias(kernels::padded(n), 1),
        scratch(rows) {
    Random random(seed);
    op.a = a.data();
    op.a_stride = depth + 2;
    op.panels = panels.data();
    op.bias = bias.data();
    op.rows = rows;
    op.k = depth;
    op.n_panels = layout.panels();
    op.scratch = scratch.data();
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < depth; ++i) a[r * op.a_stride + i] = i < k ? nearest(random.number()) : bf16{};
    for (std::size_t c = 0; c < kernels::padded(n); ++c) {
      bias[c] = random.number();
      for (std::size_t i = 0; i < depth; ++i) weight(c, i) = i < k ? nearest(random.number()) : bf16{};
    }
  }
  bf16& weight(std::size_t column, std::size_t i) { return panels[layout.at(column, i)]; }
  float plain(std::size_t row, std::size_t column) {
    float sum = 0.0f;
    for (std::size_t i = 0; i < depth; i += 2)
      for (const std::size_t k : {i + 1, i})
        sum = std::fma(widened(a[row * op.a_stride + k]), widened(weight(column, k)), sum);
    return sum + bias[column];
  }

  kernels::PanelLayout<bf16> layout;
  std::size_t depth;
  Guarded<bf16> a, panels;
  Guarded<float> bias;
  ProductScratch scratch;
  kernels::GemmBf16 op;
};

class GemmBf16 : public EveryLevel {
 protected:
  void SetUp() override {
    EveryLevel::SetUp();
    if (has_own_order(level())) GTEST_SKIP() << "amx_test.cpp";
  }
};

TEST_P(GemmBf16, IsOneChainOfPairsForEachOutput) {
  for (std::size_t rows : Sizes{0, 1, 2, 4, 5, 6, 7, 11, 13, 31})
    for (std::size_t k : Sizes{1, 2, 27, 32, 33, 63, 65, 300}) {
      const std::size_t n = 1 + (rows * 7 + k) % 40, stride = kernels::padded(n) + 2;
      Bf16Case x(rows, k, n, static_cast<std::uint32_t>(rows * 1000 + k));
      Guarded<float> out(rows * stride, 1);
      x.op.out = out.data();
      x.op.out_stride = stride;
      level().gemm_bf16(x.op);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < kernels::padded(n); ++c)
          ASSERT_TRUE(same(out[r * stride + c], x.plain(r, c))) << rows << ' ' << k << ' ' << r << ' ' << c;
        ASSERT_TRUE(untouched(out[r * stride + stride - 1]));
      }
      ASSERT_TRUE(out.guards_intact());
    }
}

TEST_P(GemmBf16, GivesTheSameBitsAsScalarWithEveryActivationAndResidual) {
  for (std::size_t rows : Sizes{1, 9, 200}) {
    Bf16Case x(rows, 100, 40, 5);
    for (Activation activation : kActivations)
      expect_bits_of_scalar_in_place(x.op, &kernels::Table::gemm_bf16, level(), activation);
  }
}

TEST_P(GemmBf16, GivesARowTheSameBitsAloneAndWhereverPanelsAreSplit) {
  for (std::size_t rows : Sizes{2, 7, 30, 192, 193, 400}) {
    Bf16Case x(rows, 70, 48, 9);
    expect_same_bits_in_parts(x.op, &kernels::Table::gemm_bf16, level(), [](auto&, std::size_t, std::size_t) {});
  }
}

TEST_P(GemmBf16, LetsNanAndInfinityThroughInTheirRowOnly) {
  for (const float odd : {kNan, kInfinity, -kInfinity})
    for (const std::size_t k : Sizes{6, 7}) {
      Bf16Case x(8, 20, 16, 29);
      float out[8 * 16];
      x.op.out = out;
      x.op.out_stride = 16;
      x.a[3 * x.op.a_stride + k] = static_cast<bf16>(std::bit_cast<std::uint32_t>(odd) >> 16);
      level().gemm_bf16(x.op);
      for (std::size_t i = 0; i < 8 * 16; ++i) {
        EXPECT_EQ(std::isfinite(out[i]), i / 16 != 3);
        EXPECT_EQ(std::isnan(out[i]), i / 16 == 3 && std::isnan(odd));
      }
    }
}

class EmbedBf16 : public EveryLevel {};

TEST_P(EmbedBf16, GivesTheBitsOfTheWidenedTables) {
  const std::uint32_t ids[] = {7, 1, 1, 4, 0, 6}, types[] = {0, 0, 1, 1, 1, 0}, positions[] = {0, 1, 2, 3, 4, 5};
  Random random(4);
  for (std::size_t size : Sizes{1, 16, 27, 33, 64})
    for (const bool has_types : {true, false}) {
      const std::size_t stride = kernels::round_up(size, 32), out_stride = kernels::padded(size) + 1;
      Guarded<bf16> tables(3 * 8 * stride);
      Guarded<float> wide(3 * 8 * stride), out(6 * out_stride), expected(6 * out_stride);
      for (std::size_t i = 0; i < tables.size(); ++i) wide[i] = widened(tables[i] = nearest(random.number()));
      level().embed_bf16({tables.data(), tables.data() + 8 * stride, tables.data() + 16 * stride, stride, ids,
                          has_types ? types : nullptr, positions, out.data(), out_stride, 6, size});
      level().embed_f32({wide.data(), wide.data() + 8 * stride, wide.data() + 16 * stride, stride, ids,
                         has_types ? types : nullptr, positions, expected.data(), out_stride, 6, size});
      EXPECT_TRUE(same_rows(out.data(), out_stride, expected.data(), out_stride, 6, out_stride)) << size;
      EXPECT_TRUE(out.guards_intact());
    }
}

BERTHA_EVERY_LEVEL(RoundRows);
BERTHA_EVERY_LEVEL(RoundPanels);
BERTHA_EVERY_LEVEL(GemmBf16);
BERTHA_EVERY_LEVEL(EmbedBf16);

}  // namespace
}  // namespace bertha::testing
