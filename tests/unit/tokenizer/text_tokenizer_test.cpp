#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/mapped_zeros.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/text_tokenizer.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

class TextTokenizerTest : public testing::Test {
 protected:
  TextTokenizer make(const TokenizerConfig& config) const {
    TokenizerTensors tensors;
    tensors.text = data_.text;
    tensors.offsets = data_.offsets;
    return {config, tensors};
  }
  TokenizerConfig config() const { return bert_config(data_.offsets.size() - 1); }

  const VocabularyData data_{
      with_special({"hello", "world", "##s", "!", "a", "##b", "b", "e", "\u4e2d", "[", "]", "mask"})};
};

TEST_F(TextTokenizerTest, NumbersWordsThroughAddedTokensAndPunctuation) {
  const TokenSequence tokens = make(config())("Hello[MASK]worlds!  a", false);
  EXPECT_EQ(tokens.ids, (std::vector<std::uint32_t>{5, 4, 6, 7, 8, 9}));
  EXPECT_EQ(tokens.words, (std::vector<std::uint32_t>{0, 1, 2, 2, 3, 4}));
  EXPECT_EQ(tokens.offsets, (std::vector<Span>{{0, 5}, {5, 11}, {11, 16}, {16, 17}, {17, 18}, {20, 21}}));
}

TEST_F(TextTokenizerTest, TakesTextsOfLessThan2GigabytesAndRefusesOthersUnread) {
  const MappedZeros bytes(std::size_t{1} << 31);
  const TextTokenizer tokenizer = make(config());
  expect_error(ErrorCode::input, {"it has 2147483648 bytes", "divide it"}, [&] { tokenizer(bytes.text(), false); });
  bytes.data()[1] = '\xff';  // which is read, and refused, where the size is none too many
  expect_error(ErrorCode::input, {"byte 0", "UTF-8"}, [&] { tokenizer(bytes.text().substr(1), false); });
}

TEST_F(TextTokenizerTest, CutsSpecialTokensOutOfWordsUnlessToldToSplitThem) {
  EXPECT_EQ(make(config())("a[MASK]b", false).ids, (std::vector<std::uint32_t>{9, 4, 11}));
  EXPECT_EQ(make(config())("a[mask]b", false).ids, (std::vector<std::uint32_t>{9, 14, 16, 15, 11}));
  EXPECT_EQ(make(config())("a[MASK]b", true).ids, (std::vector<std::uint32_t>{9, 14, 16, 15, 11}));
}

// What tokenizers 0.22.2 gives; 0.23.3 gives any of the ids that are equal, and so also this.
TEST_F(TextTokenizerTest, FindsOfTokensThatNormalisationMakesEqualTheFirstSpecialOne) {
  const auto ids = [&](const std::vector<std::pair<const char*, bool>>& contents, bool split = false) {
    auto some = config();
    std::uint32_t id = 20;
    for (const auto& [content, special] : contents)
      some.added_tokens.push_back({id++, content, false, false, false, true, special});
    return make(some)("a B", split).ids;
  };
  using Ids = std::vector<std::uint32_t>;
  EXPECT_EQ(ids({{"B", false}, {"b", false}}), (Ids{9, 20}));
  EXPECT_EQ(ids({{"b", false}, {"B", false}}), (Ids{9, 20}));
  EXPECT_EQ(ids({{"B", false}, {"b", true}}), (Ids{9, 21}));
  EXPECT_EQ(ids({{"B", true}, {"b", false}}), (Ids{9, 20}));
  EXPECT_EQ(ids({{"A", true}, {"B", false}, {"b", true}}), (Ids{20, 22}));
  EXPECT_EQ(ids({{"B", false}, {"b", true}}, true), (Ids{9, 11})) << "special tokens are text, the other is not found";
}

