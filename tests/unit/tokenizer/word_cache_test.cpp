#include <gtest/gtest.h>

#include <bertha/tokenizer/token_batch.hpp>
#include <bertha/tokenizer/word_cache.hpp>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bertha::WordCache;

struct Token {
  std::uint32_t id;
  std::size_t begin, end;
  friend bool operator==(const Token&, const Token&) = default;
};
using Tokens = std::vector<Token>;

// What the cache gives for a word whose tokens are these, and whether it asked for them.
struct Answer {
  Tokens tokens;
  bool made = false;
};

// Every second word is the end of a text, behind which nothing may be read.
Answer ask(WordCache& cache, std::string_view word, const Tokens& tokens, unsigned way = 0, bool may_keep = true) {
  static std::size_t n_asked = 0;
  const std::string before = "before";
  const std::string text = before + std::string(word) + (n_asked++ % 2 == 0 ? "" : std::string(40, 'x'));
  Answer answer;
  const auto make = [&](auto&& put) {
    answer.made = true;
    for (const Token& token : tokens) put(token.id, token.begin, token.end);
    return may_keep;
  };
  cache(text, before.size(), before.size() + word.size(), way, make,
        [&](std::uint32_t id, std::size_t begin, std::size_t end) {
          answer.tokens.push_back({id, begin, end});
        });
  return answer;
}

// Asks three times: at the third a word that can be kept is known.
void expect(std::string_view word, const Tokens& tokens, bool kept, bool may_keep = true) {
  WordCache cache;
  for (int i = 0; i < 3; ++i) {
    const Answer answer = ask(cache, word, tokens, 0, may_keep);
    EXPECT_EQ(answer.tokens, tokens) << word;
    EXPECT_EQ(answer.made, i < 2 || !kept) << word;
  }
}

Tokens of_one(std::string_view word) { return {{7, 0, word.size()}}; }

TEST(WordCache, KeepsWordsOfUpTo23BytesThatCameTwice) {
  for (std::size_t size = 1; size <= 30; ++size) {
    const std::string word(size, 'a');
    expect(word, of_one(word), size <= 23);
  }
}

TEST(WordCache, KeepsUpToTenTokens) {
  const std::string word = "abcdefghijk";
  Tokens tokens;
  for (std::size_t i = 0; i < 9; ++i) tokens.push_back({static_cast<std::uint32_t>(i), i, i + 1});
  tokens.push_back({(1u << 24) - 1, 9, 11});
  expect(word, tokens, true);
  tokens.back() = {1u << 24, 9, 11};
  expect(word, tokens, false);
  tokens.back() = {9, 9, 10};
  expect(word, tokens, true);
  tokens.push_back({10, 10, 11});
  expect(word, tokens, false);  // eleven
}

TEST(WordCache, KeepsATokenWithoutBytesInFrontOnly) {
  expect("ab", {{1, 0, 0}, {2, 0, 2}}, true);
  expect("ab", {{1, 0, 1}, {2, 1, 1}, {3, 1, 2}}, false);
  expect("ab", {{1, 0, 2}, {2, 0, 2}}, false);
  expect("ab", {}, false);
}

// As where accents are dropped.
TEST(WordCache, KeepsTokensThatLeaveBytesOutIfTheyAreFew) {
  const std::string word = "abcdefghijklmnopqrstuvw";
  for (std::size_t gap = 0; gap <= 10; ++gap) {
    expect(word, {{1, gap, 12}, {2, 12, 13}}, gap <= 7);
    expect(word, {{1, 0, 12}, {2, 12 + gap, 23}}, gap <= 7);
    expect(word, {{1, 0, 12}, {2, 12, 23 - gap}}, true);
  }
  expect(word, {{1, 7, 9}, {2, 16, 20}}, true);
  expect(word, {{1, 3, 9}, {2, 8, 20}}, false);  // not one behind the other
}

TEST(WordCache, KeepsNothingThatItMayNot) { expect("ab", of_one("ab"), false, false); }

