// One number for each operation, from all bits of its results: every level, compiler, set of flags and machine has to
// arrive at it. A number changes only together with the arithmetic contract, and then the results of every int8 file
// do.

#include <bertha/kernels/known_answers.hpp>
#include <cmath>
#include <string>

#include "support.hpp"

namespace bertha::testing {
namespace {

/// FNV-1a over the bytes of rows; no NaN may be among them.
class Fingerprint {
 public:
  template <class Element>
  void add(const Element* rows, std::size_t count, std::size_t stride, std::size_t columns) {
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        if (rows[r * stride + c] != rows[r * stride + c]) ADD_FAILURE() << "NaN in row " << r << ", column " << c;
        unsigned char bytes[sizeof(Element)];
        std::memcpy(bytes, rows + r * stride + c, sizeof bytes);
        for (unsigned char byte : bytes) value_ = (value_ ^ byte) * 1099511628211u;
      }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

class KnownAnswers : public EveryLevel {};

TEST_P(KnownAnswers, OfGemmF32) {
  const std::size_t rows = 29, k = 301, n = 48;
  Random random(1);
  Guarded<float> a(rows * k, 1), panels(k * n), bias(n), residual(rows * n), out(rows * n);
  a.fill(random, 0.5f);
  panels.fill(random, 0.5f);
  bias.fill(random);
  residual.fill(random);
  ProductScratch scratch(rows);
  Fingerprint fingerprint;
  for (Activation activation : kActivations) {
    level().gemm_f32({.a = a.data(),
                      .a_stride = k,
                      .panels = panels.data(),
                      .bias = bias.data(),
                      .residual = residual.data(),
                      .residual_stride = n,
                      .out = out.data(),
                      .out_stride = n,
                      .rows = rows,
                      .k = k,
                      .n_panels = n / 16,
                      .activation = activation,
                      .scratch = scratch.data()});
    fingerprint.add(out.data(), rows, n, n);
  }
  EXPECT_EQ(fingerprint.value(), 8184914293387000089u);
}

TEST_P(KnownAnswers, OfQuantiseAndGemmS8) {
  const std::size_t rows = 29, size = 301, k = 320, n = 48;
  Random random(2);
  Guarded<float> x(rows * size, 1), x_scale(rows), scale(n), bias(n), residual(rows * n), out(rows * n);
  Guarded<std::int8_t> q(rows * k), panels(k * n);
  Guarded<std::int32_t> sum(n);
  x.fill(random, 4.0f);
  panels.fill(random, 128.0f);
  scale.fill(random, 0x1p-8f);
  bias.fill(random);
  residual.fill(random);
  for (std::size_t c = 0; c < n; ++c) {
    sum[c] = 0;
    for (std::size_t i = 0; i < k; ++i) sum[c] += panels[kernels::PanelLayout<std::int8_t>(n, k).at(c, i)];
  }
  ProductScratch scratch(rows);
  level().quantise_rows({x.data(), size, rows, size, q.data(), k, x_scale.data()});
  QuantisedRows packed(level(), q.data(), k, rows, k);
  Fingerprint fingerprint;
  fingerprint.add(q.data(), rows, k, k);
  fingerprint.add(x_scale.data(), 1, rows, rows);
  for (Activation activation : kActivations) {
    level().gemm_s8({.a = packed.data(),
                     .a_stride = packed.stride(),
                     .a_scale = x_scale.data(),
                     .panels = panels.data(),
                     .scale = scale.data(),
                     .sum = sum.data(),
                     .bias = bias.data(),
                     .residual = residual.data(),
                     .residual_stride = n,
                     .out = out.data(),
                     .out_stride = n,
                     .rows = rows,
                     .k = k,
                     .n_panels = n / 16,
                     .activation = activation,
                     .scratch = scratch.data()});
    fingerprint.add(out.data(), rows, n, n);
  }
  EXPECT_EQ(fingerprint.value(), 3085170164899773654u);
}

TEST_P(KnownAnswers, OfRoundingAndGemmBf16) {
  const std::size_t rows = 29, size = 301, k = 320, n = 48;
  Random random(6);
  Guarded<float> x(rows * size, 1), weights(size * n), bias(n), residual(rows * n), out(rows * n);
  Guarded<bf16> a(rows * k), panels(k * n);
  x.fill(random, 4.0f);
  weights.fill(random, 0.5f);
  bias.fill(random);
  residual.fill(random);
  ProductScratch scratch(rows);
  level().round_rows({x.data(), size, rows, size, a.data(), k});
  level().round_panels({weights.data(), n / 16, size, panels.data()});
  Fingerprint fingerprint;
  fingerprint.add(a.data(), rows, k, k);
  fingerprint.add(panels.data(), 1, k * n, k * n);
  if (has_own_order(level())) return;
  for (Activation activation : kActivations) {
    level().gemm_bf16({.a = a.data(),
                       .a_stride = k,
                       .panels = panels.data(),
                       .bias = bias.data(),
                       .residual = residual.data(),
                       .residual_stride = n,
                       .out = out.data(),
                       .out_stride = n,
                       .rows = rows,
                       .k = k,
                       .n_panels = n / 16,
                       .activation = activation,
                       .scratch = scratch.data()});
    fingerprint.add(out.data(), rows, n, n);
  }
  EXPECT_EQ(fingerprint.value(), 8354626562381437809u);
}

TEST_P(KnownAnswers, OfAttention) {
  const std::size_t length = 83, size = 36, width = 48;
  Random random(3);
  Guarded<float> projected(length * 3 * width), context(length * size);
  Guarded<std::uint8_t> scratch(kernels::attention_scratch(length, size));
  projected.fill(random, 4.0f);
  const kernels::Attention op = {projected.data(),
                                 projected.data() + width,
                                 projected.data() + 2 * width,
                                 3 * width,
                                 length,
                                 size,
                                 0.16f,
                                 context.data(),
                                 size,
                                 reinterpret_cast<std::byte*>(scratch.data())};
  Fingerprint f32, s8;
  level().attention_f32(op);
  f32.add(context.data(), length, size, size);
  EXPECT_EQ(f32.value(), 2688252372049388822u);
  level().attention_s8(op);
  s8.add(context.data(), length, size, size);
  EXPECT_EQ(s8.value(), 17563038781447950862u);
  if (has_own_order(level())) return;
  Fingerprint rounded;
  level().attention_bf16(op);
  rounded.add(context.data(), length, size, size);
  EXPECT_EQ(rounded.value(), 6598865296962334172u);
}

TEST_P(KnownAnswers, OfAttentionWithRelativeKeysAndQueries) {
  const std::size_t length = 83, size = 36, width = 48, rows = 61;
  Random random(7);
  Guarded<float> projected(length * 3 * width), key(rows * width), query(rows * width), context(length * size);
  for (auto* numbers : {&projected, &key, &query}) numbers->fill(random, 2.0f);
  std::vector<std::uint32_t> row_of;  // near distances have rows of their own
  for (std::size_t i = 0; i < length - 1 + kernels::round_up(length, 32); ++i)
    row_of.push_back(static_cast<std::uint32_t>(i < 60    ? i / 4
                                                : i < 100 ? i - 45
                                                          : std::min<std::size_t>(55 + (i - 100) / 8, 60)));
  Guarded<std::uint8_t> scratch(kernels::attention_scratch(length, size, rows));
  kernels::Attention op;
  op.query = projected.data(), op.key = projected.data() + width, op.value = projected.data() + 2 * width;
  op.stride = 3 * width, op.length = length, op.head_size = size, op.scale = 0.11f;
  op.context = context.data(), op.context_stride = size;
  op.scratch = reinterpret_cast<std::byte*>(scratch.data());
  op.relative_row = row_of.data() + length - 1;
  op.relative_key = key.data(), op.relative_query = query.data(), op.relative_stride = width;
  Fingerprint f32, s8;
  level().attention_f32(op);
  f32.add(context.data(), length, size, size);
  EXPECT_EQ(f32.value(), 16048900072444942163u);
  for (const bool fine : {false, true}) {
    op.fine = fine;
    level().attention_s8(op);
    s8.add(context.data(), length, size, size);
  }
  EXPECT_EQ(s8.value(), 13542192567529175087u);
  if (has_own_order(level())) return;
  Fingerprint rounded;
  level().attention_bf16(op);
  rounded.add(context.data(), length, size, size);
  EXPECT_EQ(rounded.value(), 16588114403297093998u);
}

TEST_P(KnownAnswers, OfEmbeddingsAndLayerNorm) {
  const std::size_t rows = 6, size = 77, stride = 80, wide = 128;
  Random random(4);
  Guarded<float> tables(3 * 8 * stride), scales(3 * 8), out(rows * stride), gamma(stride), beta(stride);
  Guarded<std::int8_t> quantised(3 * 8 * wide);
  tables.fill(random);
  quantised.fill(random, 128.0f);
  scales.fill(random, 0x1p-6f);
  gamma.fill(random, 2.0f);
  beta.fill(random);
  const std::uint32_t ids[] = {7, 1, 1, 4, 0, 6}, types[] = {0, 0, 1, 1, 1, 0}, positions[] = {0, 1, 2, 3, 4, 5};
  Fingerprint fingerprint;
  const kernels::LayerNormRows norm = {out.data(),  stride, rows,       size,  gamma.data(),
                                       beta.data(), 1e-12f, out.data(), stride};
  level().embed_f32({tables.data(), tables.data() + 8 * stride, tables.data() + 16 * stride, stride, ids, types,
                     positions, out.data(), stride, rows, size});
  fingerprint.add(out.data(), rows, stride, stride);
  level().layer_norm(norm);
  fingerprint.add(out.data(), rows, stride, stride);
  level().embed_s8({quantised.data(), quantised.data() + 8 * wide, quantised.data() + 16 * wide, scales.data(),
                    scales.data() + 8, scales.data() + 16, wide, ids, types, positions, out.data(), stride, rows,
                    size});
  fingerprint.add(out.data(), rows, stride, stride);
  level().layer_norm(norm);
  fingerprint.add(out.data(), rows, stride, stride);
  EXPECT_EQ(fingerprint.value(), 18269539599565788608u);
}

TEST_P(KnownAnswers, OfSoftmaxAndSigmoid) {
  Random random(5);
  Guarded<float> x(411), y(411);
  x.fill(random, 64.0f);
  std::memcpy(y.data(), x.data(), x.size() * sizeof(float));
  level().softmax(x.data(), x.size());
  level().sigmoid(y.data(), y.size());
  Fingerprint fingerprint;
  fingerprint.add(x.data(), 1, x.size(), x.size());
  fingerprint.add(y.data(), 1, y.size(), y.size());
  EXPECT_EQ(fingerprint.value(), 13115536337298276731u);
}

TEST_P(KnownAnswers, ThatModelsAskForAtLoadAreTheLevelsOwn) {
  EXPECT_NO_THROW(kernels::require_known_answers(level()));
}

TEST_P(KnownAnswers, AreMissedByALevelThatComputesSomethingElse) {
  const auto message = [](const kernels::Table& table) -> std::string {
    try {
      kernels::require_known_answers(table);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::self_test);
      return error.what();
    }
    return "";
  };
  kernels::Table wrong = level();
  wrong.softmax = level().sigmoid;
  EXPECT_NE(message(wrong).find("softmax"), std::string::npos);
  wrong = level();
  wrong.attention_s8 = level().attention_f32;
  EXPECT_NE(message(wrong).find("attention_s8"), std::string::npos);
  wrong = level();
  wrong.gemm_f32.run = [](const kernels::GemmF32&) {};
  EXPECT_NE(message(wrong).find("gemm_f32 of the level"), std::string::npos);
}

BERTHA_EVERY_LEVEL(KnownAnswers);

}  // namespace
}  // namespace bertha::testing
