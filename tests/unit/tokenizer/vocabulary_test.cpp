#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/vocabulary.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

TEST(Vocabulary, FindsEveryTokenOfALargeOneAndNoOther) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 20000; ++i) tokens.push_back((i % 3 == 0 ? "##" : "t") + std::to_string(i));
  const VocabularyData data(tokens);
  const Vocabulary vocabulary = data.vocabulary();
  EXPECT_EQ(vocabulary.size(), tokens.size());
  EXPECT_EQ(vocabulary.longest(), 7u);
  for (std::uint32_t id = 0; id < tokens.size(); ++id) {
    EXPECT_EQ(vocabulary.token(id), tokens[id]);
    EXPECT_EQ(vocabulary.find(tokens[id]), id);
    EXPECT_EQ(vocabulary.find(tokens[id] + "x"), std::nullopt);
  }
  EXPECT_EQ(vocabulary.find(""), std::nullopt);
}

TEST(Vocabulary, FindsTheLaterOfTwoEqualTokensAndNoEmptyOne) {
  const VocabularyData data({"a", "", "b", "a", ""});
  EXPECT_EQ(data.vocabulary().find("a"), 3u);
  EXPECT_EQ(data.vocabulary().find(""), std::nullopt);
  EXPECT_EQ(data.vocabulary().token(1), "");
}

TEST(Vocabulary, RefusesOffsetsThatLeaveTheTextOrDoNotAscend) {
  const auto load = [](std::vector<std::uint32_t> offsets) { Vocabulary("abcdef", offsets); };
  EXPECT_NO_THROW(load({0, 2, 2, 6}));
  expect_error(ErrorCode::vocabulary, {"token 1", "3", "2"}, [&] { load({0, 3, 2, 6}); });
  expect_error(ErrorCode::vocabulary, {"token 1", "7", "6"}, [&] { load({0, 3, 7}); });
  expect_error(ErrorCode::vocabulary, {"token 0", "4294967295"}, [&] { load({0, 0xFFFFFFFF}); });
  expect_error(ErrorCode::vocabulary, {"first offset"}, [&] { load({1, 3}); });
  expect_error(ErrorCode::vocabulary, {"no tokens"}, [&] { load({0}); });
  expect_error(ErrorCode::vocabulary, {"no tokens"}, [&] { load({}); });
}

TEST(Vocabulary, RefusesATokenThatIsNotUtf8) {
  const VocabularyData data({"a", "\xC3"});
  expect_error(ErrorCode::vocabulary, {"token 1", "UTF-8"}, [&] { data.vocabulary(); });
}

TEST(Vocabulary, RefusesATokenThatChangedSinceItWasChecked) {
  VocabularyData data({"a", "bc", "\xC3\xA9"});
  const Vocabulary vocabulary = data.vocabulary();
  const auto expect_changed = [&](std::uint32_t id, const char* which) {
    expect_error(ErrorCode::vocabulary, {which, "rewritten in place", "renaming"}, [&] { vocabulary.token(id); });
  };
  data.text[3] = 'x';
  expect_changed(2, "token 2");
  data.offsets = {0, 1, 3, 0xFFFFFFFF};
  expect_changed(2, "token 2");
  data.offsets = {0xFFFFFFFF, 1, 3, 5};
  expect_changed(0, "token 0");
  data.offsets = {0, 3, 1, 5};
  expect_changed(1, "token 1");
  expect_error(ErrorCode::vocabulary, {"token 1"}, [&] { vocabulary.find("bc"); });
}

TEST(Vocabulary, RefusesTokensWhoseHashesAreAlike) {
  std::vector<std::string> tokens;
  for (std::uint64_t number = 0; tokens.size() < 1100; ++number) {
    std::string token;
    for (std::uint64_t rest = number; rest > 0; rest /= 64) token += static_cast<char>('0' + rest % 64);
    // All in the lowest of the table's 4,096 places.
    if (hash_of_bytes(token) >> 52 == 0) tokens.push_back(token);
  }
  const VocabularyData alike(tokens);
  expect_error(ErrorCode::vocabulary, {"tokenizer.vocab", "hashes alike"}, [&] { alike.vocabulary(); });
  tokens.resize(900);
  EXPECT_NO_THROW(VocabularyData(tokens).vocabulary());
}

}  // namespace