TEST_F(TextTokenizerTest, FindsNormalizedAddedTokensInNormalisedText) {
  auto with_added = config();
  AddedToken token;
  token.id = 30;
  token.content = "\u00c9B";
  token.normalized = true;
  token.special = false;
  with_added.added_tokens.push_back(token);
  const TextTokenizer tokenizer = make(with_added);
  EXPECT_EQ(tokenizer.shown(token), "eb");
  const TokenSequence tokens = tokenizer("a E\u0301b[MASK] \u00e9b", false);
  EXPECT_EQ(tokens.ids, (std::vector<std::uint32_t>{9, 30, 4, 30}));
  EXPECT_EQ(tokens.offsets, (std::vector<Span>{{0, 1}, {2, 6}, {6, 12}, {13, 16}}));
}

TEST_F(TextTokenizerTest, TreatsAWordAloneAsInACompany) {
  // One path for ASCII, one for the rest: a text through both, word by word, and as a whole, gives the same.
  const TextTokenizer tokenizer = make(config());
  const std::vector<std::string> words = {"Hello",
                                          "worlds",
                                          "\u00e9",
                                          "a\u0301\u0323b",
                                          "\u4e2d",
                                          "a\x0b"
                                          "b",
                                          "A\u200dB",
                                          "x"};
  std::string text;
  TokenSequence expected;
  std::uint32_t n_words = 0;
  for (const std::string& word : words) {
    const auto start = static_cast<std::uint32_t>(text.size());
    const TokenSequence alone = tokenizer(word, false);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      expected.append(alone.ids[i], {alone.offsets[i].start + start, alone.offsets[i].end + start},
                      alone.words[i] + n_words);
    }
    n_words = expected.words.back() + 1;
    text += word + " ";
  }
  const TokenSequence whole = tokenizer(text, false);
  EXPECT_EQ(whole.ids, expected.ids);
  EXPECT_EQ(whole.offsets, expected.offsets);
  EXPECT_EQ(whole.words, expected.words);
}

TEST_F(TextTokenizerTest, RefusesWhatIsNotUtf8WithItsPosition) {
  expect_error(ErrorCode::input, {"byte 6 ", "0xff"}, [&] { make(config())("hello \xFF", false); });
}

TEST_F(TextTokenizerTest, RefusesTextsThatOffsetsCannotCount) {
  // Only the length is looked at before it throws, so the memory behind it need not exist.
  const std::string_view huge("a", std::size_t{1} << 31);
  expect_error(ErrorCode::input, {"2147483648 bytes"}, [&] { make(config())(huge, false); });
}

TEST_F(TextTokenizerTest, GivesOffsetsThatAscendOnCodePointsForAnyBytes) {
  std::mt19937 random(11);
  const std::string alphabet[] = {"a",
                                  "B",
                                  " ",
                                  "\xCC",
                                  "\x81",
                                  "\xCC\x81",
                                  "[MASK]",
                                  "\xE4\xB8\xAD",
                                  "\xED\x95\x9C",
                                  "\xC4\xB0",
                                  "\xE2\x80\x8D",
                                  "!",
                                  "\xF0\x9F",
                                  "\x80",
                                  std::string(1, '\0'),
                                  "hello"};
  for (int options = 0; options < 16; ++options) {
    auto some = config();
    auto& model = std::get<WordPieceOptions>(some.model);
    model.clean_text = (options & 1) != 0;
    model.handle_chinese_chars = (options & 2) != 0;
    model.strip_accents = (options & 4) != 0;
    model.lowercase = (options & 8) != 0;
    const TextTokenizer tokenizer = make(some);
    for (int i = 0; i < 200; ++i) {
      std::string bytes;
      for (std::size_t n = random() % 30; n > 0; --n) {
        bytes += i % 2 == 0 ? std::string(1, static_cast<char>(random())) : alphabet[random() % 16];
      }
      const std::string text = replace_invalid_utf8(bytes);
      const TokenSequence tokens = tokenizer(text, false);
      std::uint32_t previous = 0;
      for (const Span span : tokens.offsets) {
        ASSERT_LE(previous, span.start);
        ASSERT_LT(span.start, span.end);
        ASSERT_LE(span.end, text.size());
        ASSERT_FALSE(utf8::is_continuation(text[span.start]));
        ASSERT_TRUE(span.end == text.size() || !utf8::is_continuation(text[span.end]));
        previous = span.start;
      }
    }
  }
}

}  // namespace
