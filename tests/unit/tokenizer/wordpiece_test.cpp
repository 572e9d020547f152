#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <algorithm>
#include <bertha/tokenizer/wordpiece.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  split_words(text, [&](std::size_t begin, std::size_t end) { words.push_back(text.substr(begin, end - begin)); });
  return words;
}

TEST(SplitWords, SplitsAtWhiteSpaceAndSetsPunctuationApart) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(words_of("  hello, world!! "), (Words{"hello", ",", "world", "!", "!"}));
  EXPECT_EQ(words_of("a\u00a0b\u3000c\x0b"
                     "d"),
            (Words{"a", "b", "c", "d"}));
  EXPECT_EQ(words_of("\u300cx\u300d"), (Words{"\u300c", "x", "\u300d"}));
  EXPECT_EQ(words_of("5\u20ac\u2122"), (Words{"5\u20ac\u2122"}));  // symbols outside ASCII glue
  EXPECT_EQ(words_of("1+1"), (Words{"1", "+", "1"}));              // those inside do not
  EXPECT_EQ(words_of(""), Words{});
  EXPECT_EQ(words_of(" \t"), Words{});
}

class WordPieceTest : public testing::Test {
 protected:
  // Ids of the pieces of a word, and their ends.
  std::vector<std::uint32_t> ids(std::string_view word, std::size_t max_chars = 100) {
    tokens_ = {};
    append(WordPiece(data_.strings(), "##", 0, max_chars), word);
    return tokens_.ids;
  }

  void append(const WordPiece& word_piece, std::string_view word) {
    word_piece(word, scratch_, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
      tokens_.append(id, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, 7);
    });
  }

  const VocabularyData data_{{"[UNK]", "un", "una", "##aff", "##able", "##a", "a", "##ffix", "\u00e9", "##\u00e9"}};
  TokenSequence tokens_;
  WordPiece::Scratch scratch_;
};

TEST_F(WordPieceTest, TakesTheLongestPieceFromTheLeft) {
  EXPECT_EQ(ids("unaffable"), (std::vector<std::uint32_t>{0}));  // una, and then nothing begins with ff
  EXPECT_EQ(tokens_.offsets, (std::vector<Span>{{0, 9}}));
  EXPECT_EQ(ids("unaffix"), (std::vector<std::uint32_t>{2, 7}));
  EXPECT_EQ(tokens_.offsets, (std::vector<Span>{{0, 3}, {3, 7}}));
  EXPECT_EQ(tokens_.words, (std::vector<std::uint32_t>{7, 7}));
}

TEST_F(WordPieceTest, MakesOneUnknownTokenOfAWordWhoseEndHasNoPiece) {
  EXPECT_EQ(ids("aaax"), std::vector<std::uint32_t>{0});
  EXPECT_EQ(ids("x"), std::vector<std::uint32_t>{0});
  EXPECT_EQ(ids("able"), std::vector<std::uint32_t>{0});  // only as a continuation
}

TEST_F(WordPieceTest, CountsCodePointsAgainstTheLongestWord) {
  const std::string two_bytes_each = "\u00e9\u00e9\u00e9";
  EXPECT_EQ(ids(two_bytes_each, 3), (std::vector<std::uint32_t>{8, 9, 9}));
  EXPECT_EQ(ids(two_bytes_each, 2), std::vector<std::uint32_t>{0});
  EXPECT_EQ(ids(std::string(100, 'a')).size(), 100u);
  EXPECT_EQ(ids(std::string(101, 'a')), std::vector<std::uint32_t>{0});
  EXPECT_EQ(tokens_.offsets, (std::vector<Span>{{0, 101}}));
}

TEST_F(WordPieceTest, KeepsTheTokensBeforeAnUnknownWord) {
  const WordPiece word_piece(data_.strings(), "##", 0, 100);
  append(word_piece, "unaffix");
  append(word_piece, "aax");
  EXPECT_EQ(tokens_.ids, (std::vector<std::uint32_t>{2, 7, 0}));
}

