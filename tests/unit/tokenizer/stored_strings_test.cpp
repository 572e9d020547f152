// Strings in a model file: which lists of offsets are taken.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/stored_strings.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using bertha::StoredStrings;
using bertha_test::expect_error;

constexpr std::string_view kText = "ab\u00e9c";

TEST(StoredStrings, AreThePartsOfTheText) {
  const std::vector<std::uint32_t> offsets = {0, 0, 2, 4, 5};
  const StoredStrings strings(kText, offsets);
  ASSERT_EQ(strings.size(), 4u);
  EXPECT_EQ(strings.longest(), 2u);
  const std::vector<std::string_view> expected = {"", "ab", "\u00e9", "c"};
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(strings[i], expected[i]);
  const std::vector<std::uint32_t> one = {0, 0};
  EXPECT_EQ(StoredStrings(kText, one).size(), 1u);
}

TEST(StoredStrings, AreRefusedWithOtherOffsets) {
  const std::vector<std::pair<std::vector<std::uint32_t>, std::string>> bad = {
      {{}, "there are no tokens"},
      {{0}, "there are no tokens"},
      {{1, 2}, "the first offset is 1, expected 0"},
      {{0, 2, 1}, "token 1 has bytes 2 to 1 of a text of 5"},
      {{0, 6}, "token 0 has bytes 0 to 6 of a text of 5"},
      {{0, 2, 3, 5}, "token 1 is not UTF-8"},
      {{0, 3}, "token 0 is not UTF-8"},
  };
  for (const auto& [offsets, message] : bad)
    expect_error(bertha::ErrorCode::vocabulary, {message}, [&, &its = offsets] { StoredStrings(kText, its); });
}

TEST(StoredStrings, AreTwoToThe24AndNoMore) {
  std::vector<std::uint32_t> offsets((1u << 24) + 1);
  EXPECT_EQ(StoredStrings(kText, offsets).size(), 1u << 24);
  offsets.push_back(0);
  expect_error(bertha::ErrorCode::vocabulary, {"more than 2^24 tokens"}, [&] { StoredStrings(kText, offsets); });
}

}  // namespace
