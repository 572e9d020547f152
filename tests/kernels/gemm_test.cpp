// Matrix products: held against the contract written out plainly, bit by bit, and against double precision.

#include <algorithm>
#include <cmath>
#include <memory>

#include "emulated_levels.hpp"
#include "support.hpp"

namespace bertha::testing {
namespace {

/// Operands of one float32 product; what is padding holds NaN.
struct F32Case {
  F32Case(std::size_t rows, std::size_t k, std::size_t n, std::uint32_t seed)
      : layout(n, k), a(rows * (k + 3), 1), panels(layout.size()), bias(kernels::padded(n), 1), scratch(rows) {
    Random random(seed);
    op.a = a.data();
    op.a_stride = k + 3;
    op.panels = panels.data();
    op.bias = bias.data();
    op.rows = rows;
    op.k = k;
    op.n_panels = layout.panels();
    op.scratch = scratch.data();
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < k; ++i) a[r * op.a_stride + i] = random.number();
    for (std::size_t column = 0; column < n; ++column) {
      for (std::size_t i = 0; i < k; ++i) weight(column, i) = random.number();
      bias[column] = random.number();
    }
  }
  float& weight(std::size_t column, std::size_t i) { return panels[layout.at(column, i)]; }
  /// Line 4 of the contract, as it stands.
  float plain(std::size_t row, std::size_t column) {
    float sum = 0.0f;
    for (std::size_t begin = 0; begin < op.k; begin += kernels::kPartF32) {
      float part = 0.0f;
      for (std::size_t i = begin; i < std::min(op.k, begin + kernels::kPartF32); ++i)
        part = std::fma(a[row * op.a_stride + i], weight(column, i), part);
      sum = begin == 0 ? part : sum + part;
    }
    return sum + bias[column];
  }

  kernels::PanelLayout<float> layout;
  Guarded<float> a, panels, bias;
  ProductScratch scratch;
  kernels::GemmF32 op;
};

class GemmF32 : public EveryLevel {};

TEST_P(GemmF32, IsOneChainOfFusedMultiplyAddsForEachOutputAndPart) {
  Random random(1);
  for (std::size_t rows : Sizes{0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 31})
    for (std::size_t k : Sizes{1, 2, 7, 16, 33, 255, 384, 385, 800}) {
      const std::size_t n = random.between(1, 50);
      F32Case x(rows, k, n, static_cast<std::uint32_t>(rows * 1000 + k));
      Guarded<float> out(rows * (kernels::padded(n) + 5), 3);
      x.op.out = out.data();
      x.op.out_stride = kernels::padded(n) + 5;
      level().gemm_f32(x.op);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < n; ++c)
          ASSERT_TRUE(same(out[r * x.op.out_stride + c], x.plain(r, c))) << rows << ' ' << k << ' ' << r << ' ' << c;
        for (std::size_t c = kernels::padded(n); c < x.op.out_stride; ++c)
          ASSERT_TRUE(untouched(out[r * x.op.out_stride + c]));
      }
      ASSERT_TRUE(out.guards_intact());
    }
}

TEST_P(GemmF32, GivesTheSameBitsAsScalarWithEveryActivationAndResidual) {
  for (Activation activation : kActivations)
    for (std::size_t rows : Sizes{1, 9, 200}) {
      const std::size_t k = 37, n = 45, stride = 48;
      F32Case x(rows, k, n, 7);
      for (std::size_t i = 0; i < x.a.size(); ++i) x.a[i] *= 4.0f;
      Random random(3);
      Guarded<float> residual(rows * stride, 1), expected(rows * stride), out(rows * stride, 5),
          in_place(rows * stride);
      residual.fill(random);
      std::memcpy(in_place.data(), residual.data(), rows * stride * sizeof(float));
      x.op.activation = activation;
      x.op.residual_stride = x.op.out_stride = stride;
      x.op.residual = residual.data();
      x.op.out = expected.data();
      scalar().gemm_f32(x.op);
      x.op.out = out.data();
      level().gemm_f32(x.op);
      EXPECT_TRUE(same_rows(out.data(), stride, expected.data(), stride, rows, n));
      x.op.residual = x.op.out = in_place.data();
      level().gemm_f32(x.op);
      EXPECT_TRUE(same_rows(in_place.data(), stride, expected.data(), stride, rows, n));
      EXPECT_TRUE(out.guards_intact() && in_place.guards_intact());
    }
}

