#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/unigram.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Ids = std::vector<std::uint32_t>;

Unigram model_of(const UnigramData& data, std::uint32_t unknown = 0, bool byte_fallback = false) {
  const TokenizerTensors its = data.tensors();
  return Unigram({its.text, its.offsets}, {its.trie, "tokenizer.vocab.trie"}, its.scores, unknown, byte_fallback);
}

Ids ids(const Unigram& model, std::string_view word) {
  Unigram::Scratch scratch;
  Ids result;
  std::size_t at = 0;
  model(word, scratch, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
    EXPECT_TRUE(begin == at || end == at);  // bytes of one character have its range
    at = end;
    result.push_back(id);
  });
  EXPECT_EQ(at, word.size());
  return result;
}

TEST(Unigram, TakesTheTokensOfTheLargestSum) {
  // The example of `tokenizers`.
  const UnigramData data(
      {{"<unk>", 0}, {"a", 0}, {"b", 0}, {"c", 0}, {"d", 0}, {"cd", 1}, {"ab", 2}, {"abc", 5}, {"abcd", 10}});
  EXPECT_EQ(ids(model_of(data), "abcdacdxx"), (Ids{8, 1, 5, 0}));
}

TEST(Unigram, KeepsTheFirstOfEqualSums) {
  const UnigramData data({{"<unk>", 0}, {"a", -1}, {"aa", -2}, {"aaa", -3}});
  EXPECT_EQ(ids(model_of(data), "aaaa"), (Ids{1, 3}));  // the place behind it is reached from the left first
  EXPECT_EQ(ids(model_of(data), "aa"), (Ids{2}));
}

TEST(Unigram, FusesUnknownCharactersAndFindsATokenInThem) {
  const UnigramData data({{"<unk>", 0}, {"a", -1}, {"xy", -100}, {"b", -1}});
  EXPECT_EQ(ids(model_of(data), "aqq\u4e2db"), (Ids{1, 0, 3}));
  EXPECT_EQ(ids(model_of(data), "q<unk>q"), (Ids{0}));
  const UnigramData cheap({{"<unk>", 50}, {"xy", 20}});  // two unknown characters have a larger sum than their token
  EXPECT_EQ(ids(model_of(cheap), "xy"), (Ids{1}));
  EXPECT_EQ(ids(model_of(cheap), "xyx"), (Ids{1, 0}));
}

TEST(Unigram, FallsBackToBytesWhereTheVocabularyHasThem) {
  const UnigramData data({{"<unk>", 0}, {"a", -1}, {"<0xC3>", 0}, {"<0xA9>", 0}, {"<0xE4>", 0}});
  EXPECT_EQ(ids(model_of(data, 0, true), "a\u00e9\u00e9a"), (Ids{1, 2, 3, 2, 3, 1}));
  EXPECT_EQ(ids(model_of(data, 0, true), "\u00e9\u4e2d"), (Ids{0}));
  EXPECT_EQ(ids(model_of(data), "\u00e9"), (Ids{0}));
}

TEST(Unigram, FindsTheLaterOfTwoEqualTokensAndNoEmptyOne) {
  const UnigramData data({{"<unk>", 0}, {"a", -5}, {"", 0}, {"a", -1}, {"ab", -5.5}, {"b", -1}});
  const Unigram model = model_of(data);
  EXPECT_EQ(model.find("a"), 3u);
  EXPECT_EQ(model.find(""), std::nullopt);
  EXPECT_EQ(model.find("abc"), std::nullopt);
  EXPECT_EQ(ids(model, "ab"), (Ids{3, 5}));
}

TEST(Unigram, RefusesScoresThatAreNoNumbersAndOtherContradictions) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double score : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    const UnigramData data({{"<unk>", 0}, {"a", score}});
    expect_error(ErrorCode::vocabulary, {"tokenizer.scores", "NaN or infinity"}, [&] { model_of(data); });
  }
  UnigramData data({{"<unk>", 0}, {"a", 0}});
  expect_error(ErrorCode::vocabulary, {"unk_token_id is 2"}, [&] { model_of(data, 2); });
  data.scores.pop_back();
  expect_error(ErrorCode::vocabulary, {"tokenizer.scores", "1 for 2"}, [&] { model_of(data); });
  EXPECT_NO_THROW(model_of(UnigramData({{"<unk>", 0}, {std::string(1000, 'a'), 0}})));
  const UnigramData long_one({{"<unk>", 0}, {std::string(1001, 'a'), 0}});
  expect_error(ErrorCode::vocabulary, {"1001 bytes", "1000"}, [&] { model_of(long_one); });
}

TEST(Unigram, NamesTheTokenThatATrieLeadsToAndTheVocabularyLacks) {
  const UnigramData two({{"<unk>", 0}, {"a", -1}}), three({{"<unk>", 0}, {"a", -1}, {"b", -1}});
  const TokenizerTensors its = two.tensors();
  const Unigram model({its.text, its.offsets}, {three.tensors().trie, "tokenizer.vocab.trie"}, its.scores, 0, false);
  EXPECT_EQ(ids(model, "a"), (Ids{1}));
  expect_error(ErrorCode::vocabulary, {"tokenizer.vocab.trie", "no token 2"}, [&] { ids(model, "b"); });
}

TEST(Unigram, TakesAsManyStepsForAByteOfOneLetterAsTheLongestTokenHas) {
  UnigramData::Pieces pieces = {{"<unk>", 0}};
  for (std::size_t size = 1; size <= 20; ++size)
    pieces.emplace_back(std::string(size, 'a'), -static_cast<double>(size));
  const UnigramData data(pieces);
  const Unigram model = model_of(data);
  Unigram::Scratch scratch;
  const auto nothing = [](std::uint32_t, std::size_t, std::size_t) {};
  for (const std::size_t n : {std::size_t{1000}, std::size_t{100000}}) {
    EXPECT_LE(model(std::string(n, 'a'), scratch, nothing), 20 * n);
    EXPECT_LE(model(std::string(n, 'q'), scratch, nothing), n);
  }
}

TEST(Unigram, GivesTokensOrAnErrorWhicheverByteOfTheTrieIsDamaged) {
  UnigramData data({{"<unk>", 0}, {"a", -1}, {"ab", -1}, {"\u00e9", -2}, {"\u2581a", -2}});
  auto* bytes = reinterpret_cast<unsigned char*>(data.trie.data());
  std::size_t refused = 0, other = 0;
  const Ids good = ids(model_of(data), "\u2581ab\u00e9qa");
  for (std::size_t i = 0; i < data.trie.size() * sizeof(std::uint32_t); ++i) {
    const unsigned char was = bytes[i];
    const bool free = data.trie[2 * (i / 8)] == 0xFF;
    for (int change = 1; change < 256; change = free ? 2 * change + 1 : change + 1) {  // all bytes of the units in use
      bytes[i] = static_cast<unsigned char>(was ^ change);
      try {
        other += static_cast<std::size_t>(ids(model_of(data), "\u2581ab\u00e9qa") != good);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::vocabulary) << error.what();
        ++refused;
      }
    }
    bytes[i] = was;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(other, 0u);
}

}  // namespace
