// Products on tiles of AMX, by the emulation on every CPU and by the instructions where the CPU has them: bfloat16 and
// split float32 against double precision, and the same bits for a row alone and in any batch.

#include <cmath>

#include "emulated_levels.hpp"
#include "support.hpp"

namespace bertha::testing {
namespace {

std::vector<const kernels::Table*> levels() {
  std::vector<const kernels::Table*> tables;
#if defined(__x86_64__)
  if (kernels::cpu_features().avx2) tables.push_back(&kernels::emulated_amx::kTable);
#endif
  for (const kernels::Table* table : kernels::available())
    if (has_own_order(*table)) tables.push_back(table);
  return tables;
}

using kernels::Halves;
using kernels::in_row_tiles;

/// float32 operands, and what a level makes of them: rounded, or split into halves.
struct Case {
  Case(std::size_t row_count, std::size_t inputs, std::size_t n, bool split_numbers, std::uint32_t seed)
      : rows(row_count),
        k(inputs),
        split(split_numbers),
        depth(kernels::round_up(k, 32) * (split ? 2 : 1)),
        x(rows * k, 1),
        weights(kernels::padded(n) * k),
        bias(kernels::padded(n), 1),
        a(kernels::round_up(rows, 16) * (depth + 32), 1),
        panels(kernels::padded(n) * depth),
        scratch(rows) {
    Random random(seed);
    x.fill(random, 4.0f);
    weights.fill(random, 0.5f);
    bias.fill(random);
    op.a = a.data();
    op.a_stride = depth + 32;
    op.panels = panels.data();
    op.bias = bias.data();
    op.rows = rows;
    op.k = depth;
    op.n_panels = kernels::padded(n) / 16;
    op.scratch = scratch.data();
  }
  void prepare(const kernels::Table& level) {
    pack(level, 0, rows, a);
    (split ? level.split_panels
           : level.round_panels)({.panels = weights.data(), .n_panels = op.n_panels, .k = k, .out = panels.data()});
  }
  void pack(const kernels::Table& level, std::size_t first, std::size_t count, Guarded<bf16>& to) {
    (split ? level.split_rows : level.pack_rows)(
        {.x = x.data() + first * k, .stride = k, .rows = count, .size = k, .y = to.data(), .y_stride = op.a_stride});
  }
  /// The sum of `f` of the pairs of numbers that a product multiplies.
  template <class F>
  double sum(std::size_t row, std::size_t column, const F& f) {
    const kernels::PanelLayout<float> stored(op.n_panels * 16, k);
    const kernels::PanelLayout<bf16> rounded(op.n_panels * 16, k);
    double total = 0;
    for (std::size_t i = 0; i < k; ++i) {
      const float w = weights[stored.at(column, i)];
      total += split ? f(double{x[row * k + i]}, double{w})
                     : f(double{widened(a[in_row_tiles<bf16>(row, i, op.a_stride)])},
                         double{widened(panels[rounded.at(column, i)])});
    }
    return total;
  }

