#include <gtest/gtest.h>

#include "../../support/cpu_seconds.hpp"
#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/byte_bpe.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

std::uint32_t byte_id(char byte) { return 4u + static_cast<unsigned char>(byte); }

/// A vocabulary of all bytes and of what the merges, pairs of strings over them, make; ids are looked up.
struct Merges {
  explicit Merges(const std::vector<std::pair<std::string, std::string>>& pairs) {
    std::vector<std::string> tokens;
    for (const auto& [left, right] : pairs) tokens.push_back(left + right);
    data = std::make_unique<VocabularyData>(with_bytes(tokens));
    const Vocabulary vocabulary = data->vocabulary();
    for (const auto& [left, right] : pairs) {
      ids.push_back(vocabulary.find(left).value());
      ids.push_back(vocabulary.find(right).value());
    }
  }
  ByteBpe bpe() const { return ByteBpe(data->vocabulary(), ids, 3); }

  std::unique_ptr<VocabularyData> data;
  std::vector<std::uint32_t> ids;
};

std::vector<std::string> tokens_of(const ByteBpe& bpe, std::string_view word) {
  ByteBpe::Scratch scratch;
  std::vector<std::string> tokens;
  std::size_t done = 0;
  bpe(word, scratch, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
    EXPECT_EQ(begin, done);
    done = end;
    tokens.emplace_back(bpe.vocabulary().token(id));
  });
  EXPECT_EQ(done, word.size());
  return tokens;
}

using Tokens = std::vector<std::string>;

TEST(ByteBpe, MergesByRankAndThenFromTheLeft) {
  const Merges merges({{"b", "c"}, {"a", "b"}, {"a", "a"}, {"aa", "a"}});
  const ByteBpe bpe = merges.bpe();
  EXPECT_EQ(tokens_of(bpe, "abc"), (Tokens{"a", "bc"}));
  EXPECT_EQ(tokens_of(bpe, "aab"), (Tokens{"a", "ab"}));
  EXPECT_EQ(tokens_of(bpe, "aaaa"), (Tokens{"aa", "aa"}));
  EXPECT_EQ(tokens_of(bpe, "aaaaa"), (Tokens{"aa", "aaa"}));
  EXPECT_EQ(tokens_of(bpe, ""), Tokens{});
  EXPECT_EQ(tokens_of(bpe, " \xC3\xA9"), (Tokens{"\u0120", "\u00c3", "\u00a9"}));
}

TEST(ByteBpe, TakesAWordForATokenOnlyIfItsMergesMakeIt) {
  // "abc" is a token, but bc is merged first, so that nothing makes it of the word.
  const Merges merges({{"b", "c"}, {"a", "b"}, {"ab", "c"}});
  const ByteBpe bpe = merges.bpe();
  for (int i = 0; i < 2; ++i) {  // the second time by the mark of the first
    EXPECT_EQ(tokens_of(bpe, "abc"), (Tokens{"a", "bc"}));
    EXPECT_EQ(tokens_of(bpe, "ab"), (Tokens{"ab"}));
    EXPECT_EQ(tokens_of(bpe, "<mask>"), (Tokens{"<", "m", "a", "s", "k", ">"}));
  }
}

/// The definition: of all neighbours that merge, join the leftmost of the lowest rank.
Tokens slowly(const Merges& merges, std::string_view word) {
  const Vocabulary vocabulary = merges.data->vocabulary();
  Tokens tokens;
  for (const char byte : word) tokens.emplace_back(vocabulary.token(byte_id(byte)));
  while (true) {
    std::size_t best = merges.ids.size(), at = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      for (std::size_t m = 0; m < best; m += 2) {
        if (vocabulary.token(merges.ids[m]) == tokens[i] && vocabulary.token(merges.ids[m + 1]) == tokens[i + 1]) {
          best = m;
          at = i;
        }
      }
    }
    if (best == merges.ids.size()) return tokens;
    tokens[at] += tokens[at + 1];
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(ByteBpe, FollowsTheDefinitionForShortAndLongWords) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> pieces = {"a", "b", "c", "\u0120"};
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int i = 0; i < 12; ++i) {
      const auto& left = pieces[random() % pieces.size()];
      const auto& right = pieces[random() % pieces.size()];
      const std::pair<std::string, std::string> pair(left, right);
      if (std::find(pairs.begin(), pairs.end(), pair) != pairs.end()) continue;
      pairs.push_back(pair);
      pieces.push_back(left + right);
    }
    const Merges merges(pairs);
    const ByteBpe bpe = merges.bpe();
    for (const std::size_t size : {1u, 2u, 3u, 8u, 23u, 24u, 25u, 26u, 60u, 150u}) {
      std::string word;
      for (std::size_t i = 0; i < size; ++i) word += "abc "[random() % 4];
      EXPECT_EQ(tokens_of(bpe, word), slowly(merges, word)) << word;
    }
  }
}

