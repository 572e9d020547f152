// What layers hand to the kernels, seen by a table whose product looks at its operands; and that nothing runs on a
// table whose bits are wrong. A process has one table, so each kind of it has a process of its own.

#include <gtest/gtest.h>

#include <bertha/encoder/encoder.hpp>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

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
std::size_t products = 0, wrong_sums = 0, shifted = 0;

void gemm_s8_that_adds_up(const GemmS8& op) {
  const PanelLayout<std::int8_t> layout(op.n_panels * 16, op.k);
  for (std::size_t n = 0; n < op.n_panels * 16; ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < op.k; ++k) sum += op.panels[layout.at(n, k)];
    wrong_sums += op.sum[n] != sum;
  }
  ++products;
  shifted += op.a_zero != nullptr;
  real->gemm_s8(op);
}

/// Runs a tiny model whose file is of `stored` in int8.
void run_in_int8(const std::string& stored, bool calibrated = false) {
  bertha_test::TinyOptions options;
  options.precision = stored;
  options.calibrated = calibrated;
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
  run_in_int8("int8");  // the first one also looks whether the kernels are right
  shifted = 0;
  for (const std::string stored : {"float32", "bfloat16", "int8"}) {
    products = wrong_sums = 0;
    run_in_int8(stored);
    EXPECT_GT(products, 0u);
    EXPECT_EQ(wrong_sums, 0u) << stored;
    EXPECT_EQ(shifted, 0u);
  }
  run_in_int8("int8", true);
  EXPECT_EQ(shifted, 6u);  // three linear layers, and the fourth for each of three attention heads
  EXPECT_EQ(wrong_sums, 0u);
}