  std::size_t rows, k;
  bool split;
  std::size_t depth;
  Guarded<float> x, weights, bias;
  Guarded<bf16> a, panels;
  ProductScratch scratch;
  kernels::GemmBf16 op;
};

class Amx : public EveryLevel {
 protected:
#if defined(__x86_64__)
  void TearDown() override { EXPECT_EQ(kernels::emulated_amx::Tiles::in_use(), 0) << "tiles were not released"; }
#endif
  Gemm<kernels::GemmBf16> gemm(bool split) const {
    return split ? &kernels::Table::gemm_split : &kernels::Table::gemm_bf16;
  }
  void multiply(const kernels::GemmBf16& op, bool split) const {
    const kernels::TilesOfOperandsOnly only(op);
    (level().*gemm(split))(op);
  }
};

TEST_P(Amx, MultipliesAsPreciselyAsItsNumbersAre) {
  for (const bool split : {false, true})
    for (std::size_t rows : Sizes{0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 70, 200})
      for (std::size_t k : Sizes{1, 31, 32, 33, 300, 600}) {
        const std::size_t n = 1 + (rows * 7 + k) % 70, stride = kernels::padded(n) + 2;
        Case x(rows, k, n, split, static_cast<std::uint32_t>(rows * 1000 + k));
        x.prepare(level());
        Guarded<float> out(rows * stride, 1);
        x.op.out = out.data();
        x.op.out_stride = stride;
        multiply(x.op, split);
        const double precision = split ? 0x1p-16 : 0x1p-21;
        for (std::size_t r = 0; r < rows; r += 1 + rows / 20) {
          for (std::size_t c = 0; c < kernels::padded(n); ++c) {
            const double exact = x.sum(r, c, [](double p, double q) { return p * q; }) + double{x.bias[c]};
            const double size = x.sum(r, c, [](double p, double q) { return std::fabs(p * q); });
            ASSERT_NEAR(out[r * stride + c], exact, precision * (size + 1)) << rows << ' ' << k << ' ' << r << ' ' << c;
          }
          ASSERT_TRUE(untouched(out[r * stride + stride - 1]));
        }
        ASSERT_TRUE(out.guards_intact());
      }
}

TEST_P(Amx, AppliesEveryActivationAndThenTheResidualInPlace) {
  for (const bool split : {false, true})
    for (std::size_t rows : Sizes{1, 40, 200})
      for (Activation activation : kActivations) {
        Case x(rows, 70, 40, split, 5);
        x.prepare(level());
        Random random(3);
        Guarded<float> sums(rows * 48), residual(rows * 48), out(rows * 48, 1);
        residual.fill(random);
        std::memcpy(out.data(), residual.data(), rows * 48 * sizeof(float));
        x.op.out_stride = x.op.residual_stride = 48;
        x.op.out = sums.data();
        multiply(x.op, split);
        x.op.out = out.data();
        x.op.residual = out.data();
        x.op.activation = activation;
        multiply(x.op, split);
        // Those sums, as a product with the identity, get the same activation and residual from gemm_f32.
        const kernels::PanelLayout<float> layout(48, 48);
        Guarded<float> identity(layout.size()), expected(rows * 48);
        for (std::size_t n = 0; n < 48; ++n)
          for (std::size_t i = 0; i < 48; ++i) identity[layout.at(n, i)] = n == i ? 1.0f : 0.0f;
        level().gemm_f32({.a = sums.data(),
                          .a_stride = 48,
                          .panels = identity.data(),
                          .residual = residual.data(),
                          .residual_stride = 48,
                          .out = expected.data(),
                          .out_stride = 48,
                          .rows = rows,
                          .k = 48,
                          .n_panels = 3,
                          .activation = activation,
                          .scratch = x.scratch.data()});
        EXPECT_TRUE(same_rows(out.data(), 48, expected.data(), 48, rows, 48));
        EXPECT_TRUE(out.guards_intact());
      }
}

TEST_P(Amx, GivesARowTheSameBitsAloneAndWhereverPanelsAreSplit) {
  for (const bool split : {false, true})
    for (std::size_t rows : Sizes{2, 7, 30, 33, 50, 256, 257, 400}) {
      Case x(rows, 300, 48, split, 9);
      x.prepare(level());
      Guarded<bf16> alone(16 * x.op.a_stride, 1);
      expect_same_bits_in_parts(x.op, gemm(split), level(), [&](kernels::GemmBf16& part, std::size_t row, std::size_t) {
        x.pack(level(), row, 1, alone);
        part.a = alone.data();
      });
    }
}

// With room for sums k may be cut: every size here is more than a block of rows may have of it.
TEST_P(Amx, GivesTheSameBitsWhereSumsWait) {
  for (const bool split : {false, true})
    for (std::size_t rows : Sizes{100, 384, 400})
      for (std::size_t n : Sizes{16, 80}) {
        const std::size_t k = split ? 3000 : 6000;
        Case x(rows, k, n, split, static_cast<std::uint32_t>(rows + n));
        x.prepare(level());
        std::vector<float> out(rows * n), expected(rows * n);
        Guarded<float> sums(kernels::product_sums(rows, x.op.k, x.op.n_panels));
        ASSERT_GT(sums.size(), 0u);
        x.op.out_stride = n;
        x.op.out = expected.data();
        multiply(x.op, split);
        x.op.out = out.data();
        x.op.sums = sums.data();
        multiply(x.op, split);
        EXPECT_TRUE(same_rows(out.data(), n, expected.data(), n, rows, n)) << rows << ' ' << n << ' ' << split;
        EXPECT_FALSE(untouched(sums[0])) << "k was not cut";
        EXPECT_TRUE(sums.guards_intact());
      }
}

// The emulation stands for the CPU in tests elsewhere, so it must be one. Of numbers in the normal range.
TEST_P(Amx, GivesTheBitsOfTheEmulation) {
#if defined(__x86_64__)
  const kernels::Table& emulation = kernels::emulated_amx::kTable;
  if (&level() == &emulation) GTEST_SKIP() << "the emulation itself";
  for (const bool split : {false, true})
    for (std::size_t rows : Sizes{1, 16, 33, 100, 400})
      for (std::size_t k : Sizes{32, 100, 1000}) {
        Case x(rows, k, 48, split, static_cast<std::uint32_t>(rows + k));
        x.prepare(level());
        Guarded<float> out(rows * 48), expected(rows * 48);
        x.op.out_stride = 48;
        x.op.out = out.data();
        multiply(x.op, split);
        x.op.out = expected.data();
        (emulation.*gemm(split))(x.op);
        EXPECT_TRUE(same_rows(out.data(), 48, expected.data(), 48, rows, 48)) << rows << ' ' << k << ' ' << split;
      }
#endif
}

TEST_P(Amx, LetsNanThroughInItsRowOnly) {
  for (const bool split : {false, true}) {
    Case x(40, 20, 16, split, 29);
    x.x[33 * 20 + 7] = kNan;
    x.prepare(level());
    Guarded<float> out(40 * 16);
    x.op.out = out.data();
    x.op.out_stride = 16;
    multiply(x.op, split);
    for (std::size_t i = 0; i < 40 * 16; ++i) ASSERT_EQ(std::isnan(out[i]), i / 16 == 33);
  }
}

TEST_P(Amx, PutsRoundedRowsIntoTilesAndFillsUpWithZeros) {
  Random random(6);
  for (std::size_t rows : Sizes{0, 1, 3, 16, 17, 40})
    for (std::size_t size : Sizes{1, 16, 31, 32, 33, 49, 100}) {
      const std::size_t depth = kernels::round_up(size, 32), stride = depth + 5, all = kernels::round_up(rows, 16);
      Guarded<float> x(rows * size, 1);
      Guarded<bf16> packed(all * stride, 1), rounded(rows * depth);
      x.fill(random, 4.0f);
      level().pack_rows({x.data(), size, rows, size, packed.data(), stride});
      level().round_rows({x.data(), size, rows, size, rounded.data(), depth});
      for (std::size_t r = 0; r < all; ++r)
        for (std::size_t i = 0; i < depth; ++i)
          ASSERT_EQ(packed[in_row_tiles<bf16>(r, i, stride)], r < rows ? rounded[r * depth + i] : bf16{})
              << size << ' ' << r;
      for (std::size_t r = 0; r < all; r += 16)
        for (std::size_t i = 16 * depth; i < 16 * stride; ++i) ASSERT_EQ(packed[r * stride + i], bf16{0xffff});
      ASSERT_TRUE(packed.guards_intact());
    }
}

TEST_P(Amx, SplitsNumbersIntoTheirRoundedHalfAndTheRoundedRest) {
  Random random(7);
  for (std::size_t size : Sizes{1, 15, 16, 17, 31, 32, 33, 48, 49, 64, 100}) {
    const std::size_t rows = 20;
    const std::size_t depth = kernels::round_up(size, 32), stride = 2 * depth + 5, all = kernels::round_up(rows, 16);
    std::vector<float> x(rows * size), rest(rows * size);
    std::vector<bf16> high(rows * depth), low(rows * depth);
    Guarded<bf16> split(all * stride, 1);
    for (float& number : x) number = random.number(4.0f);
    level().split_rows({x.data(), size, rows, size, split.data(), stride});
    level().round_rows({x.data(), size, rows, size, high.data(), depth});
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < size; ++i) rest[r * size + i] = x[r * size + i] - widened(high[r * depth + i]);
    level().round_rows({rest.data(), size, rows, size, low.data(), depth});
    for (std::size_t r = 0; r < all; ++r)
      for (std::size_t i = 0; i < depth; ++i) {
        const bf16* at = split.data() + in_row_tiles<bf16>(r, i, stride, Halves::high_and_low);
        ASSERT_EQ(at[0], r < rows ? high[r * depth + i] : bf16{}) << size << ' ' << i;
        ASSERT_EQ(at[kernels::kTileNumbers<bf16>], r < rows ? low[r * depth + i] : bf16{}) << size << ' ' << i;
      }
    for (std::size_t i = 32 * depth; i < 16 * stride; ++i) ASSERT_EQ(split[i], bf16{0xffff});
    ASSERT_TRUE(split.guards_intact());
  }
}

TEST_P(Amx, SplitsPanelsIntoTilesOfHighAndOfLowHalves) {
  Random random(8);
  const std::size_t panels = 3;
  for (std::size_t k : Sizes{1, 2, 27, 31, 32, 33, 64, 90}) {
    const kernels::PanelLayout<float> stored(panels * 16, k);
    const kernels::PanelLayout<bf16> layout(panels * 16, k);
    Guarded<float> from(stored.size()), rest(stored.size());
    Guarded<bf16> split(2 * layout.size()), high(layout.size()), low(layout.size());
    from.fill(random);
    level().split_panels({.panels = from.data(), .n_panels = panels, .k = k, .out = split.data()});
    level().round_panels({.panels = from.data(), .n_panels = panels, .k = k, .out = high.data()});
    for (std::size_t n = 0; n < panels * 16; ++n)
      for (std::size_t i = 0; i < k; ++i)
        rest[stored.at(n, i)] = from[stored.at(n, i)] - widened(high[layout.at(n, i)]);
    level().round_panels({.panels = rest.data(), .n_panels = panels, .k = k, .out = low.data()});
    for (std::size_t n = 0; n < panels * 16; ++n)
      for (std::size_t i = 0; i < layout.depth(); ++i) {
        const bf16* at = split.data() + kernels::in_split_panels(n, i, layout);
        ASSERT_EQ(at[0], high[layout.at(n, i)]) << k << ' ' << n << ' ' << i;
        ASSERT_EQ(at[kernels::kTileNumbers<bf16>], low[layout.at(n, i)]) << k << ' ' << n << ' ' << i;
      }
    ASSERT_TRUE(split.guards_intact());
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Amx);
INSTANTIATE_TEST_SUITE_P(Level, Amx, ::testing::ValuesIn(levels()), level_name);

}  // namespace
}  // namespace bertha::testing
