// An int8 encoder gives the same bits on every level, alone and in any batch, at one thread and two. The levels run in
// one process, by a table that they take turns to be.

#include <gtest/gtest.h>

#include <bertha/encoder/encoder.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "../../support/model_writer.hpp"

namespace {

using bertha_test::TinyOptions;
using Ids = std::vector<std::uint32_t>;

/// The table of this process.
bertha::kernels::Table& table() {
  static bertha::kernels::Table table = bertha::kernels::preferred_table();
  [[maybe_unused]] static const auto& chosen = bertha::kernels::table(&table);
  return table;
}

bertha::Executor& two_threads() {
  static bertha::Executor& pool = *new bertha::detail::ThreadPool(2);
  return pool;
}

/// Hidden states and pooled rows of the batch, without padding: what heads make logits of.
std::vector<float> run(const bertha::Encoder<bertha::Int8>& encoder, const std::vector<Ids>& sequences,
                       std::size_t threads) {
  bertha::Batch batch;
  for (const Ids& ids : sequences) batch.add(ids);
  bertha::Workspace work;
  work.prepare({.executor = &two_threads(), .max_threads = threads});
  auto output = encoder.forward(batch, work);
  encoder.pool(output, work);
  std::vector<float> all;
  for (const auto& matrix : {output.hidden, output.pooled})
    for (std::size_t r = 0; r < matrix.rows; ++r) all.insert(all.end(), matrix.row(r), matrix.row(r) + matrix.cols);
  return all;
}

/// The same of each sequence by itself.
std::vector<float> run_alone(const bertha::Encoder<bertha::Int8>& encoder, const std::vector<Ids>& sequences,
                             std::size_t hidden_size) {
  std::vector<float> all, pooled;
  for (const Ids& ids : sequences) {
    const std::vector<float> one = run(encoder, {ids}, 1);
    const auto end = one.end() - static_cast<std::ptrdiff_t>(hidden_size);
    all.insert(all.end(), one.begin(), end);
    pooled.insert(pooled.end(), end, one.end());
  }
  all.insert(all.end(), pooled.begin(), pooled.end());
  return all;
}

testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "other bits";
}

TEST(EveryLevel, GivesAnInt8EncoderTheSameBitsForRandomShapes) {
  table();
  std::mt19937 random(1);
  const auto between = [&](std::size_t least, std::size_t most) { return least + random() % (most - least + 1); };
  const int shapes = std::getenv("BERTHA_FULL") ? 200 : 20;
  for (int shape = 0; shape < shapes; ++shape) {
    TinyOptions options;
    options.precision = "int8";
    options.calibrated = shape % 2 == 1;
    options.num_attention_heads = between(1, 4);
    options.modern = shape % 5 < 2;
    options.norms_around = options.modern && shape % 2 == 0;
    options.hidden_size = options.num_attention_heads * (options.modern ? 2 * between(1, 35) : between(1, 70));
    options.intermediate_size = between(1, 300);
    options.num_hidden_layers = between(1, 2);
    options.max_position_embeddings = 300;
    options.hidden_act = std::vector<std::string>{"gelu", "gelu_tanh", "relu", "silu"}[random() % 4];
    options.seed = static_cast<std::uint32_t>(shape);
    if (shape % 4 == 3 && !options.modern) options.layer_weights.assign(options.num_hidden_layers, 0);
    const bertha_test::AlignedBytes bytes(bertha_test::ModelWriter::tiny(options).bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    const bertha::Encoder<bertha::Int8> encoder(file, file.config());
    std::vector<Ids> sequences(between(1, 6));
    for (Ids& ids : sequences) {
      ids.resize(between(1, random() % 8 == 0 ? 260 : 40));
      for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random() % 17);
    }
    std::vector<float> expected;  // of the scalar level, the first
    for (const bertha::kernels::Table* level : bertha::kernels::available()) {
      if (!bertha::kernels::may_run(*level)) continue;
      table() = *level;
      if (expected.empty()) expected = run(encoder, sequences, 1);
      const std::string what = std::string(level->level) + ", shape " + std::to_string(shape);
      ASSERT_TRUE(same_bits(run(encoder, sequences, 1), expected)) << what;
      ASSERT_TRUE(same_bits(run(encoder, sequences, 2), expected)) << what << ", two threads";
      ASSERT_TRUE(same_bits(run_alone(encoder, sequences, options.hidden_size), expected)) << what << ", alone";
    }
  }
}

}  // namespace
