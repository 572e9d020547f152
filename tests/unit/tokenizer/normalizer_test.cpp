#include <gtest/gtest.h>

#include <bertha/tokenizer/normalizer.hpp>
#include <string>
#include <vector>

namespace {

using namespace bertha;

NormalizedText normalized(const std::string& text, BertNormalizer::Options options = {}, std::uint32_t base = 0) {
  NormalizedText result;
  BertNormalizer{options}(text, base, result);
  return result;
}

TEST(BertNormalizer, RemovesControlsAndTurnsWhiteSpaceIntoSpaces) {
  const auto result = normalized("a\u200db\tc\u2028d\u000be\u0085f\uFFFDg\u00a0");
  EXPECT_EQ(result.text(), "ab c defg ");
  EXPECT_EQ(result.origin(1, 2), (Span{4, 5}));   // b, behind the joiner
  EXPECT_EQ(result.origin(4, 5), (Span{7, 10}));  // the line separator
}

TEST(BertNormalizer, CoversWhatWasRemovedInsideAPartAndNotBesideIt) {
  const auto result = normalized("ca\u00adfe");
  EXPECT_EQ(result.text(), "cafe");
  EXPECT_EQ(result.origin(0, 4), (Span{0, 6}));
  EXPECT_EQ(result.origin(0, 2), (Span{0, 2}));
  EXPECT_EQ(normalized("\u00ada\u00ad").origin(0, 1), (Span{2, 3}));
}

TEST(BertNormalizer, SetsChineseCharactersApart) {
  const auto result = normalized("a\u4e2db", {}, 10);
  EXPECT_EQ(result.text(), "a \u4e2d b");
  EXPECT_EQ(result.origin(1, 6), (Span{11, 14}));
  EXPECT_EQ(normalized("a\u4e2db", {.handle_chinese_chars = false}).text(), "a\u4e2db");
}

TEST(BertNormalizer, StripsAccentsAndLeavesTheBaseItsOwnSpan) {
  const auto composed = normalized("Caf\u00e9");
  EXPECT_EQ(composed.text(), "cafe");
  EXPECT_EQ(composed.origin(3, 4), (Span{3, 5}));
  const auto decomposed = normalized("Cafe\u0301");
  EXPECT_EQ(decomposed.text(), "cafe");
  EXPECT_EQ(decomposed.origin(0, 4), (Span{0, 4}));
}

TEST(BertNormalizer, KeepsAccentsThoughLowerCasingWhenTold) {
  EXPECT_EQ(normalized("CAF\u00c9", {.strip_accents = false}).text(), "caf\u00e9");
  EXPECT_EQ(normalized("\u0130", {.strip_accents = false}).text(), "i\u0307");
  EXPECT_EQ(normalized("\u0130").text(), "i");
  EXPECT_EQ(normalized("\u0130", {.lowercase = false}).text(), "I");
}

TEST(BertNormalizer, NeverAppliesTheFinalSigma) {
  EXPECT_EQ(normalized("\u039f\u0394\u039f\u03a3").text(), "\u03bf\u03b4\u03bf\u03c3");
}

TEST(BertNormalizer, GivesAMovedMarkTheSpanOfItsNewPlace) {
  // U+302E is a mark that stays (it takes space) and is sorted before U+0301, which goes.
  const auto result = normalized("a\u0301\u302e", {.lowercase = false});
  EXPECT_EQ(result.text(), "a\u302e");
  EXPECT_EQ(result.origin(1, 4), (Span{1, 3}));
}

TEST(BertNormalizer, KeepsMarksOfOneClassInTheirOrder) {
  // U+1D165 and U+1D166 are of one class, of those that stay (they take space), and U+1D16D of a higher one: from some
  // twenty on a sort that is not stable would move them.
  std::string text = "a", first, second;
  for (int i = 0; i < 40; ++i) {
    text += i % 3 == 0 ? "\U0001D16D" : i % 2 == 0 ? "\U0001D165" : "\U0001D166";
    (i % 3 == 0 ? second : first) += text.substr(text.size() - 4);
  }
  EXPECT_EQ(normalized(text, {.lowercase = false}).text(), "a" + first + second);
}

TEST(BertNormalizer, LeavesTextAloneWhenAllIsOff) {
  const std::string text = "A\u0301\u4e2d\t\u200d";
  EXPECT_EQ(normalized(text, {false, false, false, false}).text(), text);
}

TEST(BertNormalizer, UsesTheMemoryOfTheLastCallAgainWithoutItsContent) {
  NormalizedText result;
  const BertNormalizer normalizer({});
  normalizer("a long text", 0, result);
  normalizer("b", 5, result);
  EXPECT_EQ(result.text(), "b");
  EXPECT_EQ(result.origin(0, 1), (Span{5, 6}));
}

}  // namespace
