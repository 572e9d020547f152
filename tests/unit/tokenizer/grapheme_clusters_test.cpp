#include <gtest/gtest.h>

#include <bertha/tokenizer/grapheme_clusters.hpp>
#include <string>
#include <utility>
#include <vector>

namespace {

using bertha::GraphemeClusters;

/// The text with a bar before each cluster but the first.
std::u32string cut(const std::u32string& text) {
  GraphemeClusters clusters;
  std::u32string result;
  for (const char32_t code_point : text) {
    if (clusters.begins_at(code_point) && !result.empty()) result += U'|';
    result += code_point;
  }
  return result;
}

TEST(GraphemeClusters, FollowsEachRuleOfUnicode) {
  const std::vector<std::u32string> clusters = {
      U"a|b",                                    // GB999
      U"\r\n|\n|\r|\r\n|\n",                     // GB3, GB4
      U"a|\r|\u0301|\u00ad|\u0301",              // GB4, GB5
      U"\u0301\u0301|a",                         // GB1
      U"\u1100\u1100\u1161\u1161\u11a8|\u1100",  // GB6 to GB8
      U"\uac00\u1161|\uac00\u11a8|\uac01\u11a8|\u1161|a",
      U"\uac01|\u1161",
      U"\u11a8|\u1161",
      U"a\u0301\u200c\u0903\u200d|a",  // GB9, GB9a
      U"\u0600a\u0301|\u0600|\n",      // GB9b
      U"\u0915\u094d\u0915|\u0915\u0301|\u0915\u200d|\u0915",
      U"\u0915\u0301\u094d\u200d\u0915|\u0915\u094d\u200c|\u0915|a\u094d|\u0915",         // GB9c
      U"\xa9\u200d\xa9|\xa9\u0301\u200c\u200d\u2764|\xa9\u200d\u200d|\xa9|a\u200d|\xa9",  // GB11
  };
  for (const std::u32string& expected : clusters) {
    std::u32string text = expected;
    std::erase(text, U'|');
    EXPECT_EQ(cut(text), expected) << &expected - clusters.data();
  }
}

}  // namespace
