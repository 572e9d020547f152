#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/tokenizer.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

const std::vector<std::string> kTokens = {"[PAD]",  "[UNK]",   "[CLS]", "[SEP]", "[MASK]",
                                          "\u2581", "\u2581B", "a",     "B",     "Ba"};

ModelWriter unigram_model() {
  ModelWriter model = ModelWriter::tiny({.kind = "tokenizer", .vocabulary = kTokens});
  model.make_unigram(kTokens);
  model.format = "2";
  return model;
}

Tokenizer load(const ModelWriter& model) {
  const AlignedBytes bytes(model.bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "bytes", {.copy = true});
  Tokenizer tokenizer = Tokenizer::load(file);
  file.finish();
  return tokenizer;
}

TEST(UnigramTokenizer, LoadsFromAModelFileWithItsTriesAndScores) {
  const Tokenizer tokenizer = load(unigram_model());
  const Encoding encoding = tokenizer.encode("A [MASK]Aaq", {.add_special_tokens = false});
  EXPECT_EQ(encoding.ids, (std::vector<std::uint32_t>{6, 4, 6, 7, 1}));
  EXPECT_EQ(encoding.offsets, (std::vector<Span>{{0, 1}, {2, 8}, {8, 9}, {9, 10}, {10, 11}}));
  EXPECT_EQ(encoding.words, (std::vector<std::uint32_t>{0, 1, 2, 2, 2}));
  EXPECT_EQ(encoding.n_unknown, 1u);
  EXPECT_EQ(tokenizer.id("Ba"), 9u);
  EXPECT_EQ(tokenizer.token(9), "Ba");
  EXPECT_EQ(tokenizer.decode(std::vector<std::uint32_t>{2, 6, 7, 6, 3}, true), "Ba B");
}

TEST(UnigramTokenizer, NeedsEachOfItsTensors) {
  for (const char* name : {"tokenizer.vocab.trie", "tokenizer.scores", "tokenizer.charsmap.text",
                           "tokenizer.charsmap.offsets", "tokenizer.charsmap.trie"}) {
    ModelWriter model = unigram_model();
    std::erase_if(model.tensors, [&](const auto& tensor) { return tensor.name == name; });
    expect_error(
        ErrorCode::missing_tensor, {name}, [&] { load(model); }, name);
  }
}

TEST(UnigramTokenizer, GivesOffsetsThatLieWithinAnyText) {
  const Tokenizer tokenizer = load(unigram_model());
  std::mt19937 random(3);
  const std::vector<std::string> parts = {"A",      "a",      "B",  " ",     "  ",         "\u2581",
                                          "\u0301", "\u00e9", "\n", "[SEP]", "\U0001f600", "q"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) text += parts[random() % parts.size()];
    const Encoding encoding = tokenizer.encode(text, {.add_special_tokens = false});
    std::uint32_t start = 0;
    for (const Span span : encoding.offsets) {
      EXPECT_LE(start, span.start) << text;
      EXPECT_LT(span.start, span.end) << text;
      EXPECT_LE(span.end, text.size()) << text;
      start = span.start;
    }
  }
}

}  // namespace