TEST_F(WordPieceTest, WorksWithAPrefixThatIsEmptyOrLongerThanAnyToken) {
  append(WordPiece(data_.strings(), "", 0, 100), "aun");
  EXPECT_EQ(tokens_.ids, (std::vector<std::uint32_t>{6, 1}));
  append(WordPiece(data_.strings(), "12345678901234567890", 0, 100), "aa");
  EXPECT_EQ(tokens_.ids, (std::vector<std::uint32_t>{6, 1, 0}));
}

TEST(WordPiece, TakesTheLongestPieceOfAnySize) {
  // Of sizes up to 140 bytes, first and further ones; each third size is left out.
  std::vector<std::string> tokens = {"[UNK]", "#", "##b"};
  for (std::size_t size = 2; size <= 140; ++size) {
    if (size % 3 == 0) continue;
    tokens.push_back("#" + std::string(size - 1, 'a'));
    tokens.push_back("##" + std::string(size, 'a'));
  }
  const VocabularyData data(tokens);
  const WordPiece word_piece(data.strings(), "##", 0, 1000);
  WordPiece::Scratch scratch;
  const auto has = [&](const std::string& token) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  };
  for (std::size_t n = 1; n <= 300; ++n) {
    const std::string word = "#" + std::string(n, 'a') + "b";
    // By hand: the largest size that there is, again and again.
    std::vector<std::string> expected;
    for (std::size_t begin = 0; begin < word.size();) {
      const std::string prefix = begin == 0 ? "" : "##";
      std::size_t size = word.size() - begin;
      while (size > 0 && !has(prefix + word.substr(begin, size))) --size;
      if (size == 0) {
        expected = {"[UNK]"};
        break;
      }
      expected.push_back(prefix + word.substr(begin, size));
      begin += size;
    }
    std::vector<std::string> found;
    word_piece(word, scratch, [&](std::uint32_t id, std::size_t, std::size_t) { found.push_back(tokens[id]); });
    EXPECT_EQ(found, expected) << n;
  }
}

TEST_F(WordPieceTest, RefusesAnUnknownTokenThatIsNone) {
  expect_error(ErrorCode::vocabulary, {"unk_token_id", "10"}, [&] { WordPiece(data_.strings(), "##", 10, 100); });
  const VocabularyData holes({"a", ""});
  expect_error(ErrorCode::vocabulary, {"unk_token_id", "1"}, [&] { WordPiece(holes.strings(), "##", 1, 100); });
}

TEST(DecodeWordpiece, JoinsPiecesAndCleansUpTokenByToken) {
  const auto decoded = [](std::vector<std::string_view> tokens, bool cleanup = true) {
    return decode_wordpiece(tokens, "##", cleanup);
  };
  EXPECT_EQ(decoded({"un", "##aff", "##able", "."}), "unaffable.");
  EXPECT_EQ(decoded({"un", "."}, false), "un .");
  EXPECT_EQ(decoded({"##un", "a"}), "##un a");  // the first token keeps its prefix
  EXPECT_EQ(decoded({"U", ".", "S", ".", "don", "'", "t"}), "U. S. don ' t");
  EXPECT_EQ(decoded({"do", "not"}), "do not");
  EXPECT_EQ(decoded({"x", "do not"}), "x don't");
  EXPECT_EQ(decoded({}), "");
}

TEST(WordPiece, RefusesAVocabularyThatMakesLongWordsSlow) {
  const VocabularyData data({"[UNK]", std::string(1500, 'b')});
  EXPECT_NO_THROW(WordPiece(data.strings(), "##", 0, 1000));
  expect_error(ErrorCode::vocabulary, {"max_input_chars_per_word is 1001", "1500 bytes"},
               [&] { WordPiece(data.strings(), "##", 0, 1001); });
  const VocabularyData usual({"[UNK]", "a"});
  EXPECT_NO_THROW(WordPiece(usual.strings(), "##", 0, std::size_t{1} << 24));
}

TEST(DecodeWordPiece, CleansLongTokensUp) {
  // Replacing in place would move some 10^12 bytes.
  std::string token = "a", expected = "a";
  for (int i = 0; i < 1000000; ++i) {
    token += " .";
    expected += '.';
  }
  const std::vector<std::string_view> tokens = {token};
  EXPECT_TRUE(decode_wordpiece(tokens, "##", true) == expected);
}

}  // namespace