TEST(ByteBpe, NeedsNoSquareOfTheLengthOfAWord) {
  const Merges merges({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  const ByteBpe bpe = merges.bpe();
  constexpr std::size_t kBytes = 1 << 15, kWord = 16;
  std::size_t long_tokens = 0, short_tokens = 0;
  const double long_word = cpu_seconds([&] { long_tokens = tokens_of(bpe, std::string(kBytes, 'a')).size(); });
  const double short_words = cpu_seconds([&] {
    short_tokens = 0;
    for (std::size_t i = 0; i < kBytes; i += kWord) short_tokens += tokens_of(bpe, std::string(kWord, 'a')).size();
  });
  EXPECT_EQ(long_tokens, kBytes / 8);
  EXPECT_EQ(short_tokens, kBytes / 8);
  EXPECT_LT(long_word, 20 * short_words) << "a square would take hundreds of times as long";
}

TEST(ByteBpe, GivesTheUnknownTokenForBytesThatTheVocabularyLacks) {
  auto tokens = with_bytes({"ab"});
  tokens[byte_id('q')] = "other";
  const VocabularyData data(tokens);
  const std::vector<std::uint32_t> merges = {byte_id('a'), byte_id('b')};
  EXPECT_EQ(tokens_of(ByteBpe(data.vocabulary(), merges, 3), "abqq"), (Tokens{"ab", "<unk>", "<unk>"}));
  const std::string byte = std::to_string(int{'q'});
  expect_error(ErrorCode::vocabulary, {"byte " + byte, "unk_token_id"},
               [&] { ByteBpe(data.vocabulary(), merges, 9999); });
}

TEST(ByteBpe, RefusesMergesThatAreNone) {
  const auto tokens = with_bytes({"ab", "", "abc"});
  const VocabularyData data(tokens);
  const auto n = static_cast<std::uint32_t>(tokens.size());
  const std::uint32_t a = byte_id('a'), b = byte_id('b'), empty = 4 + 256 + 1;
  const auto refuse = [&](std::initializer_list<std::string_view> words, const std::vector<std::uint32_t>& merges) {
    expect_error(ErrorCode::vocabulary, words, [&] { ByteBpe(data.vocabulary(), merges, 3); });
  };
  EXPECT_NO_THROW(ByteBpe(data.vocabulary(), std::vector{a, b}, 3));
  refuse({"merge 1", std::to_string(n)}, {a, b, a, n});
  refuse({"merge 0", "4294967295"}, {0xFFFFFFFFu, b});
  refuse({"merge 0", "expected tokens"}, {empty, a});
  refuse({"merge 0", "\"b\" and \"a\"", "no token"}, {b, a});
  refuse({"merge 1", "pair of merge 0"}, {a, b, a, b});
}

TEST(ByteBpe, ShowsLittleOfTheStringsOfAVocabularyThatItRefuses) {
  const std::string huge(100'000, 'x');
  const auto tokens = with_bytes({huge, "\u00e9\n"});
  const VocabularyData data(tokens);
  const std::vector<std::uint32_t> merges = {4 + 256, 4 + 256 + 1};
  try {
    ByteBpe(data.vocabulary(), merges, 3);
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    const std::string_view message = error.what();
    EXPECT_LT(message.size(), 300u);
    EXPECT_NE(message.find("xxx...\" and \"???\""), std::string_view::npos) << message;
  }
}

TEST(ByteBpe, IsSharedByThreads) {
  const Merges merges({{"b", "c"}, {"a", "b"}, {"ab", "c"}, {"\u0120", "a"}});
  const ByteBpe bpe = merges.bpe();
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (std::size_t t = 0; t < equal.size(); ++t) {
    threads.emplace_back([&, t] {
      ByteBpe::Scratch scratch;
      for (int i = 0; i < 200; ++i) {
        for (const char* word : {"abc", "ab", " a", " abc"}) {
          std::size_t n = 0;
          bpe(word, scratch, [&](std::uint32_t, std::size_t, std::size_t) { ++n; });
          equal[t] += n == (word == std::string("abc") || word == std::string(" abc") ? 2u : 1u) ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 800));
}

}  // namespace
