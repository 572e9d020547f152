// How much stack a kernel takes. Sums, panels and rows lie in the caller's scratch.

#include "../support/painted_stack.hpp"
#include "../support/sanitizer.hpp"
#include "support.hpp"

namespace bertha::testing {
namespace {

constexpr std::size_t kMostBytes = 8192;  // of stack, by any kernel

template <class Call>
void expect_little_stack(const Call& call, std::string_view operation) {
  EXPECT_LE(bertha_test::stack_of(call), kMostBytes) << operation;
}

class Stack : public EveryLevel {
 protected:
  void SetUp() override {
    EveryLevel::SetUp();
#if defined(BERTHA_UNDER_SANITIZER)
    GTEST_SKIP() << "the sanitizer takes stack of its own";
#endif
  }
};

TEST_P(Stack, IsSeen) {
  EXPECT_GT(bertha_test::stack_touched([] {
              volatile unsigned char large[65'536];
              for (auto& byte : large) byte = 1;
            }),
            std::size_t{65'536});
}

TEST_P(Stack, OfProductsIsSmall) {
  const std::size_t rows = 400, k = 320, n = 64;
  Guarded<float> a(rows * k), panels(n * k), bias(n), scale(n), out(rows * n);
  Guarded<std::int8_t> q(rows * k), q_panels(n * k);
  Guarded<std::int32_t> sum(n);
  Guarded<bf16> rounded(rows * 2 * k), rounded_panels(n * 2 * k);
  ProductScratch scratch(rows);
  Random random(1);
  a.fill(random);
  panels.fill(random);
  for (const Activation activation : kActivations) {
    const auto product = [&](auto operation, const auto* left, const auto* right, std::size_t depth) {
      operation.a = left;
      operation.a_stride = operation.k = depth;
      operation.panels = right;
      operation.bias = bias.data();
      operation.out = out.data();
      operation.out_stride = n;
      operation.rows = rows;
      operation.n_panels = n / 16;
      operation.activation = activation;
      operation.scratch = scratch.data();
      return operation;
    };
    const auto f32 = product(kernels::GemmF32{}, a.data(), panels.data(), k);
    expect_little_stack([&] { level().gemm_f32(f32); }, "gemm_f32");
    auto s8 = product(kernels::GemmS8{}, q.data(), q_panels.data(), k);
    s8.a_scale = a.data();
    s8.scale = scale.data();
    s8.sum = sum.data();
    expect_little_stack([&] { level().gemm_s8(s8); }, "gemm_s8");
    const auto halves = product(kernels::GemmBf16{}, rounded.data(), rounded_panels.data(), k);
    expect_little_stack([&] { level().gemm_bf16(halves); }, "gemm_bf16");
    if (!level().gemm_split) continue;
    const auto split = product(kernels::GemmSplit{}, rounded.data(), rounded_panels.data(), 2 * k);
    expect_little_stack([&] { level().gemm_split(split); }, "gemm_split");
  }
}

TEST_P(Stack, OfAttentionIsSmall) {
  const std::size_t length = 300, size = 64;
  Guarded<float> x(length * 3 * size), context(length * size);
  Guarded<std::byte> scratch(kernels::attention_scratch(length, size));
  Random random(2);
  x.fill(random);
  kernels::Attention attention = {.query = x.data(),
                                  .key = x.data() + size,
                                  .value = x.data() + 2 * size,
                                  .stride = 3 * size,
                                  .length = length,
                                  .head_size = size,
                                  .scale = kernels::attention_scale(size),
                                  .context = context.data(),
                                  .context_stride = size,
                                  .scratch = scratch.data()};
  expect_little_stack([&] { level().attention_f32(attention); }, "attention_f32");
  expect_little_stack([&] { level().attention_bf16(attention); }, "attention_bf16");
  expect_little_stack([&] { level().attention_s8(attention); }, "attention_s8");
  attention.fine = true;
  expect_little_stack([&] { level().attention_s8(attention); }, "attention_s8, fine");
}

TEST_P(Stack, OfWorkOnRowsIsSmall) {
  const std::size_t rows = 20, size = 800;
  Guarded<float> x(rows * size), vector(size), scale(rows);
  Guarded<std::int8_t> q(rows * 832);
  Guarded<bf16> rounded(32 * 1600), panels(rows * size * 4);
  Random random(3);
  x.fill(random);
  vector.fill(random);
  const std::uint32_t ids[rows] = {};
  expect_little_stack(
      [&] {
        level().layer_norm({.x = x.data(),
                            .stride = size,
                            .rows = rows,
                            .size = size,
                            .gamma = vector.data(),
                            .beta = vector.data(),
                            .eps = 1e-12f,
                            .y = x.data(),
                            .y_stride = size});
      },
      "layer_norm");
  expect_little_stack(
      [&] {
        level().quantise_rows({.x = x.data(),
                               .stride = size,
                               .rows = rows,
                               .size = size,
                               .q = q.data(),
                               .q_stride = 832,
                               .scale = scale.data()});
      },
      "quantise_rows");
  const kernels::RoundRows round = {
      .x = x.data(), .stride = size, .rows = rows, .size = size, .y = rounded.data(), .y_stride = 1600};
  const kernels::RoundPanels round_panels = {.panels = x.data(), .n_panels = 1, .k = size, .out = panels.data()};
  expect_little_stack([&] { level().round_rows(round); }, "round_rows");
  expect_little_stack([&] { level().pack_rows(round); }, "pack_rows");
  expect_little_stack([&] { level().round_panels(round_panels); }, "round_panels");
  if (level().gemm_split) {
    expect_little_stack([&] { level().split_rows(round); }, "split_rows");
    expect_little_stack([&] { level().split_panels(round_panels); }, "split_panels");
  }
  expect_little_stack([&] { level().softmax(vector.data(), size); }, "softmax");
  expect_little_stack([&] { level().sigmoid(vector.data(), size); }, "sigmoid");
  const auto embed = [&](auto operation, const auto* table, std::size_t stride) {
    operation.word = operation.token_type = operation.position = table;
    operation.table_stride = stride;
    operation.ids = operation.types = operation.positions = ids;
    operation.out = x.data();
    operation.out_stride = size;
    operation.rows = rows;
    operation.size = size;
    return operation;
  };
  const auto f32 = embed(kernels::EmbedF32{}, vector.data(), size);
  expect_little_stack([&] { level().embed_f32(f32); }, "embed_f32");
  const auto halves = embed(kernels::EmbedBf16{}, rounded.data(), size);
  expect_little_stack([&] { level().embed_bf16(halves); }, "embed_bf16");
  auto s8 = embed(kernels::EmbedS8{}, q.data(), 832);
  s8.word_scale = s8.token_type_scale = s8.position_scale = scale.data();
  expect_little_stack([&] { level().embed_s8(s8); }, "embed_s8");
}

BERTHA_EVERY_LEVEL(Stack);

}  // namespace
}  // namespace bertha::testing
