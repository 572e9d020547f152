// What layers hand to the kernels, seen by a table whose product looks at its operands; and that nothing runs on a
// table whose bits are wrong. A process has one table, so each kind of it has a process of its own.

#include <gtest/gtest.h>

#include <bertha/encoder/encoder.hpp>
#include <cstdlib>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha::PrecisionKind;
using bertha::kernels::GemmS8;
using bertha::kernels::PanelLayout;
using bertha::kernels::Table;
using bertha_test::AlignedBytes;
using bertha_test::ModelWriter;

const Table* real = nullptr;
std::size_t products = 0, wrong_sums = 0;

void gemm_s8_that_adds_up(const GemmS8& op) {
  const PanelLayout<std::int8_t> layout(op.n_panels * 16, op.k);
  for (std::size_t n = 0; n < op.n_panels * 16; ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < op.k; ++k) sum += op.panels[layout.at(n, k)];
    wrong_sums += op.sum[n] != sum;
  }
  ++products;
  real->gemm_s8(op);
}

/// Runs a tiny model whose file is of `stored` in int8.
void run_in_int8(const std::string& stored) {
  bertha_test::TinyOptions options;
  options.precision = stored;
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  bertha::ModelConfig config = file.config();
  config.precision = PrecisionKind::int8;
  const bertha::AnyEncoder encoder(file, config);
  bertha::Batch batch;
  batch.add(std::vector<std::uint32_t>{1, 2, 3, 4, 5});
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  encoder.forward(batch, work);
}

TEST(Int8, HandsEveryProductTheSumsOfItsWeights) {
  real = &bertha::kernels::preferred_table();
  static Table looking = *real;
  looking.gemm_s8.run = gemm_s8_that_adds_up;
  ASSERT_EQ(&bertha::kernels::table(&looking), &looking);
  for (const std::string stored : {"float32", "bfloat16", "int8"}) {
    products = wrong_sums = 0;
    run_in_int8(stored);
    EXPECT_GT(products, 0u);
    EXPECT_EQ(wrong_sums, 0u) << stored;
  }
}

TEST(Int8, RefusesALayerWhoseSumsCouldOverflow) {
  const std::size_t inputs = bertha::kernels::kMostInputsS8 + 64;
  ModelWriter writer = ModelWriter::tiny();
  const PanelLayout<std::int8_t> layout(16, inputs);
  const auto shape = layout.shape();
  writer.add("wide.weight", "I8", {shape.begin(), shape.end()}, std::vector<std::int8_t>(layout.size()));
  writer.add("wide.scale", "F32", {16}, std::vector<float>(16));
  writer.add("wide.sum", "I32", {16}, std::vector<std::int32_t>(16));
  const AlignedBytes bytes(writer.bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  bertha_test::expect_error(ErrorCode::unsupported, {"'wide.weight' has 131136 inputs", "up to 131072"},
                            [&] { bertha::Int8::Panels(file, "wide", 16, inputs); });
}

TEST(EncoderDeathTest, IsNotLoadedOnALevelThatComputesSomethingElse) {
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  EXPECT_EXIT(
      {
        static Table wrong = *bertha::kernels::available().front();
        wrong.softmax.run = [](float*, std::size_t) {};
        bertha::kernels::table(&wrong);
        auto file = bertha::WeightFile::from_bytes(bytes.span());
        int refused = 0;
        for (const PrecisionKind precision :
             {PrecisionKind::float32, PrecisionKind::float32_strict, PrecisionKind::bfloat16, PrecisionKind::int8}) {
          bertha::ModelConfig config = file.config();
          config.precision = precision;
          try {
            auto again = bertha::WeightFile::from_bytes(bytes.span());
            const bertha::AnyEncoder encoder(again, config);
          } catch (const bertha::Error& error) {
            refused += error.code() == ErrorCode::self_test;
          }
        }
        std::exit(refused == 4 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