TEST_P(GemmF32, AddsResidualAfterActivation) {
  F32Case x(3, 5, 16, 11);
  float residual[48], out[48];
  for (std::size_t i = 0; i < 48; ++i) residual[i] = static_cast<float>(i) - 20.0f;
  x.op.activation = Activation::relu;
  x.op.residual = residual;
  x.op.out = out;
  x.op.residual_stride = x.op.out_stride = 16;
  level().gemm_f32(x.op);
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 16; ++c)
      EXPECT_TRUE(same(out[r * 16 + c], std::fmax(x.plain(r, c), 0.0f) + residual[r * 16 + c]));
}

TEST_P(GemmF32, MultipliesByTheResidualWhereItIsAGate) {
  F32Case x(30, 5, 16, 11);
  float gate[480], out[480];
  for (std::size_t i = 0; i < 480; ++i) gate[i] = static_cast<float>(i) * 0.37f - 20.0f;
  x.op.activation = Activation::relu;
  x.op.residual = gate;
  x.op.gated = true;
  x.op.out = out;
  x.op.residual_stride = x.op.out_stride = 16;
  level().gemm_f32(x.op);
  for (std::size_t r = 0; r < 30; ++r)
    for (std::size_t c = 0; c < 16; ++c)
      EXPECT_TRUE(same(out[r * 16 + c], std::fmax(x.plain(r, c), 0.0f) * gate[r * 16 + c]));
}

TEST_P(GemmF32, TakesNoBiasAsZero) {
  F32Case x(4, 9, 16, 13);
  float with_zero[64], without[64];
  x.op.out_stride = 16;
  std::memset(x.bias.data(), 0, 64);
  x.op.out = with_zero;
  level().gemm_f32(x.op);
  x.op.bias = nullptr;
  x.op.out = without;
  level().gemm_f32(x.op);
  EXPECT_TRUE(same_rows(without, 16, with_zero, 16, 4, 16));
}

TEST_P(GemmF32, GivesARowTheSameBitsAloneAndAmongAnyNumberOfRows) {
  const std::size_t k = 300, n = 32;
  F32Case x(420, k, n, 17);
  Guarded<float> alone(420 * n), together(420 * n);
  x.op.out_stride = n;
  for (std::size_t r = 0; r < 420; ++r) {
    auto one = x.op;
    one.a += r * one.a_stride;
    one.out = alone.data() + r * n;
    one.rows = 1;
    level().gemm_f32(one);
  }
  for (std::size_t rows : Sizes{2, 6, 7, 13, 192, 193, 385, 420}) {
    x.op.rows = rows;
    x.op.out = together.data();
    level().gemm_f32(x.op);
    EXPECT_TRUE(same_rows(together.data(), n, alone.data(), n, rows, n)) << rows;
  }
}

TEST_P(GemmF32, GivesTheSameBitsWhereverThePanelsAreSplit) {
  const std::size_t k = 70, n = 80, rows = 9;
  F32Case x(rows, k, n, 19);
  Guarded<float> whole(rows * n), parts(rows * n);
  x.op.out_stride = n;
  x.op.out = whole.data();
  level().gemm_f32(x.op);
  for (std::size_t cut = 1; cut < 5; ++cut) {
    for (std::size_t begin : {std::size_t{0}, cut}) {
      auto part = x.op;
      part.panels += begin * 16 * k;
      part.bias += begin * 16;
      part.out = parts.data() + begin * 16;
      part.n_panels = begin == 0 ? cut : 5 - cut;
      level().gemm_f32(part);
    }
    EXPECT_TRUE(same_rows(parts.data(), n, whole.data(), n, rows, n));
  }
}

