// Float32 by bfloat16 halves, on AMX or its emulation: close to Float32, the same bits in any batch, on any number of
// threads and whether weights are split at load or in each call, and chosen where the file and the precision allow it.

#include <bertha/bertha.hpp>
#include <cmath>
#include <vector>

#include "../../kernels/amx_emulation.hpp"
#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::Batch;
using bertha::Float32;
using bertha::Float32Split;
using bertha::Memory;
using bertha::PrecisionKind;
using bertha_test::AlignedBytes;
using bertha_test::ModelWriter;
using bertha_test::TinyOptions;

class Float32Splits : public testing::Test {
 protected:
  void SetUp() override {
    static const bool splits = bertha::kernels::use_level_that_splits();
    if (!splits) GTEST_SKIP() << "this CPU lacks AVX2";
  }
};

TinyOptions model() {
  TinyOptions options;
  options.float32_split = true;
  options.hidden_size = 100;
  options.num_attention_heads = 5;
  options.intermediate_size = 300;
  options.num_hidden_layers = 2;
  options.max_position_embeddings = 80;
  return options;
}

Batch batch(std::initializer_list<std::size_t> lengths) {
  Batch result;
  std::uint32_t next = 1;
  for (const std::size_t length : lengths) {
    std::vector<std::uint32_t> ids(length);
    for (std::uint32_t& id : ids) id = (next = next * 1664525u + 1013904223u) >> 28;
    result.add(ids, std::vector<std::uint32_t>(length, 0));
  }
  return result;
}

/// The hidden states of `input` by encoder E.
template <class E>
std::vector<float> hidden(const Batch& input, Memory memory = Memory::fast, std::size_t threads = 1,
                          PrecisionKind precision = PrecisionKind::float32) {
  const AlignedBytes bytes(ModelWriter::tiny(model()).bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span(), "bytes", {.memory = memory});
  bertha::ModelConfig config = file.config();
  config.precision = precision;
  const E encoder(file, config);
  bertha::Workspace work;
  work.prepare({.max_threads = threads});
  const auto output = encoder.forward(input, work);
  std::vector<float> all;
  for (std::size_t r = 0; r < output.hidden.rows; ++r)
    all.insert(all.end(), output.hidden.row(r), output.hidden.row(r) + output.hidden.cols);
  return all;
}

TEST_F(Float32Splits, GivesWhatFloat32GivesWithinTheErrorOfItsHalves) {
  const Batch input = batch({40, 1, 17});
  const auto exact = hidden<bertha::Encoder<Float32>>(input), split = hidden<bertha::Encoder<Float32Split>>(input);
  ASSERT_EQ(exact.size(), split.size());
  EXPECT_NE(exact, split);
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(exact[i], split[i], 2e-4f) << i;
}

TEST_F(Float32Splits, GivesTheSameBitsInEitherMemory) {
  const Batch input = batch({40, 1, 17});
  EXPECT_EQ(hidden<bertha::Encoder<Float32Split>>(input), hidden<bertha::Encoder<Float32Split>>(input, Memory::low));
}

TEST_F(Float32Splits, GivesTheSameBitsInAnyBatchAndOnAnyNumberOfThreads) {
  const auto alone = hidden<bertha::Encoder<Float32Split>>(batch({40}));
  for (const Memory memory : {Memory::fast, Memory::low})
    for (const std::size_t threads : {1u, 2u}) {
      auto together = hidden<bertha::Encoder<Float32Split>>(batch({40, 70, 3}), memory, threads);
      together.resize(alone.size());
      EXPECT_EQ(together, alone) << threads;
    }
}

TEST_F(Float32Splits, RunsWhereTheFileAllowsItAndNotInFloat32Strict) {
  const Batch input = batch({20});
  using bertha::AnyEncoder;
  EXPECT_EQ(hidden<AnyEncoder>(input), hidden<bertha::Encoder<Float32Split>>(input));
  EXPECT_EQ(hidden<AnyEncoder>(input, Memory::fast, 1, PrecisionKind::float32_strict),
            hidden<bertha::Encoder<Float32>>(input));
  TinyOptions options = model();
  options.float32_split = false;
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const AnyEncoder encoder(file, file.config());
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  const auto output = encoder.forward(input, work);
  EXPECT_EQ(std::vector<float>(output.hidden.row(0), output.hidden.row(0) + output.hidden.cols), [&] {
    auto all = hidden<bertha::Encoder<Float32>>(input);
    all.resize(output.hidden.cols);
    return all;
  }());
}

TEST_F(Float32Splits, LoadsAndVerifiesAModelInEitherMemory) {
  const AlignedBytes bytes(ModelWriter::tiny(model()).bytes());
  for (const Memory memory : {Memory::fast, Memory::low}) {
    const auto classify = bertha::TextClassifier::load(bytes.span(), {.memory = memory, .verify = true});
    EXPECT_TRUE(std::isfinite(classify("the cat sat.").score));
  }
}

}  // namespace
