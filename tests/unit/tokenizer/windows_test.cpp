#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <algorithm>
#include <bertha/tokenizer/windows.hpp>
#include <vector>

namespace {

using namespace bertha;
using bertha_test::expect_error;

TEST(KeptLengths, EqualTokenizersLongestFirst) {
  struct Case {
    std::size_t first, second, room;
    KeptLengths expected;
  };
  // From tokenizers 0.23.3: not one token at a time off the longer one, as the documentation says.
  for (const Case& c : std::vector<Case>{{6, 8, 5, {2, 3}},
                                         {8, 6, 5, {3, 2}},
                                         {1, 8, 5, {1, 4}},
                                         {8, 1, 5, {4, 1}},
                                         {5, 5, 5, {2, 3}},
                                         {7, 7, 6, {3, 3}},
                                         {2, 9, 7, {2, 5}},
                                         {3, 3, 6, {3, 3}},
                                         {3, 9, 6, {3, 3}},
                                         {4, 9, 6, {3, 3}},
                                         {9, 9, 1, {0, 1}},
                                         {9, 0, 4, {4, 0}}}) {
    EXPECT_EQ(kept_lengths(c.first, c.second, c.room, Truncation::longest_first), c.expected)
        << c.first << ' ' << c.second << ' ' << c.room;
  }
  EXPECT_EQ(kept_lengths(9, std::nullopt, 4, Truncation::longest_first), (KeptLengths{4, 0}));
}

TEST(KeptLengths, TakeAllFromTheTextThatIsNamed) {
  EXPECT_EQ(kept_lengths(6, 8, 9, Truncation::only_first), (KeptLengths{1, 8}));
  EXPECT_EQ(kept_lengths(6, 8, 9, Truncation::only_second), (KeptLengths{6, 3}));
  EXPECT_EQ(kept_lengths(6, std::nullopt, 2, Truncation::only_first), (KeptLengths{2, 0}));
  EXPECT_EQ(kept_lengths(6, 8, 14, Truncation::only_second), (KeptLengths{6, 8}));
  EXPECT_EQ(kept_lengths(6, 8, 0, Truncation::only_second), (KeptLengths{0, 0}));
  EXPECT_EQ(kept_lengths(600, 8, 0, Truncation::none), (KeptLengths{600, 8}));
}

TEST(KeptLengths, RefuseToLeaveNothingOfTheTextThatIsNamed) {
  expect_error(ErrorCode::input, {"only_second", "too short", "8 tokens", "9 would"},
               [] { kept_lengths(9, 8, 8, Truncation::only_second); });
  expect_error(ErrorCode::input, {"only_first", "too short"}, [] { kept_lengths(6, 8, 8, Truncation::only_first); });
  expect_error(ErrorCode::input, {"only_second", "no second text"},
               [] { kept_lengths(9, std::nullopt, 8, Truncation::only_second); });
}

TEST(KeptLengths, AreKnownFromOneTokenTooManyUnlessTheyDependOnAll) {
  std::size_t n_known = 0;
  for (const Truncation truncation :
       {Truncation::none, Truncation::longest_first, Truncation::only_first, Truncation::only_second}) {
    for (std::size_t i = 0; i < std::size_t{14} * 14 * 7; ++i) {
      const std::size_t first = i % 14, second = i / 14 % 14, room = i / 14 / 14;
      const std::size_t seen_first = std::min(first, room + 1), seen_second = std::min(second, room + 1);
      if (depends_on_all(seen_first, seen_second, room, truncation)) continue;
      ++n_known;
      const KeptLengths kept = kept_lengths(first, second, room, truncation);
      EXPECT_EQ(kept_lengths(seen_first, seen_second, room, truncation), kept) << first << ' ' << second << ' ' << room;
      EXPECT_EQ((KeptLengths{seen_first, seen_second} != kept), (KeptLengths{first, second} != kept));
    }
  }
  EXPECT_GT(n_known, 1500u);
}

TEST(WindowRanges, CoverAllTokensAndShareTheStride) {
  using Ranges = std::vector<TokenRange>;
  EXPECT_EQ(window_ranges(9, 4, 1), (Ranges{{0, 4}, {3, 7}, {6, 9}}));
  EXPECT_EQ(window_ranges(10, 4, 1), (Ranges{{0, 4}, {3, 7}, {6, 10}}));
  EXPECT_EQ(window_ranges(5, 2, 0), (Ranges{{0, 2}, {2, 4}, {4, 5}}));
  EXPECT_EQ(window_ranges(4, 3, 2), (Ranges{{0, 3}, {1, 4}}));
  EXPECT_EQ(window_ranges(4, 4, 0), (Ranges{{0, 4}}));
  EXPECT_EQ(window_ranges(0, 0, 0), (Ranges{{0, 0}}));
  EXPECT_EQ(window_ranges(3, 9, 20), (Ranges{{0, 3}}));  // nothing is cut, so no stride is too large
}

TEST(WindowRanges, RefuseAStrideThatDoesNotMoveOn) {
  expect_error(ErrorCode::input, {"stride is 4", "room for 4"}, [] { window_ranges(9, 4, 4); });
  expect_error(ErrorCode::input, {"stride is 0", "room for 0"}, [] { window_ranges(9, 0, 0); });
}

}  // namespace
