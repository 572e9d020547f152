#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <algorithm>
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
    if (round % 3 == 0) std::shuffle(pairs.begin(), pairs.end(), random);  // no training gives such ranks
    const Merges merges(pairs);
    const ByteBpe bpe = merges.bpe();
    for (const std::size_t size : {1u, 2u, 3u, 8u, 23u, 24u, 25u, 26u, 60u, round < 6 ? 600u : 150u}) {
      std::string word;
      for (std::size_t i = 0; i < size; ++i) word += "abc "[random() % 4];
      EXPECT_EQ(tokens_of(bpe, word), slowly(merges, word)) << word;
    }
    if (round >= 6) continue;
    for (const std::string part : {"a", "ab", "abc", "aab "}) {  // windows that are alike, and others behind them
      std::string word;
      while (word.size() < 600) word += part;
      word[500 + random() % 100] = 'c';
      EXPECT_EQ(tokens_of(bpe, word), slowly(merges, word)) << word;
    }
  }
}

/// Merges of bytes 1 and 2, 2 and 3 and so on up to 240, the last first: which of them are merged depends on where a
/// run of rising bytes ends.
Merges merges_from_the_right() {
  std::vector<std::pair<std::string, std::string>> pairs;
  const auto character = [](int byte) {
    char bytes[4];
    return std::string(bytes, utf8::encode(byte_alphabet::kCharacters[static_cast<std::size_t>(byte)], bytes));
  };
  for (int byte = 239; byte > 0; --byte) pairs.emplace_back(character(byte), character(byte + 1));
  return Merges(pairs);
}

std::string rising_bytes(std::size_t n, int last) {
  std::string word;
  for (std::size_t i = n; i-- > 0;) word += static_cast<char>(last - static_cast<int>(i % 240));
  return word;
}

TEST(LowestFirst, FindsTheFirstOfTheLowest) {
  std::mt19937 random(4);
  LowestFirst numbers;
  for (const std::size_t n : {1u, 15u, 16u, 17u, 256u, 257u, 5000u}) {
    std::vector<std::uint32_t> expected(n);
    const auto number = [&](std::uint32_t n_values) { return static_cast<std::uint32_t>(random()) % n_values << 25; };
    for (std::uint32_t& its : expected) its = random() % 50 == 0 ? LowestFirst::kNone : number(100);
    numbers.assign(n, [&](std::size_t i) { return expected[i]; });
    for (int change = 0; change < 500; ++change) {
      const auto lowest =
          static_cast<std::size_t>(std::min_element(expected.begin(), expected.end()) - expected.begin());
      ASSERT_EQ(numbers.lowest(), lowest);
      ASSERT_EQ(numbers[lowest], expected[lowest]);
      const std::size_t at = change % 2 == 0 ? lowest : random() % n;
      expected[at] = change % 3 == 0 ? LowestFirst::kNone : number(120);
      numbers.set(at, expected[at]);
    }
  }
}

TEST(ByteBpe, LooksAsFarAheadAsMergesReach) {
  const Merges merges = merges_from_the_right();
  const ByteBpe bpe = merges.bpe();
  for (const std::size_t size : {200u, 240u, 479u, 701u}) {
    const std::string word = rising_bytes(size, 240);
    EXPECT_EQ(tokens_of(bpe, word), slowly(merges, word)) << size;
  }
}

TEST(ByteBpe, LooksAtSymbolsAFewTimesHoweverLongAWordIs) {
  constexpr std::size_t kBytes = 100'000;
  ByteBpe::Scratch scratch;
  const auto looked_at = [&](const Merges& merges, const std::string& word) {
    return merges.bpe()(word, scratch, [](std::uint32_t, std::size_t, std::size_t) {});
  };
  const Merges same({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  const std::size_t few = looked_at(same, std::string(kBytes, 'a'));
  EXPECT_GT(few, kBytes);
  EXPECT_LT(few, 2 * kBytes);
  EXPECT_LT(looked_at(merges_from_the_right(), rising_bytes(kBytes, 240)), 4 * kBytes);
  std::vector<std::pair<std::string, std::string>> whole = {{"a", "a"}};  // the word is one token
  for (std::string half = "aa"; half.size() < 1 << 12; half += half) whole.emplace_back(half, half);
  EXPECT_LT(looked_at(Merges(whole), std::string(kBytes, 'a')), 4 * kBytes);
}

TEST(ByteBpe, CutsWordsBetweenBytesThatNoTokenHasSideBySide) {
  const Merges merges({{"a", "b"}, {"c", "a"}, {"ca", "b"}});
  const ByteBpe bpe = merges.bpe();
  EXPECT_EQ(bpe.end_of_part("abcab", 0), 2u);
  EXPECT_EQ(bpe.end_of_part("abcab", 2), 5u);
  EXPECT_EQ(bpe.end_of_part("aab", 0), 1u);
  EXPECT_EQ(tokens_of(bpe, "abcabb"), (Tokens{"ab", "c", "ab", "b"}));
}

TEST(ByteBpe, GivesTheUnknownTokenForBytesThatTheVocabularyLacks) {
  auto tokens = with_bytes({"ab"});
  tokens[byte_id('q')] = "other";
  const VocabularyData data(tokens);
  const std::vector<std::uint32_t> merges = {byte_id('a'), byte_id('b')};
  EXPECT_EQ(tokens_of(ByteBpe(data.vocabulary(), merges, 3), "abqq"), (Tokens{"ab", "<unk>", "<unk>"}));
  // The unknown token may have merges, which bytes that it stands for have then.
  auto joined = tokens;
  joined.push_back("<unk>a");
  const VocabularyData more(joined);
  const std::vector<std::uint32_t> of_unknown = {3, byte_id('a')};
  EXPECT_EQ(tokens_of(ByteBpe(more.vocabulary(), of_unknown, 3), "qa"), (Tokens{"<unk>a"}));
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