TEST_P(GemmF32, StaysWithinTheErrorOfItsRoundingsOfDoublePrecision) {
  const std::size_t k = 700, n = 16, rows = 4;
  F32Case x(rows, k, n, 23);
  float out[rows * n];
  x.op.out = out;
  x.op.out_stride = n;
  level().gemm_f32(x.op);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < n; ++c) {
      double sum = 0, magnitude = 0;
      for (std::size_t i = 0; i < k; ++i) {
        const double product = double{x.a[r * x.op.a_stride + i]} * double{x.weight(c, i)};
        sum += product;
        magnitude += std::fabs(product);
      }
      EXPECT_NEAR(double{out[r * n + c]}, sum + double{x.bias[c]}, static_cast<double>(k + 1) * 0x1p-24 * magnitude);
    }
}

TEST_P(GemmF32, LetsNanAndInfinityThroughInTheirRowOnly) {
  for (Activation activation : kActivations) {
    F32Case x(8, 20, 16, 29);
    float out[8 * 16];
    x.op.out = out;
    x.op.out_stride = 16;
    x.op.activation = activation;
    x.a[3 * x.op.a_stride + 7] = kNan;
    level().gemm_f32(x.op);
    for (std::size_t i = 0; i < 8 * 16; ++i) EXPECT_EQ(std::isnan(out[i]), i / 16 == 3);
  }
}

/// Operands of one int8 product.
struct S8Case {
  S8Case(std::size_t rows, std::size_t k, std::size_t n, std::uint32_t seed, bool extreme)
      : layout(n, k),
        depth(layout.depth()),
        a(rows * depth),
        panels(layout.size()),
        a_scale(rows, 1),
        a_zero(rows),
        scale(kernels::padded(n)),
        bias(kernels::padded(n), 1),
        sum(kernels::padded(n)),
        scratch(rows) {
    Random random(seed);
    op.a_scale = a_scale.data();
    op.panels = panels.data();
    op.scale = scale.data();
    op.bias = bias.data();
    op.sum = sum.data();
    op.rows = rows;
    op.k = depth;
    op.n_panels = layout.panels();
    op.scratch = scratch.data();
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < depth; ++i)
        a[r * depth + i] = static_cast<std::int8_t>(i >= k ? 0 : value(random, extreme, 128));
      a_scale[r] = random.number();
      a_zero[r] = value(random, extreme, 127);
    }
    for (std::size_t c = 0; c < kernels::padded(n); ++c) {
      scale[c] = random.number();
      bias[c] = random.number();
      sum[c] = 0;
      for (std::size_t i = 0; i < depth; ++i)
        sum[c] += weight(c, i) = static_cast<std::int8_t>(i >= k ? 0 : value(random, extreme, 128));
    }
  }
  static int value(Random& random, bool extreme, int lowest) {
    if (!extreme) return static_cast<int>(random.between(0, static_cast<std::size_t>(lowest) + 127)) - lowest;
    const int choices[] = {-lowest, 127, -lowest, -127, 127, 0};
    return choices[random.below(6)];
  }
  std::int8_t& weight(std::size_t column, std::size_t i) { return panels[layout.at(column, i)]; }
  float plain(std::size_t row, std::size_t column) {
    std::int32_t total = 0;
    const int zero = op.a_zero ? op.a_zero[row] : 0;
    for (std::size_t i = 0; i < depth; ++i) total += (a[row * depth + i] - zero) * weight(column, i);
    const float factor = a_scale[row] * scale[column];
    return std::fma(static_cast<float>(total), factor, bias[column]);
  }

  /// Lets an operation, of rows from `first` on, read them in the layout of `level`.
  void lay_out(kernels::GemmS8& to, const kernels::Table& level, std::size_t first = 0) {
    if (to.a_unsigned) {  // in one layout
      to.a = a.data() + first * depth;
      to.a_stride = depth;
      return;
    }
    packed = std::make_unique<QuantisedRows>(level, a.data() + first * depth, depth, to.rows, depth);
    to.a = packed->data();
    to.a_stride = packed->stride();
  }
  void run(const kernels::Table& level) {
    lay_out(op, level);
    const kernels::TilesOfOperandsOnly only(op);
    level.gemm_s8(op);
  }

  kernels::PanelLayout<std::int8_t> layout;
  std::size_t depth;
  Guarded<std::int8_t> a;  // [rows, depth]
  Guarded<std::int8_t> panels;
  std::unique_ptr<QuantisedRows> packed;
  Guarded<float> a_scale;
  Guarded<std::int32_t> a_zero;  // which `op` has not, unless a test says so
  Guarded<float> scale, bias;
  Guarded<std::int32_t> sum;
  ProductScratch scratch;
  kernels::GemmS8 op;
};