TEST(Int8, RefusesALayerWhoseSumsCouldOverflow) {
  const auto load = [](std::size_t inputs) {
    ModelWriter writer = ModelWriter::tiny();
    const PanelLayout<std::int8_t> layout(16, inputs);
    const auto shape = layout.shape();
    writer.add("wide.weight", "I8", {shape.begin(), shape.end()}, std::vector<std::int8_t>(layout.size()));
    writer.add("wide.scale", "F32", {16}, std::vector<float>(16));
    writer.add("wide.sum", "I32", {16}, std::vector<std::int32_t>(16));
    const AlignedBytes bytes(writer.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha::Int8::Panels(file, "wide", 16, inputs);
  };
  EXPECT_NO_THROW(load(bertha::kernels::kMostInputsS8));
  bertha_test::expect_error(ErrorCode::unsupported, {"'wide.weight' has 131136 inputs", "up to 131072"},
                            [&] { load(bertha::kernels::kMostInputsS8 + 64); });
}

TEST(Int8, RefusesPositionsOverWhichSumsOfAttentionCouldOverflow) {
  const auto load = [](std::size_t positions) {
    bertha_test::TinyOptions options;
    options.hidden_size = 6;
    options.max_position_embeddings = positions;
    const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha::Encoder<bertha::Int8>(file, file.config());
  };
  EXPECT_NO_THROW(load(65'536));
  bertha_test::expect_error(ErrorCode::unsupported, {"'max_position_embeddings' is 65537", "up to 65536"},
                            [&] { load(65'537); });
}

/// What loading a calibrated file throws after `change`.
void expect_refused(ErrorCode code, std::initializer_list<std::string_view> words,
                    const std::function<void(ModelWriter&)>& change) {
  bertha_test::TinyOptions options;
  options.precision = "int8";
  options.calibrated = true;
  ModelWriter writer = ModelWriter::tiny(options);
  change(writer);
  const AlignedBytes bytes(writer.bytes());
  for (const PrecisionKind precision : {PrecisionKind::int8, PrecisionKind::float32}) {
    if (precision == PrecisionKind::float32 && code == ErrorCode::unsupported) continue;  // whose way out that is
    bertha_test::expect_error(code, words, [&] {
      auto file = bertha::WeightFile::from_bytes(bytes.span());
      bertha::ModelConfig config = file.config();
      config.precision = precision;
      const bertha::AnyEncoder encoder(file, config);
      file.finish();
    });
  }
}

TEST(Int8, RefusesSmoothingThatNoRowSurvives) {
  const std::string tensor = "encoder.layer.0.output.smoothing";
  for (const float factor : {0.0f, -1.0f, std::nanf(""), INFINITY, 1e-30f, 1e30f})
    expect_refused(ErrorCode::format, {"'" + tensor + "'", "input 39", "2^-32 to 2^32"}, [&](ModelWriter& writer) {
      std::memcpy(writer.tensor(tensor).bytes.data() + 39 * sizeof factor, &factor, sizeof factor);
    });
  expect_refused(ErrorCode::shape, {"'" + tensor + "'", "[64]", "[48]"}, [&](ModelWriter& writer) {
    writer.tensor(tensor).shape = {64};
    writer.tensor(tensor).bytes.resize(256);
  });
  expect_refused(ErrorCode::unused_tensor, {"'pooler.dense.smoothing'"}, [](ModelWriter& writer) {
    writer.add_vector("pooler.dense.smoothing", std::vector<float>(36, 1.0f));
    writer.tensors.erase(writer.tensors.end() - 2);  // the head's
    writer.tensors.erase(writer.tensors.end() - 2);
  });
}

TEST(Int8, DoesNotReadTheEndOfASmoothingVector) {
  bertha_test::TinyOptions options;
  options.precision = "int8";
  options.calibrated = true;
  std::vector<std::vector<float>> found;
  for (const float end : {0.0f, std::nanf("")}) {
    ModelWriter writer = ModelWriter::tiny(options);
    std::memcpy(writer.tensor("encoder.layer.0.intermediate.smoothing").bytes.data() + 36 * sizeof end, &end,
                sizeof end);
    const AlignedBytes bytes(writer.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    const bertha::Encoder<bertha::Int8> encoder(file, file.config());
    bertha::Batch batch;
    batch.add(std::vector<std::uint32_t>{1, 2, 3, 4, 5});
    bertha::Workspace work;
    work.prepare({.max_threads = 1});
    const auto hidden = encoder.forward(batch, work).hidden;
    found.emplace_back(hidden.row(0), hidden.row(0) + hidden.cols);
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST(Int8, RefusesSumsThatAZeroPointCouldOverflowWith) {
  for (const std::int32_t sum : {64 * 128 + 1, -64 * 128 - 1, INT32_MIN, INT32_MAX}) {
    const auto set_sum = [&](ModelWriter& writer) {
      std::memcpy(writer.tensor("encoder.layer.0.output.sum").bytes.data() + 8, &sum, sizeof sum);
    };
    bertha_test::TinyOptions options;
    options.precision = "int8";
    options.calibrated = true;
    ModelWriter writer = ModelWriter::tiny(options);
    set_sum(writer);
    const AlignedBytes bytes(writer.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha_test::expect_error(ErrorCode::format, {"'encoder.layer.0.output.sum'", "output 2", "at most 8192"},
                              [&] { bertha::Encoder<bertha::Int8>(file, file.config()); });
  }
}

TEST(Int8, RefusesAZeroPointWhereSumsCouldOverflow) {
  const auto load = [](std::size_t inputs, bool zero_point) {
    bertha_test::TinyOptions options;
    options.precision = "int8";
    options.intermediate_size = inputs;
    options.hidden_size = 16;
    options.num_attention_heads = 1;
    options.max_position_embeddings = 4;
    ModelWriter writer = ModelWriter::tiny(options);
    if (zero_point) writer.config["zero_points"] = {"encoder.layer.0.output"};
    const AlignedBytes bytes(writer.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha::Encoder<bertha::Int8>(file, file.config());
  };
  EXPECT_NO_THROW(load(65'536, true));
  EXPECT_NO_THROW(load(65'600, false));
  bertha_test::expect_error(ErrorCode::unsupported, {"'encoder.layer.0.output.weight' has 65600", "up to 65536"},
                            [&] { load(65'600, true); });
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
