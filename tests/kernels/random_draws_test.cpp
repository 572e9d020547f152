// Every operation of every level against the scalar one, on shapes, strides, places in memory and options drawn at
// random, and on numbers of every kind: subnormal, infinite, NaN, -0, huge, and all of int8. A failure names its draw.
// BERTHA_FULL draws 40,000 times, more than a million in all.

#include <cmath>
#include <cstdlib>
#include <utility>

#include "emulated_levels.hpp"
#include "support.hpp"

namespace bertha::testing {
namespace {

using kernels::Table;

/// A number of a kind that `odd` says how often: of 256, so many are none of the plain ones.
float drawn_number(Random& random, std::size_t odd) {
  constexpr float kOdd[] = {0.0f,       -0.0f,     kInfinity, -kInfinity, kNan,     0x1p-149f, -0x1p-130f, 0x1p-126f,
                            0x1.8p127f, -0x1p127f, 0x1p-60f,  1.0f,       -0x1p60f, 127.5f,    88.8f,      -103.9f};
  if (random.below(256) < odd) return kOdd[random.below(std::size(kOdd))];
  return random.number(std::ldexp(1.0f, static_cast<int>(random.below(12)) - 6));
}

class RandomDraws : public ::testing::TestWithParam<const Table*> {
 protected:
  void SetUp() override {
    if (!kernels::may_run(level())) GTEST_SKIP() << "the system refuses its registers";
  }
  const Table& level() const { return *GetParam(); }

  /// draw(random, odd) for each draw; `odd` is 0, few or many of 256 numbers.
  template <class Draw>
  void each(const Draw& draw) {
    const std::uint32_t draws = std::getenv("BERTHA_FULL") ? 40'000 : 120;
    for (std::uint32_t n = 0; n < draws && !HasFatalFailure(); ++n) {
      Random random(n);
      constexpr std::size_t kOdd[] = {0, 0, 2, 40};
      SCOPED_TRACE(n);
      draw(random, kOdd[random.below(4)]);
    }
  }