class GemmS8 : public EveryLevel {};

TEST_P(GemmS8, IsExactForAllNumbersWithMinus128AndExtremeValues) {
  for (bool extreme : {false, true})
    for (std::size_t rows : Sizes{0, 1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 33, 50})
      for (std::size_t k : Sizes{1, 63, 64, 65, 300}) {
        const std::size_t n = 1 + (rows * 7 + k) % 70;
        S8Case x(rows, k, n, static_cast<std::uint32_t>(rows * 1000 + k), extreme);
        const std::size_t stride = kernels::padded(n) + 2;
        Guarded<float> out(rows * stride, 1);
        x.op.out = out.data();
        x.op.out_stride = stride;
        for (const std::int32_t* zero : std::initializer_list<const std::int32_t*>{nullptr, x.a_zero.data()}) {
          x.op.a_zero = zero;
          x.run(level());
          for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < kernels::padded(n); ++c)
              ASSERT_TRUE(same(out[r * stride + c], x.plain(r, c))) << rows << ' ' << k << ' ' << r << ' ' << c;
            ASSERT_TRUE(untouched(out[r * stride + stride - 1]));
          }
          ASSERT_TRUE(out.guards_intact());
        }
      }
}

// Levels that multiply words widen such rows, as many at a time as they have room for: none of 4096 numbers, and the
// last few of the others may be fewer than a tile has.
TEST_P(GemmS8, IsExactForBytesWithoutSignInAnyNumberOfRows) {
  for (std::size_t rows : Sizes{1, 3, 5, 17, 48, 90})
    for (std::size_t k : Sizes{16, 80, 336, 1024, 4096}) {
      const std::size_t n = 1 + (rows * 5 + k) % 40;
      S8Case x(rows, k, n, static_cast<std::uint32_t>(rows * 1000 + k), rows % 2 == 0);
      const std::size_t width = kernels::padded(n);
      Guarded<float> out(rows * width, 1);
      x.op.out = out.data();
      x.op.out_stride = width;
      x.op.a_unsigned = true;
      x.op.a_zero = x.a_zero.data();
      x.run(level());
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < width; ++c) {
          std::int32_t total = 0;
          for (std::size_t i = 0; i < k; ++i)
            total += (static_cast<std::uint8_t>(x.a[r * x.depth + i]) - x.a_zero[r]) * x.weight(c, i);
          ASSERT_TRUE(
              same(out[r * width + c], std::fma(static_cast<float>(total), x.a_scale[r] * x.scale[c], x.bias[c])))
              << rows << ' ' << k << ' ' << r << ' ' << c;
        }
      ASSERT_TRUE(out.guards_intact());
    }
}

