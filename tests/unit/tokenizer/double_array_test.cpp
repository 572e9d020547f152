#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/double_array.hpp>
#include <bertha/tokenizer/trie.hpp>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

TEST(DoubleArray, FindsItsStringsAndNoOthers) {
  const std::map<std::string, std::uint32_t> values = {
      {"a", 1}, {"ab", 2}, {"abc", 3}, {"b", 4}, {"\u2581", 5}, {"\u2581a", 6}, {std::string(1, '\0'), 7}};
  const auto units = trie_of(values);
  const DoubleArray trie(units, "trie");
  for (const auto& [string, value] : values) EXPECT_EQ(trie.value_of(string), value) << string;
  for (const char* other : {"", "c", "ac", "abcd", "abb", "\u2582", "\u2581b", "\xE2", "\xFF"}) {
    EXPECT_EQ(trie.value_of(other), 0u) << other;
  }
}

// The strings of a vocabulary, each with its id + 1.
void expect_trie(const std::vector<std::string>& tokens) {
  const VocabularyData data(tokens);
  const auto units = trie_of(data.strings());
  const DoubleArray trie(units, "trie");
  std::map<std::string, std::uint32_t> values;
  for (std::uint32_t id = 0; id < tokens.size(); ++id) values[tokens[id]] = id + 1;
  values.erase("");
  for (const auto& [string, value] : values) {
    ASSERT_EQ(trie.value_of(string), value) << string;
    for (std::size_t size = 0; size < string.size(); ++size) {
      const auto found = values.find(string.substr(0, size));
      ASSERT_EQ(trie.value_of(string.substr(0, size)), found == values.end() ? 0 : found->second) << string;
    }
    for (const char next : {'\0', 'a', '\x7F'})
      ASSERT_EQ(trie.value_of(string + next) != 0, values.count(string + next) != 0) << string;
  }
}

TEST(Trie, HasEachStringOfAVocabularyTheLaterOfTwoEqualOnesAndNoEmptyOne) {
  expect_trie({"b", "", "a", "ab", "abc", "a", "\u2581", "\u2581a", std::string(1, '\0'), std::string(2, '\0')});
  expect_trie({"longer than eight", "longer than nine", "longer t", "longer ", "longer than eight", "longer than e"});
  expect_trie({""});
  std::mt19937 random(1);
  for (const std::size_t n : {3u, 300u, 30000u}) {
    std::vector<std::string> tokens(n);
    for (std::string& token : tokens) {
      for (std::size_t size = random() % 12; token.size() < size;) token += static_cast<char>(random() % 128);
      if (random() % 3 == 0) token += tokens[random() % n];
    }
    expect_trie(tokens);
  }
}

TEST(Trie, TakesTwiceAsManyUnitsAsItsStringsHaveStartsWhereTheyFitBadly) {
  std::vector<std::string> tokens;  // of the children of each, none can be among those of another
  for (std::uint32_t i = 0; i < 1000; ++i) {
    for (const char* label : {"\1", "\2", "\4", "\b", "\x10", " ", "@"}) tokens.push_back(std::to_string(i) + label);
  }
  EXPECT_LT(trie_of(VocabularyData(tokens).strings()).size() / 2, 2 * (tokens.size() + 1111));
}

TEST(DoubleArray, RefusesToBeEmpty) {
  expect_error(ErrorCode::vocabulary, {"some.trie", "no root"}, [] { DoubleArray({}, "some.trie"); });
}

TEST(DoubleArray, ReadsWithinItsUnitsWhateverTheySay) {
  for (const std::uint32_t unit : {0u, 0xFFu, 0xFFFFFFFFu, 0x61u, 0x161u, 0xFFFFFF61u}) {
    for (std::size_t n = 2; n < 300; ++n) {  // exactly as many as there are: sanitizers see a step too far
      const std::vector<std::uint32_t> units(n, unit);
      const DoubleArray trie(units, "trie");
      for (int byte = 0; byte < 256; ++byte) {
        DoubleArray::Walk walk(trie);
        for (int i = 0; i < 3; ++i) walk.step(static_cast<char>(byte));
      }
    }
  }
}

}  // namespace