TEST(WordCache, TellsWordsApartByEachByteTheirSizeAndTheWay) {
  WordCache cache;
  std::set<std::string> words;
  const std::string longest = "abcdefghijklmnopqrstuvw";
  for (std::size_t size = 1; size <= longest.size(); ++size) {
    words.insert(longest.substr(0, size));
    words.insert(longest.substr(0, size) + std::string(longest.size() - size, '\0'));
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = longest.substr(0, size);
      other[i] = '!';
      words.insert(other);
    }
  }
  for (int round = 0; round < 3; ++round) {
    std::uint32_t id = 0;
    for (const std::string& word : words) {
      for (const unsigned way : {0u, 1u}) {
        const Tokens tokens = {{++id, 0, word.size()}};
        EXPECT_EQ(ask(cache, word, tokens, way).tokens, tokens);
      }
    }
  }
}

TEST(WordCache, GivesWhatWasMadeHoweverManyWordsThereAre) {
  WordCache cache;
  std::mt19937 random(1);
  std::size_t n_made = 0;
  for (int i = 0; i < 600000; ++i) {
    // Some words often, and more of them than there is room for.
    const std::uint32_t number =
        i % 2 == 0 ? static_cast<std::uint32_t>(random() % 1000) : static_cast<std::uint32_t>(random());
    const std::string word = std::to_string(number) + (number % 3 == 0 ? "longer" : "");
    const Tokens tokens = {{number & 0xFFFF, 0, 1}, {number >> 16, 1, word.size()}};
    const Answer answer = ask(cache, word, word.size() == 1 ? of_one(word) : tokens);
    ASSERT_EQ(answer.tokens, word.size() == 1 ? of_one(word) : tokens);
    n_made += answer.made;
  }
  EXPECT_LT(n_made, 330000u);
  EXPECT_GT(n_made, 290000u);
}

TEST(WordCache, HasNoLineOfAnEmptyWord) {
  WordCache cache;
  for (int round = 0; round < 3; ++round) {
    for (const std::string& text : {std::string(), std::string(30, 'a')}) {
      WordCache::Lookup lookup;
      lookup.start(text, 0, 0, 0);
      cache.find(lookup);
      EXPECT_EQ(cache.line_of(lookup), nullptr) << round;
    }
    ask(cache, "word", of_one("word"));
  }
}

// Words of one to eleven tokens, each step taken with all.
TEST(WordCache, GivesToABatchWhatItGivesOneByOne) {
  std::string text;
  std::vector<bertha::Span> words;
  for (std::uint32_t size = 1; size <= 11; ++size) {
    words.push_back({static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(text.size() + 2 * size)});
    text += std::string(2 * size, 'a') + " ";
  }
  WordCache cache;
  bertha::TokenBatch<11> batch;
  for (int round = 0; round < 3; ++round) {
    bertha::TokenSequence expected, found;
    std::vector<WordCache::Lookup> lookups(words.size());
    for (std::size_t w = 0; w < words.size(); ++w) lookups[w].start(text, words[w].start, words[w].end, 0);
    for (auto& lookup : lookups) cache.find(lookup);
    for (std::uint32_t w = 0; w < words.size(); ++w) {
      const auto size = words[w].end - words[w].start;
      for (std::uint32_t i = 0; i < size; i += 2) {
        expected.append(100 * w + i, {words[w].start + i, words[w].start + i + 2}, w);
      }
      const WordCache::Line* line = cache.line_of(lookups[w]);
      EXPECT_EQ(line != nullptr, round == 2 && w < 10) << w;
      if (line != nullptr) {
        batch.append(*line, words[w].start, w);
        continue;
      }
      batch.move_to(found);
      const auto make = [&](auto&& put) {
        for (std::uint32_t i = 0; i < size; i += 2) put(100 * w + i, std::size_t{i}, std::size_t{i} + 2);
        return true;
      };
      cache.make(lookups[w], make, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        const auto first = static_cast<std::uint32_t>(begin), last = static_cast<std::uint32_t>(end);
        found.append(id, {words[w].start + first, words[w].start + last}, w);
      });
    }
    batch.move_to(found);
    EXPECT_EQ(found.ids, expected.ids);
    EXPECT_EQ(found.offsets, expected.offsets);
    EXPECT_EQ(found.words, expected.words);
  }
}

}  // namespace