  static void fill(Guarded<float>& numbers, Random& random, std::size_t odd) {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = drawn_number(random, odd);
  }
  static void fill(Guarded<std::int8_t>& numbers, Random& random) {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int8_t>(random.below(256));
  }
};

/// Mostly small sizes, now and then one of a few hundred.
std::size_t drawn_size(Random& random, std::size_t most) {
  return 1 + random.below(random.below(4) == 0 ? most : std::min<std::size_t>(most, 40));
}

/// What becomes of a product's sums, of what may become of them.
template <class Op>
void draw_epilogue(Op& op, Random& random, const float* bias, const float* residual, std::size_t stride) {
  op.bias = random.below(4) ? bias : nullptr;
  op.residual = random.below(2) ? residual : nullptr;
  op.gated = op.residual != nullptr && random.below(2);
  op.activation = kActivations[random.below(std::size(kActivations))];
  op.residual_stride = op.out_stride = stride;
}

TEST_P(RandomDraws, OfProductsOfFloats) {
  each([&](Random& random, std::size_t odd) {
    const std::size_t rows = drawn_size(random, 70), k = drawn_size(random, 300), panels = 1 + random.below(5);
    const std::size_t n = panels * 16, stride = k + random.below(9), out_stride = n + random.below(5);
    Guarded<float> a(rows * stride, random.below(16)), w(n * k), bias(n, random.below(16)), residual(rows * out_stride),
        expected(rows * out_stride), found(rows * out_stride, random.below(16));
    for (auto* numbers : {&a, &w, &bias, &residual}) fill(*numbers, random, odd);
    ProductScratch scratch(rows);
    kernels::GemmF32 op;
    op.a = a.data(), op.a_stride = stride, op.panels = w.data(), op.rows = rows, op.k = k, op.n_panels = panels;
    draw_epilogue(op, random, bias.data(), residual.data(), out_stride);
    op.scratch = scratch.data();
    op.out = expected.data();
    scalar().gemm_f32(op);
    op.out = found.data();
    level().gemm_f32(op);
    ASSERT_TRUE(same_rows(found.data(), out_stride, expected.data(), out_stride, rows, n));
    ASSERT_TRUE(found.guards_intact());
  });
}

TEST_P(RandomDraws, OfProductsOfBytes) {
  each([&](Random& random, std::size_t odd) {
    const std::size_t rows = drawn_size(random, 70), k = 64 * (1 + random.below(5)), panels = 1 + random.below(5);
    const std::size_t n = panels * 16, out_stride = n + random.below(5);
    Guarded<std::int8_t> a(rows * k), w(n * k);
    fill(a, random);
    fill(w, random);
    QuantisedRows of_scalar(scalar(), a.data(), k, rows, k), of_level(level(), a.data(), k, rows, k);
    Guarded<float> a_scale(rows), scale(n, random.below(16)), bias(n), residual(rows * out_stride),
        expected(rows * out_stride), found(rows * out_stride, random.below(16));
    for (auto* numbers : {&a_scale, &scale, &bias, &residual}) fill(*numbers, random, odd);
    Guarded<std::int32_t> sum(n), zero(rows);
    for (std::size_t i = 0; i < n; ++i) {
      sum[i] = 0;
      for (std::size_t input = 0; input < k; ++input) sum[i] += w[kernels::PanelLayout<std::int8_t>(n, k).at(i, input)];
    }
    for (std::size_t i = 0; i < rows; ++i) zero[i] = static_cast<std::int32_t>(random.below(255)) - 127;
    ProductScratch scratch(rows);
    kernels::GemmS8 op;
    op.panels = w.data(), op.rows = rows, op.k = k, op.n_panels = panels;
    op.a_scale = a_scale.data(), op.scale = scale.data(), op.sum = sum.data();
    op.a_zero = random.below(2) ? zero.data() : nullptr;
    draw_epilogue(op, random, bias.data(), residual.data(), out_stride);
    op.scratch = scratch.data();
    op.a = of_scalar.data(), op.a_stride = of_scalar.stride(), op.out = expected.data();
    scalar().gemm_s8(op);
    op.a = of_level.data(), op.a_stride = of_level.stride(), op.out = found.data();
    level().gemm_s8(op);
    ASSERT_TRUE(same_rows(found.data(), out_stride, expected.data(), out_stride, rows, n));
    ASSERT_TRUE(found.guards_intact());
  });
}

TEST_P(RandomDraws, OfAttention) {
  each([&](Random& random, std::size_t odd) {
    const std::size_t length = drawn_size(random, 130), size = 1 + random.below(70);
    const std::size_t stride = 3 * kernels::padded(size) + 16 * random.below(2), out_stride = size + random.below(9);
    Guarded<float> rows(length * stride, 16 * random.below(2)), bias(2 * length - 1), expected(length * out_stride),
        found(length * out_stride, random.below(16));
    fill(rows, random, odd);
    fill(bias, random, odd);
    std::vector<std::uint32_t> row_of;  // of distances, each the one before or the next
    for (std::size_t i = 0, step = 1 + random.below(9); i < length - 1 + kernels::round_up(length, 32); ++i)
      row_of.push_back(i == 0 ? 0 : row_of.back() + (random.below(step) == 0));
    const std::size_t relative_rows = row_of.back() + std::size_t{1}, relative_stride = kernels::padded(size);
    Guarded<float> relative_key(relative_rows * relative_stride), relative_query(relative_rows * relative_stride);
    fill(relative_key, random, odd);
    fill(relative_query, random, odd);
    Guarded<std::byte> scratch(kernels::attention_scratch(length, size, relative_rows));
    kernels::Attention op;
    op.query = rows.data(), op.key = rows.data() + kernels::padded(size), op.value = op.key + kernels::padded(size);
    op.stride = stride, op.length = length, op.head_size = size, op.scale = kernels::attention_scale(size);
    const std::size_t scheme = random.below(6);  // biases, relative keys, queries, both, or none of them
    op.bias = scheme < 2 ? bias.data() + length - 1 : nullptr;
    if (scheme >= 2 && scheme < 5) op.relative_row = row_of.data() + length - 1;
    if (scheme == 2 || scheme == 4) op.relative_key = relative_key.data();
    if (scheme == 3 || scheme == 4) op.relative_query = relative_query.data();
    op.relative_stride = relative_stride;
    op.window = random.below(3) ? 0 : 1 + random.below(length);
    op.fine = random.below(2) != 0;
    op.context_stride = out_stride;
    op.scratch = scratch.data();
    for (const auto attention : {&Table::attention_f32, &Table::attention_s8}) {
      op.context = expected.data();
      (scalar().*attention)(op);
      op.context = found.data();
      (level().*attention)(op);
      ASSERT_TRUE(same_rows(found.data(), out_stride, expected.data(), out_stride, length, size))
          << (attention == &Table::attention_f32 ? "float32" : "int8");
      ASSERT_TRUE(found.guards_intact() && scratch.guards_intact());
    }
  });
}

TEST_P(RandomDraws, OfRows) {
  each([&](Random& random, std::size_t odd) {
    const std::size_t rows = random.below(5), size = drawn_size(random, 300), wide = kernels::round_up(size, 64);
    const std::size_t stride = kernels::padded(size) + random.below(5), offset = random.below(16);
    Guarded<float> x(rows * stride, offset), gamma(kernels::padded(size), random.below(16)),
        beta(kernels::padded(size)), smoothing(size, random.below(16)), expected(rows * stride),
        found(rows * stride, random.below(16));
    for (auto* numbers : {&x, &gamma, &beta, &smoothing}) fill(*numbers, random, odd);
    kernels::LayerNormRows norm{x.data(), stride,          rows,  size, gamma.data(), beta.data(),
                                1e-12f,   expected.data(), stride};
    norm.centred = random.below(2) != 0;
    if (random.below(2) != 0) {
      norm.beta = x.data();
      norm.beta_stride = stride;
    }
    scalar().layer_norm(norm);
    norm.y = found.data();
    level().layer_norm(norm);
    ASSERT_TRUE(same_rows(found.data(), stride, expected.data(), stride, rows, kernels::padded(size))) << "layer_norm";

    Guarded<std::int8_t> q(rows * wide, random.below(64)), of_level(rows * wide, random.below(64));
    Guarded<float> scale(rows), level_scale(rows);
    Guarded<std::int32_t> zero(rows), level_zero(rows);
    kernels::QuantiseRows quantise{x.data(), stride, rows, size, q.data(), wide, scale.data()};
    quantise.smoothing = random.below(2) ? smoothing.data() : nullptr;
    const bool with_zero = random.below(2) != 0;
    quantise.zero = with_zero ? zero.data() : nullptr;
    scalar().quantise_rows(quantise);
    quantise.q = of_level.data(), quantise.scale = level_scale.data();
    quantise.zero = with_zero ? level_zero.data() : nullptr;
    level().quantise_rows(quantise);
    ASSERT_TRUE(same_rows(of_level.data(), wide, q.data(), wide, rows, wide)) << "quantise_rows";
    ASSERT_TRUE(same_rows(level_scale.data(), 1, scale.data(), 1, rows, 1)) << "scales";
    for (std::size_t r = 0; with_zero && r < rows; ++r) ASSERT_EQ(level_zero[r], zero[r]);

    Guarded<bf16> y(rows * wide), level_y(rows * wide, random.below(32));
    kernels::RoundRows round{x.data(), stride, rows, size, y.data(), wide};
    scalar().round_rows(round);
    round.y = level_y.data();
    level().round_rows(round);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < kernels::round_up(size, 32); ++i)
        ASSERT_TRUE(same(widened(level_y[r * wide + i]), widened(y[r * wide + i]))) << "round_rows";

    for (const auto function : {&Table::softmax, &Table::sigmoid}) {
      std::memcpy(expected.data(), x.data(), rows * stride * sizeof(float));
      std::memcpy(found.data(), x.data(), rows * stride * sizeof(float));
      for (std::size_t r = 0; r < rows; ++r) {
        (scalar().*function)(expected.data() + r * stride, size);
        (level().*function)(found.data() + r * stride, size);
      }
      ASSERT_TRUE(same_rows(found.data(), stride, expected.data(), stride, rows, stride)) << "softmax or sigmoid";
    }

    if (size % 2 == 0) {
      Guarded<float> cos(rows * size), sin(rows * size);
      fill(cos, random, odd);
      fill(sin, random, odd);
      std::memcpy(expected.data(), x.data(), rows * stride * sizeof(float));
      kernels::RotateRows rotate{expected.data(), stride, rows, size, cos.data(), sin.data(), size};
      scalar().rotate_rows(rotate);
      rotate.x = x.data();
      level().rotate_rows(rotate);
      ASSERT_TRUE(same_rows(x.data(), stride, expected.data(), stride, rows, stride)) << "rotate_rows";
    }
    ASSERT_TRUE(x.guards_intact() && found.guards_intact() && of_level.guards_intact() && level_y.guards_intact());
  });
}

INSTANTIATE_TEST_SUITE_P(Level, RandomDraws, ::testing::ValuesIn(kernels::available_or_emulated()), level_name);

}  // namespace
}  // namespace bertha::testing
