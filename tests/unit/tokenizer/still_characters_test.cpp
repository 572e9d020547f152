#include <gtest/gtest.h>

#include "small_tokenizer.hpp"

#include <bertha/tokenizer/step_normalizer.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Kind = NormalizerStep::Kind;

const UnigramData& data() {
  static const UnigramData data({{"<unk>", 0}}, {{"\u2460", "1"},
                                                 {"\ufb01", "fi"},
                                                 {"\u00ad", ""},
                                                 {"e\u0301", "\u00e9"},
                                                 {"\r", " "},
                                                 {"\u0915", "K"},
                                                 {"\U0001F600", ":)"}});
  return data;
}

std::optional<Charsmap> charsmap() {
  const TokenizerTensors its = data().tensors();
  return Charsmap(its.charsmap_text, its.charsmap_offsets, its.charsmap_trie);
}

// The characters of a text that are still.
std::string still(const std::vector<NormalizerStep>& steps, const std::string& text) {
  const StillCharacters characters(steps, charsmap());
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = utf8::decode(text, at).size;
    if (characters.holds(text, at)) result += text.substr(at, size);
    at += size;
  }
  return result;
}

TEST(StillCharacters, AreThoseThatNoStepChanges) {
  EXPECT_EQ(still({}, "aA \u00e9\U0001F600"), "aA \u00e9");  // none beyond U+FFFF
  EXPECT_EQ(still({{Kind::clean_text, {}, {}}}, "a\tb\x01 \u00a0c"), "abc");
  EXPECT_EQ(still({{Kind::handle_chinese_chars, {}, {}}}, "a\u4e2d\u3042"), "a\u3042");
  EXPECT_EQ(still({{Kind::nfc, {}, {}}}, "a \u00e9\u4e2d"), "a ");
  EXPECT_EQ(still({{Kind::strip_marks, {}, {}}}, "a\u0301\u0903\u00e9"), "a\u00e9");
  EXPECT_EQ(still({{Kind::strip_nonspacing_marks, {}, {}}}, "a\u0301\u0903"), "a\u0903");
  EXPECT_EQ(still({{Kind::lowercase, {}, {}}}, "aA\u00c9\u00e9"), "a\u00e9");
  for (const Kind kind : {Kind::strip_left, Kind::strip_right, Kind::replace_spaces, Kind::collapse_white_space}) {
    EXPECT_EQ(still({{kind, {}, {}}}, "a b\u00a0c\n"), "abc");
  }
  EXPECT_EQ(still({{Kind::replace, "``", "\""}, {Kind::replace, "\u00e9", "e"}}, "a`b\u00e9"), "ab");
}

TEST(StillCharacters, AreNotInAClusterWithOthers) {
  const std::vector<NormalizerStep> steps = {{Kind::charsmap, {}, {}}};
  EXPECT_EQ(still(steps, "ae\r \u00e9\u2460\u2461\ufb01\ufb02\u00ad"), "ae \u00e9\u2461\ufb02");
  // Marks, what is before or between others, Hangul, pictures, consonants of conjuncts.
  EXPECT_EQ(still(steps, "\u0301\u0600\u200d\u1100\uac00\u2764\u0915\u0916\u094d\u0e33x"), "x");
}

TEST(StillCharacters, DivideATextWithoutATrace) {
  // A text is normalised as it is when nothing in it is still: the same characters, one step at a time.
  const std::vector<std::string> characters = {"a",      "e",      "E",      " ",      "  ",         "\t",
                                               "\r",     "\u0301", "\u0323", "\u00e9", "\u00c9",     "\u2460",
                                               "\u00ad", "\u0915", "\u094d", "\u0600", "\u4e2d",     "\uac00",
                                               "`",      "``",     "\u1100", "\u1161", "\U0001F600", "\u200d"};
  const std::vector<std::vector<NormalizerStep>> lists = {
      {{Kind::charsmap, {}, {}}},
      {{Kind::replace, "``", "\""}, {Kind::nfkd, {}, {}}, {Kind::strip_marks, {}, {}}, {Kind::lowercase, {}, {}}},
      {{Kind::strip_left, {}, {}}, {Kind::charsmap, {}, {}}, {Kind::replace_spaces, {}, " "}},
      {{Kind::clean_text, {}, {}}, {Kind::handle_chinese_chars, {}, {}}, {Kind::strip_right, {}, {}}},
      {{Kind::nfc, {}, {}}, {Kind::collapse_white_space, {}, {}}}};
  std::mt19937 random(1);
  for (int i = 0; i < 4000; ++i) {
    const std::vector<NormalizerStep>& steps = lists[static_cast<std::size_t>(i) % lists.size()];
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += characters[random() % characters.size()];
    NormalizedText whole;
    StepNormalizer(steps, charsmap())(text, 5, whole);
    // A step that replaces each character of the texts by itself makes none of them still.
    std::vector<NormalizerStep> without = {};
    for (const char letter : {'a', 'e', 'E', ' '}) without.push_back({Kind::replace, {letter}, {letter}});
    without.push_back({Kind::replace, "\u00e9", "\u00e9"});
    without.push_back({Kind::replace, "\u00c9", "\u00c9"});
    without.push_back({Kind::replace, "\u4e2d", "\u4e2d"});
    without.insert(without.end(), steps.begin(), steps.end());
    NormalizedText expected;
    StepNormalizer(without, charsmap())(text, 5, expected);
    ASSERT_EQ(whole.text(), expected.text()) << text;
    for (std::size_t at = 0; at < whole.text().size(); ++at) {
      ASSERT_EQ(whole.origin(at, at + 1), expected.origin(at, at + 1)) << text;
    }
  }
}

}  // namespace
