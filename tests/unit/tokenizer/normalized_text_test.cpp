#include <gtest/gtest.h>

#include <bertha/tokenizer/normalized_text.hpp>
#include <string_view>
#include <utility>

namespace {

using namespace bertha;

TEST(NormalizedText, KnowsWhereItsCodePointsCameFrom) {
  NormalizedText text;
  text.append('a', {10, 12});
  text.append(0xE9, {15, 16});
  EXPECT_EQ(text.text(), "a\u00e9");
  EXPECT_EQ(text.origin(0, 1), (Span{10, 12}));
  EXPECT_EQ(text.origin(0, 3), (Span{10, 16}));
  EXPECT_EQ(text.origin(2, 3), (Span{15, 16}));
}

TEST(NormalizedText, RefersToTheOriginalWhereNothingChanges) {
  const std::string_view original = "a\u00e9b";
  NormalizedText text;
  text.append('x', {0, 1});
  text.refer_to(original, 7);
  EXPECT_EQ(text.text().data(), original.data());
  EXPECT_EQ(text.origin(0, 1), (Span{7, 8}));
  EXPECT_EQ(text.origin(2, 3), (Span{8, 10}));  // a part of a code point has its range
  EXPECT_EQ(text.origin(1, 2), (Span{8, 10}));
  EXPECT_EQ(text.origin(0, 4), (Span{7, 11}));
  text.refer_to("", 7);
  EXPECT_EQ(text.text(), "");
  text.clear();
  text.append('y', {1, 2});
  const NormalizedText moved = std::move(text);
  EXPECT_EQ(moved.text(), "y");
}

}  // namespace
