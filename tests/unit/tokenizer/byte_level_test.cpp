#include <gtest/gtest.h>

#include <bertha/tokenizer/byte_level.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;

/// The words that split(word) finds, between bars; one with a space that the text lacks begins with an underscore.
template <class Split>
std::string between_bars(std::string_view text, const Split& split) {
  std::string result;
  std::size_t done = 0;
  split([&](std::size_t begin, std::size_t end, bool with_space) {
    EXPECT_EQ(begin, done);
    done = end;
    result += '|';
    if (with_space) result += '_';
    result += text.substr(begin, end - begin);
  });
  EXPECT_EQ(done, text.size());
  return result;
}

/// By GPT-2's pattern.
std::string words(std::string_view text, bool space_before = false) {
  return between_bars(text, [&](const auto& word) { split_byte_level(text, space_before, word); });
}

/// By Llama 3's pattern.
std::string llama(std::string_view text) {
  return between_bars(text, [&](const auto& word) {
    split_llama_3(text, [&](std::size_t begin, std::size_t end) { word(begin, end, false); });
  });
}

TEST(ByteAlphabet, HasAPrintableCharacterForEachByte) {
  const std::set<std::uint16_t> characters(byte_alphabet::kCharacters.begin(), byte_alphabet::kCharacters.end());
  EXPECT_EQ(characters.size(), 256u);
  EXPECT_EQ(byte_alphabet::kSpace, 0x120u);
  EXPECT_EQ(byte_alphabet::kCharacters['a'], 'a');
  EXPECT_EQ(byte_alphabet::kCharacters[0], 0x100);
  EXPECT_EQ(byte_alphabet::kCharacters[0x7F], 0x121);
  EXPECT_EQ(byte_alphabet::kCharacters[0xAD], 0x143);
  EXPECT_EQ(byte_alphabet::kCharacters[0xFF], 0xFF);
}

TEST(ByteAlphabet, GivesTheBytesOfATokenOrNone) {
  std::string bytes = "x";
  EXPECT_TRUE(byte_alphabet::append_bytes("\u0120a\u00c3\u0143", bytes));
  EXPECT_EQ(bytes, "x a\xC3\xAD");
  for (const char* other : {"a\u0144", "\u6771", "a b", "\u00ad", "\u00a0"}) {
    EXPECT_FALSE(byte_alphabet::append_bytes(other, bytes)) << other;
    EXPECT_EQ(bytes, "x a\xC3\xAD") << "nothing of a token is left";
  }
}

TEST(SplitByteLevel, GivesEachWordTheSpaceBeforeIt) {
  EXPECT_EQ(words("a bc 12 ?!"), "|a| bc| 12| ?!");
  EXPECT_EQ(words("ab12..c"), "|ab|12|..|c");
  EXPECT_EQ(words("\u00e9\u6771 \u00b2\u00bd \u20ac\U0001F600"), "|\u00e9\u6771| \u00b2\u00bd| \u20ac\U0001F600");
}

TEST(SplitByteLevel, KnowsEnglishEndingsInLowerCaseOnly) {
  EXPECT_EQ(words("it's we're I'm"), "|it|'s| we|'re| I|'m");
  EXPECT_EQ(words("a't'd've'll'x"), "|a|'t|'d|'ve|'ll|'|x");
  EXPECT_EQ(words("IT'S"), "|IT|'|S");
  EXPECT_EQ(words(" 's !'s 'r"), "| '|s| !'|s| '|r");
  EXPECT_EQ(words("'"), "|'");
}

TEST(SplitByteLevel, LeavesOneOfSeveralSpacesToTheNextWord) {
  EXPECT_EQ(words("a  b"), "|a| | b");
  EXPECT_EQ(words("a\n\nb"), "|a|\n|\n|b");
  EXPECT_EQ(words(" \na"), "| |\n|a");
  EXPECT_EQ(words("a  "), "|a|  ");
  EXPECT_EQ(words("\u00a0 \u3000a"), "|\u00a0 |\u3000|a");
  EXPECT_EQ(words(""), "");
}

TEST(SplitByteLevel, CanBeginWithASpaceThatTheTextLacks) {
  EXPECT_EQ(words("ab c", true), "|_ab| c");
  EXPECT_EQ(words("'s", true), "|_'|s");
  EXPECT_EQ(words("\na", true), "|_|\n|a");
  EXPECT_EQ(words("\n\na", true), "|_\n|\n|a");
  EXPECT_EQ(words("\n a", true), "|_\n| a");
  EXPECT_EQ(words("\n", true), "|_\n");
}

TEST(SplitLlama3, GivesLettersTheCharacterBeforeThemAndNumbersThreeByThree) {
  EXPECT_EQ(llama("a bc\t\u00e9 !d\u00a0e"), "|a| bc|\t\u00e9| !|d|\u00a0e");
  EXPECT_EQ(llama("a1234567 12b"), "|a|123|456|7| |12|b");
  EXPECT_EQ(llama("\u00b2\u00bd\u0663\u2161"), "|\u00b2\u00bd\u0663|\u2161");
  EXPECT_EQ(llama(""), "");
}

TEST(SplitLlama3, KnowsEnglishEndingsInBothCases) {
  EXPECT_EQ(llama("it's IT'S we'RE I'lL"), "|it|'s| IT|'S| we|'RE| I|'lL");
  EXPECT_EQ(llama("it'\u017f 'x ''s '"), "|it|'\u017f| '|x| ''|s| '");
}

TEST(SplitLlama3, GivesOtherCharactersTheSpaceBeforeAndTheLineEndsBehindThem) {
  EXPECT_EQ(llama("a ?!\r\n\nb"), "|a| ?!\r\n\n|b");
  EXPECT_EQ(llama("\t! a!!b"), "|\t|!| a|!!|b");
}

TEST(SplitLlama3, EndsWhiteSpaceAtItsLastLineEndOrBeforeTheNextWord) {
  EXPECT_EQ(llama("a  \n\n  b"), "|a|  \n\n| | b");
  EXPECT_EQ(llama(" \n\ta\nb"), "| \n|\ta|\n|b");
  EXPECT_EQ(llama("a   "), "|a|   ");
  EXPECT_EQ(llama("   1"), "|  | |1");
}

TEST(DecodeByteLevel, JoinsBytesAndReplacesWhatIsNoUtf8) {
  const auto decode = [](const std::vector<std::string_view>& tokens) { return decode_byte_level(tokens); };
  EXPECT_EQ(decode({"\u0120the", "\u0120\u00c3", "\u00a9"}), " the \u00e9");
  EXPECT_EQ(decode({"\u00c3", "a"}), "\ufffda");
  EXPECT_EQ(decode({"\u6771", "a \u00e9"}), "\u6771a \u00e9") << "a token with other characters stands for itself";
  EXPECT_EQ(decode({}), "");
}

}  // namespace
