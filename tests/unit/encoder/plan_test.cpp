#include <gtest/gtest.h>

#include <bertha/encoder/plan.hpp>
#include <random>
#include <vector>

namespace {

using bertha::Chunk;
using bertha::Plan;

bertha::ModelConfig model() {
  bertha::ModelConfig config;
  config.vocab_size = 17;
  config.type_vocab_size = 2;
  config.max_position_embeddings = 2000;
  return config;
}

bertha::Batch batch_of(const std::vector<std::size_t>& lengths) {
  bertha::Batch batch;
  for (const std::size_t length : lengths) batch.add(std::vector<std::uint32_t>(length, 5));
  return batch;
}

std::size_t rows(const bertha::Batch& batch, const Chunk& chunk) {
  return batch.starts()[chunk.end] - batch.starts()[chunk.begin];
}

TEST(Plan, LetsThreadsShareATextThatWouldKeepOneOfThemBusyWhenTheOthersAreDone) {
  std::vector<std::size_t> lengths(43, 256);
  lengths.insert(lengths.begin() + 20, 1500);
  const bertha::Batch batch = batch_of(lengths);
  Plan plan;
  make_plan(model(), batch, 64, plan);
  ASSERT_EQ(plan.chunks.size(), 44u);
  EXPECT_EQ(plan.n_whole, 43u);
  EXPECT_EQ(plan.whole.rows, 256u);
  EXPECT_EQ(plan.whole.longest, 256u);
  EXPECT_EQ(plan.chunks.back().begin, 20u);
  EXPECT_EQ(plan.shared.rows, 1500u);
  EXPECT_EQ(plan.shared.longest, 1500u);
  make_plan(model(), batch, 4, plan);  // who has that text isn't the last of four
  EXPECT_EQ(plan.n_whole, 44u);
  EXPECT_EQ(plan.whole.rows, 1500u);
  EXPECT_EQ(plan.shared.rows, 0u);
}

TEST(Plan, HasEverySequenceInOneChunk) {
  std::mt19937 random(3);
  Plan plan;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::size_t> lengths(random() % 60);
    for (std::size_t& length : lengths) length = random() % 20 == 0 ? 1 + random() % 2000 : 1 + random() % 100;
    const bertha::Batch batch = batch_of(lengths);
    make_plan(model(), batch, 1 + random() % 70, plan);
    std::vector<int> chunks_of(lengths.size());
    for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
      const Chunk& chunk = plan.chunks[i];
      EXPECT_LT(chunk.begin, chunk.end);
      for (std::size_t s = chunk.begin; s < chunk.end; ++s) ++chunks_of.at(s);
      EXPECT_LE(rows(batch, chunk), i < plan.n_whole ? plan.whole.rows : plan.shared.rows);
    }
    EXPECT_EQ(chunks_of, std::vector<int>(lengths.size(), 1));
  }
}

}  // namespace
