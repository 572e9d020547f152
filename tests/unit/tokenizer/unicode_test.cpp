// What the tables must say for the code to be right; that they equal `tokenizers` is shown by golden_test.cpp.

#include <gtest/gtest.h>

#include <bertha/tokenizer/unicode.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <cctype>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha::unicode;

bool is(std::uint32_t code_point, std::uint16_t flag) { return (properties(code_point).flags & flag) != 0; }

TEST(Unicode, TreatsAsciiAsTheFastPathOfTheTokenizerDoes) {
  for (std::uint32_t c = 0; c < 0x80; ++c) {
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    EXPECT_EQ(is(c, kCleanSpace), is_space) << c;
    EXPECT_EQ(is(c, kRemoved), (c < ' ' || c == 0x7F) && !is_space) << c;
    EXPECT_EQ(is(c, kPunctuation), std::ispunct(static_cast<int>(c)) != 0) << c;
    EXPECT_EQ(is(c, kLowers), c >= 'A' && c <= 'Z') << c;
    EXPECT_FALSE(is(c, kDecomposes) || is(c, kNonspacing) || is(c, kChinese)) << c;
    EXPECT_EQ(properties(c).combining, 0) << c;
  }
}

TEST(Unicode, HasTheTablesOfTheCratesAndNotOfToday) {
  EXPECT_TRUE(is(0x2B920, kChinese));   // a slip in the original that is kept
  EXPECT_FALSE(is(0x2B820, kChinese));  // and what it leaves out
  EXPECT_FALSE(is(0x08D3, kNonspacing));
  EXPECT_TRUE(is(0x166D, kPunctuation));
  EXPECT_TRUE(is(0xE000, kRemoved));
  EXPECT_FALSE(is(0x0378, kRemoved));  // unassigned code points stay
}

TEST(Unicode, DecomposesFullyAndComputesHangul) {
  const auto decomposed = [](std::uint32_t code_point) {
    std::uint32_t hangul[3];
    const auto parts = decompose(code_point, hangul);
    return std::vector<std::uint32_t>(parts.begin(), parts.end());
  };
  EXPECT_EQ(decomposed(0x1E69), (std::vector<std::uint32_t>{'s', 0x323, 0x307}));
  EXPECT_EQ(decomposed(0xAC00), (std::vector<std::uint32_t>{0x1100, 0x1161}));
  EXPECT_EQ(decomposed(0xD55C), (std::vector<std::uint32_t>{0x1112, 0x1161, 0x11AB}));
  EXPECT_EQ(decomposed(0xD7A3), (std::vector<std::uint32_t>{0x1112, 0x1175, 0x11C2}));
  EXPECT_EQ(decomposed(0xC0), (std::vector<std::uint32_t>{'A', 0x300}));
  EXPECT_EQ(decomposed(0x2FA1D), (std::vector<std::uint32_t>{0x2A600}));
}

TEST(Unicode, NoPartOfADecompositionDecomposes) {
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    if (!is(c, kDecomposes)) continue;
    std::uint32_t hangul[3];
    for (const std::uint32_t part : decompose(c, hangul)) ASSERT_FALSE(is(part, kDecomposes)) << c;
  }
}

TEST(Unicode, LowerCasesEveryCodePointThatIsSaidTo) {
  EXPECT_EQ(lower('A'), std::uint32_t{'a'});
  EXPECT_EQ(lower(0x100), 0x101u);
  EXPECT_EQ(lower(0x1E9E), 0xDFu);
  EXPECT_EQ(lower(0x10400), 0x10428u);
  EXPECT_FALSE(is(0x101, kLowers));
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    ASSERT_TRUE(!is(c, kLowers) || lower(c) != c) << c;
    ASSERT_TRUE(!is(c, kPythonLowers) || is(c, kLowers)) << c;
  }
}

TEST(Unicode, OrdersCombiningClassesAsUnicodeDoes) {
  const auto rank = [](std::uint32_t c) { return properties(c).combining; };
  EXPECT_LT(rank(0x334), rank(0x93C));  // overlay, nukta
  EXPECT_LT(rank(0x93C), rank(0x3099));
  EXPECT_LT(rank(0x323), rank(0x301));  // below, above
  EXPECT_EQ(rank(0x300), rank(0x301));
  EXPECT_LT(rank(0x301), rank(0x345));
}

TEST(PythonLower, AppliesTheFinalSigmaRule) {
  EXPECT_EQ(python_lower("\u039f\u0394\u039f\u03a3"), "\u03bf\u03b4\u03bf\u03c2");
  EXPECT_EQ(python_lower("\u039f\u0394\u039f\u03a3\u0391"), "\u03bf\u03b4\u03bf\u03c3\u03b1");
  EXPECT_EQ(python_lower("\u03a3"), "\u03c3");
  EXPECT_EQ(python_lower("A'\u03a3'"), "a'\u03c2'");  // the apostrophe is ignorable
}

TEST(PythonLower, GivesTwoCodePointsForTheCapitalIWithDot) {
  EXPECT_EQ(python_lower("\u0130stanbul"), "i\u0307stanbul");
}

}  // namespace