TEST_P(GemmS8, IsExactForEveryPairOfNumbers) {
  for (const bool is_unsigned : {false, true}) {
    const int least = is_unsigned ? 0 : -128, most = is_unsigned ? 255 : 127;
    const std::size_t rows = static_cast<std::size_t>(most - least) + 1;
    S8Case x(rows, 64, 256, 1, false);  // row r holds r + least four times, output c its weight c - 128 four times
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < 64; ++i)
        x.a[r * 64 + i] = static_cast<std::int8_t>(i < 4 ? static_cast<int>(r) + least : 0);
    for (std::size_t c = 0; c < 256; ++c)
      for (std::size_t i = 0; i < 4; ++i) x.weight(c, i) = static_cast<std::int8_t>(static_cast<int>(c) - 128);
    Guarded<float> out(rows * 256);
    x.op.out = out.data();
    x.op.out_stride = 256;
    x.op.bias = nullptr;
    x.op.a_unsigned = is_unsigned;
    for (std::size_t r = 0; r < rows; ++r) x.a_scale[r] = 1.0f;
    for (std::size_t c = 0; c < 256; ++c) x.scale[c] = 1.0f;
    x.run(level());
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < 256; ++c)
        ASSERT_EQ(out[r * 256 + c], static_cast<float>(4 * (static_cast<int>(r) + least) * (static_cast<int>(c) - 128)))
            << "unsigned " << is_unsigned;
  }
}

TEST_P(GemmS8, IsExactAtTheDepthOfItsBound) {
  const std::size_t k = kernels::kMostInputsS8;
  S8Case x(2, k, 16, 1, false);
  std::memset(x.a.data(), 127, x.a.size());
  std::memset(x.panels.data(), 0x80, x.panels.size());
  float out[32];
  x.op.out = out;
  x.op.out_stride = 16;
  x.run(level());
  for (std::size_t i = 0; i < 32; ++i) EXPECT_TRUE(same(out[i], x.plain(i / 16, i % 16)));
  std::memset(x.a.data(), 0xff, x.a.size());
  x.op.a_unsigned = true;
  x.op.k = kernels::kMostKeysS8;
  x.run(level());
  const float total = static_cast<float>(-255 * 128 * static_cast<std::int32_t>(kernels::kMostKeysS8));
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_TRUE(same(out[i], std::fma(total, x.a_scale[i / 16] * x.scale[i % 16], x.bias[i % 16])));
}

// There a sum of nothing but -128 -128 would be 2^31; one k less is all that int32 holds.
TEST_P(GemmS8, IsExactForMinus128AtTheDepthOfItsBound) {
  const std::size_t k = kernels::kMostInputsS8;
  S8Case x(2, k, 16, 1, false);
  std::memset(x.a.data(), 0x80, x.a.size());
  std::memset(x.panels.data(), 0x80, x.panels.size());
  x.a[k - 1] = x.a[k] = 127;
  float out[32];
  x.op.out = out;
  x.op.out_stride = 16;
  x.run(level());
  for (std::size_t i = 0; i < 32; ++i) EXPECT_TRUE(same(out[i], x.plain(i / 16, i % 16)));
}

TEST_P(GemmS8, IsExactWithZeroPointsAtTheDepthOfTheirBound) {
  const std::size_t k = kernels::kMostShiftedInputsS8;
  S8Case x(2, k, 16, 1, false);
  for (std::size_t r = 0; r < 2; ++r) {
    std::memset(x.a.data() + r * k, r == 0 ? 127 : -127, k);
    x.a_zero[r] = r == 0 ? -127 : 127;
  }
  std::memset(x.panels.data(), 0x80, x.panels.size());
  for (std::size_t c = 0; c < 16; ++c) x.sum[c] = -128 * static_cast<std::int32_t>(k);
  float out[32];
  x.op.out = out;
  x.op.out_stride = 16;
  x.op.a_zero = x.a_zero.data();
  x.run(level());
  for (std::size_t i = 0; i < 32; ++i) EXPECT_TRUE(same(out[i], x.plain(i / 16, i % 16)));
}

TEST_P(GemmS8, GivesTheSameBitsAsScalarWithEveryActivationAndResidual) {
  const std::size_t rows = 200;
  S8Case x(rows, 100, 40, 5, false);
  Random random(3);
  for (std::size_t r = 0; r < rows; ++r) x.a_scale[r] = random.number(0x1p-12f);
  for (const std::int32_t* zero : std::initializer_list<const std::int32_t*>{nullptr, x.a_zero.data()}) {
    x.op.a_zero = zero;
    for (Activation activation : kActivations)
      expect_bits_of_scalar_in_place(x.op, &kernels::Table::gemm_s8, level(), activation,
                                     [&](kernels::GemmS8& op, const kernels::Table& table) { x.lay_out(op, table); });
  }
}

