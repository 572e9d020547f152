#include <gtest/gtest.h>

#include <bertha/tokenizer/metaspace.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;
using Words = std::vector<std::string>;

/// The words of a text, whose part that begins at byte 0 is at the start.
Words words(std::string_view text, const UnigramOptions& options) {
  Words result;
  MetaspaceWord word;
  split_metaspace(
      text, options, [](std::size_t byte) { return byte == 0; },
      [&](MetaspaceWord::Range range, bool with_mark) {
        word.assign(text, range, with_mark);
        result.emplace_back(word.text());
      });
  return result;
}

TEST(Metaspace, SplitsAtWhiteSpaceAndMarks) {
  EXPECT_EQ(words("a  b\u3000c\n", {}), (Words{"\u2581a", "\u2581b", "\u2581c"}));
  EXPECT_EQ(words("a\u2581b\u2581", {}), (Words{"\u2581a", "\u2581b", "\u2581"}));
  EXPECT_EQ(words("\u2581\u2581a", {}), (Words{"\u2581", "\u2581a"}));
  EXPECT_EQ(words(" \n", {}), Words{});
  EXPECT_EQ(words("", {}), Words{});
}

TEST(Metaspace, SplitsAtAllWhiteSpace) {
  for (std::uint32_t code_point = 1; code_point < 0xD800; ++code_point) {
    const bool is_space = (unicode::properties(code_point).flags & unicode::kWhiteSpace) != 0;
    char bytes[4];
    const std::string middle(bytes, utf8::encode(code_point, bytes));
    const bool is_mark = middle == bertha::kMetaspace;
    ASSERT_EQ(words("a" + middle + "b", {}).size(), is_space || is_mark ? 2u : 1u) << code_point;
  }
}

TEST(Metaspace, KeepsEverySpaceWhereWhiteSpaceDoesNotSplit) {
  const UnigramOptions options{.whitespace_split = false};
  EXPECT_EQ(words(" a  b\n ", options), (Words{"\u2581a", "\u2581", "\u2581b\n", "\u2581"}));
  EXPECT_EQ(words("a", options), (Words{"\u2581a"}));
  EXPECT_EQ(words("", options), Words{});
}

TEST(Metaspace, PrependsAsItsSchemeSays) {
  const auto with = [](PrependScheme scheme, bool whitespace_split = true) {
    return UnigramOptions{.whitespace_split = whitespace_split, .prepend_scheme = scheme};
  };
  EXPECT_EQ(words("a b", with(PrependScheme::first)), (Words{"\u2581a", "b"}));
  EXPECT_EQ(words(" a b", with(PrependScheme::first)), (Words{"a", "b"}));
  EXPECT_EQ(words("a b", with(PrependScheme::never)), (Words{"a", "b"}));
  EXPECT_EQ(words("a b", with(PrependScheme::never, false)), (Words{"a", "\u2581b"}));
}

TEST(Metaspace, LeavesATextWholeWhereMarksDoNotSplit) {
  EXPECT_EQ(words("a  b\u2581", {.whitespace_split = false, .split = false}), (Words{"\u2581a\u2581\u2581b\u2581"}));
  EXPECT_EQ(words("a\u2581b c", {.split = false}), (Words{"\u2581a\u2581b", "\u2581c"}));
}

TEST(MetaspaceWord, KnowsWhereItsBytesComeFrom) {
  using Range = MetaspaceWord::Range;
  MetaspaceWord word;
  word.assign("xa b\u2581c", {1, 8}, true);
  ASSERT_EQ(word.text(), "\u2581a\u2581b\u2581c");
  EXPECT_EQ(word.source({0, 3}), (Range{1, 2}));  // the mark that was added has the range of what is behind it
  EXPECT_EQ(word.source({3, 4}), (Range{1, 2}));
  EXPECT_EQ(word.source({4, 8}), (Range{2, 4}));
  EXPECT_EQ(word.source({4, 8}), (Range{2, 4}));
  EXPECT_EQ(word.source({8, 12}), (Range{4, 8}));
  word.assign(" a", {0, 2}, false);
  EXPECT_EQ(word.source({0, 4}), (Range{0, 2}));
}

TEST(Metaspace, DecodesMarksToSpacesButThoseOfTheFirstToken) {
  const std::vector<std::string_view> tokens = {"\u2581a\u2581b", "\u2581c", "d\u2581", "<s>"};
  EXPECT_EQ(decode_metaspace(tokens, PrependScheme::always), "ab cd <s>");
  EXPECT_EQ(decode_metaspace(tokens, PrependScheme::first), "ab cd <s>");
  EXPECT_EQ(decode_metaspace(tokens, PrependScheme::never), " a b cd <s>");
  EXPECT_EQ(decode_metaspace({}, PrependScheme::always), "");
}

TEST(MetaspaceWord, KnowsThePlaceOfAMarkAtTheEnd) {
  MetaspaceWord word;
  word.assign("a ", {0, 2}, false);
  EXPECT_EQ(word.source({0, 1}), (MetaspaceWord::Range{0, 1}));
  EXPECT_EQ(word.source({1, 4}), (MetaspaceWord::Range{1, 2}));
  word.assign("a ", {1, 2}, false);
  EXPECT_EQ(word.source({0, 3}), (MetaspaceWord::Range{1, 2}));
}

}  // namespace