TEST_P(GemmS8, GivesARowTheSameBitsAloneAndWhereverPanelsAreSplit) {
  S8Case x(30, 70, 48, 9, false);
  x.op.a_zero = x.a_zero.data();
  x.lay_out(x.op, level());
  const std::unique_ptr<QuantisedRows> whole = std::move(x.packed);
  expect_same_bits_in_parts(x.op, &kernels::Table::gemm_s8, level(),
                            [&](auto& part, std::size_t r, std::size_t column) {
                              x.lay_out(part, level(), r);
                              part.a_scale += r;
                              part.a_zero += r;
                              part.scale += column;
                              part.sum += column;
                            });
}

TEST_P(GemmS8, ReadsWhatItsLevelPacks) {
  Random random(31);
  for (std::size_t rows : Sizes{1, 3, 16, 17, 40})
    for (std::size_t size : Sizes{1, 16, 47, 63, 64, 65, 200})
      for (const bool calibrated : {false, true}) {
        const std::size_t depth = kernels::round_up(size, 64);
        Guarded<float> x(rows * size, 1), smoothing(size), scale(rows), packed_scale(rows);
        Guarded<std::int8_t> q(rows * depth);
        Guarded<std::int32_t> zero(rows), packed_zero(rows);
        x.fill(random, 4.0f);
        for (std::size_t i = 0; i < size; ++i) smoothing[i] = 1.5f + random.number();
        kernels::QuantiseRows op = {.x = x.data(),
                                    .stride = size,
                                    .rows = rows,
                                    .size = size,
                                    .q = q.data(),
                                    .q_stride = depth,
                                    .scale = scale.data(),
                                    .smoothing = calibrated ? smoothing.data() : nullptr,
                                    .zero = calibrated ? zero.data() : nullptr};
        level().quantise_rows(op);
        QuantisedRows expected(level(), q.data(), depth, rows, depth);
        Guarded<std::int8_t> packed(expected.size(), 2);
        op.q = packed.data();
        op.q_stride = expected.stride();
        op.scale = packed_scale.data();
        if (calibrated) op.zero = packed_zero.data();
        level().pack_quantised(op);
        EXPECT_EQ(std::memcmp(packed.data(), expected.data(), packed.size()), 0) << rows << ' ' << size;
        EXPECT_EQ(std::memcmp(scale.data(), packed_scale.data(), rows * sizeof(float)), 0);
        EXPECT_EQ(std::memcmp(zero.data(), packed_zero.data(), rows * sizeof(std::int32_t)), 0);
        EXPECT_TRUE(packed.guards_intact() && packed_scale.guards_intact() && packed_zero.guards_intact());
      }
}

TEST_P(GemmS8, IsExactForRowsOfManyBlocks) {
  for (std::size_t rows : Sizes{193, 385, 420})
    for (std::size_t k : Sizes{64, 768, 4096}) {
      S8Case x(rows, k, 33, 7, false);
      Guarded<float> out(rows * 48);
      x.op.out = out.data();
      x.op.out_stride = 48;
      x.run(level());
      for (std::size_t r = 0; r < rows; r += 7)
        for (std::size_t c = 0; c < 48; c += 5) ASSERT_TRUE(same(out[r * 48 + c], x.plain(r, c))) << rows << ' ' << k;
      EXPECT_TRUE(out.guards_intact());
    }
}

TEST_P(GemmS8, GivesNanForARowWhoseScaleIsNan) {
  S8Case x(4, 64, 16, 9, false);
  x.a_scale[2] = kNan;
  float out[64];
  x.op.out = out;
  x.op.out_stride = 16;
  x.run(level());
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(std::isnan(out[i]), i / 16 == 2);
}

BERTHA_EVERY_LEVEL(GemmF32);
INSTANTIATE_TEST_SUITE_P(Level, GemmS8, ::testing::ValuesIn(kernels::available_or_emulated()), level_name);

}  // namespace
}  // namespace bertha::testing
